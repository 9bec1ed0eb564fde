"""What every contender can do, so that all do the same work."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from bench.workload import Workload

Level = tuple[int, int]
Top = tuple[tuple[Level, ...], tuple[Level, ...]]

BATCH = 100  # frames between two readings, where they are read in batches
TOP_LEVELS = 20
TOP_READS = 20_000


class Stage(StrEnum):
    """A piece of work that is timed."""

    DECODE = "decode"  # bytes to numbers
    APPLY = "apply"  # numbers to a book; parsed beforehand, and in whatever form is the quickest
    BOOK = "book"  # bytes to a book, with the touch known after each frame
    FEATURES = "features"  # bytes to a book to features, read after each depth frame
    BATCHES = "batches"  # the same, read after every BATCH frames of any kind
    TOP = "top"  # TOP_READS times the top 20 of both sides


class Sums(NamedTuple):
    """The features added up over all readings; a mid counts in ticks, an undefined one as 0."""

    obi: float
    spread_bps: float
    weighted_mid: float
    micro_vol: float
    ti: float


class Contender(Protocol):
    """One way to keep a book. Numbers of a workload are ticks of 0.01 and lots of 0.00001."""

    name: str
    package: str  # the distribution whose version is told, "" for none
    stages: tuple[Stage, ...]

    def __init__(self, workload: Workload) -> None: ...

    def reset(self, stage: Stage) -> None:
        """Forget all and take the snapshot; not timed."""

    def run(self, stage: Stage) -> None:
        """Do that work over the whole workload; timed."""

    def top(self, count: int) -> Top:
        """The best levels of the book as it is, bids and asks, best first."""

    def sums(self) -> Sums | None:
        """What the readings came to; None if there were none."""


def units(levels: list[tuple[float, float]]) -> tuple[Level, ...]:
    """Prices and sizes as ticks and lots."""
    return tuple((round(price * 100), round(size * 100_000)) for price, size in levels)
