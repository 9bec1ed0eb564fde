"""Trades drawn by chance, what they come to by a second reckoning, and klines of the same."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby

from hypothesis import strategies as st

from stevie.domain.contracts.rows import BarRow
from stevie.domain.market.bar_builder import MarketTrade
from stevie.domain.market.bars import MINUTE_NS, Bar, exact_bar, flat_bar
from stevie.domain.market.fixed_point import read, to_text

START_NS = 1_732_320_000_000_000_000  # a midnight
SECOND_NS = 1_000_000_000

Ohlcv = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, int]


def trade(
    trade_id: int, at_s: float, price: str = "100", size: str = "1", **more: object
) -> MarketTrade:
    at_ns = START_NS + round(at_s * SECOND_NS)
    fields = {"kind": "trade", "matches": 1, **more}
    return MarketTrade(
        symbol="BTCUSDT",
        trade_id=trade_id,
        at_ns=at_ns,
        price=read(price),
        size=read(size),
        **fields,
    )


@st.composite
def tapes(draw: st.DrawFn, *, minutes: int = 4) -> list[MarketTrade]:
    """Trades in the venue's own order, numbered one by one; times never go back."""
    times = draw(
        st.lists(st.integers(0, minutes * 60_000 - 1), min_size=1, max_size=40).map(sorted)
    )
    prices = st.sampled_from(["99", "100.5", "100.25", "101.125", "7", "100"])
    sizes = st.sampled_from(["1", "0.5", "2.25", "0.00001", "30"])
    return [
        trade(1000 + number, at_ms / 1000, draw(prices), draw(sizes))
        for number, at_ms in enumerate(times)
    ]


def grouped(trades: Sequence[MarketTrade]) -> dict[int, Ohlcv]:
    """Each minute's bar, by grouping the trades in the order of their time and number."""
    ordered = sorted(trades, key=lambda each: (each.at_ns, each.trade_id))
    by_minute = groupby(ordered, key=lambda each: each.at_ns - each.at_ns % MINUTE_NS)
    return {minute_ns: _reckoned(list(group)) for minute_ns, group in by_minute}


def _reckoned(trades: list[MarketTrade]) -> Ohlcv:
    prices = [Decimal(to_text(*each.price)) for each in trades]
    volume = sum((Decimal(to_text(*each.size)) for each in trades), Decimal())
    count = sum(each.matches for each in trades)
    return prices[0], max(prices), min(prices), prices[-1], volume, count


def numbers(bar: Bar) -> Ohlcv:
    """A bar's own numbers, free of any scale."""
    price, size = bar.scale.price_decimals, bar.scale.size_decimals
    ticks = (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks)
    first, high, low, last = (Decimal(to_text(each, price)) for each in ticks)
    return first, high, low, last, Decimal(to_text(bar.volume_lots, size)), bar.trades


def row_numbers(row: BarRow) -> Ohlcv:
    """The same of a row."""
    ticks = (row.open_ticks, row.high_ticks, row.low_ticks, row.close_ticks)
    first, high, low, last = (Decimal(to_text(each, row.price_decimals)) for each in ticks)
    return first, high, low, last, Decimal(to_text(row.volume_lots, row.size_decimals)), row.trades


def minute_klines(trades: Sequence[MarketTrade], from_ns: int, to_ns: int) -> list[Bar]:
    """What a venue tells of these minutes: flat ones where nothing was traded."""
    reckoned, klines = grouped(trades), [exact_kline(from_ns, next(iter(grouped(trades).values())))]
    for minute_ns in range(from_ns, to_ns, MINUTE_NS):
        told = reckoned.get(minute_ns)
        klines.append(exact_kline(minute_ns, told) if told else flat_bar(klines[-1], minute_ns))
    return klines[1:]


def exact_kline(opened_ns: int, told: Ohlcv) -> Bar:
    first, high, low, last = (read(str(each)) for each in told[:4])
    return exact_bar(
        opened_ns=opened_ns,
        prices=(first, high, low, last),
        volume=read(str(told[4])),
        trades=told[5],
    )
