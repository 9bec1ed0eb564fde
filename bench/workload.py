"""Binance spot frames to measure with: a seeded market of its own, made once and the same for all.

Nothing of Stevie is in here, so that the work cannot lean towards the one who is measured: a frame
is what `wss://stream.binance.com:9443/ws/btcusdt@depth@100ms` sends, the snapshot what
`GET /api/v3/depth` answers, and one aggTrade follows every five depth frames.
"""

import math
import os
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from functools import cache
from random import Random
from typing import NamedTuple

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000  # btcusdt@depth@100ms
START_TICKS = 6_000_000  # 60,000.00
FIRST_SEQ = 50_000_000_000
SNAPSHOT_LIMIT = 5_000  # more than the levels of a side: the snapshot vouches for every price
FRAMES_PER_TRADE = 5
FRAMES = int(os.environ.get("BENCH_FRAMES", "50000"))  # a multiple of the books of bench/scale.py

MOVE_SHARE = 0.3  # of the frames in which the market moves
MOVE_TICKS_MAX = 4
DRIFT_TICKS_MAX = 8_000  # the market turns back before it has gone so far
LOTS_MAX = 300_000  # 3.00000


class Profile(NamedTuple):
    """What changes: how much a frame, and how far from the middle of the market."""

    name: str
    changes_mean: float  # levels a depth frame, geometrically distributed
    delete_share: float  # of the changes that no move of the market forces
    median_ticks: float
    sigma: float  # of the logarithm: distances are log-normal
    reach_ticks: int  # none is farther away
    side_levels: int  # of the snapshot


NEAR = Profile("near", 19.45, 0.296, 40.0, 1.5, 20_000, 1_000)
# After a recorded BTCUSDT of 2024-08-08: 36 changes a frame, 48 % deletes, quartiles of 1,751 and
# 14,951 ticks around a median of 8,184.
RECORDED = Profile("recorded", 36.0, 0.488, 8_182.0, 1.5, 600_000, 1_000)


class Text(NamedTuple):
    """What follows the two decimals of a price and the five of a size."""

    price_zeros: str
    size_zeros: str


SHORT = Text("", "")  # "60000.12" and "1.23456"
VENUE = Text("000000", "000")  # eight decimals always, as Binance writes


class Workload(NamedTuple):
    """A snapshot and the frames that follow it."""

    symbol: str
    snapshot: bytes
    frames: list[bytes]
    received_ns: list[int]
    depth_frames: int
    changes: int
    deletes: int
    profile: Profile

    @property
    def floor_ticks(self) -> int:
        """Below any price of it: where a ladder with an index for each tick may begin."""
        return START_TICKS - self.span_ticks // 2

    @property
    def span_ticks(self) -> int:
        """How many ticks such a ladder needs; a power of two, as bitmaps like it."""
        return 1 << (2 * self.profile.reach_ticks + 2 * DRIFT_TICKS_MAX).bit_length()


@cache
def generate(
    frames: int = FRAMES,
    *,
    seed: int = 1,
    profile: Profile = NEAR,
    text: Text = SHORT,
    symbol: str = "BTCUSDT",
) -> Workload:
    """So many depth frames of one book, and the trades between them."""
    market = _Market(Random(seed), profile, text, symbol)
    snapshot = market.snapshot()
    timed = list(market.frames(frames))
    return Workload(
        symbol=symbol,
        snapshot=snapshot,
        frames=[frame for frame, _ in timed],
        received_ns=[at_ns for _, at_ns in timed],
        depth_frames=frames,
        changes=market.changes,
        deletes=market.deletes,
        profile=profile,
    )


def interleave(books: int, frames: int = FRAMES, *, seed: int = 1) -> list[Workload]:
    """So many depth frames in all, shared by so many books that take turns frame by frame."""
    return [
        generate(frames // books, seed=seed + book, symbol=f"S{book:05d}") for book in range(books)
    ]


class _Side:
    """One side's levels: prices in order, and what they hold."""

    def __init__(self, sign: int) -> None:
        self.sign = sign  # -1 for bids, +1 for asks
        self.ticks: list[int] = []
        self.lots: dict[int, int] = {}

    def put(self, ticks: int, lots: int) -> None:
        if ticks not in self.lots:
            insort(self.ticks, ticks)
        self.lots[ticks] = lots

    def delete(self, ticks: int) -> None:
        del self.ticks[bisect_left(self.ticks, ticks)]
        del self.lots[ticks]

    def nearest(self, ticks: int) -> int:
        """The level at this price or the next one above; the highest if there is none."""
        return self.ticks[min(bisect_left(self.ticks, ticks), len(self.ticks) - 1)]

    def best_first(self) -> list[int]:
        return self.ticks[:: self.sign]


class _Market:
    """Two sides that never meet: bids lie below `edge`, asks from it up."""

    def __init__(self, rng: Random, profile: Profile, text: Text, symbol: str) -> None:
        self._random, self._normal, self._below = rng.random, rng.gauss, rng.randrange
        self._rng, self._profile, self._text, self._symbol = rng, profile, text, symbol
        self._edge = START_TICKS
        self._bids, self._asks = _Side(-1), _Side(+1)
        self._seq, self._trade_id, self._unpaid_deletes = FIRST_SEQ, 0, 0
        self.changes = self.deletes = 0
        for side in (self._bids, self._asks):
            side.put(self._at(side, 0), self._lots())
            while len(side.ticks) < profile.side_levels:
                side.put(self._free(side), self._lots())

    def snapshot(self) -> bytes:
        """The body of GET depth."""
        bids, asks = (
            self._levels((ticks, side.lots[ticks]) for ticks in side.best_first())
            for side in (self._bids, self._asks)
        )
        return f'{{"lastUpdateId":{self._seq},"bids":[{bids}],"asks":[{asks}]}}'.encode()

    def frames(self, count: int) -> Iterator[tuple[bytes, int]]:
        """Depth frames with their times, an aggTrade after every fifth."""
        at_ns = START_NS
        for index in range(count):
            at_ns += STEP_NS
            yield self._depth(at_ns), at_ns
            if index % FRAMES_PER_TRADE == FRAMES_PER_TRADE - 1:
                yield self._trade(at_ns), at_ns

    # -- what happens in a frame

    def _depth(self, at_ns: int) -> bytes:
        changes = self._moved() if self._random() < MOVE_SHARE else ({}, {})
        wanted = 1 + int(self._rng.expovariate(1 / (self._profile.changes_mean - 0.5)))
        while len(changes[0]) + len(changes[1]) < wanted:
            index = self._below(2)
            self._change((self._bids, self._asks)[index], changes[index])
        first_seq = self._seq + 1
        self._seq += self._below(1, 2 * (len(changes[0]) + len(changes[1])) + 1)
        self.changes += len(changes[0]) + len(changes[1])
        self.deletes += sum(not lots for side in changes for lots in side.values())
        bids, asks = (
            self._levels(sorted(side.items(), reverse=is_bids))
            for side, is_bids in zip(changes, (True, False), strict=True)
        )
        return (
            f'{{"e":"depthUpdate","E":{at_ns // 1_000_000},"s":"{self._symbol}",'
            f'"U":{first_seq},"u":{self._seq},"b":[{bids}],"a":[{asks}]}}'
        ).encode()

    def _moved(self) -> tuple[dict[int, int], dict[int, int]]:
        """The market moves: what was in the way is gone, and a new touch stands behind it."""
        sign = 1 if self._random() < 0.5 - 0.5 * self._drift() else -1
        step = self._below(1, MOVE_TICKS_MAX + 1)
        gone, gained = (self._asks, self._bids) if sign > 0 else (self._bids, self._asks)
        old_touch = self._at(gone, 0)
        self._edge += sign * step
        passed = [t for i in range(step) if (t := old_touch + sign * i) in gone.lots]
        for ticks in passed:
            gone.delete(ticks)
        self._unpaid_deletes += len(passed)
        touch, lots = self._at(gained, 0), self._lots()
        gained.put(touch, lots)
        removed, put = dict.fromkeys(passed, 0), {touch: lots}
        return (put, removed) if sign > 0 else (removed, put)

    def _drift(self) -> float:
        """How far the market went, of how far it may."""
        return (self._edge - START_TICKS) / DRIFT_TICKS_MAX

    def _change(self, side: _Side, changes: dict[int, int]) -> None:
        """One more change of this side, of a price that has not changed in this frame yet."""
        is_delete = self._random() < self._profile.delete_share
        if is_delete and self._unpaid_deletes:
            self._unpaid_deletes -= 1  # the market's moves are a part of the deletes
            is_delete = False
        is_insert = not is_delete and len(side.ticks) < self._profile.side_levels
        pick = self._free if is_insert else self._level
        while (ticks := pick(side)) in changes:
            pass
        if is_delete:
            side.delete(ticks)
            changes[ticks] = 0
        else:
            changes[ticks] = lots = self._lots()
            side.put(ticks, lots)

    def _trade(self, at_ns: int) -> bytes:
        self._trade_id += 1
        at_ms, sold = at_ns // 1_000_000, self._random() < 0.5
        ticks = self._bids.ticks[-1] if sold else self._asks.ticks[0]
        price, size = self._levels([(ticks, self._lots())])[1:-1].split(",")
        return (
            f'{{"e":"aggTrade","E":{at_ms},"s":"{self._symbol}","a":{self._trade_id},"p":{price},'
            f'"q":{size},"f":{self._trade_id},"l":{self._trade_id},'
            f'"T":{at_ms},"m":{"true" if sold else "false"},"M":true}}'
        ).encode()

    # -- where and how much

    def _at(self, side: _Side, distance: int) -> int:
        return self._edge + distance if side.sign > 0 else self._edge - 1 - distance

    def _distance(self) -> int:
        profile = self._profile
        distance = int(profile.median_ticks * math.exp(self._normal(0.0, profile.sigma)))
        return distance if distance < profile.reach_ticks else self._below(profile.reach_ticks)

    def _level(self, side: _Side) -> int:
        """The price of a level."""
        return side.nearest(self._at(side, self._distance()))

    def _free(self, side: _Side) -> int:
        """A price without a level."""
        while True:
            ticks = self._at(side, self._distance())
            if ticks not in side.lots:
                return ticks

    def _lots(self) -> int:
        return 1 + int(LOTS_MAX * self._random() ** 2)

    # -- as text

    def _levels(self, levels: Iterable[tuple[int, int]]) -> str:
        price_zeros, size_zeros = self._text
        return ",".join(
            f'["{ticks // 100}.{ticks % 100:02d}{price_zeros}",'
            f'"{lots // 100_000}.{lots % 100_000:05d}{size_zeros}"]'
            for ticks, lots in levels
        )
