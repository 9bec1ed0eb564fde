"""Each invariant, broken by hand: a check that cannot fail checks nothing."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from stevie.adapters.rng import SeededRng
from stevie.domain.market.book import Book, BookState, Reason
from stevie.domain.market.sequencer import SequenceRule
from stevie.explore.exchange import Exchange
from stevie.explore.faults import ActiveFaults
from stevie.explore.invariants import BookWatch, InjectedCrash, Invariants, Violation
from stevie.explore.tape import START_NS, Tape, Truth
from stevie.messages.market import BookChanged
from stevie.runtime.deterministic import DeterministicRuntime, Step, VirtualClock
from stevie.runtime.lifecycle import Cause, ChildDown, Phase
from stevie.runtime.reply import Reply
from tests.domain.market.depth_chains import kernel_named, new_book

PLACE = ("binance", "BTCUSDT")
NAME = "book/binance/BTCUSDT"
SECOND_NS = 1_000_000_000


class Stage:
    """A book that went LIVE by a snapshot of the tape, and its watch."""

    def __init__(self, tape: Tape, *, levels: int = 100) -> None:
        self.listing = tape.listings[PLACE]
        self.exchange = Exchange(
            tape,
            "binance",
            clock=VirtualClock(START_NS),
            rng=SeededRng(1),
            faults=ActiveFaults((), start_ns=START_NS),
        )
        self.watch = BookWatch(NAME, self.listing, self.exchange)
        self.book: Book = new_book(kernel_named("python"), SequenceRule.SPOT)
        self.book.on_connected(START_NS)
        self.book.want_snapshot()
        view = Truth(self.listing).view(self.listing.start.update_id, levels)
        body = self.listing.scribe.snapshot(view, now_ns=START_NS).encode()
        self.book.on_snapshot(body, levels, START_NS)
        assert self.book.is_live

    def check(self) -> None:
        self.watch.check(self.book, "FramesReceived")

    def edit(self, *, is_bid: bool, index: int, lots: int) -> None:
        """Make one level of the book wrong."""
        core: Any = self.book.core
        side = core._ladder.bids if is_bid else core._ladder.asks
        side.set(side.top(index + 1)[index][0], lots)


def test_a_true_book_passes_and_is_counted(tape: Tape):
    stage = Stage(tape)

    stage.check()
    stage.watch.check_whole(stage.book)
    stage.watch.check_published(stage.book.fresh_book(*PLACE))

    assert stage.watch.checked == 1


@pytest.mark.parametrize("is_bid", [True, False])
@pytest.mark.parametrize("lots", [0, 1])
def test_a_wrong_level_near_the_touch_is_found_at_once(tape: Tape, is_bid: bool, lots: int):
    stage = Stage(tape)
    stage.edit(is_bid=is_bid, index=7, lots=lots)

    with pytest.raises(Violation, match=r"LIVE book is true at its sequence: .* level 7 expected"):
        stage.check()


def test_a_wrong_level_far_away_is_found_when_the_whole_book_is_compared(tape: Tape):
    stage = Stage(tape)
    stage.edit(is_bid=False, index=77, lots=0)
    stage.check()

    with pytest.raises(Violation, match="level 77"):
        stage.watch.check_whole(stage.book)


def test_a_wrong_fresh_book_is_found(tape: Tape):
    stage = Stage(tape)
    stage.edit(is_bid=True, index=3, lots=1)

    with pytest.raises(Violation, match=r"a FreshBook is true .* bids: level 3"):
        stage.watch.check_published(stage.book.fresh_book(*PLACE))


def test_a_book_that_is_not_live_may_hold_anything(tape: Tape):
    stage = Stage(tape)
    stage.edit(is_bid=True, index=0, lots=0)
    stage.book.on_disconnected(Reason.DISCONNECTED, START_NS)

    stage.check()


def test_a_touch_beyond_the_horizon_is_found(tape: Tape):
    stage = Stage(tape, levels=5)
    cast(Any, stage.book.core).bid_floor = 10**15

    with pytest.raises(Violation, match="lies within its horizon"):
        stage.check()


def test_a_crossing_message_inside_a_live_book_is_found(tape: Tape):
    stage = Stage(tape)
    core: Any = stage.book.core
    stage.exchange.crossings["BTCUSDT"] = {core.snapshot_seq: "1.00"}
    stage.check()  # the snapshot came after it

    core.snapshot_seq -= 1
    with pytest.raises(Violation, match="applied a message that crossed it"):
        stage.check()


def test_where_a_lying_number_led_a_book_nobody_can_judge_it(tape: Tape):
    stage = Stage(tape)
    stage.edit(is_bid=True, index=0, lots=1)
    stage.exchange.lies.add(("BTCUSDT", stage.book.core.view().last_seq))

    stage.check()


def test_frames_kept_over_a_reconnection_are_found(tape: Tape):
    stage = Stage(tape)
    stage.book.on_connected(START_NS)
    stage.watch.check(stage.book, "BookConnected")
    stage.book._buffer.add(b"{}", 1, is_delta=True)

    with pytest.raises(Violation, match="begins with an empty buffer"):
        stage.watch.check(stage.book, "BookConnected")


# -- of the whole --------------------------------------------------------------------------------


def invariants(tape: Tape, runtime: Any = None) -> Invariants:
    exchange = Stage(tape).exchange
    if runtime is None:
        runtime = DeterministicRuntime(SeededRng(1), start_ns=START_NS)
    return Invariants(runtime, tape, {"binance": exchange}, {NAME: PLACE}, quiet_ns=START_NS)


def step(what: str, message: object, actor: str = "market_data") -> Step:
    return Step(1, START_NS, actor, 1, what, message)


def test_a_book_published_by_one_that_is_not_live_is_found(tape: Tape):
    fresh = Stage(tape).book.fresh_book(*PLACE)
    for state, book in [(BookState.STALE, fresh), (BookState.LIVE, None)]:
        changed = BookChanged(venue="binance", symbol="BTCUSDT", state=state, reason="", book=book)
        with pytest.raises(Violation, match="only a LIVE book yields a FreshBook"):
            invariants(tape).after_step(step("BookChanged", changed))


@pytest.mark.parametrize(
    ("cause", "reason", "invariant"),
    [
        (Cause.BUG, "KeyError: 'a'", "no actor dies of a bug"),
        (Cause.ESCALATED, "too many restarts", "no supervisor gives up"),
    ],
)
def test_an_end_that_nobody_planned_is_found(tape: Tape, cause: Cause, reason: str, invariant: str):
    down = ChildDown(name=NAME, incarnation=1, phase=Phase.TELL, cause=cause, reason=reason)

    with pytest.raises(Violation, match=invariant):
        invariants(tape).after_step(step("ChildDown", down))


def test_a_planned_crash_is_no_finding_and_neither_is_a_full_mailbox_within_bounds(tape: Tape):
    mailbox = SimpleNamespace(depth=1, capacity=1, bytes_waiting=0, bytes_max=1)
    watched = invariants(tape, runtime_with(mailbox))
    reason = f"{InjectedCrash.__name__}: as planned"
    down = ChildDown(name=NAME, incarnation=1, phase=Phase.WAITING, cause=Cause.BUG, reason=reason)

    watched.after_step(step("ChildDown", down))

    mailbox.bytes_waiting = 2
    with pytest.raises(Violation, match="mailboxes keep their bounds"):
        watched.after_step(step("ReadMarket", None))


def runtime_with(
    mailbox: Any = None, *, is_dead: bool = False, asleep: tuple[str, ...] = ()
) -> Any:
    cell = SimpleNamespace(mailbox=mailbox, actor=None)
    directory = SimpleNamespace(cell=lambda _: cell)
    system = SimpleNamespace(directory=directory, root_is_dead=lambda: is_dead)
    return SimpleNamespace(system=system, waiting=lambda: asleep)


def test_a_dead_tree_and_a_sleeper_with_mail_are_found(tape: Tape):
    with pytest.raises(Violation, match="the tree lives"):
        invariants(tape, runtime_with(is_dead=True)).on_beat(START_NS)
    with pytest.raises(Violation, match="nothing waits for ever: feed/x is not woken"):
        invariants(tape, runtime_with(asleep=("feed/x",))).on_beat(START_NS)


def test_a_book_that_does_not_come_back_is_found_after_ten_seconds(tape: Tape):
    watched = invariants(tape, runtime_with())
    watched.on_beat(START_NS + 10 * SECOND_NS)

    with pytest.raises(Violation, match=r"LIVE within 10 s once faults stop: .* no actor"):
        watched.on_beat(START_NS + 10 * SECOND_NS + 1)


def test_a_question_without_an_answer_is_found(tape: Tape):
    watched, reply = invariants(tape, runtime_with()), Reply()
    watched._quiet_ns = START_NS + 100 * SECOND_NS
    watched.expect_answer(NAME, reply, START_NS)

    with pytest.raises(Violation, match="did not answer"):
        watched.on_beat(START_NS + 16 * SECOND_NS)
    reply.set(1)
    watched.on_beat(START_NS + 17 * SECOND_NS)
