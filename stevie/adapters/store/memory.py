"""A store in memory: for simulation and tests, where no disk and no thread may take part.

It is as strict as the others about what a row is and about marks, and fails when it is told to.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from stevie.adapters.store.border import next_head, values_of
from stevie.adapters.store.tables import BY_ROW, TABLES
from stevie.domain.contracts.rows import AuditRow, BarRow, FlagRow, L2LogRow, QuarantineRow, Row
from stevie.domain.operations.chain import GENESIS, Head
from stevie.ports_record import (
    HouseReport,
    RowInvalidError,
    TableLimit,
    TableMeasure,
    WriteOutcome,
)

ROWS_MAX = 1_000_000  # of a table: a simulated day; more is a test that wants a database

R = TypeVar("R", bound=Row)
Key = tuple[object, ...]


class MemoryStore:
    """Fulfils StoreWriter and Archive. Outcomes are told at once, or when `release` says so."""

    engine = "memory"

    def __init__(self) -> None:
        self.trouble = ""
        """Why writes fail; "" if they do not."""
        self.is_holding = False
        """Whether outcomes wait for `release`, as those of a slow disk do."""
        self.writes: deque[tuple[Row, ...]] = deque(maxlen=ROWS_MAX)
        """Each transaction that was committed."""
        self._held: deque[Callable[[], None]] = deque()  # bounded by what its keeper has under way
        self._lists: dict[str, list[Row]] = {t.name: [] for t in TABLES if not t.newest_by}
        self._keyed: dict[str, dict[Key, Row]] = {t.name: {} for t in TABLES if t.newest_by}
        self._mark = ""

    # -- StoreWriter ------------------------------------------------------------------------------

    def write(
        self, rows: Sequence[Row], *, mark: str, on_done: Callable[[WriteOutcome], None]
    ) -> None:
        """Keep all rows or none."""
        self._do(lambda: on_done(self._written(tuple(rows), mark)))

    def keep_house(
        self, limits: Sequence[TableLimit], on_done: Callable[[HouseReport], None]
    ) -> None:
        """Remove what is over its limit, and measure."""
        self._do(lambda: on_done(self._house(limits)))

    def drain(self, timeout_s: float) -> bool:
        """Nothing is under way but what is held."""
        del timeout_s
        return not self._held

    def close(self) -> None:
        """Nothing to end."""

    def release(self) -> None:
        """Do what was held, and hold nothing more."""
        self.is_holding = False
        while self._held:
            self._held.popleft()()

    def _do(self, deed: Callable[[], None]) -> None:
        if self.is_holding:
            self._held.append(deed)
        else:
            deed()

    def _written(self, rows: tuple[Row, ...], mark: str) -> WriteOutcome:
        if self.trouble:
            return WriteOutcome(reason=self.trouble)
        if mark == self._mark:
            return WriteOutcome(head=self._head(), flags=() if rows else self.flags())
        head = self._head()
        try:
            for row in rows:
                values_of([row])
                head = next_head(head, row) if isinstance(row, AuditRow) else head
        except RowInvalidError as error:
            return WriteOutcome(reason=f"row refused: {error}", is_lasting=True)
        self._mark = mark
        self.writes.append(rows)
        for row in rows:
            self._put(row)
        is_about_audit = not rows or any(isinstance(row, AuditRow) for row in rows)
        flags = () if rows else self.flags()
        return WriteOutcome(head=head if is_about_audit else None, flags=flags)

    def _head(self) -> Head:
        row = self.audit_head()
        return Head(row.seq, row.hash) if row else GENESIS

    def _put(self, row: Row) -> None:
        table = BY_ROW[type(row)]
        if table.newest_by:
            rows, key = self._keyed[table.name], tuple(getattr(row, name) for name in table.key)
            old = rows.get(key, row)
            if getattr(row, table.newest_by) >= getattr(old, table.newest_by):
                rows[key] = row
            return
        assert len(self._lists[table.name]) < ROWS_MAX, f"{table.name}: {ROWS_MAX} rows"
        self._lists[table.name].append(row)

    def _house(self, limits: Sequence[TableLimit]) -> HouseReport:
        if self.trouble:
            return HouseReport(reason=self.trouble)
        pruned = sum(self._prune(limit) for limit in limits)
        tables = tuple(
            TableMeasure(name, len(rows), sum(row.size_bytes() for row in rows))
            for name, rows in ((t.name, self._of(t.row)) for t in TABLES)
        )
        size_bytes = sum(each.bytes for each in tables)
        return HouseReport(database_bytes=size_bytes, tables=tables, pruned_rows=pruned)

    def _prune(self, limit: TableLimit) -> int:
        rows = self._lists[limit.table]
        kept, size_bytes = 0, 0
        for row in reversed(rows):
            size_bytes += row.size_bytes()
            is_over = limit.bytes_max and size_bytes > limit.bytes_max
            if is_over or (limit.rows_max and kept >= limit.rows_max):
                break
            kept += 1
        gone = len(rows) - kept
        del rows[:gone]
        return gone

    # -- Archive ----------------------------------------------------------------------------------

    def audit_latest(self, limit: int) -> tuple[AuditRow, ...]:
        """The newest rows of the audit log, newest first."""
        return self._of(AuditRow, newest=limit)[::-1]

    def audit_row(self, seq: int) -> AuditRow | None:
        """One row of the audit log."""
        rows = self._lists[AuditRow.table]
        row = rows[seq - 1] if 0 < seq <= len(rows) else None
        assert row is None or isinstance(row, AuditRow), row
        return row

    def audit_head(self) -> AuditRow | None:
        """The newest row of the audit log."""
        return next(iter(self.audit_latest(1)), None)

    def audit_rows(self, from_seq: int, limit: int) -> tuple[AuditRow, ...]:
        """A page of the audit log, oldest first."""
        return tuple(row for row in self._of(AuditRow) if row.seq >= from_seq)[:limit]

    def bars(self, venue: str, symbol: str, timeframe: str, limit: int) -> tuple[BarRow, ...]:
        """The newest bars of one venue, oldest first."""
        rows = self.bars_across(symbol, timeframe, 0, ROWS_MAX)
        return tuple(row for row in rows if row.venue == venue)[-limit:]

    def bars_across(
        self, symbol: str, timeframe: str, from_ns: int, limit: int
    ) -> tuple[BarRow, ...]:
        """The bars of all venues from a time on, oldest first."""
        rows = [
            row
            for row in self._of(BarRow)
            if (row.symbol, row.timeframe) == (symbol, timeframe) and row.opened_ns >= from_ns
        ]
        return tuple(sorted(rows, key=lambda row: (row.opened_ns, row.venue)))[:limit]

    def flags(self) -> tuple[FlagRow, ...]:
        """Every flag that was ever set, by name."""
        return tuple(sorted(self._of(FlagRow), key=lambda row: row.name))

    def l2_log(
        self, venue: str, symbol: str, from_seq: int, to_seq: int, limit: int
    ) -> tuple[L2LogRow, ...]:
        """What a book was given between two sequences, in order."""
        rows = [
            row
            for row in self._of(L2LogRow)
            if (row.venue, row.symbol) == (venue, symbol)
            and row.seq >= from_seq
            and row.first_seq <= to_seq
        ]
        return tuple(sorted(rows, key=lambda row: row.seq))[:limit]

    def quarantined(self, limit: int) -> tuple[QuarantineRow, ...]:
        """The newest quarantined values, newest first."""
        return self._of(QuarantineRow, newest=limit)[::-1]

    def _of(self, kind: type[R], *, newest: int = ROWS_MAX) -> tuple[R, ...]:
        keyed = self._keyed.get(kind.table)
        rows = self._lists[kind.table][-newest:] if keyed is None else keyed.values()
        return cast("tuple[R, ...]", tuple(rows))
