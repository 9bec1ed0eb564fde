"""BarBuilder: minute bars from one symbol's trades, and which minutes it did not see whole.

Time is the venue's: a trade belongs to the minute in which the venue says it happened. A minute is
closed once a later trade, or the clock, is past its end by the allowance for late trades. Venues
number their trades one by one, so a number left out is a trade that was missed: the minutes that it
may have been in are torn. A torn minute gives no bar; the venue's own klines fill it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from stevie.domain.market import fixed_point
from stevie.domain.market.bars import MINUTE_NS, Bar, Number, flat_bar
from stevie.domain.market.core import Scale
from stevie.domain.market.fixed_point import UNITS_MAX, NumberError

LATENESS_NS = 3_000_000_000  # two sockets overlap for 2 s at a rotation, and frames take their time
AHEAD_NS_MAX = 60_000_000_000  # of our clock; a trade beyond it would close minutes unseen
IDS_AHEAD_MAX = 4096  # trades after a missing one; it is given up then: far beyond any reordering
MINUTES_MAX = 1000  # closed or torn at once: after more than that only the newest matter


class MarketTrade(NamedTuple):
    """One trade as a venue tells it; `kind` is its stream's."""

    symbol: str
    kind: str
    trade_id: int
    at_ns: int
    price: Number
    size: Number
    matches: int = 1  # that it stands for


class Drained(NamedTuple):
    """What came of trades and time since the last time: whole bars, and torn minutes."""

    bars: tuple[Bar, ...]
    torn_ns: tuple[int, ...]


class _Growing(NamedTuple):
    """A minute under way; its first and last trade by (time, id)."""

    bar: Bar
    first: tuple[int, int]
    last: tuple[int, int]


class BarBuilder:
    """The minutes of one symbol from `started_ns` on."""

    def __init__(self, *, started_ns: int, scale: Scale) -> None:
        self.fates: Counter[str] = Counter()
        """Trades by what became of them."""
        self._scale = scale
        self._next_ns = started_ns - started_ns % MINUTE_NS  # the oldest minute not closed
        self._ids = _Ids()
        self._kind = ""
        self._is_sure = False  # whether a trade that is missed would be noticed
        self._growing: dict[int, _Growing] = {}  # by minute: those within AHEAD_NS_MAX of now
        self._torn: set[int] = set()  # minutes not closed yet; at most MINUTES_MAX at a time
        self._before: Bar | None = None
        self._bars: list[Bar] = []
        self._torn_ns: list[int] = []  # both are drained after every batch

    def add(self, trade: MarketTrade, now_ns: int) -> None:
        """Count a trade into its minute, and close those that it is past."""
        if self._kind not in ("", trade.kind):
            self.fates["other_kind"] += 1
            return
        if trade.at_ns > now_ns + AHEAD_NS_MAX:
            self.fates["ahead"] += 1  # its number stays out: what follows shows that it is missed
            return
        self._kind = trade.kind
        if self._is_new(trade):
            self._place(trade)
            self._close_until(trade.at_ns - LATENESS_NS)

    def tick(self, now_ns: int) -> None:
        """Close the minutes that the clock is past."""
        self._close_until(now_ns - LATENESS_NS)

    def on_gap(self) -> None:
        """Trades may be missed from here on, until the number of the next one tells."""
        self._is_sure = False

    def drain(self) -> Drained:
        """What is finished since the last time."""
        drained = Drained(tuple(self._bars), tuple(dict.fromkeys(self._torn_ns)))
        self._bars.clear()
        self._torn_ns.clear()
        return drained

    def growing(self) -> Bar | None:
        """The newest minute under way, if it has been seen whole so far and something traded."""
        newest = max(self._growing, default=None)
        if newest is None or not self._is_sure or newest in self._torn or self._ids.has_hole:
            return None
        return self._growing[newest].bar

    # -- trades ---------------------------------------------------------------------------------

    def _is_new(self, trade: MarketTrade) -> bool:
        """Whether it was not counted yet; what its number says of others is noted."""
        ids = self._ids
        if not ids.is_begun:
            self._tear(self._next_ns, trade.at_ns)  # began before we listened
        elif trade.trade_id < ids.next_id and trade.at_ns > ids.newest_ns + LATENESS_NS:
            self._tear(ids.since_ns, trade.at_ns)  # the venue counts anew
            ids = self._ids = _Ids()
        if not ids.admit(trade.trade_id, trade.at_ns):
            self.fates["repeated"] += 1
            return False
        self._is_sure = True
        if ids.ahead_count > IDS_AHEAD_MAX:
            self._tear(*ids.give_up())
        return True

    def _place(self, trade: MarketTrade) -> None:
        minute_ns = trade.at_ns - trade.at_ns % MINUTE_NS
        if minute_ns < self._next_ns:
            self.fates["late"] += 1
            self._tear(minute_ns, minute_ns)
            return
        try:
            self._grow(minute_ns, trade)
        except NumberError:
            self.fates["unfit"] += 1
            self._growing.pop(minute_ns, None)  # nor may its close count as the last one
            self._tear(minute_ns, minute_ns)
        else:
            self.fates["counted"] += 1

    def _grow(self, minute_ns: int, trade: MarketTrade) -> None:
        key = (trade.at_ns, trade.trade_id)
        grown = self._growing.get(minute_ns) or _Growing(self._opened(minute_ns, trade), key, key)
        bar = grown.bar.at(Scale(trade.price[1], trade.size[1]))
        ticks = fixed_point.rescale(*trade.price, bar.scale.price_decimals)
        volume = bar.volume_lots + fixed_point.rescale(*trade.size, bar.scale.size_decimals)
        if volume > UNITS_MAX:
            raise NumberError(f"a volume of {volume} lots is past {UNITS_MAX}")
        bar = Bar(
            opened_ns=minute_ns,
            open_ticks=ticks if key < grown.first else bar.open_ticks,
            high_ticks=max(bar.high_ticks, ticks),
            low_ticks=min(bar.low_ticks, ticks),
            close_ticks=ticks if key > grown.last else bar.close_ticks,
            volume_lots=volume,
            trades=bar.trades + trade.matches,
            scale=bar.scale,
        )
        self._growing[minute_ns] = _Growing(bar, min(key, grown.first), max(key, grown.last))

    def _opened(self, minute_ns: int, trade: MarketTrade) -> Bar:
        """A minute at the price of its first trade; each finds its own scale anew."""
        scale = self._scale.finest(Scale(trade.price[1], trade.size[1]))
        ticks = fixed_point.rescale(*trade.price, scale.price_decimals)
        return Bar(
            opened_ns=minute_ns,
            open_ticks=ticks,
            high_ticks=ticks,
            low_ticks=ticks,
            close_ticks=ticks,
            volume_lots=0,
            trades=0,
            scale=scale,
        )

    # -- minutes --------------------------------------------------------------------------------

    def _close_until(self, past_ns: int) -> None:
        due = (past_ns - self._next_ns) // MINUTE_NS
        if due > MINUTES_MAX:
            self._skip(self._next_ns + (due - MINUTES_MAX) * MINUTE_NS)
        while self._next_ns + MINUTE_NS <= past_ns and self._is_settled(self._next_ns, past_ns):
            self._close(self._next_ns)

    def _is_settled(self, minute_ns: int, past_ns: int) -> bool:
        """Whether nothing that is missing may still come and belong here."""
        ids = self._ids
        while ids.has_hole and ids.since_ns < minute_ns + MINUTE_NS:
            if ids.until_ns > past_ns:
                return False
            self._tear(*ids.give_up())
        return True

    def _close(self, minute_ns: int) -> None:
        grown = self._growing.pop(minute_ns, None)
        told = grown.bar if grown is not None else self._quiet(minute_ns)
        is_whole = self._is_sure and minute_ns not in self._torn
        self._next_ns = minute_ns + MINUTE_NS
        self._torn.discard(minute_ns)
        # A torn minute's last trade is the last one all the same, unless the next is torn as well.
        self._before = told if is_whole or grown is not None else None
        if told is not None and is_whole:
            self._bars.append(told)
        else:
            self._torn_ns.append(minute_ns)

    def _quiet(self, minute_ns: int) -> Bar | None:
        """The bar of a minute without trades; None if the last price is not known."""
        return flat_bar(self._before, minute_ns) if self._before is not None else None

    def _skip(self, to_ns: int) -> None:
        """Time has leapt: what lies before the newest minutes is let go."""
        self._next_ns = to_ns
        self._before = None
        self._growing = {at: grown for at, grown in self._growing.items() if at >= to_ns}
        self._torn = {at for at in self._torn if at >= to_ns}

    def _tear(self, from_ns: int, to_ns: int) -> None:
        """A trade between these moments was missed, or came too late for its bar."""
        last_ns = to_ns - to_ns % MINUTE_NS
        first_ns = max(from_ns - from_ns % MINUTE_NS, last_ns - (MINUTES_MAX - 1) * MINUTE_NS)
        for minute_ns in range(first_ns, last_ns + 1, MINUTE_NS):
            if minute_ns < self._next_ns:
                self._torn_ns.append(minute_ns)
            else:
                self._torn.add(minute_ns)
        if first_ns < self._next_ns:
            self._before = None  # a close that may not have been the last one


class _Ids:
    """Which numbers have come: all below `next_id`, and some ahead of a hole."""

    def __init__(self) -> None:
        self.next_id = -1
        self.since_ns = -1
        """The time of the last trade before the hole, or of the last one if there is none."""
        self.newest_ns = -1
        self._ahead: dict[int, int] = {}  # id -> time; IDS_AHEAD_MAX and one at the most

    @property
    def is_begun(self) -> bool:
        return self.next_id >= 0

    @property
    def has_hole(self) -> bool:
        return bool(self._ahead)

    @property
    def until_ns(self) -> int:
        """The time of the first trade after the hole: what is missing is not newer."""
        return self._ahead[min(self._ahead)]

    @property
    def ahead_count(self) -> int:
        return len(self._ahead)

    def admit(self, trade_id: int, at_ns: int) -> bool:
        """Note a number; False if it was noted before, or given up."""
        if self.is_begun and (trade_id < self.next_id or trade_id in self._ahead):
            return False
        self.newest_ns = max(self.newest_ns, at_ns)
        self._ahead[trade_id] = at_ns
        if trade_id == self.next_id or not self.is_begun:
            self._close_up(trade_id)
        return True

    def give_up(self) -> tuple[int, int]:
        """Wait no longer for the oldest missing numbers; between when they were traded."""
        first = min(self._ahead)
        span = (self.since_ns, max(self.since_ns, self._ahead[first]))
        self._close_up(first)
        return span

    def _close_up(self, from_id: int) -> None:
        for trade_id in self._run(from_id):
            self.since_ns = max(self.since_ns, self._ahead.pop(trade_id))
            self.next_id = trade_id + 1

    def _run(self, from_id: int) -> Iterator[int]:
        """The numbers that follow one another from here, as far as they have come."""
        trade_id = from_id
        while trade_id in self._ahead:
            yield trade_id
            trade_id += 1
