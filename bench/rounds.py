"""Rounds: two ways of doing the same work in turn, timed by the CPU they use."""

import gc
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))


class Pair(NamedTuple):
    """Work per CPU second of both sides, and the median ratio of ours over the peer's."""

    name: str
    unit: str
    ours: str
    peer: str
    ours_per_s: float
    peer_per_s: float
    ratio: float
    ours_best_per_s: float = 0.0
    peer_best_per_s: float = 0.0
    target: float | None = None  # the ratio that we are after


class Figure(NamedTuple):
    """A cost of ours that has no peer."""

    name: str
    unit: str
    median: float
    best: float


class Timing(NamedTuple):
    """What a depth frame costs one contender in one stage."""

    workload: str
    contender: str
    version: str
    stage: str
    median_ns: float
    best_ns: float


Row = Pair | Figure | Timing


def compare(
    name: str,
    *,
    unit: str,
    count: int,
    ours: tuple[str, Callable[[], object]],
    peer: tuple[str, Callable[[], object]],
    target: float | None = None,
) -> Pair:
    """Run both in turn, once to warm up and then ROUNDS times; `count` units of work a run."""
    rows = [(cpu_s(ours[1]), cpu_s(peer[1])) for _ in range(ROUNDS + 1)][1:]
    return pair(
        name,
        unit=unit,
        count=count,
        ours=(ours[0], [mine for mine, _ in rows]),
        peer=(peer[0], [theirs for _, theirs in rows]),
        target=target,
    )


def pair(
    name: str,
    *,
    unit: str,
    count: int,
    ours: tuple[str, list[float]],
    peer: tuple[str, list[float]],
    target: float | None = None,
) -> Pair:
    """Two sides' seconds of the same rounds as a row."""
    return Pair(
        name,
        unit,
        ours[0],
        peer[0],
        count / statistics.median(ours[1]),
        count / statistics.median(peer[1]),
        statistics.median(theirs / mine for mine, theirs in zip(ours[1], peer[1], strict=True)),
        count / min(ours[1]),
        count / min(peer[1]),
        target,
    )


def cpu_s(work: Callable[[], object]) -> float:
    """The CPU seconds that a piece of work takes, with the garbage collector off."""
    gc.collect()
    gc.disable()
    try:
        began_s = time.process_time()
        work()
        return time.process_time() - began_s
    finally:
        gc.enable()
