"""Microstructure features of one book: the specification that `native/micro.cpp` repeats.

Every sum is kept in integers, so it is exact whatever the order and never drifts; each feature is
then one short float expression, the same in both languages, so that they agree bit for bit.

`obi` is the order-book imbalance over the top levels; `ofi` the order-flow imbalance of Cont,
Kukanov and Stoikov (2014) in base units; `ti` the trade imbalance, signed over absolute aggressor
volume; `micro_vol` the root of the summed squared log returns of the weighted mid. The last three
come over a window of time (`_time`) and over a window of events (`_count`).
"""

import math
from collections import deque
from typing import NamedTuple

import msgspec

from stevie.domain.market.ladder import Level

OBI_LEVELS_MAX = 1000  # what the venues' own snapshots hold
WINDOW_NS_MAX = 24 * 3600 * 10**9  # a day: far beyond what WINDOW_ENTRIES_MAX events can fill
WINDOW_ENTRIES_MAX = 8192  # a time window's bound: over 800 events a second for ten seconds
RETURN_SCALE = 2**62  # squared returns are summed in units of 2**-62: exact, and 1.0 fits an int64


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the features look at."""

    obi_levels: int = 5
    window_ns: int = 10_000_000_000
    window_events: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.obi_levels <= OBI_LEVELS_MAX:
            raise ValueError(f"expected obi_levels 1 to {OBI_LEVELS_MAX}, was {self.obi_levels}")
        if not 1 <= self.window_ns <= WINDOW_NS_MAX:
            raise ValueError(f"expected window_ns 1 to {WINDOW_NS_MAX}, was {self.window_ns}")
        if not 1 <= self.window_events <= WINDOW_ENTRIES_MAX:
            raise ValueError(
                f"expected window_events 1 to {WINDOW_ENTRIES_MAX}, was {self.window_events}"
            )


class Features(NamedTuple):
    """One reading; a value is None where it is undefined, an age -1 before the first event.

    `touched_*` tells that a window reaches back over a break of continuity (start, gap, resync).
    """

    obi: float | None
    spread_bps: float | None
    weighted_mid: float | None  # in ticks
    ofi_time: float
    ofi_count: float
    ti_time: float | None
    ti_count: float | None
    micro_vol_time: float
    micro_vol_count: float
    trades_per_s: float
    depth_age_ns: int
    trade_age_ns: int
    touched_time: int
    touched_depth_count: int
    touched_trade_count: int


class Window:
    """Sums of integers, plain and absolute, over the last `span_ns` and over the last `events`."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._span_ns, self._events = spec.window_ns, spec.window_events
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._by_time: deque[tuple[int, int]] = deque()
        self._by_count: deque[int] = deque()
        self.time_sum = self.time_size = self.count_sum = self.count_size = 0
        self.newest_ns = -1
        self.since_break = 0

    def __len__(self) -> int:
        return len(self._by_time)

    def roll_update(self, at_ns: int, value: int) -> None:
        """Take one event in and let go of those that left the windows."""
        at_ns = max(at_ns, self.newest_ns)
        self.newest_ns = at_ns
        self.since_break += 1
        self._by_time.append((at_ns, value))
        self.time_sum += value
        self.time_size += abs(value)
        self._by_count.append(value)
        self.count_sum += value
        self.count_size += abs(value)
        if len(self._by_count) > self._events:
            old = self._by_count.popleft()
            self.count_sum -= old
            self.count_size -= abs(old)
        if len(self._by_time) > WINDOW_ENTRIES_MAX:
            self._drop_oldest()
        self.expire(at_ns)

    def expire(self, now_ns: int) -> None:
        """Let go of the events that are `span_ns` old or older."""
        horizon_ns = now_ns - self._span_ns
        while self._by_time and self._by_time[0][0] <= horizon_ns:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, value = self._by_time.popleft()
        self.time_sum -= value
        self.time_size -= abs(value)


class FeatureState:
    """The windows of one book, and what the next event is compared with."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._spec = spec
        self._ofi, self._returns, self._trades = Window(spec), Window(spec), Window(spec)
        self._touch: tuple[int, int, int, int] | None = None
        self._weighted_mid: float | None = None
        self._break_ns = self._depth_ns = -1

    def on_break(self, at_ns: int) -> None:
        """Continuity begins anew here: nothing is compared across it."""
        self._touch, self._weighted_mid = None, None
        self._break_ns = self._depth_ns = at_ns
        for window in (self._ofi, self._returns, self._trades):
            window.since_break = 0

    def on_rescale(self) -> None:
        """Ticks or lots changed size: sums in the old units are of no use."""
        self._ofi.clear()
        self._trades.clear()
        self._touch, self._weighted_mid = None, None

    def on_delta(self, at_ns: int, bid: Level | None, ask: Level | None) -> None:
        """A delta was applied, and this is the touch after it."""
        self._depth_ns = at_ns
        if bid is None or ask is None:
            self._touch, self._weighted_mid = None, None
            return
        touch = (*bid, *ask)
        if self._touch is not None:
            self._ofi.roll_update(at_ns, order_flow(self._touch, touch))
        mid = weighted_mid(bid, ask)
        if self._weighted_mid is not None:
            self._returns.roll_update(at_ns, squared_return(self._weighted_mid, mid))
        self._touch, self._weighted_mid = touch, mid

    def on_trade(self, at_ns: int, signed_lots: int) -> None:
        """A trade, positive if its aggressor bought."""
        self._trades.roll_update(at_ns, signed_lots)

    def read(
        self, now_ns: int, bids: tuple[Level, ...], asks: tuple[Level, ...], size_decimals: int
    ) -> Features:
        """All features as of `now_ns`, from the top `obi_levels` of the book and the windows."""
        for window in (self._ofi, self._returns, self._trades):
            window.expire(now_ns)
        ofi, returns, trades, spec = self._ofi, self._returns, self._trades, self._spec
        lot_count = float(10**size_decimals)
        return Features(
            obi=imbalance(bids, asks),
            spread_bps=spread_bps(bids, asks),
            weighted_mid=weighted_mid(bids[0], asks[0]) if bids and asks else None,
            ofi_time=float(ofi.time_sum) / lot_count,
            ofi_count=float(ofi.count_sum) / lot_count,
            ti_time=_ratio(trades.time_sum, trades.time_size),
            ti_count=_ratio(trades.count_sum, trades.count_size),
            micro_vol_time=math.sqrt(float(returns.time_sum) / float(RETURN_SCALE)),
            micro_vol_count=math.sqrt(float(returns.count_sum) / float(RETURN_SCALE)),
            trades_per_s=float(len(trades)) * 1e9 / float(spec.window_ns),
            depth_age_ns=_age_ns(now_ns, self._depth_ns),
            trade_age_ns=_age_ns(now_ns, trades.newest_ns),
            touched_time=int(now_ns - self._break_ns < spec.window_ns),
            touched_depth_count=int(ofi.since_break < spec.window_events),
            touched_trade_count=int(trades.since_break < spec.window_events),
        )


def _age_ns(now_ns: int, newest_ns: int) -> int:
    return -1 if newest_ns < 0 else max(0, now_ns - newest_ns)


def _ratio(signed: int, size: int) -> float | None:
    return float(signed) / float(size) if size else None


def order_flow(before: tuple[int, int, int, int], after: tuple[int, int, int, int]) -> int:
    """Order flow in lots between two touches (bid ticks, bid lots, ask ticks, ask lots)."""
    bid0, bid_lots0, ask0, ask_lots0 = before
    bid1, bid_lots1, ask1, ask_lots1 = after
    flow = 0
    if bid1 >= bid0:
        flow += bid_lots1
    if bid1 <= bid0:
        flow -= bid_lots0
    if ask1 <= ask0:
        flow -= ask_lots1
    if ask1 >= ask0:
        flow += ask_lots0
    return flow


def weighted_mid(bid: Level, ask: Level) -> float:
    """Bid + spread * bid lots / (bid lots + ask lots), in ticks; shaped to round little."""
    spread, lots = float(ask[0] - bid[0]), float(bid[1] + ask[1])
    return float(bid[0]) + spread * float(bid[1]) / lots


def squared_return(before: float, after: float) -> int:
    """The squared log return in units of 2**-62, at most 1."""
    log_return = math.log(after / before)
    return int(min(log_return * log_return, 1.0) * float(RETURN_SCALE))


def imbalance(bids: tuple[Level, ...], asks: tuple[Level, ...]) -> float | None:
    """(bid lots - ask lots) / (bid lots + ask lots); None on an empty book."""
    bid_lots, ask_lots = sum(lots for _, lots in bids), sum(lots for _, lots in asks)
    return _ratio(bid_lots - ask_lots, bid_lots + ask_lots)


def spread_bps(bids: tuple[Level, ...], asks: tuple[Level, ...]) -> float | None:
    """Spread over mid in basis points; None on a one-sided book."""
    if not bids or not asks:
        return None
    bid, ask = bids[0][0], asks[0][0]
    return float(ask - bid) * 20000.0 / float(ask + bid)
