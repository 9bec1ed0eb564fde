"""A directory whose actors answer what the test says, and an edge around it."""

from collections.abc import Callable
from typing import Any

from falcon import testing

from stevie.adapters.store.memory import MemoryStore
from stevie.domain.market.book import BookCounts
from stevie.domain.market.core import CoreView
from stevie.domain.market.features import Features
from stevie.domain.market.fresh_book import Certificate
from stevie.domain.market.instrument import Instrument, InstrumentKind, SymbolTable
from stevie.http.app import create_app
from stevie.http.edge import Edge, KernelFact
from stevie.messages.bars import BarSyncState
from stevie.messages.market import (
    BookRead,
    FeedState,
    MarketState,
    ReadBook,
    ReadMarket,
    VenueReading,
)
from stevie.messages.record import AuditState, StoreState, TableSize
from stevie.runtime.counters import Counters
from stevie.runtime.directory import ActorView
from stevie.runtime.errors import ActorDeadError
from stevie.runtime.lifecycle import State
from stevie.runtime.message import Message

NOW_NS = 1_732_320_000_123_456_789
NOW = "2024-11-23T00:00:00.123456Z"
MS = 1_000_000


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def wall_ns(self) -> int:
        return self.now_ns

    monotonic_ns = wall_ns

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Any:
        raise AssertionError("the edge arms no timer")


class Answer:
    """An answer on its way: a value, or an exception."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self, *, timeout: float | None = None) -> Any:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


class FakeDirectory:
    """By name what an actor answers: a value, an exception, or a function of the message."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.rows: list[ActorView] = []
        self.asked: list[tuple[str, Message]] = []

    def request(self, name: str, message: Message) -> Answer:
        self.asked.append((name, message))
        answer = self.answers.get(name, ActorDeadError(f"{name}: unknown_name"))
        return Answer(answer(message) if callable(answer) else answer)

    def ask(self, name: str, message: Message, *, timeout_s: float) -> Any:
        assert 0 < timeout_s <= 1
        return self.request(name, message).get(timeout=timeout_s)

    def tree(self) -> tuple[ActorView, ...]:
        return tuple(self.rows)


def instrument(venue: str, base: str, quote: str = "USDT") -> Instrument:
    is_perpetual = venue == "binance_usdm"
    return Instrument(
        venue=venue,
        symbol=base + quote + ("-PERP" if is_perpetual else ""),
        native=base + quote,
        base=base,
        quote=quote,
        kind=InstrumentKind.PERPETUAL if is_perpetual else InstrumentKind.SPOT,
        tick_size="0.01",
        lot_size="0.00001",
    )


BTC = instrument("binance", "BTC")
ETH = instrument("binance", "ETH")
BTC_PERP = instrument("binance_usdm", "BTC")
TABLES = {"binance": SymbolTable((BTC, ETH)), "binance_usdm": SymbolTable((BTC_PERP,))}

VIEW = CoreView(
    first_seq=97,
    last_seq=105,
    snapshot_seq=90,
    price_decimals=2,
    size_decimals=5,
    bid_levels=3,
    ask_levels=3,
    best_bid=6_000_000,
    best_ask=6_000_010,
    bid_floor=-1,
    ask_ceiling=-1,
    event_ns=NOW_NS - 20 * MS,
    frames=40,
    applied=30,
    applied_since_snapshot=12,
    stale=2,
    trades=7,
    other=1,
    malformed=3,
    level_changes=300,
    delete_unknown=0,
)
BIDS = ((6_000_000, 150_000), (5_999_990, 1), (5_999_000, 2_000_000))
ASKS = ((6_000_010, 50_000), (6_000_020, 7), (6_001_000, 100_000_000))
COUNTS = BookCounts(
    deltas=32,
    buffered_before_snapshot=2,
    discarded_deltas=0,
    snapshots=4,
    gaps=5,
    resyncs=6,
    crossed=8,
    buffer_overflows=9,
)


def book(
    instrument: Instrument = BTC,
    *,
    floor: int = -1,
    ceiling: int = -1,
    heard_ns: int = NOW_NS - 5 * MS,
    **fields: Any,
) -> Callable[[ReadBook], BookRead]:
    """A book's answer: LIVE unless told otherwise."""
    certificate = Certificate(
        epoch=3,
        snapshot_seq=90,
        first_seq=97,
        last_seq=105,
        applied_count=12,
        heard_ns=heard_ns,
        bid_floor_ticks=floor,
        ask_ceiling_ticks=ceiling,
    )
    defaults = {"state": "LIVE", "reason": "", "detail": "", "view": VIEW, "bids": BIDS}
    defaults |= {"asks": ASKS, **fields}

    def answer(message: ReadBook) -> BookRead:
        cut = {side: defaults[side][: message.depth] for side in ("bids", "asks")}
        return BookRead(
            instrument=instrument,
            kernel="native",
            certificate=certificate,
            counts=COUNTS,
            checkpoints=(),
            now_ns=NOW_NS,
            state_since_ns=NOW_NS - 1500 * MS,
            **{**defaults, **cut},
        )

    return answer


FEATURES = Features(
    obi=0.5,
    spread_bps=0.0166,
    weighted_mid=6_000_007.5,
    ofi_time=-1.25,
    ofi_count=2.5,
    ti_time=None,
    ti_count=-0.75,
    micro_vol_time=0.0001,
    micro_vol_count=0.0002,
    trades_per_s=0.0,
    depth_age_ns=3 * MS,
    trade_age_ns=60_000 * MS,
    touched_time=0,
    touched_depth_count=1,
    touched_trade_count=0,
)


def reading(venue: str = "binance", **fields: Any) -> VenueReading:
    defaults = {"state": "LIVE", "reason": "", "features": FEATURES, "price_decimals": 2}
    defaults |= {"features_at_ns": NOW_NS - 10 * MS, "window_ns": 10_000 * MS, **fields}
    return VenueReading(venue=venue, **defaults)


def market(
    *readings: VenueReading, symbol: str = "BTCUSDT", imbalance: float | None = 0.2
) -> Callable[[ReadMarket], MarketState]:
    """MarketData's answer."""

    def answer(message: ReadMarket) -> MarketState:
        return MarketState(
            symbol=message.symbol,
            now_ns=NOW_NS,
            price_decimals=2,
            size_decimals=5,
            bids=((6_000_000, 150_000, "binance"),)[: message.depth],
            asks=((6_000_010, 50_000, "binance"),)[: message.depth],
            imbalance=imbalance,
            venues=readings,
        )

    return answer


def feed(venue: str, *, is_connected: bool = True, reason: str = "") -> FeedState:
    return FeedState(
        venue=venue,
        is_connected=is_connected,
        reason=reason,
        urls=("ws://localhost/stream",),
        frames=1,
        unrouted=0,
        sockets_opened=1,
        snapshots_requested=1,
        native_symbols=("BTCUSDT",),
        unlisted=(),
    )


def row(name: str, *, parent: str | None = None, state: State = State.RUNNING) -> ActorView:
    return ActorView(
        name=name,
        parent=parent,
        actor_class=name.partition("/")[0].title(),
        state=state,
        incarnation=2,
        restarts=1,
        started_at_ns=NOW_NS - 1000 * MS,
        last_reason="ValueError: once",
        mailbox_depth=3,
        mailbox_capacity=1024,
        mailbox_bytes=77,
        mailbox_bytes_max=4096,
        refused=4,
        conflated=5,
        folded=6,
        overflowed=7,
    )


STORE = StoreState(
    engine="sqlite",
    trouble="",
    waiting_rows=3,
    waiting_bytes=700,
    written_rows=90,
    lost_rows=0,
    database_bytes=81_920,
    tables=(TableSize(table="audit", rows=80, bytes=40_000),),
)
AUDIT = AuditState(
    head_seq=80,
    head_hash="cd" * 32,
    durable_seq=78,
    backlog_rows=2,
    backlog_bytes=900,
    lost=0,
    blocked_reason="",
)

SYNCED_S = 1_700_000_060
BARS = BarSyncState(
    venue="binance", synced_ns=(("BTCUSDT", SYNCED_S * 1_000_000_000), ("ETHUSDT", 0))
)

NAMES = (
    "store",
    "auditor",
    "flags",
    "feed/binance",
    "book/binance/BTCUSDT",
    "book/binance/ETHUSDT",
    "feed/binance_usdm",
    "book/binance_usdm/BTCUSDT-PERP",
)


def healthy() -> FakeDirectory:
    """Everything up, connected and LIVE."""
    directory = FakeDirectory()
    directory.rows = [row("root"), row("market_data", parent="root")]
    directory.rows += [row(name, parent="root") for name in NAMES]
    directory.answers = {
        "store": STORE,
        "auditor": AUDIT,
        "bars/binance": BARS,
        "bars/binance_usdm": BarSyncState(venue="binance_usdm", synced_ns=()),
        "market_data": market(reading("binance")),
        "feed/binance": feed("binance"),
        "feed/binance_usdm": feed("binance_usdm"),
        "book/binance/BTCUSDT": book(BTC),
        "book/binance/ETHUSDT": book(ETH),
        "book/binance_usdm/BTCUSDT-PERP": book(BTC_PERP),
    }
    return directory


class Site:
    """The application over a fake system, and a client that knows its Host."""

    def __init__(self, *registries: type, **fields: Any) -> None:
        self.directory = healthy()
        self.clock = FakeClock()
        self.counters = Counters(*registries)
        self.hub_lag_s = 0.001
        edge = Edge(
            directory=self.directory,
            clock=self.clock,
            tables=TABLES,
            kernel=KernelFact(name="native", source_hash="ab" * 32),
            counters=self.counters,
            version="0.1.0",
            started_at_ns=NOW_NS - 60_000 * MS,
            started_monotonic_ns=NOW_NS - 60_000 * MS,
            hub_lag_s=lambda: self.hub_lag_s,
            **{"profile": "dev", "archive": MemoryStore(), **fields},
        )
        self.app = create_app(edge)
        self.client = testing.TestClient(self.app, headers={"Host": "localhost:5000"})

    def get(self, path: str, **options: Any) -> testing.Result:
        return self.client.simulate_get(path, **options)

    def problem(self, path: str, status: int, **options: Any) -> dict[str, Any]:
        """GET what must be answered by this error, and return it."""
        result = self.get(path, **options)
        assert result.status_code == status, result.text
        assert result.headers["Content-Type"] == "application/json"
        document: dict[str, Any] = result.json
        assert document["status"] == status
        assert document["title"]
        assert document["detail"]
        return document
