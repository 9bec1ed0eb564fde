from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.market.book import Book, BookLimits, BookState, Reason
from stevie.domain.market.core import Scale
from stevie.domain.market.frame_buffer import BufferLimits
from stevie.domain.market.sequencer import SequenceRule
from stevie.ports import Kernel
from tests.domain.market.depth_chains import (
    ALL,
    KERNELS,
    START_NS,
    Chain,
    Truth,
    depth_frame,
    generated,
    kernel_named,
    new_book,
    trade_frame,
    units,
)

SPOT = SequenceRule.SPOT
NOW_NS = START_NS


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return kernel_named(request.param)


@pytest.fixture(params=SequenceRule)
def chain(request: pytest.FixtureRequest) -> Chain:
    return generated(request.param)


@pytest.fixture
def book(kernel: Kernel, chain: Chain) -> Book:
    """Connected, with nothing heard yet."""
    book = new_book(kernel, chain.rule)
    book.on_connected(NOW_NS)
    return book


@pytest.fixture
def live(book: Book, chain: Chain) -> Book:
    """LIVE, the chain's first two deltas applied."""
    tell(book, chain, 0, 2)
    book.on_snapshot(chain.start.body(), 0, NOW_NS)
    assert book.is_live
    return book


def tell(book: Book, chain: Chain, begin: int, end: int) -> None:
    on_frames(book, *(delta.frame for delta in chain.deltas[begin:end]))


def on_frames(book: Book, *frames: bytes, at_ns: int = NOW_NS) -> None:
    book.on_frames(frames, (at_ns,) * len(frames))


def standing(book: Book) -> tuple[BookState, Reason]:
    return book.state, book.reason


def assert_is(book: Book, truth: Truth) -> None:
    assert standing(book) == (BookState.LIVE, Reason.NONE)
    assert book.core.view().last_seq == truth.seq
    assert book.core.ladder(ALL) == truth.packed()


# -- how it gets LIVE ----------------------------------------------------------------------------


def test_a_new_book_is_stale_and_wants_nothing(kernel: Kernel) -> None:
    book = new_book(kernel, SPOT)

    assert standing(book) == (BookState.STALE, Reason.NOT_CONNECTED)
    assert not book.snapshot_wanted
    assert book.fresh_book("binance", "BTCUSDT") is None


def test_a_connected_book_waits_for_a_delta_before_it_wants_a_snapshot(
    book: Book, chain: Chain
) -> None:
    assert standing(book) == (BookState.SYNCING, Reason.WAITING_FOR_DELTA)
    assert not book.snapshot_wanted

    tell(book, chain, 0, 1)

    assert standing(book) == (BookState.SYNCING, Reason.WAITING_FOR_SNAPSHOT)
    assert book.snapshot_wanted


def test_buffered_deltas_continue_the_snapshot_and_those_inside_it_are_dropped(
    book: Book, chain: Chain
) -> None:
    tell(book, chain, 0, 6)

    book.on_snapshot(chain.deltas[2].truth.body(), 0, NOW_NS)

    assert_is(book, chain.deltas[5].truth)
    assert book.counts().buffered_before_snapshot == 6
    assert not book.snapshot_wanted


def test_a_snapshot_from_the_middle_of_a_delta_is_overlapped_by_it(
    book: Book, chain: Chain
) -> None:
    tell(book, chain, 0, 6)

    book.on_snapshot(chain.inside[3].body(), 0, NOW_NS)

    assert_is(book, chain.deltas[5].truth)


def test_a_snapshot_newer_than_all_that_was_buffered_is_the_book(book: Book, chain: Chain) -> None:
    tell(book, chain, 0, 3)

    book.on_snapshot(chain.deltas[6].truth.body(), 0, NOW_NS)
    assert_is(book, chain.deltas[6].truth)

    tell(book, chain, 3, 9)
    assert_is(book, chain.deltas[8].truth)


def test_a_quiet_symbol_is_live_by_its_snapshot_alone(book: Book, chain: Chain) -> None:
    book.want_snapshot()
    assert standing(book) == (BookState.SYNCING, Reason.WAITING_FOR_SNAPSHOT)

    book.on_snapshot(chain.start.body(), 0, NOW_NS)

    assert_is(book, chain.start)


def test_a_snapshot_that_is_too_old_is_fetched_again_and_the_buffer_is_kept(
    book: Book, chain: Chain
) -> None:
    tell(book, chain, 4, 8)

    book.on_snapshot(chain.deltas[1].truth.body(), 0, NOW_NS)
    assert standing(book) == (BookState.SYNCING, Reason.SNAPSHOT_TOO_OLD)
    assert book.snapshot_wanted

    book.on_snapshot(chain.deltas[4].truth.body(), 0, NOW_NS)
    assert_is(book, chain.deltas[7].truth)
    assert (book.gaps, book.resyncs) == (0, 0)


def test_a_delta_that_claims_a_place_far_ahead_of_later_ones_does_not_keep_the_book_down(
    book: Book, chain: Chain
) -> None:
    on_frames(book, depth_frame(10**9, 10**9 + 1, previous_seq=10**9 - 1))
    tell(book, chain, 0, 3)

    book.on_snapshot(chain.deltas[1].truth.body(), 0, NOW_NS)

    assert_is(book, chain.deltas[2].truth)
    assert book.counts().discarded_deltas == 1


def test_a_lone_delta_far_ahead_is_given_up_after_two_snapshots(book: Book, chain: Chain) -> None:
    on_frames(book, depth_frame(10**9, 10**9 + 1, previous_seq=10**9 - 1))

    for _ in range(2):
        assert book.snapshot_wanted
        book.on_snapshot(chain.start.body(), 0, NOW_NS)
        assert standing(book) == (BookState.SYNCING, Reason.SNAPSHOT_TOO_OLD)
    tell(book, chain, 0, 3)
    book.on_snapshot(chain.deltas[1].truth.body(), 0, NOW_NS)

    assert_is(book, chain.deltas[2].truth)


def test_a_delta_in_the_buffer_that_claims_to_reach_past_the_newest_makes_no_live_book(
    kernel: Kernel,
) -> None:
    """It overlaps the snapshot with old levels, and makes the true deltas after it look late."""
    book = new_book(kernel, SPOT)
    book.on_connected(NOW_NS)
    on_frames(book, depth_frame(14, 20, bids=[["99", "9"]]))  # in truth 4 to 10
    on_frames(book, depth_frame(11, 12, bids=[["99", "1"]]))
    truth = Truth(13, {units("99"): units("1")}, {units("101"): units("1")})

    book.on_snapshot(truth.body(), 0, NOW_NS)
    assert standing(book) == (BookState.SYNCING, Reason.GAP)

    on_frames(book, depth_frame(14, 15, bids=[["98", "1"]]))
    book.on_snapshot(truth.body(), 0, NOW_NS)
    assert_is(book, truth.after(15, [["98", "1"]], []))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>502</html>", b"{}", b'{"lastUpdateId":1,"bids":[["x","1"]],"asks":[]}'],
)
def test_a_malformed_snapshot_changes_nothing_and_is_fetched_again(
    book: Book, chain: Chain, body: bytes
) -> None:
    tell(book, chain, 0, 3)

    book.on_snapshot(body, 0, NOW_NS)
    assert standing(book) == (BookState.SYNCING, Reason.SNAPSHOT_MALFORMED)
    assert book.snapshot_wanted
    assert book.snapshots == 0

    book.on_snapshot(chain.start.body(), 0, NOW_NS)
    assert_is(book, chain.deltas[2].truth)


@pytest.mark.parametrize("reason", [Reason.SNAPSHOT_REFUSED, Reason.NOT_LISTED])
def test_a_refused_snapshot_is_told_in_the_venues_words_and_fetched_again(
    book: Book, chain: Chain, reason: Reason
) -> None:
    tell(book, chain, 0, 1)

    book.on_snapshot_failed(reason, "HTTP 400: -1121 Invalid symbol.", NOW_NS)

    assert standing(book) == (BookState.SYNCING, reason)
    assert book.detail == "HTTP 400: -1121 Invalid symbol."
    assert book.snapshot_wanted


def test_a_snapshot_that_is_crossed_in_itself_is_quarantined_and_fetched_again(
    book: Book, chain: Chain
) -> None:
    tell(book, chain, 0, 3)
    bids = {units("120"): 1}
    crossed = Truth(chain.start.seq, bids, chain.start.asks)

    book.on_snapshot(crossed.body(), 0, NOW_NS)
    assert standing(book) == (BookState.QUARANTINED, Reason.CROSSED)
    assert book.snapshot_wanted

    book.on_snapshot(chain.start.body(), 0, NOW_NS)
    assert_is(book, chain.deltas[2].truth)


def test_a_snapshot_that_nobody_wants_any_more_is_ignored(live: Book, chain: Chain) -> None:
    """It was asked for before the break: what happened in between is in neither."""
    live.on_disconnected(Reason.DISCONNECTED, NOW_NS)
    live.on_snapshot(chain.deltas[1].truth.body(), 0, NOW_NS)
    assert standing(live) == (BookState.STALE, Reason.DISCONNECTED)

    live.on_connected(NOW_NS)
    live.on_snapshot(chain.deltas[1].truth.body(), 0, NOW_NS)
    live.on_snapshot_failed(Reason.SNAPSHOT_REFUSED, "HTTP 500", NOW_NS)
    assert standing(live) == (BookState.SYNCING, Reason.WAITING_FOR_DELTA)
    assert live.snapshots == 1


# -- how it stops being LIVE ---------------------------------------------------------------------


def test_a_gap_is_seen_and_the_delta_that_revealed_it_is_judged_after_the_snapshot(
    live: Book, chain: Chain
) -> None:
    tell(live, chain, 3, 4)  # number 2 never came
    assert standing(live) == (BookState.SYNCING, Reason.GAP)
    assert live.snapshot_wanted
    assert (live.gaps, live.resyncs) == (1, 1)

    live.on_snapshot(chain.deltas[2].truth.body(), 0, NOW_NS)

    assert_is(live, chain.deltas[3].truth)
    assert live.counts().deltas == 3


def test_a_gap_right_after_the_snapshot_is_a_gap(book: Book, chain: Chain) -> None:
    book.want_snapshot()
    book.on_snapshot(chain.start.body(), 0, NOW_NS)

    tell(book, chain, 1, 2)

    assert standing(book) == (BookState.SYNCING, Reason.GAP)
    assert (book.gaps, book.resyncs) == (1, 1)


def test_frames_before_a_gap_in_the_same_batch_are_applied_and_those_after_it_wait(
    live: Book, chain: Chain
) -> None:
    frames = [chain.deltas[index].frame for index in (2, 3, 5, 6, 7)]

    on_frames(live, *frames)
    assert live.reason is Reason.GAP
    assert live.core.view().last_seq == chain.deltas[3].last_seq

    live.on_snapshot(chain.deltas[4].truth.body(), 0, NOW_NS)
    assert_is(live, chain.deltas[7].truth)


def test_a_duplicate_and_a_late_copy_are_stale_and_harmless(live: Book, chain: Chain) -> None:
    tell(live, chain, 2, 6)

    tell(live, chain, 5, 6)
    tell(live, chain, 3, 4)

    assert_is(live, chain.deltas[5].truth)
    assert live.core.view().stale == 2


def test_frames_that_were_lost_on_the_way_are_a_declared_gap(live: Book, chain: Chain) -> None:
    live.on_frames_lost(NOW_NS)
    assert standing(live) == (BookState.SYNCING, Reason.FRAMES_LOST)
    assert live.resyncs == 1

    tell(live, chain, 5, 7)
    live.on_snapshot(chain.deltas[5].truth.body(), 0, NOW_NS)
    assert_is(live, chain.deltas[6].truth)


def test_frames_lost_before_the_connection_are_no_news(kernel: Kernel) -> None:
    book = new_book(kernel, SPOT)

    book.on_frames_lost(NOW_NS)

    assert standing(book) == (BookState.STALE, Reason.NOT_CONNECTED)


BREAKS: dict[str, Callable[[Book, Chain], None]] = {
    "gap": lambda book, chain: tell(book, chain, 5, 6),
    "frames_lost": lambda book, chain: book.on_frames_lost(NOW_NS),
    "crossed": lambda book, chain: on_frames(book, crossing(book, chain)),
    "overflow": lambda book, chain: overflow(book),
}


def overflow(book: Book) -> None:
    book.on_frames_lost(NOW_NS)
    on_frames(book, b"x" * (BufferLimits().bytes_max + 1))


@pytest.mark.parametrize("what", BREAKS)
def test_a_book_that_waits_can_always_be_made_to_ask(live: Book, chain: Chain, what: str) -> None:
    """A symbol may fall quiet after any break; its owner then asks without a delta."""
    BREAKS[what](live, chain)
    assert not live.is_live

    live.want_snapshot()

    assert live.snapshot_wanted
    live.on_snapshot(chain.deltas[9].truth.body(), 0, NOW_NS)
    assert_is(live, chain.deltas[9].truth)


def test_a_book_that_is_stale_asks_for_nothing(live: Book, chain: Chain) -> None:
    live.on_disconnected(Reason.SILENT, NOW_NS)

    tell(live, chain, 2, 4)
    live.want_snapshot()

    assert standing(live) == (BookState.STALE, Reason.SILENT)
    assert not live.snapshot_wanted


def crossing(book: Book, chain: Chain) -> bytes:
    """The next delta, with a bid above the best ask."""
    view, best_ask = book.core.view(), book.core.top(1)[1][0][0]
    price = f"{(best_ask + 1) // 10**8 + 1}.00"
    previous = view.last_seq if chain.rule is SequenceRule.USDM else -1
    return depth_frame(
        view.last_seq + 1, view.last_seq + 1, previous_seq=previous, bids=[[price, "1.00"]]
    )


def test_a_book_that_is_crossed_after_a_whole_message_is_quarantined_and_never_repaired(
    live: Book, chain: Chain
) -> None:
    on_frames(live, crossing(live, chain))
    assert standing(live) == (BookState.QUARANTINED, Reason.CROSSED)
    assert (live.crossed, live.resyncs) == (1, 1)
    assert live.fresh_book("binance", "BTCUSDT") is None

    tell(live, chain, 4, 6)
    assert live.state is BookState.QUARANTINED
    assert live.snapshot_wanted

    live.on_snapshot(chain.deltas[4].truth.body(), 0, NOW_NS)
    assert_is(live, chain.deltas[5].truth)


def test_a_locked_book_is_legal(kernel: Kernel) -> None:
    book = spot_book(kernel, bids=[["100", "1"]], asks=[["101", "1"]])

    on_frames(book, depth_frame(11, 11, bids=[["101", "1"]]))

    assert book.is_live
    assert book.core.view().best_bid == book.core.view().best_ask


def test_a_book_crossed_within_a_message_alone_is_legal(kernel: Kernel) -> None:
    book = spot_book(kernel, bids=[["100", "1"]], asks=[["101", "1"]])

    on_frames(book, depth_frame(11, 12, bids=[["102", "1"]], asks=[["101", "0"], ["103", "1"]]))

    assert book.is_live


@pytest.mark.parametrize("reason", [Reason.DISCONNECTED, Reason.SILENT])
def test_a_lost_connection_makes_the_book_stale(live: Book, reason: Reason) -> None:
    live.on_disconnected(reason, NOW_NS + 5)

    assert standing(live) == (BookState.STALE, reason)
    assert live.changed_ns == NOW_NS + 5
    assert live.resyncs == 1
    assert live.fresh_book("binance", "BTCUSDT") is None


def test_a_new_connection_is_a_new_and_empty_epoch(live: Book, chain: Chain) -> None:
    epoch = live.epoch
    live.on_frames_lost(NOW_NS)
    tell(live, chain, 4, 6)
    live.on_disconnected(Reason.DISCONNECTED, NOW_NS)

    live.on_connected(NOW_NS)
    assert (live.epoch, live.reason) == (epoch + 1, Reason.WAITING_FOR_DELTA)
    assert not live.snapshot_wanted

    tell(live, chain, 8, 9)
    live.on_snapshot(chain.deltas[7].truth.body(), 0, NOW_NS)
    assert_is(live, chain.deltas[8].truth)
    assert live.certificate().epoch == epoch + 1


@pytest.mark.parametrize(
    "limits", [BufferLimits(frames_max=3), BufferLimits(bytes_max=600)], ids=["frames", "bytes"]
)
def test_a_buffer_that_overflows_starts_the_sync_over(
    kernel: Kernel, chain: Chain, limits: BufferLimits
) -> None:
    book = new_book(kernel, chain.rule, limits=BookLimits(buffer=limits))
    book.on_connected(NOW_NS)

    tell(book, chain, 0, 4)
    assert standing(book) == (BookState.SYNCING, Reason.BUFFER_OVERFLOW)
    assert book.overflows == 1
    assert not book.snapshot_wanted

    tell(book, chain, 4, 6)
    assert book.snapshot_wanted
    book.on_snapshot(chain.deltas[4].truth.body(), 0, NOW_NS)
    assert_is(book, chain.deltas[5].truth)
    assert book.counts().discarded_deltas == 4


def test_malformed_and_foreign_frames_are_counted_and_change_nothing(
    live: Book, chain: Chain
) -> None:
    on_frames(live, b"garbage", depth_frame(1, 2, symbol="ETHUSDT"), b"{}")
    tell(live, chain, 2, 3)

    assert_is(live, chain.deltas[2].truth)
    view = live.core.view()
    assert (view.malformed, view.other) == (1, 2)


def test_no_frames_are_no_news(live: Book) -> None:
    heard_ns = live.heard_ns

    live.on_frames((), ())

    assert live.heard_ns == heard_ns


# -- the horizon ---------------------------------------------------------------------------------

Text = Sequence[Sequence[str]]
LADDER_BIDS = [[str(price), "1"] for price in range(100, 90, -1)]
LADDER_ASKS = [[str(price), "1"] for price in range(101, 111)]


def spot_book(kernel: Kernel, *, bids: Text, asks: Text, level_limit: int = 0) -> Book:
    """A LIVE spot book at sequence 10."""
    book = new_book(kernel, SPOT)
    book.on_connected(NOW_NS)
    book.want_snapshot()
    book.on_snapshot(Truth(10, {}, {}).after(10, bids, asks).body(), level_limit, NOW_NS)
    assert book.is_live
    return book


def book_with_horizon(kernel: Kernel) -> Book:
    """Bids known from 100 down to 91, asks from 101 up to 110."""
    return spot_book(kernel, bids=LADDER_BIDS, asks=LADDER_ASKS, level_limit=10)


def fall(book: Book, top: int, seq: int) -> Truth:
    """Bids fall to `top`: the best ask follows to one above."""
    bids = [[str(price), "0"] for price in range(100, top, -1)]
    asks = [[str(top + 1), "1"]]
    on_frames(book, depth_frame(seq, seq, bids=bids, asks=asks))
    return Truth(10, {}, {}).after(seq, LADDER_BIDS, LADDER_ASKS).after(seq, bids, asks)


def test_a_refresh_is_wanted_before_the_horizon_is_reached_and_the_book_stays_live(
    kernel: Kernel,
) -> None:
    book = book_with_horizon(kernel)

    fall(book, 94, 11)
    assert not book.snapshot_wanted

    fall(book, 93, 12)
    assert book.snapshot_wanted
    assert book.is_live


def test_the_horizon_is_judged_in_prices_when_ticks_are_refined(kernel: Kernel) -> None:
    spec_book = book_with_horizon(kernel)

    spec_book.core.refine(Scale(9, 9))
    fall(spec_book, 93, 11)

    assert spec_book.snapshot_wanted


def test_past_the_horizon_a_book_is_not_live_and_is_still_applied(kernel: Kernel) -> None:
    book = book_with_horizon(kernel)

    on_frames(book, depth_frame(11, 11, bids=[*([p, "0"] for p, _ in LADDER_BIDS), ["89", "3"]]))

    assert standing(book) == (BookState.SYNCING, Reason.HORIZON)
    assert book.fresh_book("binance", "BTCUSDT") is None
    assert book.snapshot_wanted
    assert book.core.view().best_bid == units("89")
    assert (book.gaps, book.resyncs) == (0, 0)

    on_frames(book, depth_frame(12, 12, bids=[["95", "3"]]))
    assert book.core.view().best_bid == units("95")
    assert book.reason is Reason.HORIZON  # what lies between is still unknown

    whole = Truth(12, {units("95"): units("3"), units("94"): units("1")}, {units("101"): 1})
    book.on_snapshot(whole.body(), 0, NOW_NS)
    assert_is(book, whole)


def test_an_emptied_side_is_past_its_horizon(kernel: Kernel) -> None:
    book = book_with_horizon(kernel)

    on_frames(book, depth_frame(11, 11, asks=[[price, "0"] for price, _ in LADDER_ASKS]))

    assert standing(book) == (BookState.SYNCING, Reason.HORIZON)


def test_a_gap_past_the_horizon_is_a_gap(kernel: Kernel) -> None:
    book = book_with_horizon(kernel)
    on_frames(book, depth_frame(11, 11, bids=[[price, "0"] for price, _ in LADDER_BIDS]))

    on_frames(book, depth_frame(15, 15))

    assert standing(book) == (BookState.SYNCING, Reason.GAP)
    assert (book.gaps, book.resyncs) == (1, 1)


def test_the_fresh_book_takes_over_while_deltas_go_on(kernel: Kernel) -> None:
    book = book_with_horizon(kernel)
    fall(book, 93, 11)
    on_frames(book, trade_frame(1), depth_frame(12, 12, bids=[["93", "7"]]), trade_frame(2))
    windows = book.core.features(NOW_NS)
    before = book.core.view()

    fresher = Truth(11, {units("93"): units("5"), units("60"): units("5")}, {units("94"): 1})
    book.on_snapshot(fresher.body(), 2, NOW_NS)

    assert_is(book, fresher.after(12, [["93", "7"]], []))
    view = book.core.view()
    assert (view.trades, view.applied, view.frames) == (2, before.applied, before.frames)
    assert view.bid_floor == units("60")
    assert book.core.features(NOW_NS).ti_count == windows.ti_count == 1.0
    assert book.core.features(NOW_NS).ofi_count == windows.ofi_count
    assert not book.snapshot_wanted
    assert book.certificate().snapshot_seq == 11

    on_frames(book, depth_frame(13, 13, bids=[["92", "1"]]))
    assert book.core.view().last_seq == 13


@pytest.mark.parametrize("seq", [9, 10, 12])
def test_a_refresh_that_is_older_than_the_book_is_fetched_again(kernel: Kernel, seq: int) -> None:
    book = book_with_horizon(kernel)
    on_frames(book, depth_frame(11, 13))
    fall(book, 93, 14)
    ladder = book.core.ladder(ALL)

    book.on_snapshot(Truth(seq, {units("50"): 1}, {units("99"): 1}).body(), 0, NOW_NS)

    assert book.is_live
    assert book.snapshot_wanted
    assert book.core.ladder(ALL) == ladder


def test_a_refresh_without_a_delta_since_never_takes_the_book_back(kernel: Kernel) -> None:
    bids = [["100", "1"], ["91", "1"]]
    book = spot_book(kernel, bids=bids, asks=LADDER_ASKS[:2], level_limit=2)
    on_frames(book, depth_frame(11, 11, bids=[["100", "0"], ["92", "1"]]), depth_frame(12, 12))
    book.on_snapshot_failed(Reason.SNAPSHOT_REFUSED, "HTTP 503", NOW_NS)
    assert book.is_live
    assert book.snapshot_wanted

    book.on_snapshot(Truth(10, {units("100"): 1}, {units("101"): 1}).body(), 0, NOW_NS)

    assert book.core.view().last_seq == 12
    assert book.core.view().best_bid == units("92")


@pytest.mark.parametrize("body", [b"garbage", Truth(11, {9: 1}, {8: 1}).body()])
def test_a_bad_refresh_is_fetched_again_and_the_book_stays_live(
    kernel: Kernel, body: bytes
) -> None:
    book = book_with_horizon(kernel)
    fall(book, 93, 11)

    book.on_snapshot(body, 0, NOW_NS)

    assert book.is_live
    assert book.snapshot_wanted


def test_a_refresh_that_takes_too_long_starts_over(kernel: Kernel) -> None:
    limits = BookLimits(buffer=BufferLimits(frames_max=3))
    book = new_book(kernel, SPOT, limits=limits)
    book.on_connected(NOW_NS)
    book.want_snapshot()
    book.on_snapshot(Truth(10, {}, {}).after(10, LADDER_BIDS, LADDER_ASKS).body(), 10, NOW_NS)
    fall(book, 93, 11)

    for seq in range(12, 16):
        on_frames(book, depth_frame(seq, seq))
    assert book.is_live
    assert book.overflows == 1
    assert book.snapshot_wanted

    fresher = Truth(15, {units("93"): 1, units("50"): 1}, {units("94"): 1})
    book.on_snapshot(fresher.body(), 0, NOW_NS)
    assert_is(book, fresher)


def test_trades_do_not_fill_the_buffer_of_a_refresh(kernel: Kernel) -> None:
    limits = BookLimits(buffer=BufferLimits(frames_max=3))
    book = new_book(kernel, SPOT, limits=limits)
    book.on_connected(NOW_NS)
    book.want_snapshot()
    book.on_snapshot(Truth(10, {}, {}).after(10, LADDER_BIDS, LADDER_ASKS).body(), 10, NOW_NS)
    fall(book, 93, 11)

    on_frames(book, *(trade_frame(number + 1) for number in range(50)))

    assert book.overflows == 0
    assert book.core.view().trades == 50


def test_a_gap_during_a_refresh_ends_it(kernel: Kernel) -> None:
    book = book_with_horizon(kernel)
    fall(book, 93, 11)

    on_frames(book, depth_frame(14, 14, bids=[["93", "9"]]))
    assert book.reason is Reason.GAP

    truth = Truth(13, {units("93"): 1}, {units("94"): 1})
    book.on_snapshot(truth.body(), 0, NOW_NS)
    assert_is(book, truth.after(14, [["93", "9"]], []))


def test_a_fresh_book_never_goes_beyond_the_horizon(kernel: Kernel) -> None:
    book = book_with_horizon(kernel)
    on_frames(book, depth_frame(11, 11, bids=[["80", "5"]], asks=[["120", "5"]]))

    fresh = book.fresh_book("binance", "BTCUSDT")

    assert fresh is not None
    assert [ticks for ticks, _ in fresh.bid_levels()] == [units(price) for price, _ in LADDER_BIDS]
    assert [ticks for ticks, _ in fresh.ask_levels()] == [units(price) for price, _ in LADDER_ASKS]
    assert fresh.certificate.bid_floor_ticks == units("91")
    assert fresh.certificate.ask_ceiling_ticks == units("110")


def test_a_snapshot_that_did_not_fill_its_limit_has_no_horizon(kernel: Kernel) -> None:
    book = spot_book(kernel, bids=LADDER_BIDS, asks=LADDER_ASKS, level_limit=11)

    on_frames(book, depth_frame(11, 11, bids=[[price, "0"] for price, _ in LADDER_BIDS]))

    assert book.is_live
    assert not book.snapshot_wanted
    assert book.certificate().bid_floor_ticks == -1


# -- what can be read ----------------------------------------------------------------------------


def test_the_certificate_says_what_the_book_stands_on(live: Book, chain: Chain) -> None:
    on_frames(live, chain.deltas[2].frame, at_ns=NOW_NS + 7)

    certificate = live.certificate()

    assert certificate.epoch == 1
    assert certificate.snapshot_seq == chain.start.seq
    assert certificate.first_seq == chain.deltas[2].first_seq
    assert certificate.last_seq == chain.deltas[2].last_seq
    assert certificate.applied_count == 3
    assert certificate.heard_ns == NOW_NS + 7


def test_checkpoints_are_taken_at_the_asked_for_counts(live: Book, chain: Chain) -> None:
    live.watch_checkpoints((3, 5))

    tell(live, chain, 2, 8)

    assert [(c.applied, c.seq) for c in live.checkpoints] == [
        (3, chain.deltas[2].last_seq),
        (5, chain.deltas[4].last_seq),
    ]
    truth = chain.deltas[4].truth
    assert live.checkpoints[1].bids == tuple(sorted(truth.bids.items(), reverse=True)[:3])
    assert_is(live, chain.deltas[7].truth)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("frames"), st.integers(0, 29), st.integers(1, 6)),
        st.tuples(
            st.sampled_from(("connect", "disconnect", "lost", "quiet", "fail", "trade", "garbage")),
            st.just(0),
            st.just(0),
        ),
        st.tuples(st.just("snapshot"), st.integers(0, 29), st.sampled_from((0, 3, 20))),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(rule=st.sampled_from(SequenceRule), steps=STEPS)
def test_counts_add_up_whatever_happens(
    rule: SequenceRule, steps: list[tuple[str, int, int]]
) -> None:
    chain = generated(rule)
    books = [
        new_book(kernel_named(name), rule, limits=BookLimits(buffer=BufferLimits(frames_max=9)))
        for name in KERNELS
    ]
    told = 0
    for step in steps:
        told += sum(act(book, chain, *step) for book in books) // len(books)
        for book in books:
            view, counts = book.core.view(), book.counts()
            waiting = counts.deltas - view.applied - view.stale - counts.discarded_deltas
            assert counts.deltas == told
            assert 0 <= waiting <= 9
            assert (waiting == 0) or not book.is_live
            assert (book.reason is Reason.NONE) == book.is_live
            assert (book.fresh_book("binance", "BTCUSDT") is None) != book.is_live
        assert standing(books[0]) == standing(books[1])
        assert books[0].core.ladder(ALL) == books[1].core.ladder(ALL)


def act(book: Book, chain: Chain, what: str, index: int, number: int) -> int:
    """Do one thing to a book; how many deltas it was told."""
    if what == "frames":
        frames = [delta.frame for delta in chain.deltas[index : index + number]]
        on_frames(book, *frames)
        return len(frames)
    body = chain.deltas[index].truth.body(number or ALL)
    ACTS[what](book, body, number)
    return 0


ACTS: dict[str, Callable[[Book, bytes, int], None]] = {
    "connect": lambda book, *_: book.on_connected(NOW_NS),
    "disconnect": lambda book, *_: book.on_disconnected(Reason.DISCONNECTED, NOW_NS),
    "lost": lambda book, *_: book.on_frames_lost(NOW_NS),
    "quiet": lambda book, *_: book.want_snapshot(),
    "fail": lambda book, *_: book.on_snapshot_failed(Reason.SNAPSHOT_REFUSED, "503", NOW_NS),
    "trade": lambda book, *_: on_frames(book, trade_frame(1)),
    "garbage": lambda book, *_: on_frames(book, b"garbage"),
    "snapshot": lambda book, body, limit: book.on_snapshot(body, limit, NOW_NS),
}
