"""VenueFeed: one venue's connections, and whose frame is whose.

Receives  ConnectionOpened, FramesReceived, FramesLost, ConnectionHeard, ConnectionClosed (from the
          transport), InstrumentsAnswered, SnapshotAnswered, BookStarted, FetchSnapshot (from its
          books), CheckConnection, Reconnect, RetireConnection, FetchNext (its timers), ReadFeed.
Answers   FeedState.
State     a link per connection of the venue's plan; the snapshot requests that wait.
"""

from collections.abc import Iterable
from typing import assert_never

import msgspec
import structlog

from stevie.actors.feed_answers import instruments_answered, snapshot_answered
from stevie.actors.feed_frames import sort_frames
from stevie.actors.feed_line import FeedLine, LineEvent
from stevie.actors.market_counters import MarketCounter
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.link import SECOND_NS, LinkCheck, LinkLimits
from stevie.domain.market.snapshot_queue import SnapshotQueue
from stevie.messages import (
    BookConnected,
    BookDisconnected,
    BookStarted,
    CheckConnection,
    ConnectionClosed,
    ConnectionHeard,
    ConnectionOpened,
    FeedState,
    FetchNext,
    FetchSnapshot,
    FramesLost,
    FramesReceived,
    InstrumentKnown,
    InstrumentsAnswered,
    ReadFeed,
    Reconnect,
    RetireConnection,
    SnapshotAnswered,
)
from stevie.ports import HttpAnswer, Transport, VenueCodec
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message

log = structlog.get_logger()

CHECK_S = 1.0
INSTRUMENTS_RETRY_S = 30.0
OVERLAP_S = 2.0  # of a replaced socket with its successor: a few 100 ms batches

FeedMessage = (
    ConnectionOpened
    | FramesReceived
    | FramesLost
    | ConnectionHeard
    | ConnectionClosed
    | InstrumentsAnswered
    | SnapshotAnswered
    | BookStarted
    | FetchSnapshot
    | CheckConnection
    | Reconnect
    | RetireConnection
    | FetchNext
    | ReadFeed
)


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a feed behaves."""

    link: LinkLimits = LinkLimits()
    snapshots_in_flight_max: int = 2


class VenueFeed(StevieActor):
    """Thin shell around the venue's codec and `domain/market/link`."""

    mailbox_capacity = 4096  # commands: two per book and connection at the most, many times over
    mailbox_bytes_max = 64 * 2**20  # a minute of a busy venue, or a dozen 5 MB snapshot frames

    def __init__(
        self,
        context: ActorContext,
        *,
        codec: VenueCodec,
        transport: Transport,
        instruments: tuple[Instrument, ...],
        settings: FeedSettings,
    ) -> None:
        super().__init__(context)
        self._codec, self._transport, self._settings = codec, transport, settings
        self._books = {i.native.upper(): f"book/{i.venue}/{i.symbol}" for i in instruments}
        self._natives = tuple(i.native for i in instruments)
        self._lines = [
            FeedLine(context, transport, plan, settings.link)
            for plan in codec.connections(self._natives)
        ]
        self._queue = SnapshotQueue(in_flight_max=settings.snapshots_in_flight_max)
        self._sockets_opened = self._frames = self._unrouted = self._requested = 0
        self._unlisted: tuple[str, ...] = ()
        self._is_fetch_armed = False
        self._ask_instruments_ns = -1  # when to ask (again) what the venue lists; -1: not at all

    def starting(self) -> None:
        """Ask what the venue lists, and open its sockets."""
        self._ask_instruments()
        for line in self._lines:
            self._open(line)
        self.after(CHECK_S, CheckConnection())

    def stopping(self) -> None:
        """Close every socket."""
        for line in self._lines:
            line.drop()

    def handle(self, message: FeedMessage) -> object:  # noqa: C901, PLR0912 - one case a message
        """Dispatch on the message's type."""
        match message:
            case FramesReceived():
                self._on_frames_received(message)
            case FramesLost():
                self._on_frames_lost(message)
            case ConnectionOpened():
                self._on_connection_opened(message)
            case ConnectionHeard():
                self._note_heard((message.connection,))
            case ConnectionClosed():
                self._on_connection_closed(message)
            case InstrumentsAnswered():
                self._on_instruments_answered(message)
            case SnapshotAnswered():
                self._on_snapshot_answered(message)
            case BookStarted():
                self._on_book_started(message)
            case FetchSnapshot():
                self._on_fetch_snapshot(message)
            case CheckConnection():
                self._on_check_connection()
            case Reconnect():
                self._open(self._lines[message.line])
            case RetireConnection():
                self._lines[message.line].retire()
            case FetchNext():
                self._is_fetch_armed = False
                self._fetch()
            case ReadFeed():
                return self._on_read_feed()
            case _:
                assert_never(message)
        return None

    # -- frames ---------------------------------------------------------------------------------

    def _on_frames_received(self, message: FramesReceived) -> None:
        """Sort frames by book, in order, and pass each book its own as one batch."""
        self._note_heard(message.connections)
        routes = self._codec.route_all(message.frames)
        batches, strays = sort_frames(message, routes, self._books)
        for name, batch in batches.items():
            self.tell(name, batch)
        for kind, frame in strays:
            self._on_unrouted(kind, frame)
        self._frames += len(message.frames)
        self.context.counters.add(
            MarketCounter.FEED_FRAMES, self._codec.venue, by=len(message.frames)
        )

    def _on_unrouted(self, kind: str, frame: bytes) -> None:
        """A frame of no followed symbol: counted; an error or a shutdown is acted upon."""
        self._unrouted += 1
        self.context.counters.add(MarketCounter.FEED_UNROUTED, self._codec.venue, kind)
        if kind in {"error", "garbage"}:
            text = frame[:200].decode("utf-8", "replace")
            log.warning("feed_frame_odd", actor=self.context.name, kind=kind, frame=text)
        if kind == "shutdown":
            for line in self._lines:
                self._open(line)

    def _on_frames_lost(self, message: FramesLost) -> None:
        self.context.counters.add(
            MarketCounter.FEED_FRAMES_LOST, self._codec.venue, by=message.lost_count
        )
        self._tell_books(message)

    def _tell_books(self, message: Message) -> None:
        for name in self._books.values():
            self.tell(name, message)

    # -- connections ----------------------------------------------------------------------------

    def _open(self, line: FeedLine) -> None:
        if not line.is_opening:
            self._sockets_opened += 1
            # A socket of an incarnation that was killed may still talk: never mistake it for ours.
            line.open(self.context.incarnation << 32 | self._sockets_opened)

    def _on_book_started(self, message: BookStarted) -> None:
        """A book that comes up while the venue is connected begins its epoch now."""
        if all(line.is_connected for line in self._lines if line.plan.carries_books):
            self.tell(self._books[message.native_symbol.upper()], BookConnected())

    def _note_heard(self, connections: Iterable[int]) -> None:
        for line in self._lines:
            for connection in connections:
                line.on_heard(connection)

    def _on_connection_opened(self, message: ConnectionOpened) -> None:
        for index, line in enumerate(self._lines):
            event = line.on_opened(message.connection)
            if event is LineEvent.NOTHING:
                continue
            self.context.counters.add(MarketCounter.FEED_CONNECTS, self._codec.venue)
            log.info("feed_connected", actor=self.context.name, url=line.address)
            if event is LineEvent.REPLACED:
                self.after(OVERLAP_S, RetireConnection(line=index))
            elif line.plan.carries_books:
                self._tell_books(BookConnected())

    def _on_connection_closed(self, message: ConnectionClosed) -> None:
        text = f"{message.code} {message.reason}".strip()
        for index, line in enumerate(self._lines):
            if line.on_closed(message.connection, text) is LineEvent.LOST:
                self._on_lost(index, "disconnected")

    def _on_lost(self, index: int, reason: str) -> None:
        """A line is down: its books are stale, and it is tried again after the back-off."""
        line = self._lines[index]
        delay_s = line.retry_delay_s()
        self.after(delay_s, Reconnect(line=index))
        if line.plan.carries_books:
            self._tell_books(BookDisconnected(reason=reason))
        log.warning(
            "feed_disconnected",
            actor=self.context.name,
            reason=line.reason,
            retry_in_s=round(delay_s, 2),
        )

    def _on_check_connection(self) -> None:
        self.after(CHECK_S, CheckConnection())
        if 0 <= self._ask_instruments_ns <= self.context.clock.monotonic_ns():
            self._ask_instruments()
        for index, line in enumerate(self._lines):
            verdict = line.check()
            if verdict is LinkCheck.SILENT:
                self._on_lost(index, "silent")
            elif verdict is LinkCheck.ROTATE:
                self._open(line)

    # -- REST -----------------------------------------------------------------------------------

    def _ask_instruments(self) -> None:
        self._ask_instruments_ns = -1
        url = self._codec.instruments_url(self._natives)
        self._transport.get(url, self._on_instruments_body)

    def _on_instruments_body(self, answer: HttpAnswer) -> None:
        told = instruments_answered(self._codec, self._natives, answer)
        self.context.directory.tell(self.context.name, told)

    def _on_instruments_answered(self, message: InstrumentsAnswered) -> None:
        if message.error:
            log.info("instruments_unknown", actor=self.context.name, reason=message.error)
            retry_ns = int(INSTRUMENTS_RETRY_S * SECOND_NS)
            self._ask_instruments_ns = self.context.clock.monotonic_ns() + retry_ns
            return
        listed = {instrument.native.upper(): instrument for instrument in message.instruments}
        self._unlisted = tuple(native for native in self._books if native not in listed)
        for native, name in self._books.items():
            self.tell(name, InstrumentKnown(instrument=listed.get(native)))
        for native in self._unlisted:
            log.error("symbol_not_listed", actor=self.context.name, symbol=native)

    def _on_fetch_snapshot(self, message: FetchSnapshot) -> None:
        self._queue.want(message.native_symbol)
        self._fetch()

    def _fetch(self) -> None:
        """Send the next snapshot request, if one waits and may go out."""
        now_ns = self.context.clock.monotonic_ns()
        wait_s = self._queue.wait_s(now_ns)
        if wait_s is None:
            return
        if wait_s > 0:
            if not self._is_fetch_armed:
                self._is_fetch_armed = True
                self.after(wait_s, FetchNext())
            return
        native = self._queue.take(now_ns)
        self._requested += 1
        self.context.counters.add(MarketCounter.SNAPSHOT_REQUESTS, self._codec.venue)
        url = self._codec.snapshot_url(native)
        self._transport.get(url, lambda answer: self._on_snapshot_body(native, answer))
        self._fetch()

    def _on_snapshot_body(self, native: str, answer: HttpAnswer) -> None:
        told = snapshot_answered(self._codec, native, answer)
        self.context.directory.tell(self.context.name, told)

    def _on_snapshot_answered(self, message: SnapshotAnswered) -> None:
        now_ns = self.context.clock.monotonic_ns()
        pause_s = message.retry_after_s
        self._queue.on_answer(message.native_symbol, pause_s=pause_s, now_ns=now_ns)
        if message.refusal:
            self.context.counters.add(MarketCounter.SNAPSHOT_REFUSALS, self._codec.venue)
        self.tell(self._books[message.native_symbol.upper()], message)
        self._fetch()

    def _on_read_feed(self) -> FeedState:
        down = [line.reason for line in self._lines if not line.is_connected]
        return FeedState(
            venue=self._codec.venue,
            is_connected=not down,
            reason="; ".join(down),
            urls=tuple(line.address for line in self._lines),
            frames=self._frames,
            unrouted=self._unrouted,
            sockets_opened=self._sockets_opened,
            snapshots_requested=self._requested,
            native_symbols=self._natives,
            unlisted=self._unlisted,
        )
