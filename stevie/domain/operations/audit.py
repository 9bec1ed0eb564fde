"""Audit: what is told to the log, and the canonical bytes in which it is kept.

A payload holds no float: numbers are integers (ticks, lots, nanoseconds) or decimal text, so that
its bytes, and the hash over them, are the same wherever they are made.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from stevie.domain.contracts.rows import NS_MAX

# As in the contract of a row.
PAYLOAD_BYTES_MAX = 65_536  # evidence of more is kept by its hash
KIND_LENGTH_MAX = 64
ACTOR_LENGTH_MAX = 128
MODEL_LENGTH_MAX = 128  # a name or a hash; it is a part of the provenance

_encode = msgspec.json.Encoder(order="deterministic").encode


class AuditKind(StrEnum):
    """What a row of the log tells; only kinds that some part of Stevie really tells."""

    sentence: str

    STARTED = "started", "The process began, with this version, kernel, profile and market."
    CONFIGURED = "configured", "The configuration it began with, secrets hidden."
    STOPPED = "stopped", "The process was asked to end, and drained the log before it did."
    BOOK_STATE = "book_state", "A book became LIVE, SYNCING, STALE or QUARANTINED, and why."
    FEED_STATE = "feed_state", "A venue's connection was opened, lost, or stayed mute."
    QUARANTINE = "quarantine", "Something broke its contract at a border and was set aside."
    FLAG_SET = "flag_set", "A flag was set, by whom and to what."
    RESTART = "restart", "An actor ended abnormally and was restarted."
    AUDIT_LOST = "audit_lost", "Entries were lost before they became rows: how many at least."

    def __new__(cls, value: str, sentence: str) -> "AuditKind":
        """A kind is its text; the sentence comes with it."""
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.sentence = sentence
        return kind


class InputRange(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a decision was based on: a range of a book's l2_log, or a capture file by its hash."""

    kind: Literal["l2_log", "capture", "none"] = "none"
    venue: str = ""
    symbol: str = ""
    first_seq: int = 0
    last_seq: int = 0
    sha256: str = ""


NO_INPUT = InputRange()


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing to be recorded; `payload` is canonical JSON (see `payload`).

    What would break the contract of a row fails here, at its author, and not in the log.
    """

    at_ns: int
    kind: str
    actor: str
    payload: bytes
    input: InputRange = NO_INPUT
    model: str = ""

    def __post_init__(self) -> None:
        assert 0 <= self.at_ns <= NS_MAX, self.at_ns
        assert 0 < len(self.kind) <= KIND_LENGTH_MAX, self.kind
        assert 0 < len(self.actor) <= ACTOR_LENGTH_MAX, self.actor
        assert self.actor.isascii(), self.actor
        assert len(self.payload) <= PAYLOAD_BYTES_MAX, len(self.payload)
        assert len(self.model) <= MODEL_LENGTH_MAX, self.model
        assert self.model.isascii(), self.model

    def size_bytes(self) -> int:
        """About what it weighs while it waits."""
        return 512 + len(self.payload)


def payload(**fields: object) -> bytes:
    """The canonical bytes of an entry's facts.

    A value that has none (a float, bytes, an object) is its caller's bug: TypeError by its path.
    """
    encoded = canonical(fields, "payload")
    if len(encoded) > PAYLOAD_BYTES_MAX:
        size = f"{len(encoded)} bytes ({', '.join(fields)})"
        raise ValueError(f"payload: expected at most {PAYLOAD_BYTES_MAX} bytes, was {size}")
    return encoded


def canonical(value: object, name: str = "value") -> bytes:
    """JSON of plain values, keys sorted; TypeError names what is no plain value by its path."""
    _check(value, name)
    return _encode(value)


def _check(value: object, path: str) -> None:
    if value is None or isinstance(value, str | int):
        return
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{path}: expected keys of text, was {key!r}")
            _check(each, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            _check(each, f"{path}[{index}]")
    else:
        raise TypeError(
            f"{path}: expected text, an integer, a boolean, null, a list or a mapping; a number "
            f"that is no integer goes as decimal text; was {value!r}"
        )
