"""OHLCV: one bar, an item of what GET /api/bars/{venue}/{symbol} answers."""

from decimal import Decimal
from typing import Literal

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.rows import Timeframe
from stevie.domain.contracts.values import (
    Count,
    DecimalText,
    PositiveText,
    Symbol,
    Timestamp,
    Word,
)


class BarDocument(Document, frozen=True, kw_only=True):
    """One bar: prices in the quote asset, volume in the base asset."""

    venue: Word
    symbol: Symbol
    timeframe: Timeframe
    opened_at: Timestamp
    closed_at: Timestamp
    known_at: Timestamp
    open: PositiveText
    high: PositiveText
    low: PositiveText
    close: PositiveText
    volume: DecimalText
    trades: Count
    source: Literal["trades", "klines"]

    @rule
    def low_and_high_enclose(self) -> bool:
        """Open and close lie within low and high."""
        low, high = Decimal(self.low), Decimal(self.high)
        return all(low <= Decimal(price) <= high for price in (self.open, self.close))

    @rule
    def closes_after_it_opens(self) -> bool:
        """closed_at is after opened_at."""
        return self.opened_at < self.closed_at

    @rule
    def known_once_closed(self) -> bool:
        """A bar is not known before it closed: known_at is not before closed_at."""
        return self.known_at >= self.closed_at
