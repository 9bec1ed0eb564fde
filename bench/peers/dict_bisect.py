"""A book in plain Python: a dict of sizes and a sorted list of prices for each side."""

from bisect import bisect_left, insort

from bench.peers.contender import TOP_LEVELS, TOP_READS, Stage, Sums, Top, units
from bench.peers.messages import DECODE, DECODE_SNAPSHOT, Depth, Levels
from bench.peers.readings import LEVELS, Readings
from bench.workload import Workload


class DictBisect:
    """What most Python programs do, done well; decoded with msgspec."""

    name = "dict + bisect, msgspec"
    package = "msgspec"
    stages = (Stage.DECODE, Stage.APPLY, Stage.BOOK, Stage.FEATURES, Stage.TOP)

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._deltas = [frame for frame in map(DECODE, workload.frames) if isinstance(frame, Depth)]

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        snapshot = DECODE_SNAPSHOT(self._workload.snapshot)
        self._bids, self._asks = dict(snapshot.bids), dict(snapshot.asks)
        self._bid_prices, self._ask_prices = sorted(self._bids), sorted(self._asks)
        self._readings: Readings | None = None

    def run(self, stage: Stage) -> None:
        getattr(self, f"_{stage}")()

    def _decode(self) -> None:
        for frame in self._workload.frames:
            DECODE(frame)

    def _apply(self) -> None:
        for delta in self._deltas:
            self._apply_delta(delta)

    def _book(self) -> None:
        for frame in self._workload.frames:
            message = DECODE(frame)
            if type(message) is Depth:
                self._apply_delta(message)

    def _features(self) -> None:
        readings = self._readings = Readings()
        for frame in self._workload.frames:
            message = DECODE(frame)
            if type(message) is Depth:
                self._apply_delta(message)
                bids, asks = self._best(LEVELS)
                readings.on_depth(bids[0], asks[0])
                readings.read(bids, asks)
            else:
                readings.on_trade(message.q, is_sell=message.m)

    def _top(self) -> None:
        for _ in range(TOP_READS):
            self._best(TOP_LEVELS)

    def _apply_delta(self, delta: Depth) -> None:
        _apply_side(self._bids, self._bid_prices, delta.b)
        _apply_side(self._asks, self._ask_prices, delta.a)

    def _best(self, count: int) -> tuple[Levels, Levels]:
        bids, asks = self._bids, self._asks
        return (
            [(price, bids[price]) for price in self._bid_prices[: -count - 1 : -1]],
            [(price, asks[price]) for price in self._ask_prices[:count]],
        )

    def top(self, count: int) -> Top:
        bids, asks = self._best(count)
        return units(bids), units(asks)

    def sums(self) -> Sums | None:
        return self._readings.sums() if self._readings else None


def _apply_side(sizes: dict[float, float], prices: list[float], changes: Levels) -> None:
    for price, size in changes:
        if size == 0.0:
            if sizes.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]
        else:
            if price not in sizes:
                insort(prices, price)
            sizes[price] = size
