"""Good documents of every contract, made from its struct, and bad ones made from the good."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
from msgspec import inspect

from stevie import rfc3339
from stevie.domain.contracts import values
from stevie.domain.contracts.audit_row import AuditRowDocument, InputDocument
from stevie.domain.contracts.contract import Contract
from stevie.domain.contracts.document import Document, Rule, RuleBroken
from stevie.domain.contracts.execution import FillDocument, OrderDocument, OrderRequest
from stevie.domain.contracts.feature_row import FeatureRowDocument
from stevie.domain.contracts.flags import FlagDocument
from stevie.domain.contracts.l2 import L2Document
from stevie.domain.contracts.microstructure import (
    FIGURES,
    ConsolidatedDocument,
    CountWindowDocument,
    MicrostructureDocument,
    Validity,
    VenueDocument,
)
from stevie.domain.contracts.model_meta import ModelDocument, TrainingDocument
from stevie.domain.contracts.ohlcv import BarDocument
from stevie.domain.contracts.routing import RouteDocument, RouteRequest, ScoreDocument

Json = Any
Edit = Callable[[Json], None]
NOW_NS = 1_732_320_000_123_456_789

# -- what msgspec says -----------------------------------------------------------------------------

GOOD, BAD_SHAPE, BROKEN_RULE = "good", "bad shape", "broken rule"


def verdict(contract: Contract[Any], document: Json) -> str:
    """What the contract's own reader thinks of a document."""
    try:
        contract.read(json.dumps(document).encode())
    except msgspec.DecodeError as error:
        return BROKEN_RULE if isinstance(error.__cause__, RuleBroken) else BAD_SHAPE
    return GOOD


def broken_rule(contract: Contract[Any], document: Json) -> str:
    """The name of the rule that a document breaks, "" for none."""
    try:
        contract.read(json.dumps(document).encode())
    except msgspec.ValidationError as error:
        return getattr(error.__cause__, "name", str(error))
    return ""


def edited(contract: Contract[Any], edit: Edit, *, seed: int = 1) -> Json:
    """A good document after the edit."""
    document = good(contract, Random(seed))
    edit(document)
    return document


def good_where(
    contract: Contract[Any], is_wanted: Callable[[Json], bool], tries: int = 500
) -> Json:
    """The first good document of some kind."""
    made = (good(contract, Random(seed)) for seed in range(tries))
    return next(document for document in made if is_wanted(document))


def rules(contract: Contract[Any]) -> dict[str, Rule]:
    """Every rule of a contract by `Document.rule`, those of nested documents included."""
    open_types: list[Any] = [inspect.type_info(contract.shape)]
    found: dict[str, Rule] = {}
    while open_types:
        node = open_types.pop()
        if isinstance(node, inspect.StructType):
            found |= {f"{node.cls.__name__}.{each.name}": each for each in _rules(node.cls)}
            open_types += [field.type for field in node.fields]
        for name in ("type", "types", "item_type", "item_types", "key_type", "value_type"):
            nested = getattr(node, name, ())
            open_types += nested if isinstance(nested, tuple) else (nested,)
    return found


def _rules(kind: type) -> tuple[Rule, ...]:
    assert issubclass(kind, Document), kind
    return kind.rules


# -- good documents --------------------------------------------------------------------------------


def good(contract: Contract[Any], rng: Random) -> Json:
    """A document that keeps the contract."""
    return make(inspect.type_info(contract.shape), rng)


def make(node: inspect.Type, rng: Random) -> Json:  # noqa: C901, PLR0911, PLR0912 - a case a type
    match node:
        case inspect.Metadata():
            return make(node.type, rng)
        case inspect.StructType():
            return _struct(node, rng)
        case inspect.UnionType():
            return make(rng.choice(node.types), rng)
        case inspect.IntType():
            return _number(node, rng, whole=True)
        case inspect.FloatType():
            return _number(node, rng, whole=False)
        case inspect.StrType():
            return _text(node, rng)
        case inspect.BoolType():
            return rng.random() < 0.5
        case inspect.NoneType():
            return None
        case inspect.LiteralType():
            return rng.choice(node.values)
        case inspect.EnumType():
            return rng.choice(list(node.cls)).value
        case inspect.VarTupleType():
            return [make(node.item_type, rng) for _ in range(_length(node, rng))]
        case inspect.TupleType():
            return [make(each, rng) for each in node.item_types]
        case inspect.DictType():
            keys = [make(node.key_type, rng) for _ in range(_length(node, rng))]
            return {key: make(node.value_type, rng) for key in keys}
        case inspect.AnyType():
            return rng.choice([None, True, 7, -(10**25), "text", [1, ["x"]], {"deep": [None]}])
        case _:
            raise AssertionError(node)


def _struct(node: inspect.StructType, rng: Random) -> Json:
    document = {
        field.encode_name: make(field.type, rng)
        for field in node.fields
        if field.required or rng.random() < 0.7
    }
    if node.cls in MENDED:
        MENDED[node.cls](document, rng)
    return document


def _length(node: Any, rng: Random) -> int:
    least, most = node.min_length or 0, node.max_length
    return min(least + rng.choice((0, 1, 2, 4)), 9 if most is None else most)


def _number(node: Any, rng: Random, *, whole: bool) -> float:
    least = node.ge if node.ge is not None else node.gt
    most = node.le if node.le is not None else node.lt
    assert least is not None, "a number without a lower bound"
    assert most is not None, "a number without an upper bound"
    if whole:
        return int(rng.choice((least, most, rng.randint(least, most), least + 1)))
    drawn = rng.choice((most, rng.uniform(least, most), least / 3 + most / 7, round(most / 3)))
    return float(drawn) if drawn > least or node.ge is not None else float(most)


def _text(node: inspect.StrType, rng: Random) -> str:
    if node.pattern is not None:
        text = SAMPLES[node.pattern](rng)
        assert node.max_length is None or len(text) <= node.max_length, text
        return text
    least, most = node.min_length or 0, node.max_length
    assert most is not None, "a text without a limit"
    length = rng.choice((least, least + 1, most))
    return "".join(rng.choice('aZ0 _"\\/é😀\n\u2028') for _ in range(length))


def digits(rng: Random, most: int) -> str:
    count = rng.randint(1, most)
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))


def decimal_text(rng: Random, *, fraction: int = 22) -> str:
    whole = rng.choice(("0", digits(rng, 19)))
    return rng.choice((whole, f"{whole}.{rng.randint(0, 10**fraction - 1):0{fraction}d}"))


def positive_text(rng: Random) -> str:
    return rng.choice((digits(rng, 12), digits(rng, 12) + ".50", "0.00000001", "0.5000", "1"))


def timestamp(rng: Random) -> str:
    return rfc3339.text(rng.randint(0, values.NS_MAX))


SAMPLES: dict[str, Callable[[Random], str]] = {
    values.DECIMAL: decimal_text,
    values.SIGNED_DECIMAL: lambda rng: rng.choice(("", "-")) + decimal_text(rng),
    values.POSITIVE_DECIMAL: positive_text,
    values.TIMESTAMP: timestamp,
    values.WORD: lambda rng: rng.choice(("binance", "binance_usdm", "okx2", "a", "z" * 64)),
    values.CODE: lambda rng: rng.choice(("REJECTED_STALE", "no_balance", "A", "n" * 64)),
    values.ID: lambda rng: rng.choice(("1", "A-7.b:c_d", "x" * 64)) + "",
    values.SYMBOL: lambda rng: rng.choice(("BTCUSDT", "BTCUSDT-PERP", "币安人生USDT", "B" * 32)),
    values.HASH: lambda rng: f"{rng.getrandbits(256):064x}",
    values.HASH_OR_NONE: lambda rng: rng.choice(("", f"{rng.getrandbits(256):064x}")),
}


# -- the rules, kept -------------------------------------------------------------------------------


def _in_order(document: Json, *names: str, rng: Random) -> None:
    """Make these timestamps follow each other, now and then at the same moment."""
    start_ns = rng.randint(0, NOW_NS)
    for name in names:
        start_ns += 1000 * rng.randint(1, 10**6)
        document[name] = rfc3339.text(start_ns)
    if rng.random() < 0.3:
        document[names[-1]] = document[names[-2]]


def prices(rng: Random, count: int, *, top: int) -> list[str]:
    """So many prices below `top` ticks of 0.01, from the highest down."""
    ticks = sorted(rng.sample(range(1, top), count), reverse=True)
    return [f"{each // 100}.{each % 100:02d}" for each in ticks]


def _l2(document: Json, rng: Random) -> None:
    both = prices(rng, 10, top=10**6)
    cut = rng.randint(0, 10)
    bids, asks = both[cut:][: rng.randint(0, 10)], both[:cut][::-1]
    if bids and asks and rng.random() < 0.2:
        asks[0] = bids[0]  # locked
    document["bids"] = [[price, positive_text(rng)] for price in bids]
    document["asks"] = [[price, positive_text(rng)] for price in asks]
    document["depth_available"] = {"bids": len(bids), "asks": len(asks)}
    document["certificate"]["last_seq"] = document["seq"]
    document["certificate"]["horizon"] = {
        "bid_floor": rng.choice((None, bids[-1] if bids else "1")),
        "ask_ceiling": rng.choice((None, asks[-1] if asks else "1")),
    }


def _validity(document: Json, rng: Random) -> None:
    document["gap_touched"] &= not document["valid"]


def _invalidate_nulls(document: Json, rng: Random) -> None:
    for name, validity in document["validity"].items():
        validity["valid"] &= document[name] is not None


def _consolidated(document: Json, rng: Random) -> None:
    for side, sign in (("bids", -1), ("asks", 1)):
        document[side].sort(key=lambda level: sign * Decimal(level[0]))


def _venue(document: Json, rng: Random) -> None:
    if document["state"] == "LIVE" and all(name in document for name in FIGURES):
        _invalidate_nulls(document, rng)
    else:
        for name in FIGURES:
            document.pop(name, None)


def _microstructure(document: Json, rng: Random) -> None:
    _invalidate_nulls(document, rng)
    figures = {name: document[name] for name in FIGURES}
    venue = document["reference_venue"]
    document["venues"][venue] = {"state": "LIVE", "reason": "", **deepcopy(figures)}


def _bar(document: Json, rng: Random) -> None:
    high, *between, low = prices(rng, 4, top=10**7)
    rng.shuffle(between)
    document |= {"high": high, "low": low, "open": between[0], "close": rng.choice((high, low))}
    _in_order(document, "opened_at", "closed_at", "known_at", rng=rng)


def _input(document: Json, rng: Random) -> None:
    document["kind"] = rng.choice(("none", "capture", "l2_log"))
    document["sha256"] = f"{rng.getrandbits(256):064x}"
    document |= {"venue": "binance", "symbol": "BTCUSDT", "first_seq": 3, "last_seq": 3}


def _audit_row(document: Json, rng: Random) -> None:
    document["at"] = rfc3339.text(document["at_ns"])


def _training(document: Json, rng: Random) -> None:
    _in_order(document, "train_from_at", "train_to_at", "known_at", rng=rng)


def _model(document: Json, rng: Random) -> None:
    document["aliases"] = list(dict.fromkeys(document["aliases"]))
    others = dict.fromkeys(document["parents"])
    document["parents"] = [each for each in others if each != document["id"]]
    if document["training"] is not None:
        document["created_at"] = document["training"]["known_at"]


def _score(document: Json, rng: Random) -> None:
    terms = ("half_spread", "walk", "fee", "latency_decay", "failure_risk", "budget_shadow_price")
    nanos = [-rng.randint(0, 10**11) for _ in terms]
    reasons = zip(terms, nanos, strict=True)
    document["reasons"] = [{"term": term, "score_bps": n / 10**9} for term, n in reasons]
    document["score"] = sum(nanos) / 10**9


def _route(document: Json, rng: Random) -> None:
    for index, each in enumerate((*document["scores"], *document["excluded"])):
        each["venue"] = f"venue_{index}"
    document["choice"] = deepcopy(max(document["scores"], key=lambda each: each["score"]))
    if document["split"] is not None:
        parts = [
            {"venue": each["venue"], "size": positive_text(rng)} for each in document["scores"][:4]
        ]
        document["split"]["parts"] = parts
        document["size"] = format(sum(Decimal(part["size"]) for part in parts), "f")
    if document["flips_if"] is not None:
        document["flips_if"]["chosen"] = "another"


def _asked(document: Json, rng: Random) -> None:
    document["size"] = rng.choice((0.02, 1, 1e-7, 1e12, "0.02", "12.500", "0.000000000000000001"))


def _order_request(document: Json, rng: Random) -> None:
    _asked(document, rng)
    document["limit_price"] = None if document.get("type", "market") == "market" else "60000.10"


def _fill(document: Json, rng: Random) -> None:
    _in_order(document, "event_at", "known_at", rng=rng)


def _order(document: Json, rng: Random) -> None:
    _in_order(document, "accepted_at", "changed_at", rng=rng)
    is_buy = document["side"] == "buy"
    high, middle, low = prices(rng, 3, top=10**7)
    document["limit_price"] = {"market": None}.get(document["type"], high if is_buy else low)
    if document["state"] in {"rejected", "blocked"}:
        document |= {"fills": [], "reason": "kill_switch"}
    for fill in document["fills"]:
        fill["price"] = middle
        fill["price_optimistic"], fill["price_pessimistic"] = (low, high) if is_buy else (high, low)
    filled = sum((Decimal(fill["size"]) for fill in document["fills"]), Decimal(0))
    is_filled = document["state"] == "filled"
    if is_filled and not filled:
        is_filled, document["state"] = False, "canceled"
    document["filled_size"] = format(filled, "f")
    document["size"] = format(filled if is_filled else filled + 1, "f")
    document["average_price"] = middle if document["fills"] else None


def _flag(document: Json, rng: Random) -> None:
    if document["changed_at"] is None or document["audit_seq"] is None:
        document |= {"changed_at": None, "audit_seq": None, "value": document["default"]}


MENDED: dict[type, Callable[[Json, Random], None]] = {
    L2Document: _l2,
    Validity: _validity,
    CountWindowDocument: _invalidate_nulls,
    ConsolidatedDocument: _consolidated,
    VenueDocument: _venue,
    MicrostructureDocument: _microstructure,
    BarDocument: _bar,
    FeatureRowDocument: lambda document, rng: _in_order(document, "event_at", "known_at", rng=rng),
    FlagDocument: _flag,
    InputDocument: _input,
    AuditRowDocument: _audit_row,
    TrainingDocument: _training,
    ModelDocument: _model,
    ScoreDocument: _score,
    RouteDocument: _route,
    RouteRequest: _asked,
    OrderRequest: _order_request,
    FillDocument: _fill,
    OrderDocument: _order,
}

# -- bad documents ---------------------------------------------------------------------------------

# NOTE: no number such as 1.0 or -0.0: whether that is an integer is the one thing on which JSON
# Schema and msgspec differ, and test_agreement.py has a test of its own for it.
STRANGERS: tuple[Json, ...] = (
    *(None, True, False, 0, 1, -1, 2, 1.5, -1.5, -0.25, 1e20, -1e20, 5e-324, 10**30, -(10**30)),
    *("", " ", "x", "X", "1", "0", "-1", "01", "1.", ".5", "1e5", "+1", "0.0", "NaN", "1\n", "\n"),
    *("\u0661", "1\u0660", "1.0\r", "\u2028", "null", "buy", "LIVE", "none", "binance\n", "é"),
    *("2024-11-23T00:00:00.000000Z\n", "2024-11-23T00:00:00Z", "2024-13-01T00:00:00.000000Z"),
    *("2024-11-23T00:00:00.000000+00:00", "2024-11-23 00:00:00.000000Z", "9" * 20, "9" * 19),
    *("0." + "0" * 22, "0." + "9" * 22, "0." + "9" * 23, "0" * 64 + "\n", "G" * 64, "f" * 63),
    *("0." + "0" * 40 + "1", "9" * 19 + "." + "9" * 22, "x" * 129, "a" * 65, "A" * 65, "1" * 65),
    *("x" * 32, "x" * 33, "x" * 64, "x" * 65, "😀" * 32, "😀" * 33, "y" * 513, "\u0000", "a b"),
    *([], {}, [[]], ["1", "1"], ["1", "1", "binance"], ["1"], [None], {"x": 1}, {"": None}),
)


def paths(document: Json, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a document, itself included."""
    yield here
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in pairs:
            yield from paths(value, (*here, key))


def with_strangers(document: Json, rng: Random, count_max: int) -> Iterator[Json]:
    """The document with each of its values replaced, one at a time, by up to so many others."""
    for path in unlike_paths(document):
        for stranger in rng.sample(STRANGERS, min(count_max, len(STRANGERS))):
            changed = deepcopy(document)
            _parent(changed, path)[path[-1]] = deepcopy(stranger)
            yield changed


def with_one_missing(document: Json) -> Iterator[Json]:
    """The document without each of its fields, one at a time."""
    for path in unlike_paths(document):
        changed = deepcopy(document)
        del _parent(changed, path)[path[-1]]
        yield changed


def unlike_paths(document: Json) -> list[tuple[Any, ...]]:
    """The paths of all values within, items of one list counting as one."""
    alike: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for path in paths(document):
        alike.setdefault(tuple(0 if isinstance(key, int) else key for key in path), path)
    return [path for path in alike.values() if path]


def _parent(document: Json, path: tuple[Any, ...]) -> Json:
    for key in path[:-1]:
        document = document[key]
    return document


def mutated(document: Json, rng: Random) -> Json:
    """The document with one thing wrong, or maybe still right: the validators are to agree."""
    changed = deepcopy(document)
    path = rng.choice(list(paths(changed)))
    if not path:
        return rng.choice((None, [], [changed], "text", 1, {**changed, "extra": 1}))
    parent = _parent(changed, path)
    rng.choice((_replace, _replace, _warp, _warp, _remove, _add))(parent, path[-1], rng)
    return changed


def _replace(parent: Json, key: Any, rng: Random) -> None:
    parent[key] = deepcopy(rng.choice(STRANGERS))


def _remove(parent: Json, key: Any, rng: Random) -> None:
    del parent[key]


def _add(parent: Json, key: Any, rng: Random) -> None:
    if isinstance(parent, list):
        parent.append(deepcopy(rng.choice((*STRANGERS, parent[0]))))
    else:
        parent[rng.choice(("extra", "", key + " ", key.upper() + "_", "é"))] = parent[key]


def _warp(parent: Json, key: Any, rng: Random) -> None:
    """A little off what it was."""
    was = parent[key]
    match was:
        case bool() | None:
            parent[key] = rng.choice((0, 1, "true", "null"))
        case int():
            parent[key] = rng.choice((-was - 1, was + 1, was - 1, was * 10**6, 0.5, str(was)))
        case float():
            parent[key] = rng.choice((-was - 0.25, was * 1e9 + 0.25, was / 3 + 1e-9, str(was)))
        case str():
            wrong = (was + "\n", " " + was, was + "\u0661", was * 70, was[:-1], was + "!", [was])
            parent[key] = rng.choice(wrong)
        case list():
            parent[key] = rng.choice((was[1:], was * 2, [*was, None], {}, was[::-1], was * 70))
        case _:
            rest = dict(list(was.items())[1:])
            parent[key] = rng.choice(([was], list(was), {**was, "extra": None}, rest))
