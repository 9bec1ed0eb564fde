"""The stream that every client follows: what is sent, and how its processor time is taken.

Three phases with a pause before each: a start that counts for nobody, frames that come one by one,
and frames that come in bursts, as those of all symbols do when a venue sends its batches.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from bench.workload import NEAR, Workload, generate

# Fewer levels than any client asks for: the snapshot vouches for every price.
PROFILE = NEAR._replace(side_levels=900)
SYMBOL = "BTCUSDT"
STREAM = "btcusdt@depth@100ms"
TOP_LEVELS = 20
PRICE_UNITS, SIZE_UNITS = 100, 100_000  # cents and hundred-thousandths, as the venue lists them
PAUSE_S = 0.2


class Phase(NamedTuple):
    """So many frames, so many in a write, so many a second."""

    name: str
    frames: int
    per_write: int
    per_s: int


PHASES = (
    Phase("start", 300, 1, 1_000),
    Phase("one by one", 2_500, 1, 2_500),
    Phase("bursts of 100", 10_000, 100, 10_000),
)


def workload() -> Workload:
    """The frames of all phases, and the snapshot before them; the same in every process."""
    return generate(sum(phase.frames for phase in PHASES), profile=PROFILE, symbol=SYMBOL)


def depth_frames(work: Workload) -> list[bytes]:
    """Without the trades: every client has another stream for these."""
    return [frame for frame in work.frames if b'"depthUpdate"' in frame]


def last_seqs(frames: list[bytes]) -> list[int]:
    """The sequence number that each phase ends with."""
    ends = accumulate(phase.frames for phase in PHASES)
    return [json.loads(frames[end - 1])["u"] for end in ends]


class Address(NamedTuple):
    """What a client is told: where the server is, and the last sequence number of each phase."""

    port: int
    seqs: list[int]


def address() -> Address:
    """The one that this process was started with."""
    return Address(*json.loads(sys.argv[1]))


Level = tuple[int, int]
Side = list[Level]


class Result(NamedTuple):
    """What a client says at its end: CPU seconds at the end of each phase, and its book."""

    client: str
    cpu_s: list[float]
    bids: Side
    asks: Side


class Marks:
    """A client's notes of its processor time, as its book reaches the end of each phase."""

    def __init__(self, client: str, seqs: list[int]) -> None:
        self._client, self._seqs = client, seqs
        self._cpu_s: list[float] = []

    def is_over(self, seq: int) -> bool:
        """Take note of where the book is; say whether that is the end."""
        if seq >= self._seqs[len(self._cpu_s)]:
            self._cpu_s.append(time.process_time())
        return len(self._cpu_s) == len(self._seqs)

    def end(self, bids: Side, asks: Side) -> None:
        """Report, and end the process without the client's own farewells."""
        print(json.dumps(Result(self._client, self._cpu_s, bids, asks)), flush=True)
        os._exit(0)


def counted(levels: Iterable[tuple[object, object]]) -> Side:
    """Prices and sizes in the units of the venue, whatever kind of number the client keeps."""
    return [
        (round(float(str(price)) * PRICE_UNITS), round(float(str(size)) * SIZE_UNITS))
        for price, size in levels
    ]
