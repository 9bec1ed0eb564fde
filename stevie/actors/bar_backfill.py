"""BarBackfill: which klines a venue is asked for, when, and what its answers mean."""

from collections.abc import Callable, Sequence

import structlog

from stevie.actors.bar_counters import BarCounter
from stevie.domain.contracts.quarantine import quarantined
from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market.bars import TIMEFRAMES, Bar
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.snapshot_queue import SnapshotQueue
from stevie.domain.market.symbol_bars import BARS_KEPT_MAX, KlinesAsk
from stevie.messages.bars import BarsRecalled, FetchKlines, KlinesAnswered, RetryKlines
from stevie.messages.record import StoreRows
from stevie.ports import HttpAnswer, Transport, VenueCodec
from stevie.ports_bars import BarCodec, BarKey, BarRecall
from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message

log = structlog.get_logger()

IN_FLIGHT_MAX = 2  # klines can wait; the snapshots of books cannot
RETRY_MIN_S, RETRY_MAX_S = 1.0, 60.0

Key = tuple[str, Timeframe]
After = Callable[[float, Message], Timer]


class BarBackfill:
    """The requests of one venue: few at once, spaced out, and silent while the venue says so."""

    def __init__(
        self,
        context: ActorContext,
        *,
        codec: VenueCodec,
        bars: BarCodec,
        transport: Transport,
        after: After,
        ask_of: Callable[[Key], KlinesAsk | None],
        recall: BarRecall,
    ) -> None:
        self.is_on = True
        self._context, self._after, self._ask_of = context, after, ask_of
        self._codec, self._bars, self._transport = codec, bars, transport
        self._recall = recall
        self._queue = SnapshotQueue(in_flight_max=IN_FLIGHT_MAX)
        self._keys: dict[str, Key] = {}  # one for each symbol and timeframe
        self._failures: dict[Key, int] = {}  # likewise
        self._waiting: set[Key] = set()  # those of them that wait before they ask (again)
        self._is_armed = False

    def recall(self, instruments: Sequence[Instrument]) -> None:
        """Read what was stored before; nothing is asked of the venue until it is there.

        A bar that klines merely confirm stays known since when it was known.
        """
        natives = {each.symbol: each.native.upper() for each in instruments}
        keys = [
            BarKey(self._codec.venue, symbol, timeframe)
            for timeframe in TIMEFRAMES
            for symbol in natives
        ]
        self._waiting.update((natives[key.symbol], key.timeframe) for key in keys)

        def tell(key: BarKey, rows: tuple[BarRow, ...], is_last: bool) -> None:  # noqa: FBT001
            native, timeframe = natives[key.symbol], key.timeframe
            told = BarsRecalled(
                native_symbol=native, timeframe=timeframe, rows=rows, is_last=is_last
            )
            self._context.directory.tell(self._context.name, told)

        self._recall.read(keys, limit=BARS_KEPT_MAX, on_rows=tell)

    def on_recalled(self, key: Key) -> None:
        """All that was stored of this is there."""
        self._waiting.discard(key)

    def want(self, key: Key) -> None:
        """Ask the venue for what is missing, unless that is under way or must wait."""
        if self.is_on and key not in self._waiting:
            name = "@".join(key)
            self._keys[name] = key
            self._queue.want(name)

    def fetch(self) -> None:
        """Send what may go out now; a timer takes care of the rest."""
        now_ns = self._context.clock.monotonic_ns()
        while self.is_on and (wait_s := self._queue.wait_s(now_ns)) is not None:
            if wait_s > 0:
                self._arm(wait_s)
                return
            name = self._queue.take(now_ns)
            self._request(name, self._keys[name])

    def on_timer(self, message: FetchKlines | RetryKlines) -> None:
        """A pause is over: that between requests, or that after a failure."""
        if isinstance(message, FetchKlines):
            self._is_armed = False
            return
        key = (message.native_symbol, message.timeframe)
        self._waiting.discard(key)
        if self._ask_of(key) is not None:
            self.want(key)

    def on_answered(self, answered: KlinesAnswered) -> None:
        """A request ended."""
        key = (answered.native_symbol, answered.timeframe)
        self._free("@".join(key), answered.retry_after_s)

    def on_progress(self, key: Key) -> None:
        """The answer told something: what else is missing may be asked for at once."""
        self._failures.pop(key, None)

    def on_failure(self, key: Key, reason: str) -> None:
        """The answer told nothing: ask again when a growing, jittered pause is over."""
        self._context.counters.add(BarCounter.KLINE_REFUSALS, self._codec.venue)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        ceiling_s = min(RETRY_MAX_S, RETRY_MIN_S * 2.0 ** min(failures - 1, 16))
        if key not in self._waiting:
            self._waiting.add(key)
            delay_s = ceiling_s * self._context.rng.uniform(0.5, 1.0)
            self._after(delay_s, RetryKlines(native_symbol=key[0], timeframe=key[1]))
        if failures == 1:
            log.info(
                "klines_refused", actor=self._context.name, request="@".join(key), reason=reason
            )

    def _arm(self, delay_s: float) -> None:
        if not self._is_armed:
            self._is_armed = True
            self._after(delay_s, FetchKlines())

    def _request(self, name: str, key: Key) -> None:
        ask = self._ask_of(key)
        if ask is None:
            self._free(name, 0.0)  # it has come by itself meanwhile
            return
        self._context.counters.add(BarCounter.KLINE_REQUESTS, self._codec.venue)
        url = self._bars.klines_url(*key, limit=ask.limit, end_ms=ask.end_ms)
        self._transport.get(url, lambda answer: self._on_body(key, ask, answer))

    def _free(self, name: str, pause_s: float) -> None:
        now_ns = self._context.clock.monotonic_ns()
        self._queue.on_answer(name, pause_s=pause_s, now_ns=now_ns)

    def _on_body(self, key: Key, ask: KlinesAsk, answer: HttpAnswer) -> None:
        """Runs on the transport's greenlet: read, and tell the actor."""
        refusal = self._codec.refusal(answer)
        bars: tuple[Bar, ...] = ()
        if not refusal:
            try:
                bars = self._bars.read_klines(answer.body, key[1])
            except ValueError as error:
                refusal = f"klines unreadable: {error}"
                self._set_aside(answer.body, refusal)
        told = KlinesAnswered(
            native_symbol=key[0],
            timeframe=key[1],
            limit=ask.limit,
            bars=bars,
            refusal=refusal,
            retry_after_s=self._codec.retry_after_s(answer),
        )
        self._context.directory.tell(self._context.name, told)

    def _set_aside(self, body: bytes, reason: str) -> None:
        at_ns = self._context.clock.wall_ns()
        row = quarantined("rest", "klines", reason, body, at_ns=at_ns)
        self._context.directory.tell("store", StoreRows(rows=(row,)))
