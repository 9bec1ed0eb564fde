"""SymbolBars: one symbol's newest bars in every timeframe, and which the venue must be asked for.

Minutes come from trades; each timeframe is rolled up from the one below it when all of its bars are
there. What is missing (the time before the start, torn minutes) is asked of the venue's klines,
timeframe by timeframe, newest first. A bar that was not seen whole is absent until they tell it.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market.bar_builder import BarBuilder, MarketTrade
from stevie.domain.market.bars import (
    BASE,
    CHILDREN,
    PARENTS,
    TIMEFRAMES,
    Bar,
    KnownBar,
    Source,
    bar_row,
    believed,
    known_bar,
    opened,
    rolled_up,
)
from stevie.domain.market.fixed_point import NumberError
from stevie.domain.market.instrument import Instrument

BARS_KEPT_MAX = 1000  # of a timeframe: as many as one GET may ask for
KLINES_PAGE = 99  # a millisecond or two of the hub; below 100, USD-M charges least
NS_PER_MS = 1_000_000


class KlinesAsk(NamedTuple):
    """A request for klines: so many that opened at `end_ms` or before.

    The one that opened at `end_ms` is no bar that is wanted: that it is there tells that the one
    before it is over, by the venue's own clock.
    """

    limit: int
    end_ms: int


class SymbolBars:
    """All bars of one symbol at one venue."""

    def __init__(
        self, instrument: Instrument, *, started_ns: int, kept_max: int = BARS_KEPT_MAX
    ) -> None:
        self._instrument, self._scale = instrument, instrument.scale
        self._builder = BarBuilder(started_ns=started_ns, scale=instrument.scale)
        self._series = {
            timeframe: _Series(timeframe, started_ns, kept_max) for timeframe in TIMEFRAMES
        }
        self._changed: list[BarRow] = []  # taken after every batch
        self.synced_ns = 0
        """When a bar was last closed or told by klines; 0 if never."""

    # -- what comes in --------------------------------------------------------------------------

    def add(self, trade: MarketTrade, now_ns: int) -> None:
        """Count a trade."""
        self._builder.add(trade, now_ns)

    def on_gap(self) -> None:
        """Trades may be missed from here on."""
        self._builder.on_gap()

    def settle(self, now_ns: int) -> None:
        """Close what time has closed."""
        self._builder.tick(now_ns)
        drained = self._builder.drain()
        for minute_ns in drained.torn_ns:
            self._doubt(minute_ns)
        for bar in drained.bars:
            self._put(BASE, bar, now_ns, source="trades", is_seen=True)
        self._roll_up(BASE, (*drained.torn_ns, *(bar.opened_ns for bar in drained.bars)), now_ns)
        if drained.bars:
            self.synced_ns = now_ns

    def on_klines(
        self, timeframe: Timeframe, klines: Sequence[Bar], limit: int, now_ns: int
    ) -> bool:
        """Take in an answer, oldest first; False if it told nothing of what was missing."""
        if not klines:
            return False
        series = self._series[timeframe]
        *told, growing = klines  # the last one may not be over; all before it is
        wanted = [bar for bar in told if series.is_wanted(bar.opened_ns)]
        is_all_there_is = len(klines) < limit
        first_ns = 0 if is_all_there_is else klines[0].opened_ns
        covered = series.cover(first_ns, growing.opened_ns - TIMEFRAMES[timeframe])
        for bar in wanted:
            self._put(timeframe, bar, now_ns, source="klines", is_seen=False)
        self._roll_up(timeframe, covered, now_ns)
        if covered:
            self.synced_ns = now_ns
        return bool(covered)

    def recall(self, timeframe: Timeframe, rows: Sequence[BarRow]) -> None:
        """Take in what was stored before a restart: it is known since it was known then.

        It is asked for all the same, so that klines correct what a crash may have left wrong.
        """
        for row in rows:
            known = known_bar(row)
            self._series[timeframe].recall(known._replace(bar=self._in_our_scale(known.bar)))

    # -- what goes out --------------------------------------------------------------------------

    def take_changes(self) -> tuple[BarRow, ...]:
        """The bars that are new, or not what they were, since the last time."""
        taken = tuple(self._changed)
        self._changed.clear()
        return taken

    def take_fates(self) -> dict[str, int]:
        """What became of how many trades since the last time."""
        fates = dict(self._builder.fates)
        self._builder.fates.clear()
        return fates

    def is_missing(self, timeframe: Timeframe) -> bool:
        """Whether there is something to ask the venue for."""
        return bool(self._series[timeframe].missing)

    def next_ask(self, timeframe: Timeframe) -> KlinesAsk | None:
        """What to ask the venue for next; None if nothing is missing."""
        return self._series[timeframe].next_ask()

    def closed(self, timeframe: Timeframe, limit: int) -> tuple[BarRow, ...]:
        """The newest closed bars, oldest first."""
        return tuple(self._row(timeframe, it) for it in self._series[timeframe].latest(limit))

    def growing(self, timeframe: Timeframe, now_ns: int) -> BarRow | None:
        """The bar under way; None if any part of it was missed so far."""
        bar = self._growing(timeframe)
        known = KnownBar(bar, now_ns, "trades", is_seen=False) if bar is not None else None
        return self._row(timeframe, known) if known is not None else None

    def _growing(self, timeframe: Timeframe) -> Bar | None:
        if timeframe == BASE:
            return self._builder.growing()
        newest = self._growing(CHILDREN[timeframe])
        if newest is None:
            return None
        opened_ns = opened(newest.opened_ns, timeframe)
        if newest.opened_ns == opened_ns:
            return newest
        before = self._children(timeframe, opened_ns, newest.opened_ns)
        return _sum([*(each.bar for each in before), newest], opened_ns) if before else None

    def _row(self, timeframe: Timeframe, known: KnownBar) -> BarRow:
        venue, symbol = self._instrument.venue, self._instrument.symbol
        return bar_row(known, venue=venue, symbol=symbol, timeframe=timeframe)

    # -- rolling up -----------------------------------------------------------------------------

    def _put(
        self, timeframe: Timeframe, bar: Bar, now_ns: int, *, source: Source, is_seen: bool
    ) -> None:
        # Our clock may be behind the venue's: a bar is never known before it is closed.
        known_ns = max(now_ns, bar.opened_ns + TIMEFRAMES[timeframe])
        told = KnownBar(self._in_our_scale(bar), known_ns, source, is_seen)
        changed = self._series[timeframe].put(told)
        if changed is not None:
            self._changed.append(self._row(timeframe, changed))

    def _in_our_scale(self, bar: Bar) -> Bar:
        """With the most decimals that any bar had so far, if they fit."""
        finest = self._scale.finest(bar.scale)
        try:
            told = bar.at(finest)
        except NumberError:
            return bar
        self._scale = finest
        return told

    def _doubt(self, minute_ns: int) -> None:
        """A part of this minute was missed, and so of all that it is a part of."""
        self._series[BASE].miss(minute_ns)
        for timeframe, series in self._series.items():
            series.distrust(opened(minute_ns, timeframe))

    def _roll_up(self, child: Timeframe, told_ns: Iterable[int], now_ns: int) -> None:
        """Sum up what smaller bars are a part of, as far as it is over."""
        parent = PARENTS.get(child)
        if parent is None:
            return
        parents = sorted({opened(at, parent) for at in told_ns})
        summed = [at for at in parents if self._roll_up_one(child, parent, at, now_ns)]
        if summed:
            self._roll_up(parent, summed, now_ns)

    def _roll_up_one(
        self, child: Timeframe, parent: Timeframe, opened_ns: int, now_ns: int
    ) -> bool:
        """Sum up one bar; if that cannot be, see that it is asked for.

        Nothing is decided while smaller ones are to come, by trades or by klines.
        """
        end_ns = opened_ns + TIMEFRAMES[parent]
        series = self._series[child]
        is_over = series.newest_ns >= end_ns - TIMEFRAMES[child]
        if not is_over or series.is_any_missing(opened_ns, end_ns):
            return False
        parts = self._children(parent, opened_ns, end_ns)
        bar = _sum([each.bar for each in parts], opened_ns) if parts else None
        if bar is None:
            self._series[parent].want(opened_ns)
            return False
        is_seen = all(each.is_seen for each in parts)
        is_from_trades = all(each.source == "trades" for each in parts)
        source: Source = "trades" if is_from_trades else "klines"
        self._put(parent, bar, now_ns, source=source, is_seen=is_seen)
        return True

    def _children(self, parent: Timeframe, from_ns: int, to_ns: int) -> tuple[KnownBar, ...]:
        """The smaller bars of a span; none unless all are there."""
        child = CHILDREN[parent]
        held = self._series[child].bars
        found = [held.get(at) for at in range(from_ns, to_ns, TIMEFRAMES[child])]
        parts = tuple(known for known in found if known is not None)
        return parts if len(parts) == len(found) else ()


class _Series:
    """The newest bars of one timeframe, and the times of those that are missing."""

    def __init__(self, timeframe: Timeframe, started_ns: int, kept_max: int) -> None:
        self._length_ns, self._kept_max = TIMEFRAMES[timeframe], kept_max
        self.bars: dict[int, KnownBar] = {}  # by opened_ns; kept_max at the most
        self._order: list[int] = []  # their keys, sorted
        now_ns = opened(started_ns, timeframe)
        first_ns = max(0, now_ns - kept_max * self._length_ns)
        self.missing = set(range(first_ns, now_ns, self._length_ns))  # kept_max at the most
        self.newest_ns = -1
        """The newest one that is over: it is there, or was asked for."""
        self._note_newest(now_ns - self._length_ns)

    def put(self, told: KnownBar) -> KnownBar | None:
        """Take in a bar; what is believed of it now if that is a change."""
        opened_ns = told.bar.opened_ns
        held = self.bars.get(opened_ns)
        self._note_newest(opened_ns)
        if held is None:
            if opened_ns < self._oldest_kept_ns:
                return None
            insort(self._order, opened_ns)
        known = self.bars[opened_ns] = believed(held, told)
        self.missing.discard(opened_ns)
        self._evict()
        is_change = held is None or known.known_ns != held.known_ns or known.bar is not held.bar
        return known if is_change else None

    def recall(self, told: KnownBar) -> None:
        """Take in a bar that was known before, unless it is there by now."""
        if told.bar.opened_ns not in self.bars:
            is_missing = told.bar.opened_ns in self.missing
            self.put(told)
            if is_missing:
                self.missing.add(told.bar.opened_ns)

    def distrust(self, opened_ns: int) -> None:
        """A part of this bar was missed: klines may correct it."""
        held = self.bars.get(opened_ns)
        if held is not None:
            self.bars[opened_ns] = held._replace(is_seen=False)

    def miss(self, opened_ns: int) -> None:
        """This bar is to be asked for, whether it is there or not."""
        self._note_newest(opened_ns)
        if opened_ns >= self._oldest_kept_ns:
            self.missing.add(opened_ns)

    def want(self, opened_ns: int) -> None:
        """This bar is to be asked for unless it is there."""
        if opened_ns not in self.bars:
            self.miss(opened_ns)

    def is_wanted(self, opened_ns: int) -> bool:
        """Whether klines have something to say of this bar."""
        return opened_ns in self.missing

    def is_any_missing(self, from_ns: int, to_ns: int) -> bool:
        """Whether a bar of this span is still to be asked for."""
        if not self.missing:
            return False
        return any(at in self.missing for at in range(from_ns, to_ns, self._length_ns))

    def cover(self, from_ns: int, to_ns: int) -> list[int]:
        """The venue told all it has of this span: what was missing of it."""
        covered = sorted(at for at in self.missing if from_ns <= at <= to_ns)
        self.missing.difference_update(covered)
        return covered

    def next_ask(self) -> KlinesAsk | None:
        """The newest page of what is missing, and one kline more."""
        if not self.missing:
            return None
        oldest_ns, newest_ns = min(self.missing), max(self.missing)
        limit = min(KLINES_PAGE, (newest_ns - oldest_ns) // self._length_ns + 2)
        return KlinesAsk(limit, (newest_ns + self._length_ns) // NS_PER_MS)

    def latest(self, limit: int) -> tuple[KnownBar, ...]:
        """The newest, oldest first."""
        return tuple(self.bars[at] for at in self._order[-limit:])

    @property
    def _oldest_kept_ns(self) -> int:
        return self.newest_ns - (self._kept_max - 1) * self._length_ns

    def _note_newest(self, opened_ns: int) -> None:
        if opened_ns > self.newest_ns:
            self.newest_ns = opened_ns
            if self.missing and min(self.missing) < self._oldest_kept_ns:
                self.missing = {at for at in self.missing if at >= self._oldest_kept_ns}

    def _evict(self) -> None:
        while self._order[0] < self._oldest_kept_ns:
            del self.bars[self._order.pop(0)]


def _sum(parts: Sequence[Bar], opened_ns: int) -> Bar | None:
    try:
        return rolled_up(parts, opened_ns)
    except NumberError:
        return None
