"""Binance's wire format: raw frames and REST bodies to numbers, spot and USD-M alike.

The reference for the whole-frame path of `native/micro.cpp`, which reads the same bytes to the same
result. Strict JSON; unknown keys and event types are passed over, a missing or wrong required one
makes the frame malformed. Source: Binance's public web-socket-streams pages (spot and USD-M).
"""

import re
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from stevie.domain.market.fixed_point import NumberError, read

NESTING_MAX = (
    256  # brackets within brackets; a fixed bound, since Python's own moves with the stack
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SEQ_MAX = 2**63 - 1
_MS = 1_000_000

TextLevels = tuple[tuple[int, int, int, int], ...]
"""Levels as (price mantissa, its decimals, size mantissa, its decimals)."""


class Delta(NamedTuple):
    """A depthUpdate."""

    symbol: str
    first_seq: int
    last_seq: int
    previous_seq: int  # pu, -1 on spot
    event_ns: int
    bids: TextLevels
    asks: TextLevels


class Trade(NamedTuple):
    """A trade or aggTrade; the aggressor sold if the buyer was the maker."""

    symbol: str
    kind: str
    trade_id: int
    size: tuple[int, int]
    aggressor_sold: bool


class Snapshot(NamedTuple):
    """A REST depth body."""

    last_seq: int
    bids: TextLevels
    asks: TextLevels


class Other(NamedTuple):
    """A well-formed frame that is nothing to a book."""


class MalformedError(ValueError):
    """Bytes that are not what the venue documents."""


Event = Delta | Trade | Other


def decode_frame(frame: bytes) -> Event:
    """Read a raw or combined frame; MalformedError says what is wrong."""
    event = _json(frame)
    if not isinstance(event, dict):
        return Other()
    if "e" not in event and "data" in event:
        event = event["data"]
        if not isinstance(event, dict):
            return Other()
    match event.get("e"):
        case "depthUpdate":
            return _delta(event)
        case "trade" | "aggTrade":
            return _trade(event)
        case _:
            return Other()


def decode_snapshot(body: bytes) -> Snapshot:
    """Read the body of GET depth."""
    answer = _json(body)
    if not isinstance(answer, dict):
        raise MalformedError("expected an object")
    return Snapshot(
        _seq(answer, "lastUpdateId"), _levels(answer.get("bids")), _levels(answer.get("asks"))
    )


def _json(data: bytes) -> Any:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(str(error)) from error
    if data.count(b"[") + data.count(b"{") > NESTING_MAX and _nesting(data) > NESTING_MAX:
        raise MalformedError(f"expected at most {NESTING_MAX} nested brackets")
    return value


def _nesting(json: bytes) -> int:
    """How deep the brackets of a valid text nest, those of repeated keys included."""
    outside_strings = _STRING.sub(b"", json)
    steps = ((c in b"[{") - (c in b"]}") for c in outside_strings)
    return max(accumulate(steps), default=0)


def _delta(event: dict[str, Any]) -> Delta:
    first_seq, last_seq = _seq(event, "U"), _seq(event, "u")
    if first_seq > last_seq:
        raise MalformedError(f"expected U <= u, was U={first_seq} u={last_seq}")
    return Delta(
        symbol=_text(event, "s"),
        first_seq=first_seq,
        last_seq=last_seq,
        previous_seq=_seq(event, "pu") if "pu" in event else -1,
        event_ns=_seq(event, "E", default=0, limit=_SEQ_MAX // _MS) * _MS,
        bids=_levels(event.get("b")),
        asks=_levels(event.get("a")),
    )


def _trade(event: dict[str, Any]) -> Event:
    kind = event["e"]
    symbol, buyer_is_maker = _text(event, "s"), event.get("m")
    trade_id = _seq(event, "t" if kind == "trade" else "a")
    price, size = _number(event.get("p")), _number(event.get("q"))
    if not isinstance(buyer_is_maker, bool):
        raise MalformedError(f"expected m true or false, was {buyer_is_maker!r}")
    if size[0] == 0:
        return Other()  # the undocumented USD-M @trade announces liquidations with zeros
    if price[0] == 0:
        raise MalformedError("expected p > 0, was 0")
    return Trade(symbol, kind, trade_id, size, buyer_is_maker)


def _seq(event: dict[str, Any], key: str, *, default: int = -1, limit: int = _SEQ_MAX) -> int:
    value = event.get(key, default)
    if type(value) is not int or not 0 <= value <= limit:
        raise MalformedError(f"expected {key} an integer from 0 to {limit}, was {value!r}")
    return value


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise MalformedError(f"expected {key} a string, was {value!r}")
    return value


def _number(value: object) -> tuple[int, int]:
    if not isinstance(value, str):
        raise MalformedError(f"expected a number in a string, was {value!r}")
    try:
        return read(value)
    except NumberError as error:
        raise MalformedError(str(error)) from error


def _levels(value: object) -> TextLevels:
    if not isinstance(value, list):
        raise MalformedError(f"expected a list of levels, was {value!r}")
    return tuple(_level(level) for level in value)


def _level(value: object) -> tuple[int, int, int, int]:
    if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004
        raise MalformedError(f"expected [price, size], was {value!r}")
    price, size = _number(value[0]), _number(value[1])
    if price[0] == 0:
        raise MalformedError("expected a price > 0, was 0")
    return (*price, *size)
