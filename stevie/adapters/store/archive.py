"""The archive: reads on two threads of their own, so that none holds up the hub or the writer.

A row is shown to its contract before it is handed out; one that breaks it is counted and raised.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from gevent.monkey import get_original

from stevie.adapters.store.border import chunks, row_of
from stevie.adapters.store.engine import Engine
from stevie.adapters.store.tables import TABLES, Audit, Bars, Flags, L2Log, Quarantine, Values
from stevie.adapters.store.thread import JobThread
from stevie.domain.contracts.rows import AuditRow, BarRow, FlagRow, L2LogRow, QuarantineRow, Row
from stevie.ports_record import (
    READ_ROWS_MAX,
    ArchiveBusyError,
    ArchiveDownError,
    RowInvalidError,
)

THREADS = 2  # one long read leaves a way past it
WAITING_MAX = 32  # reads of one thread, each with a client that waits; more shall come again
CLOSE_S = 2.0

R = TypeVar("R", bound=Row)
Query = Any  # Peewee says nothing of types

_sleep: Callable[[float], None] = get_original("time", "sleep")


class SqlArchive:
    """Fulfils Archive."""

    def __init__(self, engine: Engine, *, on_invalid: Callable[[str], None]) -> None:
        self._on_invalid = on_invalid  # told the table of each row that broke its contract
        self._readers = tuple(Reader(engine) for _ in range(THREADS))

    def audit_latest(self, limit: int) -> tuple[AuditRow, ...]:
        """The newest rows of the audit log, newest first."""
        return self._rows(AuditRow, audit_latest_query(limit))

    def audit_row(self, seq: int) -> AuditRow | None:
        """One row of the audit log."""
        return next(iter(self._rows(AuditRow, audit_row_query(seq))), None)

    def audit_head(self) -> AuditRow | None:
        """The newest row of the audit log."""
        return next(iter(self.audit_latest(1)), None)

    def audit_rows(self, from_seq: int, limit: int) -> tuple[AuditRow, ...]:
        """A page of the audit log, oldest first."""
        return self._rows(AuditRow, audit_rows_query(from_seq, limit))

    def bars(self, venue: str, symbol: str, timeframe: str, limit: int) -> tuple[BarRow, ...]:
        """The newest bars of one venue, oldest first."""
        return self._rows(BarRow, bars_query(venue, symbol, timeframe, limit))[::-1]

    def bars_across(
        self, symbol: str, timeframe: str, from_ns: int, limit: int
    ) -> tuple[BarRow, ...]:
        """The bars of all venues from a time on, oldest first."""
        return self._rows(BarRow, bars_across_query(symbol, timeframe, from_ns, limit))

    def flags(self) -> tuple[FlagRow, ...]:
        """Every flag that was ever set, by name."""
        return self._rows(FlagRow, flags_query())

    def l2_log(
        self, venue: str, symbol: str, from_seq: int, to_seq: int, limit: int
    ) -> tuple[L2LogRow, ...]:
        """What a book was given between two sequences, in order."""
        return self._rows(L2LogRow, l2_log_query(venue, symbol, from_seq, to_seq, limit))

    def quarantined(self, limit: int) -> tuple[QuarantineRow, ...]:
        """The newest quarantined values, newest first."""
        return self._rows(QuarantineRow, quarantined_query(limit))

    def close(self) -> None:
        """End the threads and their connections."""
        for reader in self._readers:
            reader.thread.close()
        for reader in self._readers:
            reader.thread.drain(CLOSE_S)

    def _rows(self, kind: type[R], query: Query) -> tuple[R, ...]:
        reader = min(self._readers, key=lambda each: each.thread.pending)
        if reader.thread.pending >= WAITING_MAX:
            raise ArchiveBusyError(f"{WAITING_MAX} reads wait already")
        try:
            rows: tuple[R, ...] = reader.thread.call(lambda: reader.read(kind, query))
        except RowInvalidError as error:
            self._on_invalid(error.table)
            raise
        return rows


class Reader:
    """One thread with its connection; all but its making happens there."""

    def __init__(self, engine: Engine) -> None:
        self.thread = JobThread(jobs_max=WAITING_MAX, at_end=self._disconnect)
        self._engine = engine
        self._database: Any = engine.database(is_reader=True)

    def read(self, kind: type[R], query: Query) -> tuple[R, ...]:
        """The rows that a query finds, each checked."""
        rows: list[R] = []
        for chunk in chunks(self._fetch(query)):
            rows.extend(row_of(kind, values) for values in chunk)
            _sleep(0)  # without the GIL, so that the hub runs before it must insist
        return tuple(rows)

    def _fetch(self, query: Query) -> Sequence[Values]:
        """Ask; once more if the connection was from before the database went."""
        try:
            return self._ask(query)
        except self._engine.errors:
            self._disconnect()
        try:
            return self._ask(query)
        except self._engine.errors as error:
            self._disconnect()
            raise ArchiveDownError(self._engine.reason(error)) from error

    def _ask(self, query: Query) -> Sequence[Values]:
        self._database.connect(reuse_if_open=True)
        sql, parameters = sql_of(query, self._database)
        found: Sequence[Values] = self._database.execute_sql(sql, parameters).fetchall()
        return found

    def _disconnect(self) -> None:
        with suppress(*self._engine.errors):  # a broken one: Peewee has let go of it all the same
            self._database.close()


# -- the reads, each with the index that serves it (see the tests of their plans) ------------------


def sql_of(query: Query, database: Any) -> tuple[str, Sequence[Any]]:
    """A query in a database's own words."""
    sql, parameters = database.get_sql_context().sql(query).query()
    return sql, parameters


def audit_latest_query(limit: int) -> Query:
    """By the primary key, from its end."""
    return _columns(AuditRow).order_by(Audit.seq.desc()).limit(_bounded(limit))


def audit_row_query(seq: int) -> Query:
    """By the primary key."""
    return _columns(AuditRow).where(Audit.seq == seq)


def audit_rows_query(from_seq: int, limit: int) -> Query:
    """By the primary key."""
    query = _columns(AuditRow).where(Audit.seq >= from_seq)
    return query.order_by(Audit.seq).limit(_bounded(limit))


def bars_query(venue: str, symbol: str, timeframe: str, limit: int) -> Query:
    """By the primary key, from its end; newest first."""
    is_wanted = (Bars.venue == venue) & (Bars.symbol == symbol) & (Bars.timeframe == timeframe)
    query = _columns(BarRow).where(is_wanted)
    return query.order_by(Bars.opened_ns.desc()).limit(_bounded(limit))


def bars_across_query(symbol: str, timeframe: str, from_ns: int, limit: int) -> Query:
    """By (symbol, timeframe, opened_ns)."""
    is_wanted = (Bars.symbol == symbol) & (Bars.timeframe == timeframe)
    query = _columns(BarRow).where(is_wanted & (Bars.opened_ns >= from_ns))
    return query.order_by(Bars.opened_ns, Bars.venue).limit(_bounded(limit))


def flags_query() -> Query:
    """All of them: there are a dozen."""
    return _columns(FlagRow).order_by(Flags.name).limit(READ_ROWS_MAX)


def l2_log_query(venue: str, symbol: str, from_seq: int, to_seq: int, limit: int) -> Query:
    """By (venue, symbol, seq): rows whose range of sequences touches the wanted one."""
    is_wanted = (L2Log.venue == venue) & (L2Log.symbol == symbol)
    touches = (L2Log.seq >= from_seq) & (L2Log.first_seq <= to_seq)
    query = _columns(L2LogRow).where(is_wanted & touches)
    return query.order_by(L2Log.seq, L2Log.id).limit(_bounded(limit))


def quarantined_query(limit: int) -> Query:
    """By the primary key, from its end."""
    return _columns(QuarantineRow).order_by(Quarantine.id.desc()).limit(_bounded(limit))


_MODELS = {table.row: (table.model, table.fields) for table in TABLES}


def _columns(kind: type[Row]) -> Any:
    model, fields = _MODELS[kind]
    return model.select(*(getattr(model, field) for field in fields))


def _bounded(limit: int) -> int:
    return max(0, min(limit, READ_ROWS_MAX))
