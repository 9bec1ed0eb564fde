"""BookJournal: rows to the store from which a book can be built again, while that is wanted."""

from collections.abc import Callable

from stevie.actors.market_counters import MarketCounter
from stevie.actors.quarantine import STORE
from stevie.domain.market.book import Book
from stevie.domain.market.journal import Journal
from stevie.domain.operations.flags import L2_LOG
from stevie.messages.market import JournalDue
from stevie.messages.record import StoreRows
from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message

ROW_AGE_S = 1.0  # the longest that frames wait for their row: what a crash takes from the journal
# A journal begins anew so often, at the price of a snapshot request: to rebuild a book never takes
# more than a quarter of an hour of frames, nor do the rows that age or a loss took spoil more.
SNAPSHOT_EVERY_S = 900.0


class BookJournal:
    """Nothing of it happens unless the settings allow it and the flag is on."""

    def __init__(
        self,
        context: ActorContext,
        after: Callable[[float, Message], Timer],
        *,
        book: Book,
        venue: str,
        symbol: str,
        is_allowed: bool,
    ) -> None:
        self._context, self._after, self._book = context, after, book
        self._venue, self._symbol, self._is_allowed = venue, symbol, is_allowed
        self._is_armed = False
        self._overflows = 0
        # Jittered, as books that began together would ask for their snapshots together.
        share = context.rng.uniform(0.5, 1.0) if is_allowed else 1.0
        self._snapshot_every_ns = int(SNAPSHOT_EVERY_S * share * 1e9)
        self._keep(is_wanted=True)

    def on_flags(self, on: tuple[str, ...]) -> None:
        """Flags as they are now."""
        self._keep(is_wanted=L2_LOG.name in on)

    def _keep(self, *, is_wanted: bool) -> None:
        """Begin with the next snapshot, or end here."""
        is_kept = self._book.journal is not None
        if is_wanted and self._is_allowed and not is_kept:
            self._book.journal, self._overflows = Journal(), 0
        elif not is_wanted and is_kept:
            self.write_all()
            self._book.journal = None

    def settle(self) -> None:
        """After every message: give the store a row that is due."""
        if self._book.journal is not None:
            self._write(self._book.journal)

    def on_due(self, message: JournalDue) -> None:
        """A timer's time has come, or that of the next row."""
        self._is_armed = self._is_armed and not message.is_timer
        if (journal := self._book.journal) is not None:
            if message.is_timer:
                journal.cut(self._book.core.view())
            self._write(journal)

    def write_all(self) -> None:
        """Give the store everything, at the end."""
        journal = self._book.journal
        if journal is not None:
            journal.cut(self._book.core.view())
            while journal.has_rows:
                self._tell_row(journal)

    def _write(self, journal: Journal) -> None:
        """One row at a time: other actors have their turn between two of them."""
        if journal.has_rows:
            self._tell_row(journal)
        if journal.has_rows:
            self._context.directory.tell(self._context.name, JournalDue())
        elif journal.has_frames and not self._is_armed:
            self._is_armed = True
            # Jittered: hundreds of books that make their rows at once would hold the hub.
            age_s = ROW_AGE_S * self._context.rng.uniform(0.5, 1.0)
            self._after(age_s, JournalDue(is_timer=True))
        if journal.overflows > self._overflows:
            self._overflows = journal.overflows
            self._context.counters.add(MarketCounter.JOURNAL_OVERFLOWS, self._venue)
        now_ns = self._context.clock.monotonic_ns()
        if not journal.has_begun or now_ns - journal.began_ns >= self._snapshot_every_ns:
            self._book.want_refresh()

    def _tell_row(self, journal: Journal) -> None:
        row = journal.take(self._venue, self._symbol, known_ns=self._context.clock.wall_ns())
        self._context.directory.tell(STORE, StoreRows(rows=(row,)))
        self._context.counters.add(MarketCounter.JOURNAL_ROWS, self._venue)
