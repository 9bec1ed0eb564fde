"""Real recordings, against what independent builders and the venue itself say of them."""

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stevie.adapters.kernel import PythonKernel
from stevie.replay import job, report
from stevie.replay.expectation import ExpectationError
from stevie.replay.job import Outcome, Request
from stevie.replay.runner import Replay
from stevie.replay.sources import instruments_for, subject_of
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.registry import VENUES
from tests.replay.captures import BINANCE, recording

pytestmark = pytest.mark.slow

SMALL = "binance-spot_depth100ms_4sym_20210814_limit5000"
LISTED = "binance-spot_instruments_20211011"


def _replay(name: str, kernel, **request: Any) -> Outcome:
    return job.run(Request(file=recording(name), **request), kernel, lambda _: None)


def _books(outcome: Outcome) -> list[dict]:
    """What the books hold, whatever their scale was to begin with."""
    documents = [report.book_as_json(book) for book in outcome.replayed.books]
    for document in documents:
        for side in ("bids", "asks"):
            document[side] = [tuple(map(Decimal, level)) for level in document[side]]
    return documents


@pytest.mark.parametrize("name", BINANCE)
def test_a_recording_gives_exactly_the_books_that_were_expected(name, kernel):
    expected = recording(name, ending=".expected.json")

    outcome = _replay(name, kernel, expect=expected)

    assert outcome.differences == ()
    assert outcome.replayed.frames == sum(json.loads(expected.read_text())["frames"].values())


@pytest.mark.parametrize("name", BINANCE)
def test_where_the_venue_tells_its_best_prices_the_book_has_the_same(name, kernel):
    """The last bookTicker up to an update is the venue's own word on the touch after it."""
    told = _told_touches(recording(name))
    checks_count = 0
    for book in _replayed_at_every_delta(recording(name), kernel):
        updates = told.get(book.instrument.native, [])
        for point in book.checkpoints:
            index = bisect_right(updates, point.seq, key=itemgetter(0))
            if index:
                ours = _level(point, point.bids[0]), _level(point, point.asks[0])
                assert ours == updates[index - 1][1], (book.instrument.native, point.seq)
                checks_count += 1

    assert checks_count == CHECKS[name]


# As the independent builders counted them.
CHECKS = dict(zip(BINANCE, (567, 527, 3449, 744), strict=True))

Touch = tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]


def _told_touches(path: Path) -> dict[str, list[tuple[int, Touch]]]:
    told: dict[str, list[tuple[int, Touch]]] = {}
    with gzip.open(path) as lines:
        for line in lines:
            frame = json.loads(line)
            event = json.loads(frame["raw"])
            event = event.get("data", event)
            if frame["kind"] == "ws_in" and "B" in event and "A" in event:
                bid = Decimal(event["b"]), Decimal(event["B"])
                ask = Decimal(event["a"]), Decimal(event["A"])
                told.setdefault(event["s"], []).append((event["u"], (bid, ask)))
    return told


def _replayed_at_every_delta(path: Path, kernel) -> Iterator[Any]:
    venue, natives = subject_of(path)
    codec = VENUES[venue].codec(VENUES[venue].live)
    instruments = instruments_for(natives, venue, ())
    runner = Replay(path, codec=codec, kernel=kernel, instruments=instruments)
    return iter(runner.run(dict.fromkeys(natives, tuple(range(1, 4000)))).books)


def _level(point, level) -> tuple[Decimal, Decimal]:
    ticks, lots = level
    return (
        Decimal(ticks).scaleb(-point.price_decimals),
        Decimal(lots).scaleb(-point.size_decimals),
    )


# -- instrument lists -----------------------------------------------------------------------------


def test_the_recorded_list_gives_the_same_books(kernel):
    plain = _replay(SMALL, kernel)

    listed = _replay(SMALL, kernel, instruments=recording(LISTED))

    assert _books(listed) == _books(plain)
    steps = {book.instrument.tick_size for book in listed.replayed.books}
    assert steps != {"1"}


@pytest.mark.parametrize(
    ("tick_size", "lot_size"), [("0.1", "1"), ("0.000000001", "0.000000001"), ("100", "10")]
)
def test_coarser_and_finer_lists_give_the_same_books(tmp_path, kernel, tick_size, lot_size):
    entries = [_entry(native, tick_size, lot_size) for native in ("FTMUSDT", "XMRBTC", "SXPBTC")]
    path = tmp_path / "list.json"  # BADGERBTC is missing
    path.write_text(json.dumps({"symbols": entries}))

    listed = _replay(SMALL, kernel, instruments=path)

    assert _books(listed) == _books(_replay(SMALL, kernel))


def _entry(native: str, tick_size: str, lot_size: str) -> dict:
    return {
        "symbol": native,
        "baseAsset": native[:3],
        "quoteAsset": native[3:],
        "status": "TRADING",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": tick_size},
            {"filterType": "LOT_SIZE", "stepSize": lot_size},
        ],
    }


# -- an expectation that is not met ---------------------------------------------------------------


def _first(document: dict) -> dict:
    return next(iter(document["symbols"].values()))


def _tamper_size(document: dict) -> None:
    _first(document)["bids"][3][1] += "1"


def _tamper_price(document: dict) -> None:
    _first(document)["asks"][9][0] += "1"


def _tamper_seq(document: dict) -> None:
    _first(document)["final_seq"] += 1


def _tamper_checkpoint_seq(document: dict) -> None:
    _first(document)["checkpoints"][5]["seq"] -= 1


def _tamper_checkpoint_size(document: dict) -> None:
    _first(document)["checkpoints"][7]["asks"][2][1] += "1"


def _tamper_checkpoint_place(document: dict) -> None:
    _first(document)["checkpoints"][-1]["applied"] += 1_000_000


def _tamper_count(document: dict) -> None:
    _first(document)["counts"]["stale_dropped"] += 1


def _tamper_levels(document: dict) -> None:
    _first(document)["levels"][1] += 1


def _tamper_symbol(document: dict) -> None:
    document["symbols"]["NOSUCH"] = _first(document)


TAMPERINGS = {
    _tamper_size: "final bids: level 3 expected",
    _tamper_price: "final asks: level 9 expected",
    _tamper_seq: "final seq expected",
    _tamper_checkpoint_seq: "seq expected",
    _tamper_checkpoint_size: "asks: level 2 expected",
    _tamper_checkpoint_place: "never reached",
    _tamper_count: "stale_dropped expected",
    _tamper_levels: "level counts expected",
    _tamper_symbol: "NOSUCH: expected a book, was none",
}


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_an_expectation_that_differs_in_one_place_is_told_in_one_line(tmp_path, tamper):
    document = json.loads(recording(SMALL, ending=".expected.json").read_text())
    tamper(document)
    path = tmp_path / "expected.json"
    path.write_text(json.dumps(document))

    outcome = _replay(SMALL, PythonKernel(BinanceReferenceCore), expect=path)

    assert len(outcome.differences) == 1
    assert TAMPERINGS[tamper] in outcome.differences[0]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"symbols":{"A":{"counts":{},"bids":[["x","1"]]}}}', '{"symbols":3}']
)
def test_a_file_that_is_no_expectation_says_so(tmp_path, text):
    path = tmp_path / "expected.json"
    path.write_text(text)

    with pytest.raises(ExpectationError, match=r"expected.json"):
        _replay(SMALL, PythonKernel(BinanceReferenceCore), expect=path)


def test_the_document_of_a_replay_is_whole(kernel):
    outcome = _replay(SMALL, kernel)

    document = report.as_json(outcome, file="f", expect=None, kernel=kernel.name)

    book = document["books"][0]
    assert {"state", "seq", "bids", "asks", "frames", "deltas", "stale_dropped"} <= set(book)
    assert {"gaps", "resyncs", "crossed", "checksums", "reason"} <= set(book)
    assert len(book["bids"]) == len(book["asks"]) == 10
    assert document["frames_per_s"] > 0
    assert msgspec.json.decode(msgspec.json.encode(document)) == document
