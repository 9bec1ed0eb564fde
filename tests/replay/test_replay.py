"""Small captures with known ends: resyncs, gaps, several venues, broken files."""

import json

import pytest

from stevie.capture import CaptureError
from stevie.messages.market import BookRead
from stevie.replay import job, report
from stevie.replay.job import Outcome, Request
from stevie.replay.runner import ReplayCrashedError
from stevie.replay.sources import SourceError
from tests.replay.captures import delta, snapshot, texts, write, ws

SYNCED = [delta(99, 100), snapshot(100), delta(101, 102, bids=[["9.75", "3"]])]


def _run(tmp_path, kernel, lines, **request) -> Outcome:
    rows = iter(texts([line for line in lines if isinstance(line, dict)]))
    written = [next(rows) if isinstance(line, dict) else line for line in lines]
    path = write(tmp_path / "capture.jsonl.gz", written)
    return job.run(Request(file=path, **request), kernel, lambda _: None)


def _book(outcome: Outcome) -> BookRead:
    (book,) = outcome.replayed.books
    return book


def _top(book: BookRead) -> tuple[list[list[str]], list[list[str]]]:
    document = report.book_as_json(book)
    return document["bids"], document["asks"]


def test_a_snapshot_and_the_deltas_that_continue_it_are_a_live_book(tmp_path, kernel):
    outcome = _run(tmp_path, kernel, SYNCED)
    book = _book(outcome)

    assert (book.state, book.reason, book.view.last_seq) == ("LIVE", "", 102)
    assert [[*map(float, level)] for level in _top(book)[0]] == [[9.75, 3.0], [9.5, 1.0]]
    assert (outcome.venue, outcome.replayed.frames, outcome.replayed.broken) == ("binance", 3, "")
    assert (book.counts.deltas, book.view.stale, book.counts.snapshots) == (2, 1, 1)


def test_a_snapshot_that_comes_before_the_first_delta_is_kept_for_it(tmp_path, kernel):
    book = _book(_run(tmp_path, kernel, [snapshot(100), delta(99, 101), delta(102, 103)]))

    assert (book.state, book.view.last_seq) == ("LIVE", 103)


def test_of_several_snapshots_nobody_waits_for_the_newest_is_taken(tmp_path, kernel):
    lines = [snapshot(50), snapshot(100, bids=[["9.1", "7"]]), delta(101, 101)]

    book = _book(_run(tmp_path, kernel, lines))

    assert (book.state, book.certificate.snapshot_seq) == ("LIVE", 100)


def test_a_gap_before_a_later_snapshot_is_resynced(tmp_path, kernel):
    lines = [
        *SYNCED,
        delta(110, 111),
        delta(112, 113, asks=[["10.5", "0"], ["10.25", "4"]]),
        snapshot(111, bids=[["9.25", "8"]]),
        delta(114, 115),
    ]

    book = _book(_run(tmp_path, kernel, lines))

    assert (book.state, book.view.last_seq) == ("LIVE", 115)
    assert (book.counts.gaps, book.counts.resyncs, book.counts.snapshots) == (1, 1, 2)
    bids, asks = _top(book)
    assert [[*map(float, level)] for level in bids] == [[9.25, 8.0]]
    assert [[*map(float, level)] for level in asks] == [[10.25, 4.0]]


def test_a_gap_without_a_later_snapshot_ends_syncing_and_says_gap(tmp_path, kernel):
    outcome = _run(tmp_path, kernel, [*SYNCED, delta(110, 111), delta(112, 113)])
    book = _book(outcome)

    assert (book.state, book.reason) == ("SYNCING", "gap")
    assert (book.counts.gaps, book.counts.deltas, book.view.last_seq) == (1, 4, 102)
    document = report.as_json(outcome, file="x", expect=None, kernel=kernel.name)
    assert (document["books"][0]["state"], document["books"][0]["reason"]) == ("SYNCING", "gap")


def test_a_book_without_a_snapshot_says_what_it_waits_for(tmp_path, kernel):
    book = _book(_run(tmp_path, kernel, [delta(1, 1), delta(2, 2)]))

    assert (book.state, book.reason) == ("SYNCING", "waiting_for_snapshot")
    assert report.book_as_json(book)["seq"] is None


def test_finer_decimals_than_any_before_refine_the_book_without_loss(tmp_path, kernel):
    fine = [["9.51234567", "0.00000001"], ["9.5", "0"]]

    book = _book(_run(tmp_path, kernel, [*SYNCED, delta(103, 103, bids=fine)]))

    levels = [[*map(float, level)] for level in _top(book)[0]]
    assert levels == [[9.75, 3.0], [9.51234567, 0.00000001]]


def test_a_delta_that_crosses_the_book_is_quarantine(tmp_path, kernel):
    book = _book(_run(tmp_path, kernel, [*SYNCED, delta(103, 103, bids=[["11", "1"]])]))

    assert (book.state, book.reason, book.counts.crossed) == ("QUARANTINED", "crossed", 1)


def test_two_symbols_of_one_capture_are_two_books(tmp_path, kernel):
    other = [{**line, "url": line["url"].replace("ABC", "XYZ")} for line in SYNCED]
    other = [{**line, "raw": line["raw"].replace("ABC", "XYZ")} for line in other]

    outcome = _run(tmp_path, kernel, [*other, *SYNCED])

    books = [(book.instrument.native, book.state) for book in outcome.replayed.books]
    assert books == [("XYZ", "LIVE"), ("ABC", "LIVE")]


USDM_REST = "https://fapi.binance.com/fapi/v1/depth?symbol=ABC&limit=1000"
USDM_SOCKET = "wss://fstream.binance.com/public/stream"


def _usdm(line: dict) -> dict:
    return {**line, "url": USDM_REST if line["kind"] == "rest" else USDM_SOCKET}


MIXED = [
    *SYNCED,
    _usdm(delta(490, 500, pu=480)),
    _usdm(snapshot(499, bids=[["8.5", "1"]])),
    _usdm(delta(505, 510, pu=500)),
]


def test_of_several_venues_in_one_capture_one_must_be_chosen(tmp_path, kernel):
    with pytest.raises(SourceError, match=r"several venues \(binance, binance_usdm\).*--venue"):
        _run(tmp_path, kernel, MIXED)


@pytest.mark.parametrize(
    ("venue", "symbol", "seq"), [("binance", "ABC", 102), ("binance_usdm", "ABC-PERP", 510)]
)
def test_the_chosen_venue_is_replayed_without_the_others_frames(
    tmp_path, kernel, venue, symbol, seq
):
    outcome = _run(tmp_path, kernel, MIXED, venue=venue)
    book = _book(outcome)

    assert (book.instrument.symbol, book.state, book.view.last_seq) == (symbol, "LIVE", seq)
    assert outcome.replayed.frames == 3


@pytest.mark.parametrize(
    ("url", "venue"),
    [
        ("wss://stream.binance.com:9443/ws/abc@depth", "binance"),
        ("wss://data-stream.binance.vision/stream", "binance"),
        ("ws://127.0.0.1:5100/stream?streams=abc@depth@100ms", "binance"),
        ("wss://fstream.binance.com/stream?streams=abc@depth", "binance_usdm"),
        ("wss://fstream.binance.com/public/ws/abc@depth", "binance_usdm"),
        ("ws://127.0.0.1:5100/public/stream?streams=abc@depth", "binance_usdm"),
    ],
)
def test_the_venue_is_told_by_the_frames_urls(tmp_path, kernel, url, venue):
    event = json.loads(delta(1, 1, pu=0)["raw"])

    assert _run(tmp_path, kernel, [ws(event, url=url)]).venue == venue


def test_an_unknown_venue_is_named_with_what_helps(tmp_path, kernel):
    lines = [ws({"feed": "book"}, url="wss://ws.kraken.com/v2")]

    with pytest.raises(
        SourceError, match=r"ws.kraken.com/v2.*--venue takes: binance, binance_usdm"
    ):
        _run(tmp_path, kernel, lines)


def test_frames_without_a_book_are_no_capture_of_the_venue(tmp_path, kernel):
    with pytest.raises(SourceError, match="neither depth frames nor snapshots of binance"):
        _run(tmp_path, kernel, [ws({"e": "trade", "s": "ABC"})])


def test_an_empty_file_says_that_it_is(tmp_path, kernel):
    with pytest.raises(SourceError, match="is empty"):
        _run(tmp_path, kernel, [])


def test_a_file_that_breaks_at_once_says_why(tmp_path, kernel):
    with pytest.raises(CaptureError, match="line 1: not a capture line"):
        _run(tmp_path, kernel, ["garbage"])


def test_what_came_before_a_broken_line_is_kept(tmp_path, kernel):
    outcome = _run(tmp_path, kernel, [*SYNCED, "garbage", delta(103, 104)])

    assert "line 4" in outcome.replayed.broken
    assert (_book(outcome).state, _book(outcome).view.last_seq) == ("LIVE", 102)


def test_unreadable_frames_are_counted_and_harm_nothing(tmp_path, kernel):
    lines = [*SYNCED, {**delta(0, 0), "raw": '{"e":"depthUpdate","s":"ABC","U":1'}, delta(103, 103)]

    book = _book(_run(tmp_path, kernel, lines))

    assert (book.state, book.view.last_seq, book.view.malformed) == ("LIVE", 103, 1)


def test_a_pause_of_years_is_not_lived_through(tmp_path, kernel):
    early, late = texts(SYNCED[:2], step_s=0), [json.dumps({**SYNCED[2], "t": 4_000_000_000.0})]
    untimed = [row.replace(row[: row.index(",")], '{"t": null') for row in early]

    book = _book(_run(tmp_path, kernel, [*untimed, *late]))

    assert (book.state, book.view.last_seq) == ("LIVE", 102)


def test_the_same_capture_gives_the_same_outcome_but_for_its_pace(tmp_path, kernel):
    lines = [*SYNCED, delta(110, 111), snapshot(111), delta(112, 113)]
    documents = []
    for _ in range(2):
        outcome = _run(tmp_path, kernel, lines)
        document = report.as_json(outcome, file="x", expect=None, kernel=kernel.name)
        documents.append({**document, "elapsed_s": 0, "frames_per_s": 0})

    assert documents[0] == documents[1]


def test_an_actor_that_crashes_ends_the_replay_with_its_name(tmp_path, kernel):
    class Buggy:
        name, source_hash = kernel.name, kernel.source_hash

        def new_core(self, spec):
            core = kernel.new_core(spec)

            class Core:
                def __getattr__(self, name):
                    return getattr(core, name)

                def load_snapshot(self, *_):
                    raise LookupError("a bug")

            return Core()

    with pytest.raises(ReplayCrashedError, match=r"book/binance/ABC crashed: .*a bug"):
        _run(tmp_path, Buggy(), SYNCED)
