"""SQLite in a file: WAL, so that readers and the writer never wait for one another.

`synchronous=FULL`: what was acknowledged survives a loss of power, at one fsync a transaction.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from peewee import Database, SqliteDatabase

from stevie.adapters.store.engine import (
    Connection,
    Engine,
    StoreError,
    StoreLockedError,
    Synchronous,
)
from stevie.adapters.store.tables import Values

BUSY_S = 1.0  # waited for another process's lock before it is reported; then it is tried again
WAL_BYTES_MAX = 64 * 2**20  # what the log's file may keep on disk between checkpoints
CACHE_KIB = 8192  # of pages, a connection

TROUBLES = {
    sqlite3.SQLITE_FULL: "disk full",
    sqlite3.SQLITE_BUSY: "database locked",
    sqlite3.SQLITE_LOCKED: "database locked",
    sqlite3.SQLITE_CANTOPEN: "database gone",
    sqlite3.SQLITE_READONLY: "database read-only",
    sqlite3.SQLITE_CORRUPT: "database damaged",
    sqlite3.SQLITE_NOTADB: "database damaged",
    sqlite3.SQLITE_IOERR: "disk fails",
    sqlite3.SQLITE_CONSTRAINT: "rows refused",
}
PRIMARY_CODE = 0xFF  # an extended result code holds the primary one here


class FileClaim:
    """A lock on a file beside the database; the kernel frees it with its process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise StoreLockedError(
                f"{path.with_suffix('')} is in use by process {owner} ({path} is locked); "
                "one tree a database: stop it, or set store.url to another one"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Give it up; the file stays, since whoever waits may hold it open."""
        self._file.close()


class SqliteEngine(Engine):
    """One file."""

    name = "sqlite"
    placeholder = "?"
    begin = "BEGIN IMMEDIATE"
    migration_lock = "EXCLUSIVE"
    tables_sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
    errors = (*Engine.errors, sqlite3.Error)

    def __init__(self, path: Path, *, synchronous: Synchronous = "full") -> None:
        self.path = path
        self.shown = f"sqlite:///{path}"
        self._synchronous = synchronous
        self._identity = (0, 0)  # device and inode that the writer's connection has open

    def create(self) -> None:
        """Make the file and the folder it is in."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=BUSY_S)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            sync_folder(self.path.parent)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.shown}: {self.reason(error)}") from error

    def claim(self) -> FileClaim:
        """Lock the file beside it."""
        try:
            return FileClaim(lock_path(self.path))
        except OSError as error:
            raise StoreError(f"{lock_path(self.path)}: {error.strerror or error}") from error

    def connect(self) -> Connection:
        """The writer's connection; a file that is gone is not made again."""
        uri = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_S)
        try:
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_MAX}")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            # Only a read opens the file itself.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self._identity = self._present()
        except BaseException:
            connection.close()
            raise
        return connection

    def snapshot(self) -> Connection:
        """A read transaction: in WAL mode nobody waits for it."""
        uri = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_S)
        try:
            connection.execute("PRAGMA query_only=1")
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # it begins here
        except BaseException:
            connection.close()
            raise
        return connection

    def stream(self, connection: Connection, sql: str) -> Iterator[Values]:
        """SQLite's own way."""
        yield from connection.execute(sql)

    def as_bytes_sql(self, column: str) -> str:
        """Only texts: what is stored as something else stays that."""
        return f"CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"

    def database(self, *, is_reader: bool) -> Database:
        """Peewee's view; a reader cannot write."""
        pragmas = {"query_only": int(is_reader), "cache_size": -CACHE_KIB}
        uri = f"file:{quote(str(self.path))}?mode=rw"
        return SqliteDatabase(uri, uri=True, pragmas=pragmas, timeout=BUSY_S)

    def still_there(self) -> None:
        """A file that was removed or replaced takes commits along, and nobody is told."""
        if self._present() != self._identity:
            raise FileNotFoundError(f"{self.path} was replaced by another file")

    def _present(self) -> tuple[int, int]:
        found = self.path.stat()
        return (found.st_dev, found.st_ino)

    def reason(self, error: Exception) -> str:
        """The trouble by SQLite's result code."""
        return sqlite_reason(error)

    def is_lasting(self, error: Exception) -> bool:
        """Constraints, and values that SQLite has no place for."""
        lasting = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError)
        return isinstance(error, lasting)

    def database_bytes(self, connection: Connection) -> int:
        """The file and its log."""
        del connection
        total = 0
        for path in (self.path, wal_path(self.path)):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def keyed_rows(self, connection: Connection, table: str) -> int:
        """The greatest row number: rows are never removed and never renumbered."""
        sql = f'SELECT coalesce(max(rowid), 0) FROM "{table}"'  # noqa: S608 - our names
        return int(connection.execute(sql).fetchone()[0])


def wal_path(path: Path) -> Path:
    """Where SQLite logs what is not in the file yet."""
    return path.with_name(path.name + "-wal")


def lock_path(path: Path) -> Path:
    """The file whose lock says that a tree has the database."""
    return path.with_name(path.name + ".lock")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sqlite_reason(error: Exception) -> str:
    """What kind of trouble, then SQLite's words."""
    if isinstance(error, OSError):
        return f"database gone: {error}"
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__ or error.__context__
    code = getattr(cause, "sqlite_errorcode", None)
    trouble = TROUBLES.get(code & PRIMARY_CODE) if isinstance(code, int) else None
    return f"{trouble}: {error}" if trouble else f"database fails: {error}"
