"""Messages of the record: what is to be kept, that it is kept, and how the flags stand."""

from typing import ClassVar, Self

from stevie.domain.contracts.rows import FlagRow, Row
from stevie.domain.operations.audit import AuditEntry
from stevie.ports_record import HouseReport, WriteOutcome
from stevie.runtime.message import Delivery, Message

# -- 7 record: the audit --------------------------------------------------------------------------


class AuditWanted(Message, frozen=True, kw_only=True, gc=False):
    """Entries for the audit log, in order. Never waits on anybody: told and gone on."""

    delivery: ClassVar[Delivery] = Delivery.BATCH

    entries: tuple[AuditEntry, ...]

    def size_bytes(self) -> int:
        """What the entries weigh."""
        return sum(entry.size_bytes() for entry in self.entries)

    @classmethod
    def fold(cls, messages: tuple[Self, ...]) -> Self:
        """Several as one."""
        return cls(entries=tuple(entry for message in messages for entry in message.entries))

    @classmethod
    def loss(cls, *, lost_count: int, lost_bytes: int) -> "AuditLost":
        """What stands in the place of entries that a full mailbox dropped."""
        return AuditLost(lost_count=lost_count, lost_bytes=lost_bytes)


class AuditLost(Message, frozen=True, kw_only=True, gc=False):
    """A full mailbox dropped audit entries: the log says so, in a row of its own."""

    lost_count: int
    lost_bytes: int


class RecordWanted(Message, frozen=True, kw_only=True, gc=False):
    """One entry and the rows that belong to it, in one transaction.

    `reply_to` (an actor) is told Recorded with this `receipt` once all of it is durable. A row
    whose `audit_seq` is not known yet carries 1; the auditor puts in the entry's own.
    """

    entry: AuditEntry
    rows: tuple[Row, ...] = ()
    reply_to: str = ""
    receipt: int = 0


class Recorded(Message, frozen=True, kw_only=True, gc=False):
    """What RecordWanted asked for is durable, as audit row `seq`."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # it concerns the incarnation that asked, alone

    receipt: int
    seq: int


class ReadAudit(Message, frozen=True, kw_only=True, gc=False):
    """How is the audit log? Answered with AuditState."""


class AuditState(Message, frozen=True, kw_only=True, gc=False):
    """The head of the chain, what of it is durable, and why orders are blocked ("" if not)."""

    head_seq: int
    head_hash: str
    durable_seq: int
    backlog_rows: int
    backlog_bytes: int
    lost: int
    blocked_reason: str


# -- 7 record: the store --------------------------------------------------------------------------


class StoreRows(Message, frozen=True, kw_only=True, gc=False):
    """Rows to keep when there is time: bulk data, no evidence; a full store drops and counts it."""

    delivery: ClassVar[Delivery] = Delivery.BATCH

    rows: tuple[Row, ...]

    def size_bytes(self) -> int:
        """What the rows weigh."""
        return sum(row.size_bytes() for row in self.rows)

    @classmethod
    def fold(cls, messages: tuple[Self, ...]) -> Self:
        """Several as one."""
        return cls(rows=tuple(row for message in messages for row in message.rows))

    @classmethod
    def loss(cls, *, lost_count: int, lost_bytes: int) -> "RowsLost":
        """What stands in the place of rows that a full mailbox dropped."""
        return RowsLost(lost_count=lost_count, lost_bytes=lost_bytes)


class RowsLost(Message, frozen=True, kw_only=True, gc=False):
    """A full mailbox dropped bulk rows."""

    lost_count: int
    lost_bytes: int


class StoreDurably(Message, frozen=True, kw_only=True, gc=False):
    """Rows to keep whatever it takes, in one transaction, before any StoreRows that wait.

    Retried until it succeeds; then `reply_to` is told RowsStored with the `receipt`.
    """

    rows: tuple[Row, ...]
    reply_to: str
    receipt: int


class RowsStored(Message, frozen=True, kw_only=True, gc=False):
    """The rows of a StoreDurably are durable."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # it concerns the incarnation that sent them

    receipt: int


class StoreTrouble(Message, frozen=True, kw_only=True, gc=False):
    """Writing fails, and is tried again; told to who waits for a receipt. "" when it is over."""

    delivery: ClassVar[Delivery] = Delivery.LATEST

    reason: str

    def conflation_key(self) -> str:
        """There is one store."""
        return "store"


class ReadStore(Message, frozen=True, kw_only=True, gc=False):
    """How is the store? Answered with StoreState."""


class TableSize(Message, frozen=True, kw_only=True, gc=False):
    """One table as last measured; bytes are -1 where the engine does not tell."""

    table: str
    rows: int
    bytes: int


class StoreState(Message, frozen=True, kw_only=True, gc=False):
    """The store as it is; `trouble` says why writing fails, "" if it does not."""

    engine: str
    trouble: str
    waiting_rows: int
    waiting_bytes: int
    written_rows: int
    lost_rows: int
    database_bytes: int
    tables: tuple[TableSize, ...]


# -- flags ----------------------------------------------------------------------------------------


class SetFlag(Message, frozen=True, kw_only=True, gc=False):
    """Set a flag; answered with FlagState once it is durable and audited, or a refusal."""

    name: str
    value: bool
    by: str  # who asked: an address of the HTTP edge, or "cli"


class FlagsChanged(Message, frozen=True, kw_only=True, gc=False):
    """All flags as they are now, to every actor that heeds one."""

    delivery: ClassVar[Delivery] = Delivery.LATEST

    on: tuple[str, ...]  # the names that are on, sorted

    def conflation_key(self) -> str:
        """The newest counts."""
        return "flags"


class ReadFlags(Message, frozen=True, kw_only=True, gc=False):
    """Which flags are there? Answered with FlagsState."""


class FlagState(Message, frozen=True, kw_only=True, gc=False):
    """One flag; `changed_ns` 0 if it was never set."""

    name: str
    value: bool
    default: bool
    sentence: str
    changed_ns: int
    audit_seq: int


class FlagsState(Message, frozen=True, kw_only=True, gc=False):
    """Every flag there is."""

    flags: tuple[FlagState, ...]


# -- 7 record: between auditor and store ----------------------------------------------------------


class ReadHead(Message, frozen=True, kw_only=True, gc=False):
    """Where does the audit log end? `reply_to` is told HeadRead with this `receipt`.

    A barrier: answered once every StoreDurably told before it is durable or will never be written,
    also those of an earlier incarnation of the store, and with what the database holds then.
    """

    reply_to: str
    receipt: int


class HeadRead(Message, frozen=True, kw_only=True, gc=False):
    """The last row of the audit log; seq 0 and a hash of 64 zeros if there is none."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # it concerns the incarnation that asked, alone

    receipt: int
    seq: int
    hash: str


class RowsRefused(Message, frozen=True, kw_only=True, gc=False):
    """The rows of a StoreDurably will never be written: the rows themselves are at fault.

    Among the faults: the first audit row does not follow the last one in the database.
    """

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # it concerns the incarnation that sent them

    receipt: int
    reason: str


class AuditDue(Message, frozen=True, kw_only=True, gc=False):
    """The auditor's timer: the store's mailbox was full, and may not be any more."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


# -- 7 record: the store to itself ----------------------------------------------------------------


class WriteEnded(Message, frozen=True, kw_only=True, gc=False):
    """A write came to its end."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # one is under way; without it nothing goes on

    mark: str
    outcome: WriteOutcome


class WriteAgain(Message, frozen=True, kw_only=True, gc=False):
    """The pause after a failed write is over."""


class LookAround(Message, frozen=True, kw_only=True, gc=False):
    """Time to see whether a write is overdue, and now and then to keep house."""


class KeepHouse(Message, frozen=True, kw_only=True, gc=False):
    """A table is still over its limit."""


class HouseKept(Message, frozen=True, kw_only=True, gc=False):
    """What keeping house did and found."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # one is under way

    report: HouseReport


# -- flags: between their keeper and the store ----------------------------------------------------


class ReadFlagRows(Message, frozen=True, kw_only=True, gc=False):
    """Which flags were ever set? `reply_to` is told FlagRowsRead.

    A barrier, as ReadHead is: answered with what the database holds once every StoreDurably told
    before is durable or will never be written; asked again by itself until the database answers.
    """

    reply_to: str


class FlagRowsRead(Message, frozen=True, kw_only=True, gc=False):
    """A row for each flag that was ever set."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM  # it concerns the incarnation that asked, alone

    rows: tuple[FlagRow, ...]


class FlagsDue(Message, frozen=True, kw_only=True, gc=False):
    """The keeper's timer: time to say again which flags are on."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM
