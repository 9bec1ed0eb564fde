"""What the bars need from the outside world; `venues` and `adapters` fulfil it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market.bar_builder import MarketTrade
from stevie.domain.market.bars import Bar


class BarCodec(Protocol):
    """Trades and klines of one venue; pure. ValueError is what it says of bytes it cannot read."""

    def klines_url(
        self, native_symbol: str, timeframe: Timeframe, *, limit: int, end_ms: int
    ) -> str:
        """The REST request of the newest klines that opened at `end_ms` or before."""

    def read_klines(self, body: bytes, timeframe: Timeframe) -> tuple[Bar, ...]:
        """The klines of an answer, oldest first; the last one may not be over."""

    def trades_among(self, frames: Sequence[bytes]) -> tuple[bytes, ...]:
        """Those of these frames that are trades, without reading any."""

    def read_trades(self, frames: Sequence[bytes]) -> tuple[list[MarketTrade], int]:
        """The trades of such frames, and how many frames were malformed."""


class BarKey(NamedTuple):
    """The bars of one symbol in one timeframe."""

    venue: str
    symbol: str
    timeframe: Timeframe


class BarRecall(Protocol):
    """Reads stored bars, never blocking its caller."""

    def read(
        self,
        keys: Sequence[BarKey],
        *,
        limit: int,
        on_rows: Callable[[BarKey, tuple[BarRow, ...], bool], None],
    ) -> None:
        """The newest bars of each key, in slices; the last one of each says so, whatever happens.

        What cannot be read is told as no bars.
        """
