"""BarKeeper: the bars of all symbols at one venue.

Receives  TradeFramesReceived, TradesInterrupted (from the feed), KlinesAnswered (from the
          transport), BarsRecalled (from the archive), FlagsChanged, CloseBars, FetchKlines,
          RetryKlines (its timers), ReadBars, ReadBarSync.
Answers   BarsState, BarSyncState. Tells the store every bar that is closed, filled or corrected.
State     the newest bars of each symbol; the requests for klines that wait.
"""

from collections.abc import Iterable
from typing import assert_never

from stevie.actors.bar_backfill import BarBackfill, Key
from stevie.actors.bar_counters import BarCounter
from stevie.domain.contracts.rows import BarRow
from stevie.domain.market.bars import TIMEFRAMES
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.symbol_bars import SymbolBars
from stevie.messages.bars import (
    BarsRecalled,
    BarsState,
    BarSyncState,
    CloseBars,
    FetchKlines,
    KlinesAnswered,
    ReadBars,
    ReadBarSync,
    RetryKlines,
    TradeFramesReceived,
    TradesInterrupted,
)
from stevie.messages.record import FlagsChanged, StoreRows
from stevie.ports import Transport, VenueCodec
from stevie.ports_bars import BarCodec, BarRecall
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext

CLOSE_S = 1.0  # a bar is there within so much of its allowance for late trades
BACKFILL_FLAG = "bars_backfill"

BarMessage = (
    TradeFramesReceived
    | TradesInterrupted
    | KlinesAnswered
    | BarsRecalled
    | FlagsChanged
    | CloseBars
    | FetchKlines
    | RetryKlines
    | ReadBars
    | ReadBarSync
)


class BarKeeper(StevieActor):
    """Thin shell around `domain/market/symbol_bars`."""

    mailbox_capacity = 1024  # reads and timers; trades wait as one batch
    mailbox_bytes_max = 16 * 2**20  # a minute of a venue's busiest trading

    def __init__(
        self,
        context: ActorContext,
        *,
        codec: VenueCodec,
        bars: BarCodec,
        transport: Transport,
        recall: BarRecall,
        instruments: tuple[Instrument, ...],
    ) -> None:
        super().__init__(context)
        self._venue, self._bars, self._instruments = codec.venue, bars, instruments
        now_ns = context.clock.wall_ns()
        self._by_symbol = {i.symbol: SymbolBars(i, started_ns=now_ns) for i in instruments}
        self._symbols = {i.native.upper(): self._by_symbol[i.symbol] for i in instruments}
        self._backfill = BarBackfill(
            context,
            codec=codec,
            bars=bars,
            transport=transport,
            after=self.after,
            ask_of=lambda key: self._symbols[key[0]].next_ask(key[1]),
            recall=recall,
        )

    def starting(self) -> None:
        """Recall the past, and look at the clock from now on."""
        self._backfill.recall(self._instruments)
        self.after(CLOSE_S, CloseBars())

    def handle(self, message: BarMessage) -> object:  # noqa: C901 - one case a message
        """Dispatch on the message's type."""
        match message:
            case TradeFramesReceived():
                self._on_trades(message.frames)
            case TradesInterrupted():
                for bars in self._symbols.values():
                    bars.on_gap()
            case KlinesAnswered():
                self._on_klines(message)
            case BarsRecalled():
                self._on_recalled(message)
            case CloseBars():
                self.after(CLOSE_S, CloseBars())
                self._settle(self._symbols)
            case FetchKlines() | RetryKlines():
                self._backfill.on_timer(message)
            case FlagsChanged():
                self._backfill.is_on = BACKFILL_FLAG in message.on
                self._fill(self._symbols)
            case ReadBars():
                return self._state(message)
            case ReadBarSync():
                synced = tuple((symbol, it.synced_ns) for symbol, it in self._by_symbol.items())
                return BarSyncState(venue=self._venue, synced_ns=synced)
            case _:
                assert_never(message)
        self._backfill.fetch()
        return None

    def _on_trades(self, frames: tuple[bytes, ...]) -> None:
        now_ns = self.context.clock.wall_ns()
        trades, malformed = self._bars.read_trades(frames)
        ours = [trade for trade in trades if trade.symbol in self._symbols]
        for trade in ours:
            self._symbols[trade.symbol].add(trade, now_ns)
        # Why is told by the book of its symbol, which gets it too.
        self.context.counters.add(BarCounter.TRADES, self._venue, "malformed", by=malformed)
        self._settle(dict.fromkeys(trade.symbol for trade in ours))

    def _settle(self, natives: Iterable[str]) -> None:
        now_ns = self.context.clock.wall_ns()
        for native in natives:
            bars = self._symbols[native]
            bars.settle(now_ns)
            for fate, count in bars.take_fates().items():
                self.context.counters.add(BarCounter.TRADES, self._venue, fate, by=count)
            self._keep(bars.take_changes())
        self._fill(natives)

    def _on_klines(self, answered: KlinesAnswered) -> None:
        self._backfill.on_answered(answered)
        key: Key = (answered.native_symbol, answered.timeframe)
        bars, now_ns = self._symbols[key[0]], self.context.clock.wall_ns()
        if answered.refusal:
            self._backfill.on_failure(key, answered.refusal)
        elif bars.on_klines(key[1], answered.bars, answered.limit, now_ns):
            self._backfill.on_progress(key)
        elif bars.is_missing(key[1]):
            self._backfill.on_failure(key, "nothing of what is missing")
        self._keep(bars.take_changes())
        self._fill((key[0],))

    def _on_recalled(self, recalled: BarsRecalled) -> None:
        native, timeframe = recalled.native_symbol, recalled.timeframe
        self._symbols[native].recall(timeframe, recalled.rows)
        if recalled.is_last:
            self._backfill.on_recalled((native, timeframe))
            self._fill((native,))

    def _fill(self, natives: Iterable[str]) -> None:
        """Want whatever is missing, minutes first."""
        for timeframe in TIMEFRAMES:
            for native in natives:
                if self._symbols[native].is_missing(timeframe):
                    self._backfill.want((native, timeframe))

    def _keep(self, rows: tuple[BarRow, ...]) -> None:
        for row in rows:
            labels = (self._venue, row.timeframe, row.source)
            self.context.counters.add(BarCounter.CHANGED, *labels)
        if rows:
            self.tell("store", StoreRows(rows=rows))

    def _state(self, message: ReadBars) -> BarsState:
        bars, timeframe = self._by_symbol[message.symbol], message.timeframe
        return BarsState(
            closed=bars.closed(timeframe, message.limit),
            growing=bars.growing(timeframe, self.context.clock.wall_ns()),
        )
