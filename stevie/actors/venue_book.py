"""VenueBook: one true book of one venue, or the reason why there is none.

Receives  BookConnected, FramesReceived, FramesLost, BookDisconnected, SnapshotAnswered,
          InstrumentKnown (all from its feed), RetrySnapshot, QuietSince, PublishDue,
          JournalDue (its timers), FlagsChanged, WatchCheckpoints, ReadBook.
Answers   BookRead.
State     the book; whether a snapshot is being fetched; its publication and its records.
"""

from typing import assert_never

import msgspec

from stevie.actors.book_journal import BookJournal
from stevie.actors.book_publication import BookPublication
from stevie.actors.book_records import BookRecords, Unexplained
from stevie.actors.market_counters import MarketCounter
from stevie.domain.market.book import Book, BookLimits, Reason
from stevie.domain.market.core import CoreSpec
from stevie.domain.market.features import FeatureSpec
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.sequencer import SequenceRule
from stevie.messages.market import (
    BookConnected,
    BookDisconnected,
    BookRead,
    BookStarted,
    FetchSnapshot,
    FramesLost,
    FramesReceived,
    InstrumentKnown,
    JournalDue,
    PublishDue,
    QuietSince,
    ReadBook,
    RetrySnapshot,
    SnapshotAnswered,
    WatchCheckpoints,
)
from stevie.messages.record import FlagsChanged
from stevie.ports import Explainer, Kernel
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext

QUIET_S = 2.0  # without a delta the snapshot alone is the book
RETRY_MIN_S = 0.2
RETRY_MAX_S = 8.0  # a venue that answers again is believed within ten seconds

BookMessage = (
    BookConnected
    | FramesReceived
    | FramesLost
    | BookDisconnected
    | SnapshotAnswered
    | InstrumentKnown
    | RetrySnapshot
    | QuietSince
    | PublishDue
    | JournalDue
    | FlagsChanged
    | WatchCheckpoints
    | ReadBook
)


class BookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a book behaves."""

    limits: BookLimits = BookLimits()
    features: FeatureSpec = FeatureSpec()
    records: bool = False  # whether store and auditor are there
    journal: bool = False  # whether what the book applies goes to the store; needs `records`


class VenueBook(StevieActor):
    """Thin shell around `domain/market/book`."""

    # What the feed tells must never be refused because readers came first: the HTTP edge serves
    # 1000 connections at once, each with one question open.
    mailbox_capacity = 4096
    mailbox_bytes_max = 8 * 2**20  # of frames: more than a minute of the busiest symbol

    def __init__(
        self,
        context: ActorContext,
        *,
        instrument: Instrument,
        rule: SequenceRule,
        kernel: Kernel,
        settings: BookSettings,
        codec: Explainer | None = None,
    ) -> None:
        super().__init__(context)
        self._instrument, self._kernel = instrument, kernel
        self._feed = f"feed/{instrument.venue}"
        spec = CoreSpec(
            native_symbol=instrument.native,
            rule=rule,
            scale=instrument.scale,
            features=settings.features,
        )
        self._book = Book(lambda: kernel.new_core(spec), settings.limits)
        self._publication = BookPublication(
            context,
            self.after,
            book=self._book,
            venue=instrument.venue,
            symbol=instrument.symbol,
            window_ns=settings.features.window_ns,
        )
        self._journal = BookJournal(
            context,
            self.after,
            book=self._book,
            venue=instrument.venue,
            symbol=instrument.symbol,
            is_allowed=settings.records and settings.journal,
        )
        self._records = BookRecords(
            context,
            book=self._book,
            venue=instrument.venue,
            symbol=instrument.symbol,
            codec=codec or Unexplained(),
            is_recorded=settings.records,
        )
        self._asked_in_epoch = self._failures = self._resyncs = 0
        self._is_fetching = self._is_quiet_armed = self._was_refused = False

    def starting(self) -> None:
        """Take back what the incarnation before published, and ask the feed if it is connected."""
        self._publish_if_due(is_moved=True)
        self.tell(self._feed, BookStarted(native_symbol=self._instrument.native))
        self._publication.begin()

    def stopping(self) -> None:
        """Leave the journal whole."""
        self._journal.write_all()

    def handle(self, message: BookMessage) -> object:  # noqa: C901, PLR0912 - one case a message
        """Dispatch on the message's type."""
        is_moved = True
        match message:
            case FramesReceived():
                self._book.on_frames(message.frames, message.received_ns)
            case BookConnected():
                self._book.on_connected(self._now_ns())
            case FramesLost():
                self._book.on_frames_lost(self._now_ns())
            case BookDisconnected():
                self._book.on_disconnected(Reason(message.reason), self._now_ns())
            case SnapshotAnswered():
                self._on_snapshot_answered(message)
            case InstrumentKnown():
                self._on_instrument_known(message)
            case RetrySnapshot():
                self._on_retry_snapshot()
                is_moved = False
            case QuietSince():
                self._on_quiet_since(message)
                is_moved = False
            case PublishDue():
                if not self._publication.is_due(message):
                    return None
            case JournalDue():
                self._journal.on_due(message)
                return None
            case FlagsChanged():
                self._journal.on_flags(message.on)
                return None
            case WatchCheckpoints():
                self._book.watch_checkpoints(message.applied_counts)
                is_moved = False
            case ReadBook():
                return self._on_read_book(message)
            case _:
                assert_never(message)
        self._settle(is_moved=is_moved)
        return None

    def _on_quiet_since(self, message: QuietSince) -> None:
        self._is_quiet_armed = False
        if message.epoch == self._book.epoch:
            self._book.want_snapshot()

    def _on_snapshot_answered(self, message: SnapshotAnswered) -> None:
        now_ns = self._now_ns()
        self._is_fetching = False
        if self._asked_in_epoch != self._book.epoch:
            return  # made while nobody listened: what changed since would come from nowhere
        if message.refusal:
            reason = Reason.NOT_LISTED if message.is_not_listed else Reason.SNAPSHOT_REFUSED
            self._book.on_snapshot_failed(reason, message.refusal, now_ns)
        else:
            self._book.on_snapshot(message.body, message.level_limit, now_ns)
        if bool(message.refusal) is not self._was_refused:
            self._failures = 0  # a venue that answers again is another trouble: its pauses are over
        self._was_refused = bool(message.refusal)
        self._failures = self._failures + 1 if self._book.snapshot_wanted else 0

    def _on_instrument_known(self, message: InstrumentKnown) -> None:
        if message.instrument is not None:
            self._instrument = message.instrument
            self._book.core.refine(message.instrument.scale)

    def _settle(self, *, is_moved: bool) -> None:
        """After every message: record, ask for what the book wants, count, publish."""
        self._records.settle()
        self._journal.settle()
        if self._book.snapshot_wanted and not self._is_fetching:
            self._fetch()
        if self._book.is_waiting_for_delta and not self._is_quiet_armed:
            self._is_quiet_armed = True
            self.after(QUIET_S, QuietSince(epoch=self._book.epoch))
        if self._book.resyncs > self._resyncs:
            more = self._book.resyncs - self._resyncs
            self._resyncs = self._book.resyncs
            self.context.counters.add(MarketCounter.RESYNCS, self._instrument.venue, by=more)
        self._publish_if_due(is_moved=is_moved)

    def _fetch(self) -> None:
        """Ask for a snapshot; after a failure only when a growing, jittered pause is over."""
        self._is_fetching = True
        if self._failures == 0:
            self._request()
            return
        ceiling_s = min(RETRY_MAX_S, RETRY_MIN_S * 2.0 ** min(self._failures - 1, 16))
        self.after(ceiling_s * self.context.rng.uniform(0.5, 1.0), RetrySnapshot())

    def _request(self) -> None:
        self._asked_in_epoch = self._book.epoch
        self.tell(self._feed, FetchSnapshot(native_symbol=self._instrument.native))

    def _on_retry_snapshot(self) -> None:
        self._is_fetching = self._book.snapshot_wanted
        if self._is_fetching:
            self._request()

    def _publish_if_due(self, *, is_moved: bool) -> None:
        if (before := self._publication.publish_if_due(is_moved=is_moved)) is not None:
            self._records.on_transition(before)

    # -- reading --------------------------------------------------------------------------------

    def _on_read_book(self, message: ReadBook) -> BookRead:
        book, view = self._book, self._book.core.view()
        bids, asks = book.core.top(message.depth)
        return BookRead(
            instrument=self._instrument,
            state=book.state,
            reason=book.reason,
            detail=book.detail,
            kernel=self._kernel.name,
            bids=bids,
            asks=asks,
            certificate=book.certificate(),
            view=view,
            counts=book.counts(),
            checkpoints=tuple(book.checkpoints),
            now_ns=self._now_ns(),
            state_since_ns=book.changed_ns,
        )

    def _now_ns(self) -> int:
        return self.context.clock.monotonic_ns()
