"""One venue's bars on virtual time, beside a simulated market that answers for klines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stevie.actors.bar_keeper import BarKeeper
from stevie.adapters.rng import SeededRng
from stevie.domain.contracts.rows import BarRow, QuarantineRow, Row, Timeframe
from stevie.domain.market.instrument import Instrument
from stevie.messages.bars import (
    BarsState,
    BarSyncState,
    ReadBars,
    ReadBarSync,
    TradeFramesReceived,
)
from stevie.messages.record import StoreRows
from stevie.ports import HttpAnswer
from stevie.ports_bars import BarKey
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import Counters
from stevie.runtime.deterministic import DeterministicRuntime
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec, Intensity, Plan
from stevie.runtime.supervisor import supervise
from stevie.venues.binance.klines import BinanceBars
from stevie.venues.binance.venue import BinanceSpot
from stevie.venues.simulator.binance.listings import SPOT, listings, numbering
from stevie.venues.simulator.binance.publisher import Publisher
from stevie.venues.simulator.binance.rest import Rest
from stevie.venues.simulator.market.listing import STEP_NS
from stevie.venues.simulator.market.simulation import Market

START_NS = 1_789_000_000 * 1_000_000_000
SECOND_NS = 1_000_000_000
LATENCY_S = 0.05
BEAT_NS = 500_000_000  # trades come in batches of so much time
BARS = "bars/binance"
SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Sink(StevieActor):
    """A store that keeps what it is told in a list."""

    mailbox_capacity = 4096

    def __init__(self, context: ActorContext, *, rows: list[Row]) -> None:
        super().__init__(context)
        self._rows = rows

    def handle(self, message: StoreRows) -> None:
        self._rows += message.rows


class SimulatedRest:
    """A transport whose GETs the simulator answers, after a while, unless told otherwise."""

    def __init__(self, runtime: DeterministicRuntime, rest: Rest) -> None:
        self._clock, self._rest = runtime.clock, rest
        self.asked: list[tuple[int, dict[str, str]]] = []
        self.instead: list[HttpAnswer] = []  # given first, in order
        self.in_flight = self.in_flight_max = 0

    def connect(self, url: str, listener: object) -> Any:
        raise AssertionError(f"bars open no socket: {url}")

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        self.asked.append((self._clock.monotonic_ns(), dict(parse_qsl(urlsplit(url).query))))
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)

        def answer() -> None:
            self.in_flight -= 1
            on_answer(self.instead.pop(0) if self.instead else self._answer(url))

        self._clock.call_later(LATENCY_S, answer)

    def _answer(self, url: str) -> HttpAnswer:
        parts = urlsplit(url)
        params = dict(parse_qsl(parts.query))
        reply = self._rest.answer(parts.path, params, now_ns=self._clock.wall_ns())
        return HttpAnswer(url=url, status=reply.status, headers={}, body=reply.body.encode())


class Recall:
    """Tells what rows there were, after a while and in two slices."""

    def __init__(self, runtime: DeterministicRuntime, rows: Sequence[Row]) -> None:
        self._clock, self._rows = runtime.clock, rows

    def read(self, keys: Sequence[BarKey], *, limit: int, on_rows: Callable[..., None]) -> None:
        self._clock.call_later(LATENCY_S, lambda: self._tell(keys, limit, on_rows))

    def _tell(self, keys: Sequence[BarKey], limit: int, on_rows: Callable[..., None]) -> None:
        for key in keys:
            newest = {
                row.opened_ns: row
                for row in self._rows
                if isinstance(row, BarRow) and (row.venue, row.symbol, row.timeframe) == key
            }
            rows = tuple(newest[at] for at in sorted(newest))[-limit:]
            on_rows(key, rows[:500], False)
            on_rows(key, rows[500:], True)


def refusal(status: int = 503, body: bytes = b"", **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(url="", status=status, headers=named, body=body)


class BarsStage:
    """The actor, its venue and its store, and hands to move them."""

    def __init__(self, seed: int = 1, *, symbols: Iterable[str] = SYMBOLS) -> None:
        self.runtime = DeterministicRuntime(SeededRng(seed), start_ns=START_NS, counters=Counters())
        self.symbols = tuple(symbols)
        self.market = Market(
            listings(self.symbols), seed=4, start_ns=START_NS, numbering=numbering(4)
        )
        self.rest = SimulatedRest(self.runtime, Rest(self.market))
        self._publisher = Publisher(self.market.of_venue(SPOT), venue=SPOT)
        self._streams = {f"{symbol.lower()}@trade" for symbol in self.symbols}
        self.stored: list[Row] = []
        self.codec = BinanceBars.spot()
        keeper = ChildSpec(
            name=BARS,
            factory=BarKeeper,
            arguments={
                "codec": BinanceSpot(),
                "bars": self.codec,
                "transport": self.rest,
                "recall": Recall(self.runtime, self.stored),
                "instruments": tuple(map(_instrument, self.symbols)),
            },
        )
        store = ChildSpec(name="store", factory=Sink, arguments={"rows": self.stored})
        plan = Plan(children=(store, keeper), intensity=Intensity(restarts=100, period_s=60.0))
        self.runtime.launch(supervise("market", plan))

    # -- hands

    def run(self, seconds: float, *, is_heard: bool = True) -> None:
        """Let the market live for a while; its trades come unless nobody hears."""
        waiting: list[bytes] = []
        for now_ns in self.market.advance(self.market.now_ns + round(seconds * SECOND_NS)):
            for frame in self._publisher.step(now_ns, self._streams):
                text = f'{{"stream":"{frame.stream}","data":{frame.data}}}'
                waiting.append(text.encode())
            if now_ns % BEAT_NS == 0:
                self.runtime.run_until(now_ns)
                if waiting and is_heard:
                    self.tell(TradeFramesReceived(frames=tuple(waiting)))
                waiting = []
        self.runtime.run_until(self.market.now_ns)

    def wait(self, seconds: float) -> None:
        """Let time pass in which little is traded, and none of it heard of."""
        end_ns = self.market.now_ns + round(seconds * SECOND_NS)
        while self.market.now_ns < end_ns:
            self.market.skip(min(end_ns, self.market.now_ns + SECOND_NS) - STEP_NS)
            for now_ns in self.market.advance(self.market.now_ns + STEP_NS):
                self.runtime.run_until(now_ns)

    def tell(self, message: Message) -> None:
        assert self.runtime.system.directory.tell(BARS, message)
        self.runtime.settle()

    def ask(self, message: Message) -> Any:
        reply = self.runtime.system.directory.request(BARS, message)
        self.runtime.settle()
        return reply.get(timeout=0)

    def kill(self) -> None:
        cell = self.runtime.system.directory.cell(BARS)
        assert cell is not None
        assert cell.actor is not None
        cell.actor.kill("by the test")
        self.runtime.settle()

    def stop(self) -> None:
        self.runtime.stop()

    # -- what came of it

    def bars(self, timeframe: Timeframe = "1m", symbol: str = "BTCUSDT") -> BarsState:
        state = self.ask(ReadBars(symbol=symbol, timeframe=timeframe, limit=1000))
        assert isinstance(state, BarsState)
        return state

    def synced(self) -> dict[str, int]:
        state = self.ask(ReadBarSync())
        assert isinstance(state, BarSyncState)
        return dict(state.synced_ns)

    def rows(self) -> list[BarRow]:
        return [row for row in self.stored if isinstance(row, BarRow)]

    def set_aside(self) -> list[QuarantineRow]:
        return [row for row in self.stored if isinstance(row, QuarantineRow)]

    def count(self, counter: Any, *labels: str) -> int:
        return self.runtime.system.counters.value(counter, *labels)


def stages() -> Iterator[Callable[..., BarsStage]]:
    """Yields what builds stages, and takes their trees down at the end."""
    built: list[BarsStage] = []

    def build(seed: int = 1, **options: Any) -> BarsStage:
        built.append(BarsStage(seed, **options))
        return built[-1]

    yield build
    for stage in built:
        stage.stop()


def _instrument(symbol: str) -> Instrument:
    base = symbol.removesuffix("USDT")
    return Instrument(
        venue=SPOT,
        symbol=symbol,
        native=symbol,
        base=base,
        quote="USDT",
        tick_size="1",
        lot_size="1",
    )
