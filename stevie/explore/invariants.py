"""Invariants: what must hold after every step, whatever goes wrong outside.

White-box on purpose: the books are looked at where they live, after each step that touched one, so
that a wrong book is found in the step that made it wrong and not when somebody happens to read it.
"""

from collections.abc import Mapping
from typing import cast

from stevie.actors.root import MARKET_DATA
from stevie.actors.venue_book import VenueBook
from stevie.domain.market.book import Book, BookState
from stevie.domain.market.core import CoreView
from stevie.domain.market.fresh_book import LEVELS_MAX, FreshBook
from stevie.domain.market.ladder import Level
from stevie.explore.exchange import Exchange
from stevie.explore.tape import SECOND_NS, ListingTape, Tape, Truth
from stevie.messages.market import (
    BookChanged,
    BookConnected,
    BookDisconnected,
    FramesLost,
    FramesReceived,
    InstrumentKnown,
    SnapshotAnswered,
)
from stevie.runtime.deterministic import DeterministicRuntime, Step
from stevie.runtime.lifecycle import Cause, ChildDown
from stevie.runtime.reply import Reply
from stevie.venues.simulator.market.book import BookSide

TOP = 20  # levels a side compared after every step that touched the book
LADDER_EVERY = 8  # publications between two comparisons of all that is published
WHOLE_EVERY = 100  # such steps between two comparisons of the whole book
ALL = 100_000  # levels: more than any book has
RECOVERY_NS = 10 * SECOND_NS  # after the last fault every book is LIVE again within this
ANSWER_NS = 15 * SECOND_NS  # a question waits for a busy or restarting actor, not for ever
QUESTIONS_MAX = 64  # that wait at once: one or two a second are asked

TOUCHING = frozenset(
    message.__name__
    for message in (
        BookConnected,
        BookDisconnected,
        FramesLost,
        FramesReceived,
        InstrumentKnown,
        SnapshotAnswered,
    )
)


class InjectedCrash(Exception):  # noqa: N818 - a fault, not an error of ours
    """An actor dies because the plan says so."""


class Violation(Exception):  # noqa: N818 - a finding, not an error of ours
    """Something that must hold does not."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant, self.detail = invariant, detail


class BookWatch:
    """One book against the truth."""

    def __init__(self, name: str, listing: ListingTape, exchange: Exchange) -> None:
        self.name = name
        self.checked = self.published = 0
        self.live_ns = 0  # when it was last seen LIVE
        self._listing = listing
        self._symbol = listing.listing.symbol
        self._lies, self._crossings = exchange.lies, exchange.crossings
        self._truth, self._published = Truth(listing), Truth(listing)
        self._units: dict[tuple[int, int], tuple[int, int]] = {}

    def check(self, book: Book, what: str) -> None:
        """Compare a book that a step has touched."""
        if what == BookConnected.__name__:
            self._check_empty(self.name, book)
        if not book.is_live:
            return
        self.checked += 1
        view = book.core.view()
        if self.is_lie(view.last_seq):
            return
        self._check_place(view)
        self._compare(book, view, TOP if self.checked % WHOLE_EVERY else ALL)

    def check_whole(self, book: Book) -> None:
        """Compare everything that a LIVE book vouches for."""
        view = book.core.view()
        if book.is_live and not self.is_lie(view.last_seq):
            self._check_place(view)
            self._compare(book, view, ALL)

    def check_published(self, book: FreshBook) -> None:
        """Compare what was handed out."""
        certificate = book.certificate
        if self.is_lie(certificate.last_seq):
            return
        self._published.move_to(certificate.last_seq)
        self.published += 1
        levels = TOP if self.published % LADDER_EVERY else LEVELS_MAX
        scale = (book.scale.price_decimals, book.scale.size_decimals)
        bids = self._within(self._published.bids, levels, scale, floor=certificate.bid_floor_ticks)
        asks = self._within(
            self._published.asks, levels, scale, ceiling=certificate.ask_ceiling_ticks
        )
        at = f"{self.name} published at {certificate.last_seq}"
        _same(
            "a FreshBook is true at its sequence", f"{at}, bids", bids, book.bid_levels()[:levels]
        )
        _same(
            "a FreshBook is true at its sequence", f"{at}, asks", asks, book.ask_levels()[:levels]
        )

    def is_lie(self, seq: int) -> bool:
        """Whether a book stands where a frame with false numbers led it: nobody can tell yet."""
        return (self._symbol, seq) in self._lies

    @staticmethod
    def _check_empty(name: str, book: Book) -> None:
        """Nothing that came on the connection before may be continued."""
        frames, _ = book._buffer.read()
        if frames:
            raise Violation(
                "a new connection begins with an empty buffer",
                f"{name} in epoch {book.epoch} holds {len(frames)} frames of the one before",
            )

    def _check_place(self, view: CoreView) -> None:
        for seq in self._crossings.get(self._symbol, ()):
            if view.snapshot_seq < seq <= view.last_seq:
                raise Violation(
                    "no LIVE book has applied a message that crossed it",
                    f"{self.name} at {view.last_seq} has {seq} in it",
                )
        is_bid_known = view.best_bid >= 0 and view.best_bid >= view.bid_floor
        is_ask_known = view.best_ask >= 0 and (
            view.ask_ceiling < 0 or view.best_ask <= view.ask_ceiling
        )
        if not (is_bid_known and is_ask_known):
            raise Violation(
                "the touch of a LIVE book lies within its horizon",
                f"{self.name} at {view.last_seq}: {view.best_bid} / {view.best_ask}, "
                f"known from {view.bid_floor} to {view.ask_ceiling}",
            )

    def _compare(self, book: Book, view: CoreView, levels: int) -> None:
        self._truth.move_to(view.last_seq)
        scale = (view.price_decimals, view.size_decimals)
        floor, ceiling = view.bid_floor, view.ask_ceiling
        bids, asks = book.core.top(levels)
        at = f"{self.name} at {view.last_seq}"
        rule = "a LIVE book is true at its sequence"
        true_bids = self._within(self._truth.bids, levels, scale, floor=floor)
        _same(rule, f"{at}, bids", true_bids, _from(bids, floor=floor))
        true_asks = self._within(self._truth.asks, levels, scale, ceiling=ceiling)
        _same(rule, f"{at}, asks", true_asks, _from(asks, ceiling=ceiling))

    def _within(
        self,
        side: BookSide,
        levels: int,
        scale: tuple[int, int],
        *,
        floor: int = -1,
        ceiling: int = -1,
    ) -> tuple[Level, ...]:
        """The true levels in a book's own units, as far as it vouches for them."""
        price, size = self._units_of(scale)
        true = tuple((ticks * price, lots * size) for ticks, lots in side.top(levels))
        return _from(true, floor=floor, ceiling=ceiling)

    def _units_of(self, scale: tuple[int, int]) -> tuple[int, int]:
        units = self._units.get(scale)
        if units is None:
            units = self._units[scale] = (
                self._listing.unit(scale[0], is_price=True),
                self._listing.unit(scale[1], is_price=False),
            )
        return units


def _from(levels: tuple[Level, ...], *, floor: int = -1, ceiling: int = -1) -> tuple[Level, ...]:
    """The levels at or above the floor and at or below the ceiling; best first, so cut once."""
    if not levels or (levels[-1][0] >= floor and (ceiling < 0 or levels[-1][0] <= ceiling)):
        return levels
    return tuple(it for it in levels if it[0] >= floor and (ceiling < 0 or it[0] <= ceiling))


def _same(invariant: str, at: str, true: tuple[Level, ...], ours: tuple[Level, ...]) -> None:
    if true == ours:
        return
    pairs = zip(true, ours, strict=False)
    index = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(true), len(ours)))
    expected = true[index] if index < len(true) else "no level"
    was = ours[index] if index < len(ours) else "no level"
    raise Violation(invariant, f"{at}: level {index} expected {expected}, was {was}")


class Invariants:
    """All that must hold in one exploration."""

    def __init__(
        self,
        runtime: DeterministicRuntime,
        tape: Tape,
        exchanges: Mapping[str, Exchange],
        books: Mapping[str, tuple[str, str]],
        *,
        quiet_ns: int,
    ) -> None:
        self._runtime, self._quiet_ns = runtime, quiet_ns
        self._watches = {
            name: BookWatch(name, tape.listings[place], exchanges[place[0]])
            for name, place in books.items()
        }
        self._questions: list[tuple[int, str, Reply]] = []

    @property
    def checked(self) -> int:
        """How often a LIVE book was compared with the truth."""
        return sum(watch.checked for watch in self._watches.values())

    def after_step(self, step: Step) -> None:
        """Look at what one step touched."""
        if step.what in TOUCHING and step.actor in self._watches:
            self._check_book(step)
        elif step.what == "BookChanged" and step.actor == MARKET_DATA:
            self._check_publication(cast(BookChanged, step.message))
        elif step.what == "ChildDown":
            self._check_end(cast(ChildDown, step.message))
        self._check_mailbox(step.actor)

    def on_beat(self, now_ns: int) -> None:
        """Look at what no step shows: that nothing is waited for in vain."""
        if self._runtime.system.root_is_dead():
            raise Violation("the tree lives", "its root has died")
        for name in self._runtime.waiting():
            raise Violation("nothing waits for ever", f"{name} is not woken by what waits for it")
        for watch in self._watches.values():
            self._check_recovery(watch, now_ns)
        self._check_questions(now_ns)

    def at_end(self) -> None:
        """Compare every book as a whole."""
        for watch in self._watches.values():
            actor = self._book_actor(watch.name)
            if actor is not None:
                watch.check_whole(actor._book)

    def expect_answer(self, name: str, reply: Reply, now_ns: int) -> None:
        """Note a question: it is answered some time."""
        assert len(self._questions) < QUESTIONS_MAX, "questions are asked faster than answered"
        self._questions.append((now_ns, name, reply))

    def _book_actor(self, name: str) -> VenueBook | None:
        cell = self._runtime.system.directory.cell(name)
        return cast("VenueBook | None", cell.actor if cell is not None else None)

    def _check_book(self, step: Step) -> None:
        actor = self._book_actor(step.actor)
        if actor is not None:
            self._watches[step.actor].check(actor._book, step.what)

    def _check_publication(self, changed: BookChanged) -> None:
        is_live = changed.state == BookState.LIVE
        if is_live != (changed.book is not None):
            raise Violation(
                "only a LIVE book yields a FreshBook",
                f"{changed.venue}/{changed.symbol} is {changed.state} and published "
                f"{'a book' if changed.book else 'none'}",
            )
        if changed.book is not None:
            self._watches[f"book/{changed.venue}/{changed.symbol}"].check_published(changed.book)

    @staticmethod
    def _check_end(down: ChildDown) -> None:
        if down.cause is Cause.ESCALATED:
            raise Violation("no supervisor gives up", f"{down.name}: {down.reason}")
        if down.cause is Cause.BUG and not down.reason.startswith(InjectedCrash.__name__):
            raise Violation("no actor dies of a bug", f"{down.name}: {down.reason}")

    def _check_mailbox(self, name: str) -> None:
        cell = self._runtime.system.directory.cell(name)
        assert cell is not None, name
        mailbox = cell.mailbox
        # Frames lie between commands in runs of their own, at most one after each.
        is_bounded = mailbox.depth <= 2 * mailbox.capacity + 1
        if not is_bounded or mailbox.bytes_waiting > mailbox.bytes_max:
            raise Violation(
                "mailboxes keep their bounds",
                f"{name}: {mailbox.depth} of {mailbox.capacity} messages, "
                f"{mailbox.bytes_waiting} of {mailbox.bytes_max} bytes",
            )

    def _check_recovery(self, watch: BookWatch, now_ns: int) -> None:
        actor = self._book_actor(watch.name)
        book = actor._book if actor is not None else None
        if book is not None and book.is_live:
            watch.live_ns = now_ns
            return
        waited_ns = now_ns - max(watch.live_ns, self._quiet_ns)
        if waited_ns > RECOVERY_NS:
            state = f"{book.state} {book.reason} {book.detail}" if book is not None else "no actor"
            raise Violation(
                f"every book is LIVE within {RECOVERY_NS // SECOND_NS} s once faults stop",
                f"{watch.name} is {state} after {waited_ns / SECOND_NS:.1f} s",
            )

    def _check_questions(self, now_ns: int) -> None:
        self._questions = [it for it in self._questions if not it[2].is_set]
        for asked_ns, name, _ in self._questions:
            if now_ns - asked_ns > ANSWER_NS:
                raise Violation("nothing waits for ever", f"{name} did not answer a question")
