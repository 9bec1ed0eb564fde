"""Bars: OHLCV of a span of venue time, exact; how they add up, and which of two is believed."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market import fixed_point
from stevie.domain.market.core import Scale
from stevie.domain.market.fixed_point import UNITS_MAX, NumberError

MINUTE_NS = 60_000_000_000
TIMEFRAMES: dict[Timeframe, int] = {
    "1m": MINUTE_NS,
    "5m": 5 * MINUTE_NS,
    "15m": 15 * MINUTE_NS,
    "1h": 60 * MINUTE_NS,
    "4h": 240 * MINUTE_NS,
    "1d": 1440 * MINUTE_NS,
}
BASE: Timeframe = "1m"
# Each is rolled up from the one below it: six bars at the most.
PARENTS: dict[Timeframe, Timeframe] = dict(pairwise(TIMEFRAMES))
CHILDREN: dict[Timeframe, Timeframe] = {parent: child for child, parent in PARENTS.items()}

Number = tuple[int, int]
"""A mantissa and its decimals, as `fixed_point.read` gives them."""
Source = Literal["trades", "klines"]


class Bar(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was traded in a span that began at `opened_ns`, in ticks and lots of its scale."""

    opened_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    trades: int
    scale: Scale

    def at(self, scale: Scale) -> "Bar":
        """The same in ticks and lots at least this fine; NumberError if that does not fit."""
        finest = self.scale.finest(scale)
        if finest == self.scale:
            return self
        own, new = self.scale, finest
        ticks = [
            fixed_point.rescale(each, own.price_decimals, new.price_decimals)
            for each in (self.open_ticks, self.high_ticks, self.low_ticks, self.close_ticks)
        ]
        return Bar(
            opened_ns=self.opened_ns,
            open_ticks=ticks[0],
            high_ticks=ticks[1],
            low_ticks=ticks[2],
            close_ticks=ticks[3],
            volume_lots=fixed_point.rescale(self.volume_lots, own.size_decimals, new.size_decimals),
            trades=self.trades,
            scale=new,
        )

    def is_same(self, other: "Bar") -> bool:
        """Whether the two say the same, however finely they count."""
        finest = self.scale.finest(other.scale)
        return self.at(finest) == other.at(finest)


def opened(at_ns: int, timeframe: Timeframe) -> int:
    """When the bar around a moment begins; days begin at midnight UTC."""
    return at_ns - at_ns % TIMEFRAMES[timeframe]


def exact_bar(
    *, opened_ns: int, prices: tuple[Number, Number, Number, Number], volume: Number, trades: int
) -> Bar:
    """A bar of numbers as they were written; prices are open, high, low, close.

    ValueError if they contradict each other, NumberError if they do not fit.
    """
    scale = Scale(max(decimals for _, decimals in prices), volume[1])
    ticks = [fixed_point.rescale(*price, scale.price_decimals) for price in prices]
    first, high, low, last = ticks
    if not 0 < low <= min(first, last) <= max(first, last) <= high:
        raise ValueError(f"expected 0 < low <= open, close <= high, was {ticks}")
    return Bar(
        opened_ns=opened_ns,
        open_ticks=first,
        high_ticks=high,
        low_ticks=low,
        close_ticks=last,
        volume_lots=volume[0],
        trades=trades,
        scale=scale,
    )


def flat_bar(before: Bar, opened_ns: int) -> Bar:
    """A span in which nothing was traded, as venues tell of one: all prices are the last close."""
    close = before.close_ticks
    return Bar(
        opened_ns=opened_ns,
        open_ticks=close,
        high_ticks=close,
        low_ticks=close,
        close_ticks=close,
        volume_lots=0,
        trades=0,
        scale=before.scale,
    )


def rolled_up(bars: Sequence[Bar], opened_ns: int) -> Bar:
    """Consecutive bars as one, exactly; NumberError if the sum does not fit."""
    scale = bars[0].scale
    for bar in bars:
        scale = scale.finest(bar.scale)
    parts = [bar.at(scale) for bar in bars]
    volume = sum(bar.volume_lots for bar in parts)
    if volume > UNITS_MAX:
        raise NumberError(f"a volume of {volume} lots is past {UNITS_MAX}")
    return Bar(
        opened_ns=opened_ns,
        open_ticks=parts[0].open_ticks,
        high_ticks=max(bar.high_ticks for bar in parts),
        low_ticks=min(bar.low_ticks for bar in parts),
        close_ticks=parts[-1].close_ticks,
        volume_lots=volume,
        trades=sum(bar.trades for bar in parts),
        scale=scale,
    )


class KnownBar(NamedTuple):
    """A bar, since when it is known, and where from."""

    bar: Bar
    known_ns: int
    source: Source
    is_seen: bool  # built from trades, none of which was missed


def believed(held: KnownBar | None, told: KnownBar) -> KnownBar:
    """Which of two tellings of one bar counts.

    Trades that we saw whole count more than klines, and klines more than what we may have missed a
    part of. A telling that changes nothing leaves the bar known since when it was known.
    """
    if held is None or (told.is_seen and not held.bar.is_same(told.bar)):
        return told
    if held.bar.is_same(told.bar):
        return held._replace(is_seen=held.is_seen or told.is_seen)
    return held if held.is_seen else told


def bar_row(known: KnownBar, *, venue: str, symbol: str, timeframe: Timeframe) -> BarRow:
    """The row that keeps it."""
    bar = known.bar
    return BarRow(
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        opened_ns=bar.opened_ns,
        closed_ns=bar.opened_ns + TIMEFRAMES[timeframe],
        known_ns=known.known_ns,
        open_ticks=bar.open_ticks,
        high_ticks=bar.high_ticks,
        low_ticks=bar.low_ticks,
        close_ticks=bar.close_ticks,
        volume_lots=bar.volume_lots,
        trades=bar.trades,
        price_decimals=bar.scale.price_decimals,
        size_decimals=bar.scale.size_decimals,
        source=known.source,
    )


def known_bar(row: BarRow) -> KnownBar:
    """What a row keeps; whether nothing was missed of it is not for a row to say."""
    bar = Bar(
        opened_ns=row.opened_ns,
        open_ticks=row.open_ticks,
        high_ticks=row.high_ticks,
        low_ticks=row.low_ticks,
        close_ticks=row.close_ticks,
        volume_lots=row.volume_lots,
        trades=row.trades,
        scale=Scale(row.price_decimals, row.size_decimals),
    )
    return KnownBar(bar, row.known_ns, row.source, is_seen=False)
