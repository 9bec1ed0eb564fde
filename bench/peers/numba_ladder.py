"""A dense tick ladder compiled by numba, fed with floats that msgspec decodes."""

import math
from itertools import chain
from typing import Any

import numpy as np
from numba import njit

from bench.peers.contender import TOP_LEVELS, TOP_READS, Stage, Sums, Top
from bench.peers.messages import DECODE, DECODE_SNAPSHOT, Depth, Levels
from bench.workload import Workload

WINDOW = 100
OBI_LEVELS = 5
Array = Any  # of numpy, which is not installed everywhere that this is checked

BEST_BID, BEST_ASK, RETURN_AT, TRADE_AT = range(4)  # in `places`
LAST_MID, RETURN_SUM, SIGNED, SIZE = range(4)  # in `running`


@njit
def apply(  # noqa: PLR0917 - numba knows no keywords that cost nothing
    levels: Array, bid_count: int, floor: int, bids: Array, asks: Array, places: Array
) -> None:
    best = places[BEST_BID]
    for i in range(bid_count):
        index = int(levels[2 * i] * 100.0 + 0.5) - floor
        bids[index] = levels[2 * i + 1]
        if bids[index] > 0.0:
            best = max(best, index)
        while bids[best] == 0.0 and best > 0:
            best -= 1
    places[BEST_BID], best = best, places[BEST_ASK]
    for i in range(bid_count, levels.size // 2):
        index = int(levels[2 * i] * 100.0 + 0.5) - floor
        asks[index] = levels[2 * i + 1]
        if asks[index] > 0.0:
            best = min(best, index)
        while asks[best] == 0.0 and best < asks.size - 1:
            best += 1
    places[BEST_ASK] = best


@njit
def features(  # noqa: PLR0917
    floor: int, bids: Array, asks: Array, places: Array, running: Array, returns: Array
) -> tuple[float, float, float, float, float]:
    best_bid, best_ask = places[BEST_BID], places[BEST_ASK]
    bid_size, ask_size = bids[best_bid], asks[best_ask]
    mid = floor + best_bid + (best_ask - best_bid) * bid_size / (bid_size + ask_size)
    if running[LAST_MID] > 0.0:
        squared = math.log(mid / running[LAST_MID]) ** 2
        at = places[RETURN_AT]
        running[RETURN_SUM] += squared - returns[at]
        returns[at] = squared
        places[RETURN_AT] = (at + 1) % WINDOW
    running[LAST_MID] = mid
    bid_sum, ask_sum, left, index = 0.0, 0.0, OBI_LEVELS, best_bid
    while left and index >= 0:
        bid_sum += bids[index]
        left -= bids[index] > 0.0
        index -= 1
    left, index = OBI_LEVELS, best_ask
    while left and index < asks.size:
        ask_sum += asks[index]
        left -= asks[index] > 0.0
        index += 1
    return (
        (bid_sum - ask_sum) / (bid_sum + ask_sum),
        (best_ask - best_bid) * 20_000.0 / (2 * floor + best_ask + best_bid),
        mid,
        math.sqrt(max(0.0, running[RETURN_SUM])),
        running[SIGNED] / running[SIZE] if running[SIZE] > 0.0 else 0.0,
    )


@njit
def on_trade(size: float, is_sell: int, places: Array, running: Array, trades: Array) -> None:
    signed = -size if is_sell else size
    at = places[TRADE_AT]
    running[SIGNED] += signed - trades[at]
    running[SIZE] += size - abs(trades[at])
    trades[at] = signed
    places[TRADE_AT] = (at + 1) % WINDOW


@njit
def top(count: int, floor: int, bids: Array, asks: Array, places: Array) -> Array:
    levels = np.zeros((2 * count, 2))
    row, index = 0, places[BEST_BID]
    while row < count and index >= 0:
        if bids[index] > 0.0:
            levels[row, 0], levels[row, 1] = floor + index, bids[index]
            row += 1
        index -= 1
    row, index = count, places[BEST_ASK]
    while row < 2 * count and index < asks.size:
        if asks[index] > 0.0:
            levels[row, 0], levels[row, 1] = floor + index, asks[index]
            row += 1
        index += 1
    return levels


def flat(bids: Levels, asks: Levels) -> Array:
    """Prices and sizes in one array: quicker than np.array of the tuples."""
    levels = chain.from_iterable(bids + asks)
    return np.fromiter(levels, np.float64, 2 * (len(bids) + len(asks)))


class NumbaLadder:
    """What a Python programmer who compiles the hot loop gets."""

    name = "numba dense ladder, msgspec"
    package = "numba"
    stages = (Stage.DECODE, Stage.APPLY, Stage.BOOK, Stage.FEATURES, Stage.TOP)

    def __init__(self, workload: Workload) -> None:
        self._workload, self._floor = workload, workload.floor_ticks
        self._deltas = [
            (flat(message.b, message.a), len(message.b))
            for message in map(DECODE, workload.frames)
            if isinstance(message, Depth)
        ]
        for stage in self.stages:  # compiles
            self.reset(stage)
            self._compile()

    def _compile(self) -> None:
        bids, asks, places, running, returns, trades = self._state
        on_trade(1.0, 1, places, running, trades)
        features(self._floor, bids, asks, places, running, returns)
        top(TOP_LEVELS, self._floor, bids, asks, places)

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        span = self._workload.span_ticks
        self._state = (
            np.zeros(span),
            np.zeros(span),
            np.array([0, span - 1, 0, 0]),
            np.zeros(4),
            np.zeros(WINDOW),
            np.zeros(WINDOW),
        )
        bids, asks, places, *_ = self._state
        snapshot = DECODE_SNAPSHOT(self._workload.snapshot)
        levels = flat(snapshot.bids, snapshot.asks)
        apply(levels, len(snapshot.bids), self._floor, bids, asks, places)
        self._sums: Sums | None = None

    def run(self, stage: Stage) -> None:
        getattr(self, f"_{stage}")()

    def _decode(self) -> None:
        for frame in self._workload.frames:
            DECODE(frame)

    def _apply(self) -> None:
        bids, asks, places, *_ = self._state
        for levels, bid_count in self._deltas:
            apply(levels, bid_count, self._floor, bids, asks, places)

    def _book(self) -> None:
        bids, asks, places, *_ = self._state
        for frame in self._workload.frames:
            message = DECODE(frame)
            if type(message) is Depth:
                apply(flat(message.b, message.a), len(message.b), self._floor, bids, asks, places)

    def _features(self) -> None:
        bids, asks, places, running, returns, trades = self._state
        floor = self._floor
        obi = spread_bps = weighted_mid = micro_vol = ti = 0.0
        for frame in self._workload.frames:
            message = DECODE(frame)
            if type(message) is Depth:
                apply(flat(message.b, message.a), len(message.b), floor, bids, asks, places)
                row = features(floor, bids, asks, places, running, returns)
                obi += row[0]
                spread_bps += row[1]
                weighted_mid += row[2]
                micro_vol += row[3]
                ti += row[4]
            else:
                on_trade(message.q, int(message.m), places, running, trades)
        self._sums = Sums(obi, spread_bps, weighted_mid, micro_vol, ti)

    def _top(self) -> None:
        bids, asks, places, *_ = self._state
        for _ in range(TOP_READS):
            top(TOP_LEVELS, self._floor, bids, asks, places)

    def top(self, count: int) -> Top:
        bids, asks, places, *_ = self._state
        rows = [
            (round(ticks), round(size * 100_000))
            for ticks, size in top(count, self._floor, bids, asks, places)
        ]
        return tuple(rows[:count]), tuple(rows[count:])

    def sums(self) -> Sums | None:
        return self._sums
