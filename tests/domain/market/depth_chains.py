"""Chains of depth messages with the truth beside them.

The truth is a dict a side, built from the venues' documents alone: sizes are absolute, 0 removes.
Nothing here draws on the code under test, but for the names of the rules.
"""

import json
import random
import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import NamedTuple

import pytest

from stevie.adapters.kernel import KernelError, NativeKernel, PythonKernel
from stevie.domain.market.book import Book, BookLimits
from stevie.domain.market.core import CoreSpec, Scale
from stevie.domain.market.sequencer import SequenceRule
from stevie.ports import Kernel
from stevie.venues.binance.reference import BinanceReferenceCore

DECIMALS = 8  # enough for every price and size here, so that units never change
SCALE = Scale(DECIMALS, DECIMALS)
ALL = 100_000  # levels: more than any book here has
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
KERNELS = ("python", "native")

Side = dict[int, int]
Levels = Sequence[Sequence[str]]


@cache
def kernel_named(name: str) -> Kernel:
    """The kernel of that name; the test is skipped where the native one cannot be had."""
    if name == "python":
        return PythonKernel(BinanceReferenceCore)
    try:
        return NativeKernel()
    except KernelError as error:
        pytest.skip(f"no native kernel: {error}")


def new_book(
    kernel: Kernel, rule: SequenceRule, symbol: str = "BTCUSDT", limits: BookLimits | None = None
) -> Book:
    """A book that counts in units of 1e-8."""
    spec = CoreSpec(native_symbol=symbol, rule=rule, scale=SCALE)
    return Book(lambda: kernel.new_core(spec), limits)


class Truth(NamedTuple):
    """A book as it was at a sequence number."""

    seq: int
    bids: Side
    asks: Side

    def after(self, seq: int, bids: Levels, asks: Levels) -> "Truth":
        return Truth(seq, _changed(self.bids, bids), _changed(self.asks, asks))

    def packed(self) -> tuple[bytes, bytes]:
        """As `BookCore.ladder` gives it."""
        return _packed(sorted(self.bids.items(), reverse=True)), _packed(sorted(self.asks.items()))

    def body(self, depth: int = ALL) -> bytes:
        """As REST gives it."""
        bids = [_texts(level) for level in sorted(self.bids.items(), reverse=True)[:depth]]
        asks = [_texts(level) for level in sorted(self.asks.items())[:depth]]
        return json.dumps({"lastUpdateId": self.seq, "bids": bids, "asks": asks}).encode()


class Delta(NamedTuple):
    """One message, and the truth once it is applied."""

    first_seq: int
    last_seq: int
    previous_seq: int
    frame: bytes
    truth: Truth


class Chain(NamedTuple):
    """Messages without a hole; `inside[i]` is the truth when message i was half told."""

    rule: SequenceRule
    symbol: str
    start: Truth
    deltas: tuple[Delta, ...]
    inside: tuple[Truth, ...] = ()


def units(text: str) -> int:
    """A decimal in units of 1e-8."""
    return int(Decimal(text).scaleb(DECIMALS))


def _changed(side: Side, levels: Levels) -> Side:
    changed = dict(side)
    for price, size in levels:
        changed[units(price)] = units(size)
        if not units(size):
            del changed[units(price)]
    return changed


def _packed(levels: Iterable[tuple[int, int]]) -> bytes:
    return b"".join(struct.pack("<qq", *level) for level in levels)


def _texts(level: tuple[int, int]) -> list[str]:
    return [format(Decimal(number).scaleb(-DECIMALS), "f") for number in level]


def depth_frame(
    first_seq: int,
    last_seq: int,
    *,
    previous_seq: int = -1,
    bids: Levels = (),
    asks: Levels = (),
    symbol: str = "BTCUSDT",
) -> bytes:
    """A combined depthUpdate frame."""
    data: dict[str, object] = {"e": "depthUpdate", "E": 1_700_000_000_000, "s": symbol}
    data |= {"U": first_seq, "u": last_seq}
    data |= {"pu": previous_seq} if previous_seq >= 0 else {}
    data |= {"b": bids, "a": asks}
    stream = f"{symbol.lower()}@depth@100ms"
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def trade_frame(trade_id: int, size: str = "1.5", *, symbol: str = "BTCUSDT") -> bytes:
    """A combined trade frame; the aggressor bought."""
    data = {"e": "trade", "E": 1, "s": symbol, "t": trade_id, "p": "100.5", "q": size, "m": False}
    stream = f"{symbol.lower()}@trade"
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def generated(
    rule: SequenceRule, *, seed: int = 1, count: int = 30, symbol: str = "BTCUSDT"
) -> Chain:
    """A chain around a price of 100; USD-M ids are shared with other symbols, so they skip."""
    rng = random.Random(seed)
    bids = {units(str(price)): units(str(rng.randrange(1, 50))) for price in range(80, 100)}
    asks = {units(str(price)): units(str(rng.randrange(1, 50))) for price in range(101, 121)}
    start = truth = Truth(1000, bids, asks)
    is_usdm = rule is SequenceRule.USDM
    deltas, inside = [], []
    for _ in range(count):
        told = _told(rng)
        first = truth.seq + (rng.randrange(1, 6) if is_usdm else 1)
        last = first + len(told) - 1 + (rng.randrange(4) if is_usdm else 0)
        bids_told = [level for is_bid, level in told if is_bid]
        asks_told = [level for is_bid, level in told if not is_bid]
        previous = truth.seq if is_usdm else -1
        frame = depth_frame(
            first, last, previous_seq=previous, bids=bids_told, asks=asks_told, symbol=symbol
        )
        is_bid, level = told[0]
        inside.append(truth.after(first, [level] * is_bid, [level] * (not is_bid)))
        truth = truth.after(last, bids_told, asks_told)
        deltas.append(Delta(first, last, previous, frame, truth))
    return Chain(rule, symbol, start, tuple(deltas), tuple(inside))


def _told(rng: random.Random) -> list[tuple[bool, list[str]]]:
    """Two to four changes of levels, each of another price, some removing one."""
    told = []
    for price in rng.sample([*range(80, 100), *range(101, 121)], rng.randrange(2, 5)):
        size = "0.00" if rng.random() < 0.3 else f"{rng.randrange(1, 5000) / 100:.2f}"
        told.append((price < 100, [f"{price}.00", size]))
    return told
