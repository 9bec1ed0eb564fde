import json
from typing import Any

from stevie.domain.market.core import Code, CoreSpec, FrameKind, Scale
from stevie.domain.market.sequencer import SequenceRule
from stevie.venues.binance.reference import BinanceReferenceCore

AT_NS = 1_700_000_000_000_000_000


def new_core(scale: Scale | None = None) -> BinanceReferenceCore:
    """A core at sequence 10 with one level a side."""
    core = BinanceReferenceCore(
        CoreSpec(native_symbol="BTCUSDT", rule=SequenceRule.SPOT, scale=scale or Scale())
    )
    body = {"lastUpdateId": 10, "bids": [["99.5", "1"]], "asks": [["100.5", "2"]]}
    assert core.load_snapshot(json.dumps(body).encode(), 0, AT_NS) == Code.OK
    return core


def delta(first: int, last: int, bids: Any = (), asks: Any = (), symbol: str = "BTCUSDT") -> bytes:
    event = {"e": "depthUpdate", "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    return json.dumps(event).encode()


def trade(number: int, size: str, kind: str = "trade") -> bytes:
    event = {"e": kind, "s": "BTCUSDT", "t": number, "a": number, "p": "1", "q": size, "m": False}
    return json.dumps(event).encode()


def apply(core: BinanceReferenceCore, *frames: bytes, start: int = 0) -> tuple[int, int]:
    return core.apply_frames(frames, [AT_NS] * len(frames), start)


def test_a_batch_is_applied_in_order() -> None:
    core = new_core()
    frames = (delta(11, 11, [["99.6", "3"]]), delta(12, 14, [["99.6", "0"]], [["100.5", "7"]]))
    assert apply(core, *frames) == (2, Code.OK)
    assert core.top(2) == (((995, 1),), ((1005, 7),))


def test_a_gap_leaves_its_frame_for_the_resync() -> None:
    core = new_core()
    frames = (delta(11, 11), delta(13, 13), delta(14, 14))
    assert apply(core, *frames) == (1, Code.GAP)
    assert core.view().frames == 1


def test_a_crossed_book_stops_the_batch_behind_the_message() -> None:
    core = new_core()
    assert apply(core, delta(11, 11, [["101", "1"]]), delta(12, 12)) == (1, Code.CROSSED)


def test_a_pause_stops_the_batch_and_it_goes_on_from_there() -> None:
    core = new_core()
    core.pause_at(1)
    frames = (delta(11, 11), delta(12, 12))
    assert apply(core, *frames) == (1, Code.PAUSED)
    assert apply(core, *frames, start=1) == (2, Code.OK)


def test_malformed_and_foreign_frames_are_counted_and_passed_over() -> None:
    core = new_core()
    foreign = delta(1, 2, [["5", "5"]], symbol="ETHUSDT")
    assert apply(core, b"{", foreign, b"{}", delta(11, 11)) == (4, Code.OK)
    view = core.view()
    assert (view.frames, view.malformed, view.other, view.applied) == (4, 1, 2, 1)


def test_finer_decimals_refine_the_book_without_loss() -> None:
    core = new_core()
    apply(core, delta(11, 11, [["99.55000000", "0.001"]]))
    assert core.top(2)[0] == ((9955, 1), (9950, 1000))
    assert (core.view().price_decimals, core.view().size_decimals) == (2, 3)


def test_a_refinement_that_does_not_fit_makes_the_frame_malformed() -> None:
    core = new_core()
    apply(core, delta(11, 11, [["1", "2305843009213693951"]]))
    before = core.view()

    assert apply(core, delta(12, 12, [["2", "0.5"]]), trade(1, "0.1")) == (2, Code.OK)

    assert core.view() == before._replace(frames=3, malformed=2)


def test_an_old_horizon_does_not_keep_a_new_snapshot_out() -> None:
    core = new_core()
    dear = {"lastUpdateId": 11, "bids": [["2305843009213693951", "1"]], "asks": []}
    assert core.load_snapshot(json.dumps(dear).encode(), 1, AT_NS) == Code.MALFORMED  # 1 decimal
    whole = BinanceReferenceCore(CoreSpec(native_symbol="BTCUSDT", rule=SequenceRule.SPOT))
    assert whole.load_snapshot(json.dumps(dear).encode(), 1, AT_NS) == Code.OK
    fine = {"lastUpdateId": 12, "bids": [["0.001", "1"]], "asks": []}
    assert whole.load_snapshot(json.dumps(fine).encode(), 1, AT_NS) == Code.OK
    assert whole.top(1)[0] == ((1, 1),)


def test_trades_are_counted_once_and_of_the_first_kind_only() -> None:
    core = new_core()
    apply(core, trade(5, "2"), trade(5, "2"), trade(4, "2"), trade(6, "2", "aggTrade"))
    apply(core, trade(7, "0.5"))
    assert (core.view().trades, core.view().other) == (2, 3)


def test_scan_tells_what_a_frame_is_without_applying_it() -> None:
    core = new_core()
    before = core.view()
    assert core.scan(delta(50, 60)) == (FrameKind.DELTA, 50, 60)
    assert core.scan(delta(50, 60, symbol="ETHUSDT")) == (FrameKind.OTHER, -1, -1)
    assert core.scan(trade(1, "1")) == (FrameKind.TRADE, -1, -1)
    assert core.scan(b"[]") == (FrameKind.OTHER, -1, -1)
    assert core.scan(b"[") == (FrameKind.MALFORMED, -1, -1)
    assert core.view() == before


def test_a_malformed_snapshot_changes_nothing() -> None:
    core = new_core()
    before = core.view(), core.top(5)
    for body in (b"", b"{}", b'{"lastUpdateId":11,"bids":[["1","x"]],"asks":[]}'):
        assert core.load_snapshot(body, 0, AT_NS) == Code.MALFORMED
    assert (core.view(), core.top(5)) == before


def test_the_scale_of_the_instrument_list_is_kept_where_it_is_the_finer_one() -> None:
    core = new_core(Scale(2, 5))
    assert core.top(1) == (((9950, 100_000),), ((10050, 200_000),))
