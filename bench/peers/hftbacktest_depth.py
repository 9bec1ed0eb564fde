"""hftbacktest's ROIVectorMarketDepth: the quickest book that a Python package offers."""

from typing import Any

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype

from bench.peers.contender import Level, Stage, Sums, Top
from bench.peers.messages import DECODE, DECODE_SNAPSHOT, Depth, Levels
from bench.workload import START_NS, STEP_NS, Workload


class HftbacktestDepth:
    """Numbers of an array to its local book, through its event loop, in one call.

    Its converter (Python's json and float()) is not timed: it serves files, not feeds.
    """

    name = "hftbacktest ROIVectorMarketDepth"
    package = "hftbacktest"
    stages = (Stage.APPLY,)

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        snapshot = DECODE_SNAPSHOT(workload.snapshot)
        rows = [*_rows(START_NS, snapshot.bids, snapshot.asks)]
        for frame, at_ns in zip(workload.frames, workload.received_ns, strict=True):
            message = DECODE(frame)
            if isinstance(message, Depth):
                rows += _rows(at_ns, message.b, message.a)
        self._events = np.array(rows, dtype=event_dtype)

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        first, span = self._workload.floor_ticks, self._workload.span_ticks
        asset = (
            BacktestAsset()
            .data([self._events])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(0.01)
            .lot_size(0.00001)
            .roi_lb(first * 0.01)
            .roi_ub((first + span - 1) * 0.01)
        )
        self._backtest = ROIVectorMarketDepthBacktest([asset])
        self._backtest.elapse(STEP_NS // 2)  # past the snapshot, and through numba's compiler

    def run(self, stage: Stage) -> None:
        assert stage is Stage.APPLY, stage
        self._backtest.elapse(self._workload.received_ns[-1] - START_NS)

    def top(self, count: int) -> Top:
        depth = self._backtest.depth(0)
        floor = depth.roi_lb_tick
        bids = _levels(depth.bid_depth, range(depth.best_bid_tick - floor, -1, -1), floor, count)
        asks = depth.ask_depth
        return bids, _levels(asks, range(depth.best_ask_tick - floor, len(asks)), floor, count)

    def sums(self) -> Sums | None:
        return None


def _rows(at_ns: int, bids: Levels, asks: Levels) -> list[tuple[float, ...]]:
    return [
        (LOCAL_EVENT | DEPTH_EVENT | side, at_ns, at_ns, price, size, 0, 0, 0.0)
        for side, levels in ((BUY_EVENT, bids), (SELL_EVENT, asks))
        for price, size in levels
    ]


def _levels(sizes: Any, indices: range, floor: int, count: int) -> tuple[Level, ...]:
    found: list[Level] = []
    for index in indices:
        if sizes[index] > 0.0:
            found.append((floor + index, round(sizes[index] * 100_000)))
            if len(found) == count:
                break
    return tuple(found)
