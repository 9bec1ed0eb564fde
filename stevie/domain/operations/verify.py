"""Verify: read a log as it is stored, and name the first row that is not what was sealed.

Rows come in the order in which they are stored, one by one, as raw columns: whatever stands there
is looked at, so a wrong type or broken UTF-8 is a finding and no error. The memory it takes does
not grow with the log.

Rows cut off at the end leave a shorter log that is whole in itself: only somebody who noted a head
before (`stevie audit head`) can see that, by passing it as `claim`. The same holds for a log that
was sealed anew from some row on.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from stevie.domain.operations.chain import GENESIS, Head, digest

_CLAIM = re.compile(r"(?:([0-9]{1,19}):)?([0-9a-f]{64})", re.ASCII)
_INTEGER_MAX = 2**63 - 1


class RawRow(NamedTuple):
    """The columns of a stored row, unconverted: integers, and texts as bytes, if all is well."""

    seq: object
    at_ns: object
    kind: object
    actor: object
    payload: object
    provenance: object
    prev_hash: object
    hash: object


class Flaw(StrEnum):
    """What can be wrong with a log."""

    ALTERED = "altered"  # a column is not what was sealed
    REMOVED = "removed"  # rows are missing before others
    REORDERED = "reordered"  # a row stands where another belongs, which comes later
    DUPLICATED = "duplicated"  # a row stands there twice
    REWRITTEN = "rewritten"  # a row is sealed in itself, but is not the one that stood there
    TRUNCATED = "truncated"  # rows are missing at the end


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The first row that is wrong, what is wrong with it, and how that shows."""

    flaw: Flaw
    seq: int
    detail: str

    def __str__(self) -> str:
        return f"row {self.seq} is {self.flaw}: {self.detail}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log is as it was sealed, and the first finding, if any."""

    head: Head
    finding: Finding | None

    @property
    def rows(self) -> int:
        """How many rows are proven, from the first on."""
        return self.head.seq


class Claim(NamedTuple):
    """A head noted before; `seq` is None where the hash alone is known."""

    seq: int | None
    hash: str


def read_claim(text: str) -> Claim:
    """`SEQ:HASH` or a hash alone; ValueError says what is expected."""
    match = _CLAIM.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"expected SEQ:HASH or 64 hex digits, was {text[:100]!r}")
    return Claim(int(match[1]) if match[1] else None, match[2])


def verify(rows: Iterable[RawRow], *, after: Head = GENESIS, claim: Claim | None = None) -> Verdict:
    """Check all rows that follow `after`, up to the first finding."""
    head, rest, is_claim_met = after, iter(rows), _meets(after, claim)
    for raw in rest:
        row = _read(raw)
        if isinstance(row, str) or not row.follows(head):
            return Verdict(head=head, finding=_examine(raw, row, head, rest))
        head = Head(row.seq, row.hash)
        is_claim_met = is_claim_met or _meets(head, claim)
        if claim is not None and claim.seq == head.seq and not is_claim_met:
            return Verdict(head=after, finding=_rewritten_since(claim, head))
    return Verdict(head=head, finding=None if is_claim_met else _truncated(claim, head))


# -- one row -------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """A row whose columns have the right types."""

    seq: int
    at_ns: int
    kind: str
    actor: str
    payload: str
    provenance: str
    prev_hash: str
    hash: str

    def follows(self, head: Head) -> bool:
        """Whether it is the next row, as it was sealed."""
        is_linked = self.seq == head.seq + 1 and self.prev_hash == head.hash
        return is_linked and self.is_sealed_after(head)

    def is_sealed_after(self, head: Head) -> bool:
        """Whether its contents were sealed as the next row, whatever its number and link say."""
        return self.hash == digest(head.hash, (head.seq + 1, *self[1:6]))

    @property
    def is_sealed(self) -> bool:
        """Whether it is a row that was sealed somewhere."""
        return self.hash == digest(self.prev_hash, self[:6])


def _read(raw: RawRow) -> _Row | str:
    """The row, or what is wrong with a column."""
    values: list[int | str] = []
    for name, value in zip(RawRow._fields, raw, strict=True):
        wanted = int if name in {"seq", "at_ns"} else str
        plain = _text(value) if wanted is str else value
        if type(plain) is not wanted:
            return f"its {name} is stored as {type(value).__name__}, which is no {_WORDS[wanted]}"
        if isinstance(plain, int) and abs(plain) > _INTEGER_MAX:
            return f"its {name} is out of range"
        values.append(plain)
    return _Row(*values)  # type: ignore[arg-type]


_WORDS = {int: "integer", str: "text in UTF-8"}


def _text(value: object) -> object:
    """Text in UTF-8, or the value itself if it is none."""
    try:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value).decode()
        if isinstance(value, str):
            value.encode()
    except UnicodeError:
        return None
    return value


# -- what is wrong -------------------------------------------------------------------------------


def _examine(raw: RawRow, row: _Row | str, head: Head, rest: Iterator[RawRow]) -> Finding:
    """Name the fault that shows at this row, the first that does not follow `head`."""
    seq = head.seq + 1
    if isinstance(row, str):
        return Finding(flaw=Flaw.ALTERED, seq=seq, detail=f"{row}.")
    if row.is_sealed_after(head):
        return Finding(flaw=Flaw.ALTERED, seq=seq, detail=_mislinked(row, head))
    if row.seq <= head.seq and row.is_sealed:
        detail = f"a row of that number stands again after row {head.seq}."
        return Finding(flaw=Flaw.DUPLICATED, seq=row.seq, detail=detail)
    return _compare(row, head, _look_ahead(raw, row, head, rest))


def _mislinked(row: _Row, head: Head) -> str:
    if row.seq != head.seq + 1:
        return _renumbered(row.seq)
    return "its prev_hash is not the hash of the row before; the other columns are as sealed."


def _is_renumbered(row: _Row, place: Head) -> bool:
    return row.seq != place.seq + 1 and row.is_sealed_after(place)


def _renumbered(seq: int) -> str:
    return f"its seq says {seq}; the other columns are as they were sealed."


class _Ahead(NamedTuple):
    """What the rows after the first wrong one tell."""

    follower_seq: int | None  # the number of the row that belongs in its place, if it comes later
    place: Head | None  # the row after which the wrong one was sealed, if that comes later
    has_copy: bool  # the wrong one comes again
    next_prev_hash: str  # what the next row was sealed after, "" if there is none


def _look_ahead(raw: RawRow, row: _Row, head: Head, rest: Iterator[RawRow]) -> _Ahead:
    follower_seq: int | None = None
    place: Head | None = None
    has_copy = False
    next_prev_hash: str | None = None
    for later in rest:
        each = _read(later)
        if isinstance(each, str):
            continue
        next_prev_hash = each.prev_hash if next_prev_hash is None else next_prev_hash
        has_copy = has_copy or later == raw
        if each.hash == row.prev_hash:
            place = Head(each.seq, each.hash)
        if each.prev_hash == head.hash and each.is_sealed_after(head):
            follower_seq = each.seq
    return _Ahead(follower_seq, place, has_copy, next_prev_hash or "")


def _compare(row: _Row, head: Head, ahead: _Ahead) -> Finding:
    seq = head.seq + 1
    if row.seq != seq and ahead.place is not None and _is_renumbered(row, ahead.place):
        detail = _renumbered(row.seq)
        return Finding(flaw=Flaw.ALTERED, seq=ahead.place.seq + 1, detail=detail)
    if ahead.follower_seq == seq:
        return _misplaced(row, seq, ahead)
    if ahead.follower_seq is not None:
        return Finding(flaw=Flaw.ALTERED, seq=seq, detail=_renumbered(ahead.follower_seq))
    if not row.is_sealed:
        detail = "its columns and its hash do not agree."
        return Finding(flaw=Flaw.ALTERED, seq=seq, detail=detail)
    if row.seq > seq:
        return Finding(flaw=Flaw.REMOVED, seq=seq, detail=_missing(seq, row.seq))
    return _unlinked(row, head, ahead)


def _misplaced(row: _Row, seq: int, ahead: _Ahead) -> Finding:
    if ahead.has_copy:
        detail = f"it stands in the place of row {seq}, and again later."
        return Finding(flaw=Flaw.DUPLICATED, seq=row.seq, detail=detail)
    detail = f"a row numbered {row.seq} stands in its place, and it comes later."
    return Finding(flaw=Flaw.REORDERED, seq=seq, detail=detail)


def _missing(first: int, until: int) -> str:
    rows = f"rows {first} to {until - 1} are" if until - first > 1 else "it is"
    return f"{rows} missing before row {until}."


def _unlinked(row: _Row, head: Head, ahead: _Ahead) -> Finding:
    """Two rows that are each sealed do not fit: the one that a third row vouches for is true."""
    if head.seq and ahead.next_prev_hash == row.hash:
        detail = f"row {row.seq} was sealed after another row {head.seq} than this one."
        return Finding(flaw=Flaw.REWRITTEN, seq=head.seq, detail=detail)
    detail = "it was not sealed after the row that stands before it."
    return Finding(flaw=Flaw.REWRITTEN, seq=row.seq, detail=detail)


# -- a head that was noted before ----------------------------------------------------------------


def _meets(head: Head, claim: Claim | None) -> bool:
    return claim is None or (claim.hash == head.hash and claim.seq in {None, head.seq})


def _rewritten_since(claim: Claim, head: Head) -> Finding:
    detail = (
        f"it had the hash {claim.hash} when the head was noted; it, or rows before it, changed."
    )
    return Finding(flaw=Flaw.REWRITTEN, seq=head.seq, detail=detail)


def _truncated(claim: Claim | None, head: Head) -> Finding:
    assert claim is not None, head
    if claim.seq is not None:
        detail = f"the log ends with row {head.seq}, and the head was row {claim.seq} once."
        return Finding(flaw=Flaw.TRUNCATED, seq=head.seq + 1, detail=detail)
    detail = f"no row up to the last, {head.seq}, has the hash of the head that was noted."
    return Finding(flaw=Flaw.TRUNCATED, seq=head.seq + 1, detail=detail)
