"""Messages of the market: 1 feed, 2 book, 3 features."""

from collections.abc import Hashable
from itertools import chain
from typing import ClassVar, Self

from stevie.domain.market.book import BookCounts, Checkpoint
from stevie.domain.market.core import CoreView
from stevie.domain.market.features import Features
from stevie.domain.market.fresh_book import Certificate, FreshBook
from stevie.domain.market.instrument import Instrument
from stevie.runtime.message import Delivery, Message

# -- 1 feed: from the wire -----------------------------------------------------------------------


class ConnectionOpened(Message, frozen=True, kw_only=True, gc=False):
    """A WebSocket is open; `connection` counts the feed's connections."""

    connection: int


class FramesReceived(Message, frozen=True, kw_only=True, gc=False):
    """Whole text frames, in order, each with its receive time: to a feed, and on to a book.

    Receive times are of the monotonic clock, like every `*_ns` between actors unless it says
    otherwise: ages and windows must not jump with the wall clock.
    """

    delivery: ClassVar[Delivery] = Delivery.BATCH

    frames: tuple[bytes, ...]
    received_ns: tuple[int, ...]
    connections: tuple[int, ...] = ()  # those that brought them

    def size_bytes(self) -> int:
        """What the frames weigh."""
        return sum(map(len, self.frames))

    @classmethod
    def fold(cls, messages: tuple[Self, ...]) -> Self:
        """Several as one."""
        flat = chain.from_iterable
        return cls(
            frames=tuple(flat(message.frames for message in messages)),
            received_ns=tuple(flat(message.received_ns for message in messages)),
            connections=tuple(dict.fromkeys(flat(message.connections for message in messages))),
        )

    @classmethod
    def loss(cls, *, lost_count: int, lost_bytes: int) -> "FramesLost":
        """What stands in the place of frames that a full mailbox dropped."""
        return FramesLost(lost_count=lost_count, lost_bytes=lost_bytes)


class FramesLost(Message, frozen=True, kw_only=True, gc=False):
    """A full mailbox dropped batches of frames: a declared gap."""

    lost_count: int
    lost_bytes: int


class ConnectionHeard(Message, frozen=True, kw_only=True, gc=False):
    """The venue sent a ping or a pong."""

    connection: int


class ConnectionClosed(Message, frozen=True, kw_only=True, gc=False):
    """A WebSocket ended, or never came to be."""

    connection: int
    code: int
    reason: str


class InstrumentsAnswered(Message, frozen=True, kw_only=True, gc=False):
    """The venue's list of instruments came, or `error` says why not."""

    instruments: tuple[Instrument, ...] = ()
    error: str = ""


class SnapshotAnswered(Message, frozen=True, kw_only=True, gc=False):
    """A REST depth request ended; `refusal` is the venue's reason, or "" with a body."""

    native_symbol: str
    body: bytes
    level_limit: int
    refusal: str = ""
    is_not_listed: bool = False
    retry_after_s: float = 0.0


class CheckConnection(Message, frozen=True, kw_only=True, gc=False):
    """A feed's timer: is the venue still there?"""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


class Reconnect(Message, frozen=True, kw_only=True, gc=False):
    """A feed's timer: the back-off of one of its lines is over."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    line: int


class RetireConnection(Message, frozen=True, kw_only=True, gc=False):
    """A feed's timer: a replaced connection has overlapped long enough with its successor."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    line: int


class FetchNext(Message, frozen=True, kw_only=True, gc=False):
    """A feed's timer: the next snapshot request may go out."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


class ReadFeed(Message, frozen=True, kw_only=True, gc=False):
    """How is the feed? Answered with FeedState."""


class FeedState(Message, frozen=True, kw_only=True, gc=False):
    """A feed as it is."""

    venue: str
    is_connected: bool
    reason: str
    urls: tuple[str, ...]
    frames: int
    unrouted: int
    sockets_opened: int
    snapshots_requested: int
    native_symbols: tuple[str, ...]
    unlisted: tuple[str, ...]


# -- 2 book: from the feed -----------------------------------------------------------------------


class BookStarted(Message, frozen=True, kw_only=True, gc=False):
    """A book tells its feed that it is there; answered with BookConnected if the venue is."""

    native_symbol: str


class BookConnected(Message, frozen=True, kw_only=True, gc=False):
    """The feed's connection is open: a new epoch begins."""


class BookDisconnected(Message, frozen=True, kw_only=True, gc=False):
    """The feed lost its venue."""

    reason: str


class FetchSnapshot(Message, frozen=True, kw_only=True, gc=False):
    """A book asks its feed for a REST snapshot."""

    native_symbol: str


class InstrumentKnown(Message, frozen=True, kw_only=True, gc=False):
    """The venue's own steps for this book; None if it does not list it."""

    instrument: Instrument | None


class RetrySnapshot(Message, frozen=True, kw_only=True, gc=False):
    """A book's timer: ask for a snapshot again."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


class QuietSince(Message, frozen=True, kw_only=True, gc=False):
    """A book's timer: no delta came since its epoch began."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    epoch: int


class PublishDue(Message, frozen=True, kw_only=True, gc=False):
    """A book's timer: what was folded may be published."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    is_idle: bool = False  # the regular one, for books that do not change


class WatchCheckpoints(Message, frozen=True, kw_only=True, gc=False):
    """Note the top of the book whenever so many deltas were applied."""

    applied_counts: tuple[int, ...]


class ReadBook(Message, frozen=True, kw_only=True, gc=False):
    """What does the book hold? Answered with BookRead, whatever its state."""

    depth: int = 20


class BookRead(Message, frozen=True, kw_only=True):
    """A book as it is; its levels are of use to a trader only while it is LIVE."""

    instrument: Instrument
    state: str
    reason: str
    detail: str
    kernel: str
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    certificate: Certificate
    view: CoreView
    counts: BookCounts
    checkpoints: tuple[Checkpoint, ...]
    now_ns: int
    state_since_ns: int


class BookChanged(Message, frozen=True, kw_only=True, gc=False):
    """A book moved; `book` is None unless it is LIVE."""

    delivery: ClassVar[Delivery] = Delivery.LATEST

    venue: str
    symbol: str
    state: str
    reason: str
    book: FreshBook | None

    def conflation_key(self) -> Hashable:
        """The newest per book is the one that counts."""
        return self.venue, self.symbol


# -- 3 features ----------------------------------------------------------------------------------


class FeaturesChanged(Message, frozen=True, kw_only=True, gc=False):
    """The features of one LIVE book, as of `at_ns`."""

    delivery: ClassVar[Delivery] = Delivery.LATEST

    venue: str
    symbol: str
    features: Features
    price_decimals: int
    window_ns: int
    at_ns: int

    def conflation_key(self) -> Hashable:
        """The newest per book is the one that counts."""
        return self.venue, self.symbol


class ReadMarket(Message, frozen=True, kw_only=True, gc=False):
    """What do all venues say of a symbol? Answered with MarketState, or UnknownSymbolError."""

    symbol: str
    depth: int = 10


class VenueReading(Message, frozen=True, kw_only=True):
    """One venue's part of a MarketState; features are None unless its book is LIVE."""

    venue: str
    state: str
    reason: str
    features: Features | None
    features_at_ns: int
    window_ns: int
    price_decimals: int


class MarketState(Message, frozen=True, kw_only=True):
    """A symbol over all venues; levels are (ticks, lots, venue) on one common scale."""

    symbol: str
    now_ns: int
    price_decimals: int
    size_decimals: int
    bids: tuple[tuple[int, int, str], ...]
    asks: tuple[tuple[int, int, str], ...]
    imbalance: float | None
    venues: tuple[VenueReading, ...]


# -- 2 book: what it records ---------------------------------------------------------------------

# -- 1 feed ---------------------------------------------------------------------------------------


class BodyUnreadable(Message, frozen=True, kw_only=True, gc=False):
    """A REST answer that breaks its contract: from the transport's greenlet to the feed."""

    contract: str
    reason: str
    body: bytes


# -- 2 book ---------------------------------------------------------------------------------------


class JournalDue(Message, frozen=True, kw_only=True, gc=False):
    """A book's timer: the next row of its journal may be made.

    Before any frames that wait: so a journal grows by one batch at the most before it is written.
    """

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    is_timer: bool = False  # what has waited for long enough becomes a row, however little it is
