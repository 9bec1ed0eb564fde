"""Flags: a switch as it stands, and the wish to turn it (/api/flags)."""

from typing import Annotated

from msgspec import Meta

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import Name, Positive, Text, Timestamp, Word


class FlagRequest(Document, frozen=True, kw_only=True):
    """Set this flag to this value."""

    name: Annotated[Name, Meta(description="One of those that GET /api/flags lists.")]
    value: bool


class FlagDocument(Document, frozen=True, kw_only=True):
    """One flag; the last two are null until it is set for the first time."""

    name: Word
    value: bool
    default: bool
    sentence: Text
    changed_at: Timestamp | None
    audit_seq: Annotated[
        Positive | None, Meta(description="The row of the audit log that tells of it.")
    ]

    @rule
    def change_is_told(self) -> bool:
        """changed_at and audit_seq are both there, or neither."""
        return (self.changed_at is None) == (self.audit_seq is None)

    @rule
    def default_holds_until_changed(self) -> bool:
        """A flag that was never set has its default."""
        return self.changed_at is not None or self.value is self.default
