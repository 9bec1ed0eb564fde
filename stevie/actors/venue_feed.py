"""VenueFeed: one venue's connections, and whose frame is whose.

Receives  ConnectionOpened, FramesReceived, FramesLost, ConnectionHeard, ConnectionClosed (from the
          transport), InstrumentsAnswered, SnapshotAnswered, BookStarted, FetchSnapshot (from its
          books), BodyUnreadable, CheckConnection, Reconnect, RetireConnection, FetchNext (its
          timers), ReadFeed.
Answers   FeedState.
State     a link per connection of the venue's plan; the snapshot requests that wait.
"""

from collections.abc import Iterable
from typing import assert_never

import msgspec
import structlog

from stevie.actors.feed_answers import instruments_answered
from stevie.actors.feed_frames import sort_frames
from stevie.actors.feed_line import FeedLine, LineEvent
from stevie.actors.feed_records import MUTE_REASON, FeedRecords
from stevie.actors.feed_snapshots import FeedSnapshots
from stevie.actors.market_counters import MarketCounter
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.link import SECOND_NS, LinkCheck, LinkLimits
from stevie.domain.market.mute import MUTE_AFTER_S, MuteWatch
from stevie.messages.bars import TradeFramesReceived, TradesInterrupted
from stevie.messages.market import (
    BodyUnreadable,
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
    | BodyUnreadable
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
    mute_after_s: float = MUTE_AFTER_S
    records: bool = False  # whether store and auditor are there
    bars: bool = False  # whether the venue's bars are


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
        self._snapshots = FeedSnapshots(
            context,
            self.after,
            codec=codec,
            transport=transport,
            in_flight_max=settings.snapshots_in_flight_max,
        )
        self._sockets_opened = self._frames = self._unrouted = 0
        self._bars = f"bars/{codec.venue}" if settings.bars else ""
        self._mute = MuteWatch(settings.mute_after_s)
        self._records = FeedRecords(context, codec, is_recorded=settings.records)
        self._unlisted: tuple[str, ...] = ()
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
                self._snapshots.want(message.native_symbol)
            case BodyUnreadable():
                self._records.on_unreadable(message)
            case CheckConnection():
                self._on_check_connection()
            case Reconnect():
                self._open(self._lines[message.line])
            case RetireConnection():
                self._lines[message.line].retire()
            case FetchNext():
                self._snapshots.resume()
            case ReadFeed():
                return self._on_read_feed()
            case _:
                assert_never(message)
        return None

    # -- frames ---------------------------------------------------------------------------------

    def _on_frames_received(self, message: FramesReceived) -> None:
        """Sort frames by book, in order, and pass each book its own as one batch."""
        self._note_heard(message.connections)
        self._mute.on_frames(message.connections)
        routes = self._codec.route_all(message.frames)
        batches, strays, trades = sort_frames(
            message, routes, self._books, wants_trades=bool(self._bars)
        )
        for name, batch in batches.items():
            self.tell(name, batch)
        if trades:
            self.tell(self._bars, TradeFramesReceived(frames=tuple(trades)))
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
            self._records.on_odd_frame(kind, frame)
        if kind == "shutdown":
            for line in self._lines:
                self._open(line)

    def _on_frames_lost(self, message: FramesLost) -> None:
        self.context.counters.add(
            MarketCounter.FEED_FRAMES_LOST, self._codec.venue, by=message.lost_count
        )
        self._tell_books(message)
        self._interrupt_trades("frames were lost")

    def _tell_books(self, message: Message) -> None:
        for name in self._books.values():
            self.tell(name, message)

    def _interrupt_trades(self, reason: str) -> None:
        if self._bars:
            self.tell(self._bars, TradesInterrupted(reason=reason))

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
            self._records.on_connected(line.address)
            self._mute.on_open(index, message.connection, self.context.clock.monotonic_ns())
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
        if line.plan.carries_trades:
            self._interrupt_trades(reason)
        self._mute.on_lost(index)
        self._records.on_lost(line.address, line.reason, retry_s=delay_s)

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
        for index in self._mute.check(self.context.clock.monotonic_ns()):
            self._records.on_mute(self._lines[index].address)

    # -- REST -----------------------------------------------------------------------------------

    def _ask_instruments(self) -> None:
        self._ask_instruments_ns = -1
        url = self._codec.instruments_url(self._natives)
        self._transport.get(url, self._on_instruments_body)

    def _on_instruments_body(self, answer: HttpAnswer) -> None:
        for told in instruments_answered(self._codec, self._natives, answer):
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

    def _on_snapshot_answered(self, message: SnapshotAnswered) -> None:
        self.tell(self._books[message.native_symbol.upper()], message)
        self._snapshots.on_answered(message)

    def _on_read_feed(self) -> FeedState:
        down = [line.reason for line in self._lines if not line.is_connected]
        down += [MUTE_REASON for _ in self._mute.mute]
        return FeedState(
            venue=self._codec.venue,
            is_connected=not down,
            reason="; ".join(down),
            urls=tuple(line.address for line in self._lines),
            frames=self._frames,
            unrouted=self._unrouted,
            sockets_opened=self._sockets_opened,
            snapshots_requested=self._snapshots.requested,
            native_symbols=self._natives,
            unlisted=self._unlisted,
        )
