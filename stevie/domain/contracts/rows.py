"""Rows: what the store keeps, one struct a table, its fields in the order of the columns.

A row carries both times where they can differ: when it happened (`event` or the bar's own times)
and since when we could know it (`known_ns`); whoever looks back asks for `known_ns <= then`. All
times are wall-clock nanoseconds since the epoch, UTC. No row holds a float.
"""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

NS_MAX = 2**63 - 1

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Ns = Annotated[int, Meta(ge=0, le=NS_MAX)]
Count = Annotated[int, Meta(ge=0, le=NS_MAX)]
Positive = Annotated[int, Meta(ge=1, le=NS_MAX)]
Decimals = Annotated[int, Meta(ge=0, le=18)]
Sha256Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Timeframe = Literal["1m", "5m", "15m", "1h", "4h", "1d"]


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A record of one table; immutable plain values only."""

    table: ClassVar[str]

    def size_bytes(self) -> int:
        """About what it weighs while it waits; tables with bodies say it exactly."""
        return 256


class AuditRow(Row, frozen=True, kw_only=True, gc=False):
    """One link of the audit chain; `payload` and `provenance` are canonical JSON."""

    table: ClassVar[str] = "audit"

    seq: Positive
    at_ns: Ns
    kind: Name
    actor: Annotated[str, Meta(min_length=1, max_length=128)]
    payload: Annotated[str, Meta(max_length=65536)]
    provenance: Annotated[str, Meta(max_length=65536)]
    prev_hash: Sha256Hex
    hash: Sha256Hex

    def size_bytes(self) -> int:
        """About what it weighs."""
        return 256 + len(self.payload) + len(self.provenance)


class BarRow(Row, frozen=True, kw_only=True, gc=False):
    """One OHLCV bar; `opened_ns` and `closed_ns` bound the time of its events."""

    table: ClassVar[str] = "bars"

    venue: Name
    symbol: Name
    timeframe: Timeframe
    opened_ns: Ns
    closed_ns: Ns
    known_ns: Ns
    open_ticks: Positive
    high_ticks: Positive
    low_ticks: Positive
    close_ticks: Positive
    volume_lots: Count
    trades: Count
    price_decimals: Decimals
    size_decimals: Decimals
    source: Literal["trades", "klines"]


class L2LogRow(Row, frozen=True, kw_only=True, gc=False):
    """What a book was given, in order: `body` is zlib of one snapshot or of frames by line.

    `first_seq` and `seq` are the first and last sequence that the book had applied since the row
    before; a snapshot has one sequence. Replaying a symbol's rows of one epoch rebuilds its book.
    """

    table: ClassVar[str] = "l2_log"

    venue: Name
    symbol: Name
    seq: Count
    first_seq: Count
    epoch: Count
    kind: Literal["snapshot", "frames"]
    event_ns: Ns
    known_ns: Ns
    frames: Count
    body: bytes

    def size_bytes(self) -> int:
        """What it weighs."""
        return 256 + len(self.body)


class FlagRow(Row, frozen=True, kw_only=True, gc=False):
    """The value of one flag that was set, and the audit row that tells of it."""

    table: ClassVar[str] = "flags"

    name: Name
    value: Annotated[str, Meta(max_length=256)]
    changed_ns: Ns
    audit_seq: Positive


class QuarantineRow(Row, frozen=True, kw_only=True, gc=False):
    """Something that broke its contract at a border: what, where, why, and its beginning."""

    table: ClassVar[str] = "quarantine"

    at_ns: Ns
    border: Name
    contract: Name
    reason: Annotated[str, Meta(max_length=512)]
    size: Count
    body: bytes

    def size_bytes(self) -> int:
        """What it weighs."""
        return 256 + len(self.body)


ROWS: tuple[type[Row], ...] = (AuditRow, BarRow, L2LogRow, FlagRow, QuarantineRow)
