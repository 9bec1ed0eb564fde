"""Chain: rows of the audit log, each sealed with the hash of the one before it."""

from hashlib import sha256
from typing import NamedTuple

import msgspec

from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.audit import AuditEntry

_encode = msgspec.json.encode


class Head(NamedTuple):
    """The last row of a log, by its number and its hash."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


GENESIS = Head(0, "0" * 64)  # of a log without rows


Columns = tuple[int, int, str, str, str, str]  # seq, at_ns, kind, actor, payload, provenance


def digest(prev_hash: str, columns: Columns) -> str:
    """The hash of a row: SHA-256 over the hash before it, a line feed, and its columns as JSON."""
    return sha256(prev_hash.encode() + b"\n" + _encode(columns)).hexdigest()


class Chain:
    """Seals one entry after the other."""

    def __init__(self, head: Head = GENESIS) -> None:
        self.head = head

    def seal(self, entry: AuditEntry, provenance: bytes) -> AuditRow:
        """The row of this entry, which is the head from now on."""
        seq, prev_hash = self.head.seq + 1, self.head.hash
        # `str`: a member of an enum is text to us, and something else to a database driver.
        kind, payload, text = str(entry.kind), entry.payload.decode(), provenance.decode()
        row_hash = digest(prev_hash, (seq, entry.at_ns, kind, entry.actor, payload, text))
        self.head = Head(seq, row_hash)
        return AuditRow(
            seq=seq,
            at_ns=entry.at_ns,
            kind=kind,
            actor=entry.actor,
            payload=payload,
            provenance=text,
            prev_hash=prev_hash,
            hash=row_hash,
        )
