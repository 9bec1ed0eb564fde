"""PostgreSQL by psycopg 3. The writer's session holds an advisory lock: it is the one tree.

So the lock and the right to write are one thing: when the server goes, both go, and a session that
comes back writes nothing before it has the lock again.
"""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from peewee import Database, PostgresqlDatabase

from stevie.adapters.store.engine import (
    Connection,
    Engine,
    StoreError,
    StoreLockedError,
    Synchronous,
)
from stevie.adapters.store.tables import Table, Values
from stevie.database_url import without_password

try:
    import psycopg
except ImportError:  # pragma: no cover - the extra is not installed
    if not TYPE_CHECKING:
        psycopg = None

TREE_LOCK = 0x53746576_6965  # "Stevie"; advisory locks are numbers, of one database each
CONNECT_S = 3
STATEMENT_MS = 10_000  # no batch takes a tenth of it; a hung server is trouble, not silence
LOCK_MS = 1000
STREAM_ROWS = 500  # fetched at a time
UNHEARD_MS = 5000  # data that the server did not acknowledge: it is gone
SETTINGS = f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={LOCK_MS}"

DISK_FULL, LOCK_NOT_AVAILABLE, QUERY_CANCELED = "53100", "55P03", "57014"
READ_ONLY = "25006"
TROUBLES = {
    DISK_FULL: "disk full",
    LOCK_NOT_AVAILABLE: "database locked",
    QUERY_CANCELED: "database slow",
    READ_ONLY: "database read-only",
}
LASTING_CLASSES = ("22", "23")  # SQLSTATE: data exceptions, integrity constraint violations


class SessionClaim:
    """The session's own: it holds the lock as long as it lives."""

    def release(self) -> None:
        """Nothing: closing the writer's connection does it."""


class PostgresEngine(Engine):
    """One database of a server."""

    name = "postgresql"
    placeholder = "%s"
    tables_sql = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"

    def __init__(self, url: str, *, synchronous: Synchronous = "full") -> None:
        self.shown = without_password(url)
        if psycopg is None:
            raise StoreError(f"{self.shown}: needs psycopg; run: pip install 'stevie[postgres]'")
        self.errors = (*Engine.errors, psycopg.Error)
        self._url = url
        self._commit = "on" if synchronous == "full" else "off"

    def create(self) -> None:
        """The database is its administrator's to make; say so if it is not there."""
        try:
            psycopg.connect(self._url, connect_timeout=CONNECT_S).close()
        except psycopg.Error as error:
            raise StoreError(f"{self.shown}: {self.reason(error)}") from error

    def claim(self) -> SessionClaim:
        """Taken by `connect`."""
        return SessionClaim()

    def connect(self) -> Connection:
        """The writer's session, with the lock."""
        connection = psycopg.connect(self._url, autocommit=True, **self._parameters())
        try:
            connection.execute(f"SET synchronous_commit = {self._commit}")
            self._take_lock(connection)
        except BaseException:
            connection.close()
            raise
        return cast("Connection", connection)

    def _take_lock(self, connection: Any) -> None:
        taken = connection.execute("SELECT pg_try_advisory_lock(%s)", (TREE_LOCK,)).fetchone()
        if not taken[0]:
            raise StoreLockedError(
                f"{self.shown} is in use by {self._owner(connection)}; "
                "one tree a database: stop it, or set store.url to another one"
            )

    @staticmethod
    def _owner(connection: Any) -> str:
        sql = (
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND (l.classid::bigint << 32) + l.objid::bigint = %s"
        )
        row = connection.execute(sql, (TREE_LOCK,)).fetchone()
        return str(row[0]) if row and row[0] else "another session"

    def snapshot(self) -> Connection:
        """A read-only transaction that sees the database of its first moment."""
        connection = psycopg.connect(self._url, autocommit=True, **self._parameters())
        try:
            connection.execute("SET statement_timeout = 0")  # a large table takes its time
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        except BaseException:
            connection.close()
            raise
        return cast("Connection", connection)

    def stream(self, connection: Connection, sql: str) -> Iterator[Values]:
        """By a cursor of the server."""
        with cast("Any", connection).cursor(name="stream") as cursor:
            cursor.itersize = STREAM_ROWS
            yield from cursor.execute(sql)

    def as_bytes_sql(self, column: str) -> str:
        """The server vouches for the encoding of its texts."""
        return f"convert_to({column}, 'UTF8')"

    def database(self, *, is_reader: bool) -> Database:
        """Peewee's view; a reader cannot write."""
        parameters = self._parameters()
        if is_reader:
            parameters["options"] += " -c default_transaction_read_only=on"
        return PostgresqlDatabase(self._url, prefer_psycopg3=True, **parameters)

    def _parameters(self) -> dict[str, Any]:
        return {
            "connect_timeout": CONNECT_S,
            "application_name": f"stevie process {os.getpid()}",
            "options": SETTINGS,
            "tcp_user_timeout": UNHEARD_MS,
        }

    def insert(self, cursor: Any, table: Table, values: Sequence[Values]) -> None:
        """PERF: COPY takes five times the rows of executemany; it has no ON CONFLICT."""
        if table.newest_by:
            super().insert(cursor, table, values)
            return
        with cursor.copy(f'COPY "{table.name}" ({table.columns_sql}) FROM STDIN') as copy:
            for row in values:
                copy.write_row(row)

    def still_there(self) -> None:
        """The server sees to that."""

    def reason(self, error: Exception) -> str:
        """The trouble by SQLSTATE; without one, nobody answered."""
        state = getattr(_driver_error(error), "sqlstate", None)
        text = " ".join(str(error).split())
        if state is None:
            return f"database gone: {text}"
        return f"{TROUBLES.get(state, _class_of(state))}: {text}"

    def is_lasting(self, error: Exception) -> bool:
        """Data and constraints; also what psycopg itself will not send, such as a NUL."""
        state = getattr(_driver_error(error), "sqlstate", None)
        if state is None:
            return isinstance(error, psycopg.DataError)
        return str(state).startswith(LASTING_CLASSES)

    def database_bytes(self, connection: Connection) -> int:
        """As the server says."""
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0])

    def keyed_rows(self, connection: Connection, table: str) -> int:
        """The planner's estimate; 0 until the table was analyzed."""
        sql = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass"
        return int(connection.execute(sql, (table,)).fetchone()[0])


def _driver_error(error: Exception) -> BaseException:
    """Peewee's errors wrap psycopg's."""
    if isinstance(error, psycopg.Error):
        return error
    return error.__cause__ or error.__context__ or error


def _class_of(state: str) -> str:
    """Connection exceptions and an operator's intervention (shutdown) mean that it is gone."""
    if state.startswith(LASTING_CLASSES):
        return "rows refused"
    return "database gone" if state.startswith(("08", "57P")) else "database fails"
