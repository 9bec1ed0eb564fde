"""ccxt pro's own handler of Binance's messages, without its sockets."""

from collections.abc import Callable

import ccxt.pro
import orjson

from bench.peers.contender import TOP_LEVELS, TOP_READS, Stage, Sums, Top, units
from bench.peers.messages import DECODE_SNAPSHOT
from bench.peers.readings import LEVELS, Readings
from bench.workload import Workload

SYMBOL = "BTC/USDT"
MARKET = {
    "id": "BTCUSDT",
    "lowercaseId": "btcusdt",
    "symbol": SYMBOL,
    "base": "BTC",
    "quote": "USDT",
    "baseId": "BTC",
    "quoteId": "USDT",
    "type": "spot",
    "spot": True,
    **dict.fromkeys(("swap", "future", "option", "contract", "linear", "inverse"), False),
    "active": True,
    "precision": {"price": 0.01, "amount": 0.00001},
    "limits": {},
    "info": {},
}


class Client:
    """What the handler wants of a connection; that nobody waits is in ccxt's favor."""

    url = "wss://stream.binance.com:9443/ws"

    def __init__(self) -> None:
        self.subscriptions: dict[str, object] = {}

    def resolve(self, *_: object) -> None: ...

    def reject(self, error: Exception, *_: object) -> None:
        raise error


class CcxtHandler:
    """`handle_message` after orjson, as in its client; trades handled too."""

    name = "ccxt pro handle_message, orjson"
    package = "ccxt"
    stages = (Stage.BOOK, Stage.FEATURES, Stage.TOP)

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        exchange = ccxt.pro.binance({"options": {"defaultType": "spot"}})
        exchange.set_markets([MARKET | {"id": self._workload.symbol}])
        snapshot = DECODE_SNAPSHOT(self._workload.snapshot)
        self._book = exchange.orderbooks[SYMBOL] = exchange.order_book({})
        self._book.reset(
            {
                "bids": [list(level) for level in snapshot.bids],
                "asks": [list(level) for level in snapshot.asks],
                "nonce": snapshot.last_seq,
                "symbol": SYMBOL,
            }
        )
        self._handle: Callable[[Client, object], None] = exchange.handle_message
        self._readings: Readings | None = None

    def run(self, stage: Stage) -> None:
        getattr(self, f"_run_{stage}")()

    def _run_book(self) -> None:
        client, handle = Client(), self._handle
        for frame in self._workload.frames:
            handle(client, orjson.loads(frame))

    def _run_features(self) -> None:
        client, handle, readings = Client(), self._handle, Readings()
        for frame in self._workload.frames:
            message = orjson.loads(frame)
            handle(client, message)
            if message["e"] == "depthUpdate":
                bids, asks = self._book["bids"][:LEVELS], self._book["asks"][:LEVELS]
                readings.on_depth(bids[0], asks[0])
                readings.read(bids, asks)
            else:
                readings.on_trade(float(message["q"]), is_sell=message["m"])
        self._readings = readings

    def _run_top(self) -> None:
        for _ in range(TOP_READS):
            self._book["bids"][:TOP_LEVELS]
            self._book["asks"][:TOP_LEVELS]

    def top(self, count: int) -> Top:
        return units(self._book["bids"][:count]), units(self._book["asks"][:count])

    def sums(self) -> Sums | None:
        return self._readings.sums() if self._readings else None
