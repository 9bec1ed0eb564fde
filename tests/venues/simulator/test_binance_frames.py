import itertools
import json
from collections import Counter
from decimal import Decimal

import pytest
from simulator_books import SECOND_NS, START_NS, DocumentedBook, true_top

from stevie.venues.simulator.binance.listings import SPOT, USDM, listings, numbering
from stevie.venues.simulator.binance.publisher import Publisher
from stevie.venues.simulator.binance.rest import Rest
from stevie.venues.simulator.market.simulation import Market

DEPTH_PATH = {SPOT: "/api/v3/depth", USDM: "/fapi/v1/depth"}


class Tape:
    """A market, and the frames of the wanted streams of one venue."""

    def __init__(
        self,
        venue: str,
        streams: set[str],
        *,
        seconds: float,
        symbols: tuple[str, ...] = ("BTCUSDT",),
    ) -> None:
        self.market = Market(listings(symbols), seed=4, start_ns=START_NS, numbering=numbering(4))
        self.rest = Rest(self.market)
        self.snapshot = self.ask(DEPTH_PATH[venue], symbol="BTCUSDT", limit="1000")
        publisher = Publisher(self.market.of_venue(venue), venue=venue)
        self.frames = [
            (frame.stream, json.loads(frame.data), now_ns)
            for now_ns in self.market.advance(START_NS + int(seconds * SECOND_NS))
            for frame in publisher.step(now_ns, streams)
        ]

    def ask(self, path: str, **params: str) -> object:
        return json.loads(self.rest.answer(path, params, now_ns=self.market.now_ns).body)

    def of(self, stream: str) -> list[dict]:
        return [data for name, data, _ in self.frames if name == stream]


@pytest.mark.parametrize(
    ("venue", "stream", "per_s"),
    [
        (SPOT, "btcusdt@depth@100ms", 10),
        (SPOT, "btcusdt@depth", 1),
        (USDM, "btcusdt@depth@100ms", 10),
        (USDM, "btcusdt@depth", 4),
        (USDM, "btcusdt@depth@500ms", 2),
    ],
)
def test_a_snapshot_and_the_frames_after_it_are_the_true_book(venue, stream, per_s):
    tape = Tape(venue, {stream}, seconds=20)
    book = DocumentedBook(tape.snapshot, is_spot=venue == SPOT)

    for frame in tape.of(stream):
        book.take(frame)
        if book.applied_count % 5 == 0:
            listed = tape.market.listed(venue, "BTCUSDT")
            assert book.top(50) == true_top(listed, book.last_id, 50)

    assert book.applied_count == pytest.approx(20 * per_s, abs=1)


def test_a_snapshot_is_blind_beyond_its_last_level():
    tape = Tape(SPOT, {"btcusdt@depth@100ms"}, seconds=20)
    book = DocumentedBook(tape.snapshot, is_spot=True)
    for frame in tape.of("btcusdt@depth@100ms"):
        book.take(frame)

    bids, _ = book.top(10_000)
    true_bids, _ = true_top(tape.market.listed(SPOT, "BTCUSDT"), book.last_id, 10_000)
    horizon = Decimal(tape.snapshot["bids"][-1][0])

    assert len(tape.snapshot["bids"]) == 1_000
    assert [level for level in bids if level[0] >= horizon] == [
        level for level in true_bids if level[0] >= horizon
    ]
    assert bids != true_bids


@pytest.mark.slow
def test_a_snapshot_of_a_thousand_levels_is_good_for_a_minute():
    # As on the real venue: clients that know no horizon live for a while, then go wrong.
    tape = Tape(SPOT, {"btcusdt@depth@100ms"}, seconds=60)
    book = DocumentedBook(tape.snapshot, is_spot=True)

    for frame in tape.of("btcusdt@depth@100ms"):
        book.take(frame)
        listed = tape.market.listed(SPOT, "BTCUSDT")
        if book.applied_count % 50 == 0:
            assert book.top(20) == true_top(listed, book.last_id, 20)


def test_spot_numbers_have_no_holes():
    frames = Tape(SPOT, {"btcusdt@depth@100ms"}, seconds=5).of("btcusdt@depth@100ms")

    assert all(b["U"] == a["u"] + 1 for a, b in itertools.pairwise(frames))


def test_usdm_numbers_chain_by_pu_skip_and_are_shared_by_the_symbols():
    streams = {"btcusdt@depth@100ms", "ethusdt@depth@100ms"}
    tape = Tape(USDM, streams, seconds=5, symbols=("BTCUSDT", "ETHUSDT"))

    for stream in streams:
        frames = tape.of(stream)
        pairs = list(itertools.pairwise(frames))
        assert all(b["pu"] == a["u"] < b["U"] for a, b in pairs)
        assert any(b["U"] > a["u"] + 1 for a, b in pairs)
    spans = [(f["U"], f["u"]) for stream in streams for f in tape.of(stream)]
    assert any(a < c < b for a, b in spans for c, _ in spans if (a, b) != (c, _))


def test_frames_come_at_a_livable_rate_and_size():
    frames = Tape(SPOT, {"btcusdt@depth@100ms"}, seconds=20).of("btcusdt@depth@100ms")
    sizes = sorted(len(frame["b"]) + len(frame["a"]) for frame in frames)

    assert sizes[len(sizes) // 10] >= 5
    assert sizes[len(sizes) * 9 // 10] <= 60


def test_partial_depth_is_a_copy_of_the_true_top():
    for venue, stream in ((SPOT, "btcusdt@depth5@100ms"), (USDM, "btcusdt@depth20")):
        tape = Tape(venue, {stream}, seconds=3)
        listed = tape.market.listed(venue, "BTCUSDT")
        for frame in tape.of(stream):
            levels = 5 if venue == SPOT else 20
            bids, asks = (
                (frame["bids"], frame["asks"]) if venue == SPOT else (frame["b"], frame["a"])
            )
            seq = frame["lastUpdateId"] if venue == SPOT else frame["u"]
            found = [[(Decimal(p), Decimal(q)) for p, q in side] for side in (bids, asks)]
            assert tuple(found) == true_top(listed, seq, levels)


def test_the_book_ticker_is_the_true_touch_and_only_speaks_of_news():
    tape = Tape(SPOT, {"btcusdt@bookTicker"}, seconds=5)
    frames = tape.of("btcusdt@bookTicker")

    for frame in frames:
        ((bid,), (ask,)) = true_top(tape.market.listed(SPOT, "BTCUSDT"), frame["u"], 1)
        assert (Decimal(frame["b"]), Decimal(frame["B"])) == bid
        assert (Decimal(frame["a"]), Decimal(frame["A"])) == ask
    quotes = [(f["b"], f["B"], f["a"], f["A"]) for f in frames]
    assert all(a != b for a, b in itertools.pairwise(quotes))
    assert len(frames) > 20


@pytest.mark.parametrize("venue", [SPOT, USDM])
def test_aggregate_trades_sum_up_the_trades_that_they_name(venue):
    tape = Tape(venue, {"btcusdt@trade", "btcusdt@aggTrade"}, seconds=30)
    trades = {trade["t"]: trade for trade in tape.of("btcusdt@trade")}
    aggregates = tape.of("btcusdt@aggTrade")

    for aggregate in aggregates:
        parts = [trades[t] for t in range(aggregate["f"], aggregate["l"] + 1)]
        assert sum(Decimal(part["q"]) for part in parts) == Decimal(aggregate["q"])
        assert {(part["p"], part["m"]) for part in parts} == {(aggregate["p"], aggregate["m"])}
    ids = [aggregate["a"] for aggregate in aggregates]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert any(aggregate["f"] < aggregate["l"] for aggregate in aggregates)


def test_trades_come_from_both_sides_at_a_livable_rate():
    trades = Tape(SPOT, {"btcusdt@trade"}, seconds=60).of("btcusdt@trade")
    sides = Counter(trade["m"] for trade in trades)

    assert 2 <= len(trades) / 60 <= 10
    assert min(sides.values()) > 20


@pytest.mark.slow
def test_a_closed_kline_is_what_rest_answers_for_that_minute():
    tape = Tape(SPOT, {"btcusdt@kline_1m", "btcusdt@kline_3m"}, seconds=85)
    closed = [frame["k"] for frame in tape.of("btcusdt@kline_1m") if frame["k"]["x"]]
    rows = {row[0]: row for row in tape.ask("/api/v3/klines", symbol="BTCUSDT", interval="1m")}

    assert len(closed) >= 2
    for k in closed:
        row = [k[key] for key in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")]
        assert rows[k["t"]] == row


@pytest.mark.parametrize(
    ("venue", "stream", "keys"),
    [
        (SPOT, "btcusdt@depth@100ms", "e E s U u b a"),
        (SPOT, "btcusdt@depth5@100ms", "lastUpdateId bids asks"),
        (SPOT, "btcusdt@trade", "e E s t p q T m M"),
        (SPOT, "btcusdt@aggTrade", "e E s a p q f l T m M"),
        (SPOT, "btcusdt@bookTicker", "u s b B a A"),
        (SPOT, "btcusdt@kline_1m", "e E s k"),
        (USDM, "btcusdt@depth@100ms", "e E T s ps st U u pu b a"),
        (USDM, "btcusdt@depth5@100ms", "e E T s ps st U u pu b a"),
        (USDM, "btcusdt@aggTrade", "e E a s p q nq f l T m st"),
        (USDM, "btcusdt@bookTicker", "e u E T s b B a A"),
        (USDM, "btcusdt@kline_1m", "e E s k"),
    ],
)
def test_keys_stand_in_the_documented_order(venue, stream, keys):
    frames = Tape(venue, {stream}, seconds=4).of(stream)

    assert {tuple(frame) for frame in frames} == {tuple(keys.split())}


def test_numbers_have_the_decimals_of_their_market():
    spot = Tape(SPOT, {"btcusdt@depth@100ms"}, seconds=2).of("btcusdt@depth@100ms")
    usdm = Tape(USDM, {"btcusdt@depth@100ms"}, seconds=2).of("btcusdt@depth@100ms")

    assert decimals(spot, 0) == decimals(spot, 1) == {8}
    assert decimals(usdm, 0) == {2}
    assert decimals(usdm, 1) == {3}
    assert all(Decimal(p) % Decimal("0.1") == 0 for f in usdm for p, _ in f["b"])


def decimals(frames: list[dict], place: int) -> set[int]:
    return {len(level[place].partition(".")[2]) for f in frames for level in f["b"] + f["a"]}


def test_event_times_are_the_markets_own():
    tape = Tape(SPOT, {"btcusdt@depth@100ms", "btcusdt@trade"}, seconds=2)

    for _, data, now_ns in tape.frames:
        assert data["E"] == now_ns // 1_000_000
