"""The one writer: a thread, a connection, and one transaction for each batch.

PERF: rows go through the driver's `executemany`, not through Peewee's query builder, which costs
thirty times as much and holds the GIL (docs: 3 us a row against 67).

Exactly once: every transaction also writes the caller's mark. After a failure the connection is
made anew, and a batch whose mark is there already was committed, whatever the error had said.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

import structlog

from stevie.adapters.store.border import next_head, row_of, values_of
from stevie.adapters.store.engine import Connection, Engine, StoreError
from stevie.adapters.store.housekeeping import arrivals, count_up, enter, prune
from stevie.adapters.store.tables import BY_ROW
from stevie.adapters.store.thread import Failed, JobThread
from stevie.domain.contracts.rows import AuditRow, FlagRow, Row
from stevie.domain.operations.chain import GENESIS, Head
from stevie.ports_record import HouseReport, RowInvalidError, TableLimit, WriteOutcome

log = structlog.get_logger()

JOBS_MAX = 16  # under way at once: each incarnation of a keeper leaves at most three behind


class SqlWriter:
    """Fulfils StoreWriter."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.name
        self._engine = engine
        self._session: Session | None = None
        # A keeper's marks begin anew with each process; what the last one left must match none.
        self._run = os.urandom(8).hex()
        self._thread = JobThread(jobs_max=JOBS_MAX, at_end=self._disconnect)

    def open(self) -> None:
        """Connect now, so that what is wrong is known; StoreError."""
        try:
            self._thread.call(self._connected)
        except self._engine.errors as error:
            raise StoreError(f"{self._engine.shown}: {self._engine.reason(error)}") from error

    def write(
        self, rows: Sequence[Row], *, mark: str, on_done: Callable[[WriteOutcome], None]
    ) -> None:
        """Write all rows or none, in one transaction; never blocks."""
        marked = f"{self._run}.{mark}"
        job = partial(self._with_session, lambda session: session.write(rows, marked))
        self._thread.submit(job, lambda value: on_done(self._outcome(value)))

    def keep_house(
        self, limits: Sequence[TableLimit], on_done: Callable[[HouseReport], None]
    ) -> None:
        """Remove a little of what is over its limit, and measure."""
        job = partial(self._with_session, lambda session: session.keep_house(limits))
        self._thread.submit(job, lambda value: on_done(self._report(value)))

    def call(self, job: Callable[[], Any]) -> Any:
        """Do something else on the thread while nothing is written; the greenlet waits for it."""
        return self._thread.call(job)

    def drain(self, timeout_s: float) -> bool:
        """Let the calling greenlet wait until nothing is under way."""
        return self._thread.drain(timeout_s)

    def close(self) -> None:
        """End the thread and the connection after what is under way."""
        self._thread.close()

    # -- on the thread ----------------------------------------------------------------------------

    def _with_session(self, job: "Callable[[Session], Any]") -> Any:
        try:
            return job(self._connected())
        except RowInvalidError:
            raise  # the connection is as good as before
        except BaseException:
            self._disconnect()
            raise

    def _connected(self) -> "Session":
        if self._session is None:
            self._session = Session(self._engine)
        return self._session

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # -- on the hub -------------------------------------------------------------------------------

    def _outcome(self, value: object) -> WriteOutcome:
        if isinstance(value, WriteOutcome):
            return value
        assert isinstance(value, Failed), value
        error = value.error
        if isinstance(error, RowInvalidError):
            return WriteOutcome(reason=f"row refused: {error}", is_lasting=True)
        is_expected = isinstance(error, self._engine.errors)
        is_lasting = is_expected and self._engine.is_lasting(error)  # type: ignore[arg-type]
        return WriteOutcome(reason=self._reason(error), is_lasting=is_lasting)

    def _report(self, value: object) -> HouseReport:
        if isinstance(value, HouseReport):
            return value
        assert isinstance(value, Failed), value
        return HouseReport(reason=self._reason(value.error))

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, StoreError):
            return str(error)
        if isinstance(error, self._engine.errors):
            return self._engine.reason(error)
        log.error("store_job_failed", exc_info=error)
        return f"bug: {type(error).__name__}: {error}"


class Session:
    """One connection of the writer, and the mark of the last transaction that it knows of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection = engine.connect()
        self._mark: str | None = None
        self._mark_sql = (
            f"INSERT INTO store_mark (id, mark) VALUES (1, {engine.placeholder}) "  # noqa: S608
            "ON CONFLICT (id) DO UPDATE SET mark = excluded.mark"
        )

    def write(self, rows: Sequence[Row], mark: str) -> WriteOutcome:
        """Write the rows unless they are there."""
        batches = by_table(rows)
        values = {kind: values_of(batch) for kind, batch in batches.items()}
        if mark == self._last_mark():
            return WriteOutcome(head=self._head(), flags=() if rows else self._flags())
        self._mark = None
        with Transaction(self._engine, self._connection) as cursor:
            head = self._head() if AuditRow in values or not rows else None
            for row in batches.get(AuditRow, ()):
                assert head is not None
                head = next_head(head, cast("AuditRow", row))
            for kind, lines in values.items():
                self._engine.insert(cursor, BY_ROW[kind], lines)
            enter(cursor, self._engine.placeholder, arrivals(batches))
            cursor.execute(self._mark_sql, (mark,))
        self._engine.still_there()
        self._mark = mark
        return WriteOutcome(head=head, flags=() if rows else self._flags())

    def _flags(self) -> tuple[FlagRow, ...]:
        """Those that are sound: one that is not must not keep the audit log from going on."""
        rows = []
        for line in self._connection.execute(BY_ROW[FlagRow].select_sql).fetchall():
            try:
                rows.append(row_of(FlagRow, line))
            except RowInvalidError as error:
                log.error("flag_row_invalid", reason=str(error))  # noqa: TRY400 - no bug of ours
        return tuple(rows)

    def _head(self) -> Head:
        sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
        row = self._connection.execute(sql).fetchone()
        return Head(*row) if row else GENESIS

    def keep_house(self, limits: Sequence[TableLimit]) -> HouseReport:
        """Remove a little, measure."""
        with Transaction(self._engine, self._connection) as cursor:
            pruned, has_more = prune(cursor, self._engine.placeholder, limits)
        return count_up(self._engine, self._connection, pruned_rows=pruned, has_more=has_more)

    def close(self) -> None:
        """Close the connection; one that is broken already may say so."""
        with suppress(*self._engine.errors):
            self._connection.close()

    def _last_mark(self) -> str:
        if self._mark is None:
            row = self._connection.execute("SELECT mark FROM store_mark").fetchone()
            self._mark = row[0] if row else ""
        return self._mark


class Transaction:
    """All or nothing; a cursor inside."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self._engine, self._connection = engine, connection
        self._cursor = connection.cursor()

    def __enter__(self) -> Any:
        self._connection.execute(self._engine.begin)
        return self._cursor

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self._roll_back()
            return
        try:
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # Said, not left to a close: while any cursor lives, a closed SQLite connection keeps its
        # lock, and the traceback of what went wrong holds cursors.
        with suppress(*self._engine.errors):  # it is rolled back already, or there is nobody to ask
            self._cursor.close()
            self._connection.execute("ROLLBACK")


def by_table(rows: Iterable[Row]) -> dict[type[Row], list[Row]]:
    """The rows of each table, in their order."""
    tables: dict[type[Row], list[Row]] = {}
    for row in rows:
        tables.setdefault(type(row), []).append(row)
    return tables
