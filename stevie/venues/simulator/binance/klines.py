"""Klines of every interval, summed up from minute bars."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby

from stevie.venues.simulator.binance.numerals import Numerals
from stevie.venues.simulator.market.bars import MINUTE_NS, Bar, Bars, merged

NS_PER_MS = 1_000_000
DAY_MINUTES = 1_440
_MINUTES = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": DAY_MINUTES,
    "3d": 3 * DAY_MINUTES,
    "1w": 7 * DAY_MINUTES,
}
MONTH = "1M"
INTERVALS = (*_MINUTES, MONTH)
_FIRST_MONDAY_NS = 4 * DAY_MINUTES * MINUTE_NS  # 1970-01-05: weeks begin on Mondays


def span_ns(interval: str, at_ns: int) -> tuple[int, int]:
    """Return when the interval around a time begins, and when the next one does."""
    if interval == MONTH:
        return _month_ns(at_ns)
    length = _MINUTES[interval] * MINUTE_NS
    anchor = _FIRST_MONDAY_NS if interval == "1w" else 0
    begin = at_ns - (at_ns - anchor) % length
    return begin, begin + length


def klines(bars: Bars, interval: str) -> list[Bar]:
    """Return the known bars of an interval, oldest first; the oldest may be cut off."""
    minutes = bars.minutes()
    if interval == "1m":
        return minutes
    begin_of = _begin_of(interval)
    return [merged(group, open_ns=open_ns) for open_ns, group in groupby(minutes, key=begin_of)]


def whole_klines(bars: Bars, interval: str) -> list[Bar]:
    """Return the same without one whose beginning is forgotten, unless there is no other."""
    known = klines(bars, interval)
    if len(known) == 1 or bars.minutes()[0].open_ns == span_ns(interval, known[0].open_ns)[0]:
        return known
    return known[1:]


def growing_kline(bars: Bars, interval: str) -> Bar:
    """Return the bar that is not over yet."""
    # The one-minute stream, which most follow, must not make the listing invent its past.
    return bars.current if interval == "1m" else klines(bars, interval)[-1]


def closed_kline(bars: Bars, interval: str) -> Bar:
    """Return the newest bar that is over."""
    if interval == "1m" and bars.last_closed is not None:
        return bars.last_closed
    return klines(bars, interval)[-2]


def kline_array(bar: Bar, interval: str, numerals: Numerals) -> str:
    """Write one bar as REST does."""
    close_ms = span_ns(interval, bar.open_ns)[1] // NS_PER_MS - 1
    price, size, value = numerals.price, numerals.size, numerals.value
    return (
        f'[{bar.open_ns // NS_PER_MS},"{price(bar.open_ticks)}","{price(bar.high_ticks)}",'
        f'"{price(bar.low_ticks)}","{price(bar.close_ticks)}","{size(bar.lots)}",{close_ms},'
        f'"{value(bar.value)}",{bar.trades},"{size(bar.taker_buy_lots)}",'
        f'"{value(bar.taker_buy_value)}","0"]'
    )


def kline_object(
    bar: Bar, interval: str, numerals: Numerals, *, symbol: str, is_closed: bool
) -> str:
    """Write one bar as the stream does."""
    close_ms = span_ns(interval, bar.open_ns)[1] // NS_PER_MS - 1
    price, size, value = numerals.price, numerals.size, numerals.value
    return (
        f'{{"t":{bar.open_ns // NS_PER_MS},"T":{close_ms},"s":"{symbol}","i":"{interval}",'
        f'"f":{bar.first_trade_id},"L":{bar.last_trade_id},"o":"{price(bar.open_ticks)}",'
        f'"c":"{price(bar.close_ticks)}","h":"{price(bar.high_ticks)}",'
        f'"l":"{price(bar.low_ticks)}","v":"{size(bar.lots)}","n":{bar.trades},'
        f'"x":{"true" if is_closed else "false"},"q":"{value(bar.value)}",'
        f'"V":"{size(bar.taker_buy_lots)}","Q":"{value(bar.taker_buy_value)}","B":"0"}}'
    )


def _begin_of(interval: str) -> Callable[[Bar], int]:
    return lambda bar: span_ns(interval, bar.open_ns)[0]


def _month_ns(at_ns: int) -> tuple[int, int]:
    first = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).replace(
        day=1, hour=0, minute=0, second=0
    )
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp()) * 10**9, int(following.timestamp()) * 10**9
