from collections.abc import Callable
from itertools import pairwise

import pytest

from stevie.actors.book_publication import PUBLISH_IDLE_S
from stevie.actors.market_counters import MarketCounter
from stevie.actors.venue_book import QUIET_S, RETRY_MAX_S, BookSettings
from stevie.domain.market.book import BookLimits
from stevie.domain.market.frame_buffer import BufferLimits
from stevie.domain.market.sequencer import SequenceRule
from stevie.messages.market import (
    FramesLost,
    FramesReceived,
    MarketState,
    ReadFeed,
    ReadMarket,
    SnapshotAnswered,
    WatchCheckpoints,
)
from tests import inject
from tests.actors.world import SECOND_NS, World
from tests.domain.market.depth_chains import (
    KERNELS,
    START_NS,
    Truth,
    depth_frame,
    generated,
    trade_frame,
    units,
)

NewWorld = Callable[..., World]

CHAIN = generated(SequenceRule.SPOT)
NAME = "book/binance/BTCUSDT"


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """One LIVE book, the chain's first delta applied."""
    world = new_world()
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)
    return world


def published(world: World) -> int:
    return world.count(MarketCounter.PUBLICATIONS, "binance")


def market(world: World) -> MarketState:
    state: MarketState = world.ask("market_data", ReadMarket(symbol="BTCUSDT"))
    return state


def stay_quiet(world: World, seconds: float) -> None:
    """Let time pass on a connection that lives and brings nothing."""
    for _ in range(round(seconds * 2)):
        world.socket.pong()
        world.advance(0.5)


# -- getting and staying LIVE --------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
def test_frames_and_a_snapshot_become_a_live_book_that_can_be_read(
    new_world: NewWorld, kernel: str
) -> None:
    world = new_world(kernel=kernel)
    world.open()
    world.bring(*(delta.frame for delta in CHAIN.deltas[:5]), trade_frame(1))
    world.answer(CHAIN.inside[2].body())

    read = world.book(depth=3)

    truth = CHAIN.deltas[4].truth
    assert (read.state, read.reason, read.kernel) == ("LIVE", "", kernel)
    assert read.bids == tuple(sorted(truth.bids.items(), reverse=True)[:3])
    assert read.asks == tuple(sorted(truth.asks.items())[:3])
    assert read.certificate.last_seq == CHAIN.deltas[4].last_seq
    assert (read.counts.deltas, read.counts.buffered_before_snapshot) == (5, 5)
    assert read.view.trades == 1
    assert read.now_ns >= read.state_since_ns >= START_NS


def test_a_quiet_symbol_is_live_by_its_snapshot_alone(new_world: NewWorld) -> None:
    world = new_world()
    world.open()
    stay_quiet(world, QUIET_S - 0.5)
    assert world.snapshots_asked() == []

    stay_quiet(world, 1.0)
    world.answer(CHAIN.start.body())

    assert world.standing() == ("LIVE", "")


def test_a_symbol_that_falls_quiet_after_a_loss_is_live_again_too(world: World) -> None:
    world.tell(NAME, FramesLost(lost_count=1, lost_bytes=1))
    assert world.standing() == ("SYNCING", "frames_lost")

    stay_quiet(world, QUIET_S + 0.5)
    world.answer(CHAIN.deltas[5].truth.body())

    assert world.standing() == ("LIVE", "")
    assert world.count(MarketCounter.RESYNCS, "binance") == 1


def test_a_gap_is_counted_and_healed_by_a_new_snapshot(world: World) -> None:
    world.bring(CHAIN.deltas[3].frame)
    assert world.standing() == ("SYNCING", "gap")

    world.answer(CHAIN.deltas[2].truth.body())

    assert world.standing() == ("LIVE", "")
    assert world.book().view.last_seq == CHAIN.deltas[3].last_seq
    assert world.count(MarketCounter.RESYNCS, "binance") == 1


def test_a_snapshot_asked_for_in_an_older_epoch_is_not_believed(new_world: NewWorld) -> None:
    world = new_world()
    world.open()
    world.bring(CHAIN.deltas[0].frame)
    late = world.take_request()
    world.socket.drop()
    world.settle()
    world.advance_until(lambda: len(world.sockets) == 2, within_s=2)
    world.open()
    stay_quiet(world, QUIET_S + 2.5)  # the book wants one by now

    late.answer(CHAIN.start.body())
    world.settle()
    assert world.standing()[0] == "SYNCING"

    world.answer(CHAIN.deltas[4].truth.body())
    assert world.standing() == ("LIVE", "")
    assert world.book().view.last_seq == CHAIN.deltas[4].last_seq


def test_a_refused_snapshot_is_asked_for_again_after_growing_pauses(new_world: NewWorld) -> None:
    world = new_world()
    world.open()
    world.bring(CHAIN.deltas[0].frame)

    asked_ns = []
    for _ in range(14):
        world.socket.pong()
        asked_ns.append(world.answer(b"", status=503).at_ns)
        assert world.standing() == ("SYNCING", "snapshot_refused")
        for _ in range(24):
            if not world.snapshots_asked():
                stay_quiet(world, 0.5)
    gaps_s = [(b - a) / SECOND_NS for a, b in pairwise(asked_ns)]

    assert gaps_s[0] < 0.5
    assert max(gaps_s[:6]) < max(gaps_s[8:]) <= RETRY_MAX_S + 0.5
    world.answer(CHAIN.start.body())
    assert world.standing() == ("LIVE", "")


def test_a_book_without_a_connection_asks_for_nothing(new_world: NewWorld) -> None:
    world = new_world()
    world.open()
    world.bring(CHAIN.deltas[0].frame)
    request = world.take_request()
    world.socket.drop()
    world.settle()

    request.answer(b"", status=0)
    for _ in range(20):
        world.advance(1.0)
        if not world.feed().is_connected and not world.socket.is_closed:
            world.socket.drop()

    assert world.snapshots_asked() == []
    assert world.standing() == ("STALE", "disconnected")


def test_the_horizon_brings_a_refresh_while_the_book_stays_live(new_world: NewWorld) -> None:
    world = new_world()
    world.open()
    world.bring(depth_frame(11, 11))
    bids = {units(str(price)): 1 for price in range(1001, 2001)}
    whole = Truth(10, bids, {units("2001"): 1})
    world.answer(whole.body())

    lower = [[str(price), "0"] for price in range(2000, 1200, -1)]
    world.bring(depth_frame(12, 12, bids=lower))
    assert world.standing() == ("LIVE", "")
    world.bring(depth_frame(13, 13, bids=[["1199", "9"]]))
    truth = whole.after(12, lower, []).after(13, [["1199", "9"]], [])
    world.answer(Truth(12, {**truth.bids, units("500"): 1}, truth.asks).body())

    read = world.book(depth=2000)
    assert (read.state, read.counts.snapshots, read.counts.resyncs) == ("LIVE", 2, 0)
    assert read.certificate.snapshot_seq == 12
    assert dict(read.bids)[units("500")] == 1
    assert dict(read.bids)[units("1199")] == units("9")


# -- publishing ----------------------------------------------------------------------------------


def test_a_busy_book_is_published_twenty_times_a_second_at_the_most(world: World) -> None:
    world.advance(1.0)
    before = published(world)

    for delta in CHAIN.deltas[1:]:
        world.bring(delta.frame)
        for number in range(10):
            world.bring(trade_frame(number))
            world.advance(0.01)

    seconds = 0.1 * (len(CHAIN.deltas) - 1)
    assert 18 * seconds <= published(world) - before <= 20 * seconds + 2
    assert market(world).venues[0].features is not None


def test_what_was_folded_is_published_when_its_time_has_come(world: World) -> None:
    world.advance(0.2)
    for delta in CHAIN.deltas[1:4]:
        world.bring(delta.frame)
    world.advance(0.06)

    best_bid = max(CHAIN.deltas[3].truth.bids)
    assert market(world).bids[0][:2] == (best_bid, CHAIN.deltas[3].truth.bids[best_bid])


def test_a_message_that_moves_nothing_does_not_delay_the_next_frame(world: World) -> None:
    world.advance(0.2)
    before = published(world)
    world.tell(NAME, WatchCheckpoints(applied_counts=()))
    world.advance(0.01)
    world.bring(CHAIN.deltas[1].frame)

    assert published(world) == before + 1
    best_bid = max(CHAIN.deltas[1].truth.bids)
    assert market(world).bids[0][:2] == (best_bid, CHAIN.deltas[1].truth.bids[best_bid])


def test_a_change_of_state_is_published_at_once(world: World) -> None:
    world.advance(0.2)
    world.bring(CHAIN.deltas[1].frame)
    before = published(world)

    world.bring(CHAIN.deltas[5].frame)

    assert published(world) == before + 1
    state = market(world)
    assert (state.venues[0].state, state.venues[0].reason) == ("SYNCING", "gap")
    assert (state.bids, state.venues[0].features) == ((), None)


def test_an_unchanged_book_is_published_now_and_then_for_newcomers(world: World) -> None:
    stay_quiet(world, 1.0)
    before = published(world)

    stay_quiet(world, 5 * PUBLISH_IDLE_S)

    assert 4 <= published(world) - before <= 6


def test_features_are_those_of_the_live_book(world: World) -> None:
    world.advance(0.2)
    world.bring(trade_frame(1, "2.0"), CHAIN.deltas[1].frame)
    world.advance(0.1)

    reading = market(world).venues[0]

    assert reading.features is not None
    assert reading.features.ti_time == 1.0
    assert reading.price_decimals == 8
    assert reading.features_at_ns > START_NS


# -- trouble -------------------------------------------------------------------------------------


def test_a_bad_message_kills_the_book_alone_and_it_is_live_again_by_itself(world: World) -> None:
    inject.tell(world.system, NAME, ReadFeed())
    world.settle()

    world.advance_until(lambda: world.incarnation(NAME) == 2, within_s=5)
    world.settle()
    assert market(world).venues[0].state == "SYNCING"
    assert market(world).bids == ()
    world.bring(CHAIN.deltas[5].frame)
    world.answer(CHAIN.deltas[4].truth.body())

    assert world.book().view.last_seq == CHAIN.deltas[5].last_seq
    assert world.standing() == ("LIVE", "")


def test_a_restarted_book_takes_back_what_it_had_published_before_anything_else(
    world: World,
) -> None:
    world.socket.drop()
    world.settle()
    world.advance_until(lambda: len(world.sockets) == 2, within_s=2)
    inject.tell(world.system, NAME, ReadFeed())
    world.advance_until(lambda: world.incarnation(NAME) == 2, within_s=5)

    assert market(world).venues[0].reason == "not_connected"


def test_a_full_mailbox_of_frames_is_a_declared_gap_and_not_a_death(world: World) -> None:
    flood = b"x" * 2**20
    for _ in range(9):
        frames = FramesReceived(frames=(flood,), received_ns=(START_NS,))
        world.system.directory.tell(NAME, frames)
    world.settle()

    assert world.standing() == ("SYNCING", "frames_lost")
    assert world.incarnation(NAME) == 1


def test_a_buffer_that_overflows_starts_the_sync_over(new_world: NewWorld) -> None:
    settings = BookSettings(limits=BookLimits(buffer=BufferLimits(frames_max=3)))
    world = new_world(book=settings)
    world.open()
    world.bring(*(delta.frame for delta in CHAIN.deltas[:4]))
    assert world.standing() == ("SYNCING", "buffer_overflow")

    world.bring(CHAIN.deltas[4].frame)
    world.answer(CHAIN.deltas[3].truth.body())

    assert world.standing() == ("LIVE", "")


def test_an_answer_that_nobody_waits_for_changes_nothing(world: World) -> None:
    other = SnapshotAnswered(native_symbol="BTCUSDT", body=CHAIN.start.body(), level_limit=0)

    world.tell(NAME, other)

    read = world.book()
    assert (read.state, read.view.last_seq) == ("LIVE", CHAIN.deltas[0].last_seq)


def test_checkpoints_are_noted_for_whoever_asked(world: World) -> None:
    world.tell(NAME, WatchCheckpoints(applied_counts=(3,)))

    world.bring(*(delta.frame for delta in CHAIN.deltas[1:5]))

    (checkpoint,) = world.book().checkpoints
    assert (checkpoint.applied, checkpoint.seq) == (3, CHAIN.deltas[2].last_seq)
