"""FreshBook: the only form in which a book leaves its owner, made of LIVE books alone."""

import struct

import msgspec

from stevie.domain.market.core import Scale
from stevie.domain.market.ladder import Level

LEVELS_MAX = 200  # a side: what a router may walk; beyond it is beyond_visible_depth
_LEVEL_BYTES = 16


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a book was built from; ticks are -1 where the snapshot vouches for every price."""

    epoch: int
    snapshot_seq: int
    first_seq: int
    last_seq: int
    applied_count: int
    heard_ns: int
    bid_floor_ticks: int
    ask_ceiling_ticks: int


class FreshBook(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable ladder: per side little-endian int64 (ticks, lots) pairs, best first.

    Its age is for the reader to judge, at the time of use, from `certificate.heard_ns`.
    """

    venue: str
    symbol: str
    scale: Scale
    certificate: Certificate
    bids: bytes
    asks: bytes

    def bid_levels(self) -> tuple[Level, ...]:
        """The bids, best first."""
        return unpack(self.bids)

    def ask_levels(self) -> tuple[Level, ...]:
        """The asks, best first."""
        return unpack(self.asks)


def unpack(packed: bytes) -> tuple[Level, ...]:
    """Packed levels as (ticks, lots) pairs."""
    return tuple(struct.iter_unpack("<qq", packed))


def pack(levels: tuple[Level, ...]) -> bytes:
    """The inverse of `unpack`."""
    return b"".join(struct.pack("<qq", *level) for level in levels)


def within(packed: bytes, *, floor: int = -1, ceiling: int = -1) -> bytes:
    """The levels that a snapshot vouches for: from the floor up, or up to the ceiling."""
    end = len(packed)
    while end:
        (ticks,) = struct.unpack_from("<q", packed, end - _LEVEL_BYTES)
        if ticks >= floor and (ceiling < 0 or ticks <= ceiling):
            break
        end -= _LEVEL_BYTES
    return packed[:end]
