"""Audit row: one link of the hash chain (GET /api/audit/latest, /api/audit/{seq})."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from stevie import rfc3339
from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import (
    Count,
    Hash,
    HashOrNone,
    Id,
    Name,
    Nanoseconds,
    Positive,
    Timestamp,
    Word,
)

FLAGS_MAX = 256
FIELDS_MAX = 256  # of a payload


class InputDocument(Document, frozen=True, kw_only=True):
    """What a decision was based on: a range of a book's l2_log, a capture by its hash, nothing."""

    kind: Literal["l2_log", "capture", "none"] = "none"
    venue: Annotated[str, Meta(max_length=64)] = ""
    symbol: Annotated[str, Meta(max_length=32)] = ""
    first_seq: Count = 0
    last_seq: Count = 0
    sha256: HashOrNone = ""

    @rule
    def names_its_source(self) -> bool:
        """An l2_log range has venue, symbol and a sequence range, a capture its sha256."""
        if self.kind == "l2_log":
            return bool(self.venue and self.symbol) and self.first_seq <= self.last_seq
        return self.kind == "none" or bool(self.sha256)


class ProvenanceDocument(Document, frozen=True, kw_only=True):
    """What made the decision: enough to make it again. `flags` are the names that were on."""

    code: Name
    config_hash: Hash
    kernel_hash: Hash
    model: Name | None
    features_hash: Hash
    input: InputDocument
    flags: Annotated[tuple[Id, ...], Meta(max_length=FLAGS_MAX)]


class AuditRowDocument(Document, frozen=True, kw_only=True):
    """One row of the log; its bytes in the chain hold no number that a double could change."""

    seq: Positive
    at: Timestamp
    at_ns: Nanoseconds
    kind: Word
    actor: Name
    payload: Annotated[
        dict[Id, Any], Meta(max_length=FIELDS_MAX, description="By kind; whole numbers, text.")
    ]
    provenance: ProvenanceDocument
    prev_hash: Hash
    hash: Hash

    @rule
    def at_is_at_ns(self) -> bool:
        """`at` is at_ns, cut to microseconds."""
        return self.at == rfc3339.text(self.at_ns)

    @rule
    def holds_no_floats(self) -> bool:
        """The payload holds no number with a fraction, however deep."""
        return not _has_float(self.payload)


def _has_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_float, value))
    return isinstance(value, float)
