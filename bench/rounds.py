"""Rounds: two ways of doing the same work in turn, timed by the CPU they use."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

ROUNDS = 7


class Pair(NamedTuple):
    """Work per CPU second of both sides, and the median ratio of ours over the peer's."""

    name: str
    unit: str
    ours: str
    peer: str
    ours_per_s: float
    peer_per_s: float
    ratio: float


def compare(
    name: str,
    *,
    unit: str,
    count: int,
    ours: tuple[str, Callable[[], object]],
    peer: tuple[str, Callable[[], object]],
) -> Pair:
    """Run both in turn, once to warm up and then ROUNDS times; `count` units of work a run."""
    rows = [(_timed(ours[1]), _timed(peer[1])) for _ in range(ROUNDS + 1)][1:]
    return Pair(
        name,
        unit,
        ours[0],
        peer[0],
        count / statistics.median(mine for mine, _ in rows),
        count / statistics.median(theirs for _, theirs in rows),
        statistics.median(theirs / mine for mine, theirs in rows),
    )


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        began_s = time.process_time()
        work()
        return time.process_time() - began_s
    finally:
        gc.enable()
