"""Continuity rules: may this delta be applied to a book whose last sequence is known?

Binance spot chains `U`/`u` (first and last update id of a delta); Binance USD-M chains `pu` (the
`u` of the delta before), since its ids are shared by all symbols and skip. Sources: Binance spot
"How to manage a local order book correctly"; the USD-M page of the same name.

Both rules here are stricter than the published ones on one point. The published rules ignore every
delta with `u` at or below the book's; a corrupted `u` far ahead would then silence a feed for good.
Here an old delta is ignored only if it also *begins* no later than the last one applied (and on
USD-M continues nothing later), which holds for every duplicate and every late delta; anything else
is a gap. Twin of `judge` in `native/micro.cpp`.
"""

from enum import IntEnum

import msgspec


class SequenceRule(IntEnum):
    """How a venue's deltas are chained."""

    SPOT = 0
    USDM = 1


class Verdict(IntEnum):
    """What to do with a delta."""

    APPLY = 0
    STALE = 1
    GAP = 2


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a book stands: the last delta applied, or the snapshot if there was none since."""

    first_seq: int
    last_seq: int
    is_snapshot: bool
    previous_seq: int = -1  # what the last delta applied continued


class DeltaSpan(msgspec.Struct, frozen=True, gc=False):
    """The sequence numbers of one delta; `previous_seq` is `pu`, -1 where the rule has none."""

    first_seq: int
    last_seq: int
    previous_seq: int = -1


def judge(rule: SequenceRule, position: Position, delta: DeltaSpan) -> Verdict:
    """Judge one delta against the book's position."""
    if position.is_snapshot:
        return _judge_first(rule, position.last_seq, delta)
    if _continues(rule, position.last_seq, delta):
        return Verdict.APPLY
    is_old = (
        delta.last_seq <= position.last_seq
        and delta.first_seq <= position.first_seq
        and delta.previous_seq <= position.previous_seq
    )
    return Verdict.STALE if is_old else Verdict.GAP


def _judge_first(rule: SequenceRule, snapshot_seq: int, delta: DeltaSpan) -> Verdict:
    """The first delta after a snapshot may overlap it, and must leave nothing out."""
    if rule is SequenceRule.SPOT:
        if delta.last_seq <= snapshot_seq:
            return Verdict.STALE
        return Verdict.APPLY if delta.first_seq <= snapshot_seq + 1 else Verdict.GAP
    if delta.last_seq < snapshot_seq:
        return Verdict.STALE
    # NOTE: the page asks for U <= L <= u. pu <= L holds whenever that does, and also when L fell
    # between two deltas of this symbol, where nothing of it can be missing.
    return Verdict.APPLY if delta.previous_seq <= snapshot_seq else Verdict.GAP


def _continues(rule: SequenceRule, last_seq: int, delta: DeltaSpan) -> bool:
    if rule is SequenceRule.SPOT:
        return delta.first_seq == last_seq + 1
    return delta.previous_seq == last_seq and delta.last_seq > last_seq
