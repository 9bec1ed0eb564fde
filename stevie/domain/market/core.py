"""BookCore: the contract of the kernel, and its venue-neutral reference.

A core holds the levels of one book, its place in the sequence and its feature windows, and applies
batches. It decides nothing: what to do about a gap is `book.py`'s business. The native core in
`native/micro.cpp` fulfils the same contract bit for bit.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol, Self

import msgspec

from stevie.domain.market.features import Features, FeatureSpec, FeatureState
from stevie.domain.market.fixed_point import DECIMALS_MAX, UNITS_MAX, NumberError
from stevie.domain.market.ladder import Ladder, Level, Side
from stevie.domain.market.sequencer import DeltaSpan, Position, SequenceRule, Verdict, judge


class Code(IntEnum):
    """How a call into a core ended; the same numbers as in `native/micro.h`."""

    OK = 0
    PAUSED = 1  # the asked-for count of applied deltas was reached
    GAP = 2  # the delta was not applied: something before it is missing
    CROSSED = 3  # the message was applied, and best bid is above best ask
    MALFORMED = 4  # unreadable, or numbers that do not fit; nothing changed


class FrameKind(IntEnum):
    """What a frame is to a book."""

    OTHER = 0
    DELTA = 1
    TRADE = 2
    MALFORMED = 3


class Scale(msgspec.Struct, frozen=True, gc=False):
    """What one tick and one lot are: 10**-price_decimals and 10**-size_decimals."""

    price_decimals: int = 0
    size_decimals: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.price_decimals <= DECIMALS_MAX >= self.size_decimals >= 0):
            raise ValueError(f"expected 0 to {DECIMALS_MAX} decimals, was {self}")

    def finest(self, other: "Scale") -> "Scale":
        """The scale that holds whatever one of the two holds."""
        return Scale(
            max(self.price_decimals, other.price_decimals),
            max(self.size_decimals, other.size_decimals),
        )


class CoreSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a core is built for; `native_symbol` is the venue's own text."""

    native_symbol: str
    rule: SequenceRule
    scale: Scale = Scale()
    features: FeatureSpec = FeatureSpec()


class CoreView(NamedTuple):
    """The scalars of a core, read in one call. Ticks are -1 where there is none."""

    first_seq: int
    last_seq: int
    snapshot_seq: int
    price_decimals: int
    size_decimals: int
    bid_levels: int
    ask_levels: int
    best_bid: int
    best_ask: int
    bid_floor: int  # the lowest bid that the snapshot vouches for; -1: all of them
    ask_ceiling: int
    event_ns: int  # the venue's own time of the last delta, 0 if it gave none
    frames: int
    applied: int
    applied_since_snapshot: int
    stale: int
    trades: int
    other: int
    malformed: int
    level_changes: int
    delete_unknown: int


class BookCore(Protocol):
    """One book's levels, sequence and windows."""

    def load_snapshot(self, body: bytes, level_limit: int, at_ns: int) -> int:
        """Replace the levels by a REST body that was asked for with `level_limit`; a Code."""

    def apply_frames(
        self, frames: Sequence[bytes], received_ns: Sequence[int], start: int
    ) -> tuple[int, int]:
        """Apply raw frames from `start`; the index of the first one not consumed, and a Code.

        GAP leaves its frame unconsumed; CROSSED and PAUSED have consumed theirs. Malformed and
        foreign frames are counted and passed over.
        """

    def apply_levels(self, levels: "DeltaLevels", at_ns: int) -> int:
        """Apply one delta of any codec; a Code. ValueError for levels that no book can hold."""

    def apply_deltas(self, deltas: "DeltaBatch", start: int) -> tuple[int, int]:
        """Apply many deltas of any codec from `start`; answers as `apply_frames` does.

        ValueError, and nothing changed, for a batch that does not add up or that no book can hold.
        """

    def follow(self, frame: bytes, received_ns: int) -> tuple[int, Features]:
        """Apply one raw frame; its Code, and the features as of then.

        For who acts on every frame: two calls in one. GAP has not consumed the frame.
        """

    def scan(self, frame: bytes) -> tuple[int, int, int]:
        """A FrameKind, and the first and last sequence of a delta (else -1)."""

    def adopt(self, fresher: Self) -> None:
        """Take the levels and the place of another core of this book; keep windows and counts.

        The other is left without levels. NumberError, and nothing changed, if its numbers do not
        fit in this one's ticks and lots.
        """

    def pause_at(self, applied: int) -> None:
        """End `apply_frames` with PAUSED when so many deltas were applied; 0 for never."""

    def refine(self, scale: Scale) -> None:
        """Count in ticks and lots at least this fine; NumberError if the book does not fit."""

    def view(self) -> CoreView:
        """The scalars."""

    def top(self, count: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The best levels, bids and asks, best first."""

    def ladder(self, count: int) -> tuple[bytes, bytes]:
        """The same packed: little-endian int64 ticks, lots, ticks, lots, ... of each side."""

    def features(self, now_ns: int) -> Features:
        """The features as of now."""


class DeltaLevels(msgspec.Struct, frozen=True, kw_only=True):
    """One delta of any codec: levels flat as ticks, lots, ticks, lots, ... (`array('l')`)."""

    span: DeltaSpan
    bids: Sequence[int]
    asks: Sequence[int]
    event_ns: int = 0


class DeltaBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Many deltas of any codec, each with the time of its arrival.

    `heads` holds HEAD_FIELDS integers a delta: first, last and previous sequence, the venue's own
    time, that of the arrival, and how many bids and asks it has. `levels` holds their ticks, lots,
    ticks, lots, ..., the bids of a delta before its asks (both `array('l')`).
    """

    heads: Sequence[int]
    levels: Sequence[int]


HEAD_FIELDS = 7


class SnapshotLevels(msgspec.Struct, frozen=True, kw_only=True):
    """A whole book of any codec; `level_limit` is the depth asked for, 0 for all there is."""

    seq: int
    bids: Sequence[int]
    asks: Sequence[int]
    level_limit: int = 0


class ReferenceCore:
    """The reference: everything of the contract that does not depend on a wire format."""

    def __init__(self, spec: CoreSpec) -> None:
        self.spec = spec
        self.scale = spec.scale
        self._ladder = Ladder()
        self.windows = FeatureState(spec.features)
        self.position = Position(-1, -1, is_snapshot=True)
        self.snapshot_seq = -1
        self.bid_floor = self.ask_ceiling = -1
        self.event_ns = 0
        self.pause_applied = 0
        self.frames = self.applied = self.applied_at_snapshot = self.stale = 0
        self.trades = self.other = self.malformed = 0
        self.level_changes = self.delete_unknown = 0

    def load_levels(self, snapshot: SnapshotLevels, at_ns: int) -> Code:
        """Replace the levels; continuity begins anew."""
        bids, asks = _pairs(snapshot.bids), _pairs(snapshot.asks)
        self._ladder.bids.replace(bids)
        self._ladder.asks.replace(asks)
        limit = snapshot.level_limit
        # A side that filled the limit goes on beyond what was sent: its end is the horizon.
        self.bid_floor = min(t for t, _ in bids) if 0 < limit <= len(bids) else -1
        self.ask_ceiling = max(t for t, _ in asks) if 0 < limit <= len(asks) else -1
        self.snapshot_seq = snapshot.seq
        self.position = Position(snapshot.seq, snapshot.seq, is_snapshot=True)
        self.applied_at_snapshot = self.applied
        self.windows.on_break(at_ns)
        return Code.CROSSED if self._ladder.is_crossed() else Code.OK

    def apply_levels(self, levels: DeltaLevels, at_ns: int) -> Code:
        """Judge, then apply one delta."""
        bids, asks = _checked(levels.bids), _checked(levels.asks)
        verdict = judge(self.spec.rule, self.position, levels.span)
        if verdict is Verdict.GAP:
            return Code.GAP
        if verdict is Verdict.STALE:
            self.stale += 1
            return Code.OK
        self._set_side(self._ladder.bids, bids)
        self._set_side(self._ladder.asks, asks)
        span = levels.span
        self.position = Position(
            span.first_seq, span.last_seq, is_snapshot=False, previous_seq=span.previous_seq
        )
        self.event_ns = levels.event_ns
        self.applied += 1
        if self._ladder.is_crossed():
            return Code.CROSSED
        self.windows.on_delta(at_ns, self._ladder.bids.touch(), self._ladder.asks.touch())
        return Code.PAUSED if self.applied == self.pause_applied else Code.OK

    def apply_deltas(self, deltas: DeltaBatch, start: int) -> tuple[int, int]:
        """Apply many deltas; see `BookCore.apply_deltas`."""
        batch = _deltas(deltas)
        if start < 0:
            raise ValueError(f"expected start >= 0, was {start}")
        for index in range(start, len(batch)):
            code = self.apply_levels(*batch[index])
            if code is not Code.OK:
                return index + (code is not Code.GAP), code
        return len(batch), Code.OK

    def _set_side(self, side: Side, levels: Sequence[Level]) -> None:
        for ticks, lots in levels:
            self.level_changes += 1
            if not side.set(ticks, lots):
                self.delete_unknown += 1

    def add_trade(self, at_ns: int, signed_lots: int) -> None:
        """Count a trade, positive if its aggressor bought."""
        self.trades += 1
        self.windows.on_trade(at_ns, signed_lots)

    def adopt(self, fresher: "ReferenceCore") -> None:
        """Take the levels and the place of another core; keep windows and counts."""
        fresher.refine(self.scale)
        self._forget_levels()
        self.refine(fresher.scale)
        self._ladder, fresher._ladder = fresher._ladder, self._ladder
        self.bid_floor, self.ask_ceiling = fresher.bid_floor, fresher.ask_ceiling
        self.snapshot_seq, self.position = fresher.snapshot_seq, fresher.position
        self.applied_at_snapshot = self.applied - fresher.applied + fresher.applied_at_snapshot

    def _forget_levels(self) -> None:
        """What is about to be replaced need not fit a finer scale."""
        self._ladder = Ladder()
        self.bid_floor = self.ask_ceiling = -1

    def pause_at(self, applied: int) -> None:
        """Answer PAUSED when so many deltas were applied."""
        self.pause_applied = applied

    def can_refine(self, scale: Scale) -> bool:
        """Whether every number of the book still fits in ticks and lots that fine."""
        price_factor, size_factor = self._factors(scale)
        bids, asks = self._ladder.bids, self._ladder.asks
        ticks_max = max(bids.ticks_max(), asks.ticks_max(), self.bid_floor, self.ask_ceiling)
        lots_max = max(bids.lots_max(), asks.lots_max())
        return ticks_max * price_factor <= UNITS_MAX and lots_max * size_factor <= UNITS_MAX

    def refine(self, scale: Scale) -> None:
        """Count in ticks and lots at least this fine; NumberError if the book does not fit."""
        price_factor, size_factor = self._factors(scale)
        if price_factor == 1 and size_factor == 1:
            return
        if not self.can_refine(scale):
            raise NumberError(f"the book does not fit 64 bits at {scale}")
        self._ladder.bids.multiply(price_factor, size_factor)
        self._ladder.asks.multiply(price_factor, size_factor)
        self.bid_floor *= price_factor if self.bid_floor > 0 else 1
        self.ask_ceiling *= price_factor if self.ask_ceiling > 0 else 1
        self.scale = self.scale.finest(scale)
        self.windows.on_rescale()

    def _factors(self, scale: Scale) -> tuple[int, int]:
        return (
            10 ** max(0, scale.price_decimals - self.scale.price_decimals),
            10 ** max(0, scale.size_decimals - self.scale.size_decimals),
        )

    def view(self) -> CoreView:
        """The scalars."""
        bid, ask = self._ladder.bids.touch(), self._ladder.asks.touch()
        return CoreView(
            first_seq=self.position.first_seq,
            last_seq=self.position.last_seq,
            snapshot_seq=self.snapshot_seq,
            price_decimals=self.scale.price_decimals,
            size_decimals=self.scale.size_decimals,
            bid_levels=len(self._ladder.bids),
            ask_levels=len(self._ladder.asks),
            best_bid=bid[0] if bid else -1,
            best_ask=ask[0] if ask else -1,
            bid_floor=self.bid_floor,
            ask_ceiling=self.ask_ceiling,
            event_ns=self.event_ns,
            frames=self.frames,
            applied=self.applied,
            applied_since_snapshot=self.applied - self.applied_at_snapshot,
            stale=self.stale,
            trades=self.trades,
            other=self.other,
            malformed=self.malformed,
            level_changes=self.level_changes,
            delete_unknown=self.delete_unknown,
        )

    def top(self, count: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The best levels, bids and asks, best first."""
        return self._ladder.bids.top(count), self._ladder.asks.top(count)

    def ladder(self, count: int) -> tuple[bytes, bytes]:
        """The best levels, packed."""
        bids, asks = self.top(count)
        return _packed(bids), _packed(asks)

    def features(self, now_ns: int) -> Features:
        """The features as of now."""
        bids, asks = self.top(self.spec.features.obi_levels)
        return self.windows.read(now_ns, bids, asks, self.scale.size_decimals)


def _pairs(flat: Sequence[int]) -> list[Level]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _checked(flat: Sequence[int]) -> list[Level]:
    levels = _pairs(flat)
    for ticks, lots in levels:
        if not (0 < ticks <= UNITS_MAX >= lots >= 0):
            raise ValueError(
                f"expected ticks > 0 and lots >= 0 within 61 bits, was {ticks}, {lots}"
            )
    return levels


def _deltas(batch: DeltaBatch) -> list[tuple[DeltaLevels, int]]:
    """Each delta of a batch, and when it arrived."""
    _checked(batch.levels)
    deltas, begin = [], 0
    for first, last, previous, event_ns, at_ns, bids, asks in zip(
        *[iter(batch.heads)] * HEAD_FIELDS, strict=True
    ):
        if bids < 0 or asks < 0:
            raise ValueError(f"expected counts >= 0, was {bids}, {asks}")
        middle, end = begin + 2 * bids, begin + 2 * (bids + asks)
        delta = DeltaLevels(
            span=DeltaSpan(first, last, previous),
            bids=batch.levels[begin:middle],
            asks=batch.levels[middle:end],
            event_ns=event_ns,
        )
        deltas.append((delta, at_ns))
        begin = end
    if begin != len(batch.levels):
        raise ValueError(f"expected {begin} integers of levels, was {len(batch.levels)}")
    return deltas


def _packed(levels: tuple[Level, ...]) -> bytes:
    return b"".join(struct.pack("<qq", *level) for level in levels)
