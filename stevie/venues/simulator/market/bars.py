"""Minute bars of one listing: those that happened, and an invented past before the start."""

import math
from collections import deque
from collections.abc import Iterable
from random import Random

import msgspec

from stevie.venues.simulator.market.takers import Trade

MINUTE_NS = 60_000_000_000
BARS_MAX = 3 * 24 * 60  # three days: 1,500 bars, the most a venue answers, and whole days beside


class Bar(msgspec.Struct, kw_only=True):
    """Trades of a span of time, summed up. Volumes are in lots, values in ticks times lots."""

    open_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    first_trade_id: int = -1
    last_trade_id: int = -1
    lots: int = 0
    value: int = 0
    trades: int = 0
    taker_buy_lots: int = 0
    taker_buy_value: int = 0

    def add(self, trade: Trade) -> None:
        """Count one more trade."""
        if not self.trades:
            self.open_ticks = self.high_ticks = self.low_ticks = trade.ticks
            self.first_trade_id = trade.trade_id
        self.high_ticks = max(self.high_ticks, trade.ticks)
        self.low_ticks = min(self.low_ticks, trade.ticks)
        self.close_ticks = trade.ticks
        self.last_trade_id = trade.trade_id
        self._add_volume(
            lots=trade.lots,
            value=trade.ticks * trade.lots,
            trades=1,
            is_taker_buy=not trade.buyer_is_maker,
        )

    def _add_volume(self, *, lots: int, value: int, trades: int, is_taker_buy: bool) -> None:
        self.lots += lots
        self.value += value
        self.trades += trades
        if is_taker_buy:
            self.taker_buy_lots += lots
            self.taker_buy_value += value


def quiet_bar(*, open_ns: int, ticks: int) -> Bar:
    """Return the bar of a span without trades so far."""
    return Bar(
        open_ns=open_ns, open_ticks=ticks, high_ticks=ticks, low_ticks=ticks, close_ticks=ticks
    )


def merged(bars: Iterable[Bar], *, open_ns: int) -> Bar:
    """Sum up consecutive bars as one."""
    parts = list(bars)
    assert parts, open_ns
    traded = [bar for bar in parts if bar.trades]
    return Bar(
        open_ns=open_ns,
        open_ticks=parts[0].open_ticks,
        high_ticks=max(bar.high_ticks for bar in parts),
        low_ticks=min(bar.low_ticks for bar in parts),
        close_ticks=parts[-1].close_ticks,
        first_trade_id=traded[0].first_trade_id if traded else -1,
        last_trade_id=traded[-1].last_trade_id if traded else -1,
        lots=sum(bar.lots for bar in parts),
        value=sum(bar.value for bar in parts),
        trades=sum(bar.trades for bar in parts),
        taker_buy_lots=sum(bar.taker_buy_lots for bar in parts),
        taker_buy_value=sum(bar.taker_buy_value for bar in parts),
    )


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What the invented bars before the start look like."""

    ticks: int
    """Where the price was when the market began: the close of the last invented bar."""
    first_trade_id: int
    volatility_bps: float
    """Of one minute's log return."""
    lots_per_minute: float
    trades_per_minute: float


class Bars:
    """Minute bars, the newest one still growing."""

    def __init__(self, *, start_ns: int, past: Past, rng: Random) -> None:
        self.current = quiet_bar(open_ns=start_ns - start_ns % MINUTE_NS, ticks=past.ticks)
        self.last_closed: Bar | None = None
        self._start_ns = self.current.open_ns
        self._happened: deque[Bar] = deque(maxlen=BARS_MAX)
        self._past = past
        self._rng = rng
        self._invented: list[Bar] | None = None

    def add(self, trades: Iterable[Trade]) -> None:
        """Count a step's trades into the current bar."""
        for trade in trades:
            self.current.add(trade)

    def roll(self, now_ns: int) -> None:
        """Close the bars whose minute is over."""
        while now_ns >= self.current.open_ns + MINUTE_NS:
            self.last_closed = self.current
            self._happened.append(self.current)
            self.current = quiet_bar(
                open_ns=self.current.open_ns + MINUTE_NS, ticks=self.current.close_ticks
            )

    def minutes(self) -> list[Bar]:
        """Return all known minute bars, oldest first, the current one last."""
        happened = [*self._happened, self.current]
        if happened[0].open_ns > self._start_ns:
            return happened
        return [*self._invented_past()[len(happened) - 1 :], *happened]

    def _invented_past(self) -> list[Bar]:
        # Made when first asked for: start-up stays quick and most runs never ask.
        if self._invented is None:
            bars: list[Bar] = []
            newer = self.current if not self._happened else self._happened[0]
            close, next_id = self._past.ticks, self._past.first_trade_id
            for minute in range(1, BARS_MAX):
                bar = self._invent(newer.open_ns - minute * MINUTE_NS, close, next_id)
                bars.append(bar)
                close, next_id = bar.open_ticks, bar.first_trade_id
            self._invented = bars[::-1]
        return self._invented

    def _invent(self, open_ns: int, close: int, next_trade_id: int) -> Bar:
        sigma = self._past.volatility_bps * 1e-4
        opened = max(1, round(close * math.exp(self._rng.gauss(0.0, sigma))))
        wick = 1.0 + abs(self._rng.gauss(0.0, sigma / 2))
        lots = max(2, round(self._past.lots_per_minute * self._rng.lognormvariate(-0.125, 0.5)))
        count = max(1, round(self._past.trades_per_minute * self._rng.uniform(0.7, 1.3)))
        bought = round(lots * self._rng.uniform(0.3, 0.7))
        middle = (opened + close) // 2
        return Bar(
            open_ns=open_ns,
            open_ticks=opened,
            high_ticks=round(max(opened, close) * wick),
            low_ticks=max(1, round(min(opened, close) / wick)),
            close_ticks=close,
            first_trade_id=next_trade_id - count,
            last_trade_id=next_trade_id - 1,
            lots=lots,
            value=lots * middle,
            trades=count,
            taker_buy_lots=bought,
            taker_buy_value=bought * middle,
        )
