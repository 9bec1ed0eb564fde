"""What the record stage needs from the outside world; `adapters/store` fulfils it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from stevie.domain.contracts.rows import AuditRow, BarRow, FlagRow, L2LogRow, QuarantineRow, Row
from stevie.domain.operations.chain import Head

READ_ROWS_MAX = 10_000  # that one read of the archive returns; a longer story is read in pages


class TableLimit(NamedTuple):
    """How much of a table is kept: the newest rows, within both bounds; 0 is no bound."""

    table: str
    rows_max: int = 0
    bytes_max: int = 0


class TableMeasure(NamedTuple):
    """One table as counted; bytes are what its rows weigh by `Row.size_bytes`."""

    table: str
    rows: int
    bytes: int


class WriteOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a write; it is durable if there is no reason against it."""

    reason: str = ""
    is_lasting: bool = False
    """The rows themselves are at fault: they will never be taken."""
    head: Head | None = None
    """Where the audit log ends now, if audit rows were written, or nothing at all."""
    flags: tuple[FlagRow, ...] = ()
    """How the flags stand, if nothing at all was written."""


class HouseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping house did and found; nothing but the reason if it failed."""

    reason: str = ""
    database_bytes: int = 0
    tables: tuple[TableMeasure, ...] = ()
    pruned_rows: int = 0
    has_more: bool = False
    """A table is still over its limit: come again."""


class StoreWriter(Protocol):
    """The one writer of a database, off the hub. Its methods never block, `drain` aside."""

    engine: str

    def write(
        self, rows: Sequence[Row], *, mark: str, on_done: Callable[[WriteOutcome], None]
    ) -> None:
        """Write all rows or none, in one transaction; `on_done` is called once, on the hub.

        Audit rows are taken only if they follow, number and hash, the last one that is there.
        After a failure whose outcome may be unknown the same rows are written again under the same
        mark, before any others: they are in the database once.
        """

    def keep_house(
        self, limits: Sequence[TableLimit], on_done: Callable[[HouseReport], None]
    ) -> None:
        """Remove a little of what is over its limit, and measure."""

    def drain(self, timeout_s: float) -> bool:
        """Let the calling greenlet wait until nothing is under way; False if it took too long."""

    def close(self) -> None:
        """End the thread and the connection; the next write begins anew."""


class Archive(Protocol):
    """Reads, off the hub; each blocks its calling greenlet alone. At most READ_ROWS_MAX rows."""

    def audit_latest(self, limit: int) -> tuple[AuditRow, ...]:
        """The newest rows of the audit log, newest first."""

    def audit_row(self, seq: int) -> AuditRow | None:
        """One row of the audit log."""

    def audit_head(self) -> AuditRow | None:
        """The newest row of the audit log."""

    def audit_rows(self, from_seq: int, limit: int) -> tuple[AuditRow, ...]:
        """A page of the audit log, oldest first."""

    def bars(self, venue: str, symbol: str, timeframe: str, limit: int) -> tuple[BarRow, ...]:
        """The newest bars of one venue, oldest first."""

    def bars_across(
        self, symbol: str, timeframe: str, from_ns: int, limit: int
    ) -> tuple[BarRow, ...]:
        """The bars of all venues from a time on, oldest first."""

    def flags(self) -> tuple[FlagRow, ...]:
        """Every flag that was ever set, by name."""

    def l2_log(
        self, venue: str, symbol: str, from_seq: int, to_seq: int, limit: int
    ) -> tuple[L2LogRow, ...]:
        """What a book was given between two sequences, in order."""

    def quarantined(self, limit: int) -> tuple[QuarantineRow, ...]:
        """The newest quarantined values, newest first."""


class ArchiveError(Exception):
    """A read that gave no answer."""


class ArchiveBusyError(ArchiveError):
    """Too many reads wait already."""


class ArchiveDownError(ArchiveError):
    """The database does not answer."""


class RowInvalidError(ArchiveError):
    """A row at the store's border breaks its contract."""

    def __init__(self, table: str, key: str, detail: str) -> None:
        super().__init__(f"{table} [{key}]: {detail}")
        self.table, self.key, self.detail = table, key, detail
