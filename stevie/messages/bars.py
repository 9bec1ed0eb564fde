"""Messages of the bars: trades in, klines in, bars out."""

from typing import ClassVar, Self

from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market.bars import Bar
from stevie.runtime.message import Delivery, Message

# -- 3 features: bars -----------------------------------------------------------------------------


class TradeFramesReceived(Message, frozen=True, kw_only=True, gc=False):
    """Frames of trades, in order: from a feed to its venue's bars."""

    delivery: ClassVar[Delivery] = Delivery.BATCH

    frames: tuple[bytes, ...]

    def size_bytes(self) -> int:
        """What the frames weigh."""
        return sum(map(len, self.frames))

    @classmethod
    def fold(cls, messages: tuple[Self, ...]) -> Self:
        """Several as one."""
        return cls(frames=tuple(frame for message in messages for frame in message.frames))

    @classmethod
    def loss(cls, *, lost_count: int, lost_bytes: int) -> "TradesInterrupted":
        """What stands in the place of trades that a full mailbox dropped."""
        return TradesInterrupted(reason=f"{lost_count} batches of {lost_bytes} bytes were dropped")


class TradesInterrupted(Message, frozen=True, kw_only=True, gc=False):
    """Trades may be missed from here on: the feed lost the venue, or a full mailbox trades."""

    reason: str


class KlinesAnswered(Message, frozen=True, kw_only=True, gc=False):
    """A request for klines ended; `refusal` says why there are none, "" if there are.

    Oldest first; the last one may not be over.
    """

    native_symbol: str
    timeframe: Timeframe
    limit: int
    bars: tuple[Bar, ...] = ()
    refusal: str = ""
    retry_after_s: float = 0.0


class BarsRecalled(Message, frozen=True, kw_only=True, gc=False):
    """Some of a symbol's bars as they were stored before; `is_last` if no more of them come."""

    native_symbol: str
    timeframe: Timeframe
    rows: tuple[BarRow, ...]
    is_last: bool


class CloseBars(Message, frozen=True, kw_only=True, gc=False):
    """A timer of the bars: close what time has closed."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


class FetchKlines(Message, frozen=True, kw_only=True, gc=False):
    """A timer of the bars: the next request may go out."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


class RetryKlines(Message, frozen=True, kw_only=True, gc=False):
    """A timer of the bars: what was refused may be asked for again."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    native_symbol: str
    timeframe: Timeframe


class ReadBars(Message, frozen=True, kw_only=True, gc=False):
    """Which are the newest bars of a symbol? Answered with BarsState."""

    symbol: str
    timeframe: Timeframe
    limit: int


class BarsState(Message, frozen=True, kw_only=True, gc=False):
    """Closed bars, oldest first, and the one under way: what is known of it may change."""

    closed: tuple[BarRow, ...]
    growing: BarRow | None


class ReadBarSync(Message, frozen=True, kw_only=True, gc=False):
    """When were the bars last synchronized? Answered with BarSyncState."""


class BarSyncState(Message, frozen=True, kw_only=True, gc=False):
    """By symbol, the wall-clock time at which a bar was last closed or back-filled; 0: never."""

    venue: str
    synced_ns: tuple[tuple[str, int], ...]
