"""Cases: what one book is told, frame by frame, mutants among them; all of it by seed."""

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, Protocol

from stevie.domain.market.core import CoreSpec
from stevie.domain.market.sequencer import SequenceRule
from tests.parity.frames import PLAIN_NUMBERS, SYMBOL, Market
from tests.parity.recordings import RULES, recording
from tests.soak.mutants import mutant

FRAMES_A_CASE = 400
BATCH_MAX = 12
RECORDED_BYTES_MAX = 20_000  # of a frame: mutants of 100 kB would be all that there is time for
SNAPSHOT_LEVELS = 100
STEP_NS = 100_000_000
LAST_SEQ = re.compile(rb'"u":(\d+)')


class Source(Protocol):
    """Where the sound frames of a case come from."""

    spec: CoreSpec

    def frames(self) -> Iterator[bytes]:
        """Frames in order, without end."""

    def snapshot(self) -> tuple[bytes, int]:
        """A snapshot of now, and the number of levels asked for."""


class CalmMarket(Market):
    """One whose chain holds and whose book is not crossed: the mutants are trouble enough."""

    def _delta(self) -> dict[str, Any]:
        first = self.seq + 1
        self.seq = last = first + self.rng.randrange(3)
        event = {"e": "depthUpdate", "E": self.seq, "s": SYMBOL, "U": first, "u": last}
        event |= {"pu": first - 1} if self.usdm else {}
        bids = [self._level(90, 99) for _ in range(self.rng.randrange(5))]
        return event | {"b": bids, "a": [self._level(101, 110) for _ in range(5)]}

    def _odd(self) -> dict[str, Any]:
        seq = self.seq
        event = super()._odd()
        self.seq = seq
        return event

    def _price(self, low: int, high: int) -> str:
        return f"{self.rng.uniform(low, high):.{self.rng.choice((0, 1, 2))}f}"

    def _size(self) -> str:
        return self.rng.choice(PLAIN_NUMBERS)

    def _symbol(self) -> str:
        return SYMBOL


class Generated:
    """A market that never was; one in four is a troubled one."""

    def __init__(self, seed: int) -> None:
        market = Market if seed % 4 == 0 else CalmMarket
        self._market = market(seed, usdm=seed % 2 == 1)
        self.spec = CoreSpec(native_symbol=SYMBOL, rule=SequenceRule(seed % 2))

    def frames(self) -> Iterator[bytes]:
        while True:
            yield self._market.frame()

    def snapshot(self) -> tuple[bytes, int]:
        return self._market.snapshot(size=30), self._market.rng.choice((0, 0, 5, 30))


class Recorded:
    """Some of a recording, from anywhere in it; its snapshot is moved to where the frames are."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        name = rng.choice(list(RULES))
        chains = _chains(name)
        symbol = rng.choice(sorted(chains))
        self._chain = chains[symbol]
        self._at = rng.randrange(len(self._chain.frames))
        self.spec = CoreSpec(native_symbol=symbol, rule=RULES[name])

    def frames(self) -> Iterator[bytes]:
        while True:
            self._at = (self._at + 1) % len(self._chain.frames)
            yield self._chain.frames[self._at]

    def snapshot(self) -> tuple[bytes, int]:
        place = LAST_SEQ.search(self._chain.frames[self._at])
        seq = int(place[1]) if place else 1
        return b'{"lastUpdateId":%d,%s' % (seq, self._chain.levels), SNAPSHOT_LEVELS


class _Chain(NamedTuple):
    """One symbol of a recording; `levels` is the end of a snapshot's body."""

    frames: list[bytes]
    levels: bytes


@cache
def _chains(name: str) -> dict[str, _Chain]:
    frames: dict[str, list[bytes]] = {}
    levels: dict[str, bytes] = {}
    for frame in recording(name):
        if frame.level_limit:
            body = json.loads(frame.raw)
            sides = {side: body[side][:SNAPSHOT_LEVELS] for side in ("bids", "asks")}
            levels[frame.symbol] = json.dumps(sides, separators=(",", ":")).encode()[1:]
        elif len(frame.raw) <= RECORDED_BYTES_MAX:
            frames.setdefault(frame.symbol, []).append(frame.raw)
    return {s: _Chain(frames[s], levels[s]) for s in levels if s in frames}


SOURCES: dict[str, type[Generated] | type[Recorded]] = {
    "generated": Generated,
    "recorded": Recorded,
}


class Batch(NamedTuple):
    """Frames that a book takes at once."""

    frames: list[bytes]
    received_ns: list[int]


class Case:
    """What happens to one book."""

    def __init__(self, source: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self._source = SOURCES[source](seed)
        self.spec = self._source.spec
        self.now_ns = STEP_NS
        # From a book that has time to become LIVE to one that never sees a sound frame.
        self._mutant_share = self.rng.choice((0.05, 0.2, 0.5, 1.0))
        self.mutants = 0
        self._past: list[bytes] = [b"{}"]

    def batches(self) -> Iterator[Batch]:
        """Batches of frames; some frames are mutants, some change places."""
        sound = self._source.frames()
        left = FRAMES_A_CASE
        while left > 0:
            frames = [
                self._perhaps_mutant(next(sound)) for _ in range(self.rng.randrange(1, BATCH_MAX))
            ]
            if self.rng.random() < 0.05:
                self.rng.shuffle(frames)
            left -= len(frames)
            yield Batch(frames, [self._tick() for _ in frames])

    def snapshot(self) -> tuple[bytes, int]:
        """A snapshot, sometimes a mutant."""
        body, level_limit = self._source.snapshot()
        if self.rng.random() < self._mutant_share / 3:
            body = mutant(body, self._past, self.rng)
        return body, level_limit

    def _perhaps_mutant(self, frame: bytes) -> bytes:
        self._past = [*self._past[-7:], frame]
        if self.rng.random() < self._mutant_share:
            self.mutants += 1
            return mutant(frame, self._past, self.rng)
        return frame

    def _tick(self) -> int:
        self.now_ns += self.rng.choice((0, 1_000_000, STEP_NS))
        return self.now_ns
