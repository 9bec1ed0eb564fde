"""What a book leaves behind: rows to rebuild it, its states, what it could not read."""

from collections.abc import Callable

import pytest

from stevie.actors.book_journal import ROW_AGE_S, SNAPSHOT_EVERY_S
from stevie.actors.market_counters import MarketCounter
from stevie.actors.quarantine import ROWS_PER_MINUTE_MAX
from stevie.actors.venue_book import BookSettings
from stevie.domain.market.core import CoreSpec
from stevie.domain.market.journal import ROW_BYTES, rebuilt
from stevie.domain.market.sequencer import SequenceRule
from stevie.messages.record import FlagsChanged
from stevie.runtime.counters import RuntimeCounter
from tests.actors.told import Told
from tests.actors.world import World
from tests.domain.market.depth_chains import ALL, SCALE, depth_frame, generated, kernel_named

NewWorld = Callable[..., World]

CHAIN = generated(SequenceRule.SPOT, count=400)
NAME = "book/binance/BTCUSDT"
RECORDED = BookSettings(records=True, journal=True)
BROKEN = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depth'


@pytest.fixture
def world(new_world: NewWorld) -> World:
    return new_world(book=RECORDED)


@pytest.fixture
def told(world: World) -> Told:
    """All that store and auditor are told; the book is LIVE by the chain's first delta."""
    told = Told(world)
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)
    return told


def rebuilt_state(told: Told) -> tuple[int, tuple[bytes, bytes]]:
    spec = CoreSpec(native_symbol="BTCUSDT", rule=SequenceRule.SPOT, scale=SCALE)
    core = kernel_named("python").new_core(spec)
    *_, last = rebuilt(told.journal(), core, level_limit=0)
    assert core.view().last_seq == last.seq
    return last.seq, core.ladder(ALL)


# -- the journal ---------------------------------------------------------------------------------


def test_a_snapshot_is_a_row_at_once_and_frames_are_one_within_a_second(
    world: World, told: Told
) -> None:
    assert [row.kind for row in told.journal()] == ["snapshot"]

    world.bring(*(delta.frame for delta in CHAIN.deltas[1:5]))
    world.advance(ROW_AGE_S)

    truth = CHAIN.deltas[4].truth
    assert rebuilt_state(told) == (truth.seq, truth.packed())
    row = told.journal()[-1]
    assert (row.first_seq, row.seq, row.epoch) == (CHAIN.start.seq + 1, truth.seq, 1)
    assert row.known_ns == pytest.approx(world.clock.wall_ns(), abs=int(ROW_AGE_S * 1e9))
    assert world.count(MarketCounter.JOURNAL_ROWS, "binance") == len(told.journal())


def test_a_burst_becomes_many_rows_and_none_is_left_behind(world: World, told: Told) -> None:
    frames = [delta.frame for delta in CHAIN.deltas[1:]]
    assert sum(map(len, frames)) > 2 * ROW_BYTES

    world.bring(*frames)

    assert len(told.journal()) >= 3
    world.advance(ROW_AGE_S)
    assert rebuilt_state(told) == (CHAIN.deltas[-1].last_seq, CHAIN.deltas[-1].truth.packed())


def test_a_break_writes_what_led_to_it_at_once(world: World, told: Told) -> None:
    world.bring(CHAIN.deltas[1].frame)
    world.socket.drop()
    world.settle()

    assert rebuilt_state(told)[0] == CHAIN.deltas[1].last_seq


def test_a_stop_writes_what_is_left(world: World, told: Told) -> None:
    world.bring(CHAIN.deltas[1].frame)
    world.system.stop()

    assert rebuilt_state(told)[0] == CHAIN.deltas[1].last_seq


def test_the_flag_ends_the_journal_and_begins_it_with_a_snapshot(world: World, told: Told) -> None:
    world.tell(NAME, FlagsChanged(on=("bars_backfill",)))
    count = len(told.journal())
    world.bring(CHAIN.deltas[1].frame)
    world.advance(2 * ROW_AGE_S)
    assert len(told.journal()) == count

    world.tell(NAME, FlagsChanged(on=("l2_log",)))
    world.bring(CHAIN.deltas[2].frame)
    world.bring(CHAIN.deltas[3].frame)
    world.answer(CHAIN.deltas[2].truth.body())
    world.advance(ROW_AGE_S)

    assert world.standing() == ("LIVE", "")
    assert [row.kind for row in told.journal()[count:]] == ["snapshot", "frames"]
    assert rebuilt_state(told) == (CHAIN.deltas[3].last_seq, CHAIN.deltas[3].truth.packed())


def test_a_journal_begins_anew_now_and_then_so_that_a_loss_does_not_spoil_all(
    world: World, told: Told
) -> None:
    for delta in CHAIN.deltas[1:]:
        world.bring(delta.frame)
        world.socket.pong()
        world.advance(3.0)
        if world.snapshots_asked():
            world.answer(delta.truth.body())

    kinds = [row.kind for row in told.journal()]
    passed_s = 3.0 * len(CHAIN.deltas[1:])
    assert 1 <= kinds.count("snapshot") - 1 <= 2 * passed_s / SNAPSHOT_EVERY_S
    assert world.book().counts.resyncs == 0
    assert rebuilt_state(told)[1] == CHAIN.deltas[-1].truth.packed()


@pytest.mark.parametrize(
    "settings", [BookSettings(), BookSettings(journal=True), BookSettings(records=True)]
)
def test_without_a_journal_no_row_is_made(new_world: NewWorld, settings: BookSettings) -> None:
    world = new_world(book=settings)
    told = Told(world)
    world.go_live(CHAIN.start, *(delta.frame for delta in CHAIN.deltas[:9]))
    world.tell(NAME, FlagsChanged(on=("l2_log",)))
    world.advance(5.0)

    assert told.rows() == []


# -- the audit -----------------------------------------------------------------------------------


def test_every_change_of_state_is_told_to_the_auditor_with_what_led_to_it(
    world: World, told: Told
) -> None:
    world.bring(CHAIN.deltas[1].frame, CHAIN.deltas[3].frame)

    facts = told.facts("book_state")
    assert [each["state"] for each in facts] == ["SYNCING", "SYNCING", "LIVE", "SYNCING"]
    assert facts[-1] == {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "from_state": "LIVE",
        "from_reason": "",
        "state": "SYNCING",
        "reason": "gap",
        "epoch": 1,
        "seq": CHAIN.deltas[1].last_seq,
    }
    entry = told.entries("book_state")[-1]
    assert (entry.actor, entry.at_ns) == (NAME, world.clock.wall_ns())
    assert (entry.input.kind, entry.input.venue, entry.input.symbol) == (
        "l2_log",
        "binance",
        "BTCUSDT",
    )
    assert (entry.input.first_seq, entry.input.last_seq) == (
        CHAIN.start.seq,
        CHAIN.deltas[1].last_seq,
    )


def test_without_a_journal_an_entry_claims_no_input(new_world: NewWorld) -> None:
    world = new_world(book=BookSettings(records=True))
    told = Told(world)
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)

    assert {entry.input.kind for entry in told.entries("book_state")} == {"none"}


def test_without_a_record_stage_nobody_is_told_and_nothing_is_buried(new_world: NewWorld) -> None:
    world = new_world()
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)
    world.bring(BROKEN, CHAIN.deltas[3].frame)
    world.advance(2.0)

    assert world.count(RuntimeCounter.DEAD_LETTERS, "unknown_name") == 0
    assert world.count(MarketCounter.QUARANTINED, "wire", "binance.frame") == 1


# -- the quarantine ------------------------------------------------------------------------------


def test_a_frame_that_no_book_can_read_is_set_aside_and_the_book_goes_on(
    world: World, told: Told
) -> None:
    world.bring(BROKEN, CHAIN.deltas[1].frame)

    (row,) = told.quarantined()
    assert (row.border, row.contract, row.body) == ("wire", "binance.frame", BROKEN)
    assert len(told.facts("quarantine")) == 1
    assert world.standing() == ("LIVE", "")
    assert world.book().view.last_seq == CHAIN.deltas[1].last_seq


def test_a_snapshot_that_cannot_be_read_is_set_aside(new_world: NewWorld) -> None:
    world = new_world(book=RECORDED)
    told = Told(world)
    world.open()
    world.bring(CHAIN.deltas[0].frame)
    world.answer(b'{"lastUpdateId":"x"}')

    (row,) = told.quarantined()
    assert (row.border, row.contract) == ("rest", "binance.snapshot")
    assert world.standing() == ("SYNCING", "snapshot_malformed")


def test_a_flood_is_counted_in_full_and_kept_within_bounds(world: World, told: Told) -> None:
    broken = depth_frame(1, 1, bids=[["x", "1"]])
    for _ in range(20):
        world.bring(*[broken] * 10)

    assert world.count(MarketCounter.QUARANTINED, "wire", "binance.frame") == 200
    assert len(told.quarantined()) == ROWS_PER_MINUTE_MAX
    assert len(told.facts("quarantine")) == 1

    for _ in range(61):
        world.socket.pong()
        world.advance(1.0)
    world.bring(broken)
    assert len(told.quarantined()) == ROWS_PER_MINUTE_MAX + 1
    assert len(told.facts("quarantine")) == 2
