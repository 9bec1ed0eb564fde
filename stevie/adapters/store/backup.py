"""Backup, restore and export, while a tree runs.

A backup is one SQLite file whatever the engine, so it also moves a database from one engine to the
other. It holds what the database held at one moment; before it gets its name it is read back: the
rows of each table are counted and the audit chain is verified from its first row.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from stevie.adapters.store.border import row_of, values_of
from stevie.adapters.store.engine import Connection, Engine, StoreError
from stevie.adapters.store.housekeeping import arrivals, enter
from stevie.adapters.store.migrations import migrate
from stevie.adapters.store.sqlite import SqliteEngine, sqlite_reason, sync_folder
from stevie.adapters.store.tables import BY_NAME, BY_ROW, TABLES, Table
from stevie.adapters.store.writer import Transaction
from stevie.domain.contracts.rows import AuditRow, Row
from stevie.domain.operations.chain import Head
from stevie.domain.operations.verify import RawRow, verify

PAGES = 1024  # copied at a time, 4 MB
ROWS = 500  # copied at a time between engines
ASIDE = ".before-restore"

OnProgress = Callable[[int], object]


class Summary(NamedTuple):
    """What a database or a backup holds."""

    rows: dict[str, int]
    head: Head


class BackupError(StoreError):
    """A file that is no backup, or that would be lost."""


def backup(
    engine: Engine, target: Path, *, is_forced: bool = False, on_progress: OnProgress = int
) -> Summary:
    """Write the database as it is now to a new file."""
    if target.exists() and not is_forced:
        raise BackupError(f"{target}: is there already; --force replaces it")
    part = target.with_name(target.name + ".part")
    with _spoken_for(engine), _removed_at_end(part):
        copy = SqliteEngine(part)
        if isinstance(engine, SqliteEngine):
            _copy_pages(engine, part, on_progress)
        else:
            _copy_out(engine, copy, on_progress)
        _make_plain(part)
        summary = examine(copy)
        _put_in_place(part, target)
    return summary


def restore(
    source: Path, engine: Engine, *, is_forced: bool = False, on_progress: OnProgress = int
) -> Summary:
    """Make the database what a backup holds; the caller holds nothing of it open.

    An older backup is brought up to date on the way; the file itself is left as it is.
    """
    with _spoken_for(engine), _folder_beside(engine) as folder:
        copy = SqliteEngine(Path(folder) / "restore.db")
        _fetch(source, copy)
        wanted = examine(copy)
        if isinstance(engine, SqliteEngine):
            _restore_file(copy, engine, is_forced=is_forced)
        else:
            _restore_rows(copy, engine, is_forced=is_forced, on_progress=on_progress)
        found = examine(engine)
    if found != wanted:
        raise StoreError(f"{engine.shown}: holds {found} after the restore, not {wanted}")
    return found


def export(engine: Engine, name: str, out: IO[bytes], *, on_progress: OnProgress = int) -> int:
    """Write a table as JSON lines; a row that breaks its contract ends it. Returns the rows."""
    if name not in BY_NAME:
        raise StoreError(f"{name!r} is no table; allowed: {', '.join(BY_NAME)}")
    table, count = BY_NAME[name], 0
    with _spoken_for(engine), closing(engine.snapshot()) as connection:
        for values in engine.stream(connection, table.select_sql):
            out.write(msgspec.json.encode(row_of(table.row, values)) + b"\n")
            count += 1
            if count % ROWS == 0:
                on_progress(count)
    on_progress(count)
    return count


def raw_audit_rows(engine: Engine, connection: Connection) -> Iterator[RawRow]:
    """The audit log as it is stored, for `verify`: integers, and texts as bytes."""
    texts = (engine.as_bytes_sql(name) for name in RawRow._fields[2:])
    sql = f"SELECT seq, at_ns, {', '.join(texts)} FROM audit ORDER BY seq"  # noqa: S608 - our names
    return (RawRow(*values) for values in engine.stream(connection, sql))


def examine(engine: Engine) -> Summary:
    """Count, and verify the audit chain; StoreError if it is broken."""
    with _spoken_for(engine), closing(engine.snapshot()) as connection:
        counts = _counts(engine, connection)
        rows = raw_audit_rows(engine, connection) if AuditRow.table in counts else ()
        verdict = verify(rows)
        if verdict.finding is not None:
            raise StoreError(f"{engine.shown}: audit {verdict.finding}")
        return Summary(counts, verdict.head)


def _counts(engine: Engine, connection: Connection) -> dict[str, int]:
    sql = 'SELECT count(*) FROM "{}"'
    names = _tables(engine, connection)
    return {name: connection.execute(sql.format(name)).fetchone()[0] for name in names}


def _tables(engine: Engine, connection: Connection) -> list[str]:
    """The tables of rows; a schema of an older version may not have all."""
    there = {name for (name,) in connection.execute(engine.tables_sql).fetchall()}
    return [table.name for table in TABLES if table.name in there]


# -- copying -------------------------------------------------------------------------------------


def _copy_pages(engine: SqliteEngine, part: Path, on_progress: OnProgress) -> None:
    """SQLite's own backup, of one snapshot: without it, each write would begin it anew."""

    def on_pages(_status: int, remaining: int, total: int) -> None:
        on_progress(total - remaining)

    with closing(engine.snapshot()) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy, pages=PAGES, progress=on_pages)  # type: ignore[attr-defined]


def _copy_out(engine: Engine, copy: SqliteEngine, on_progress: OnProgress) -> None:
    """Every row, into a file with the schema that the database has."""
    copy.create()
    with closing(engine.snapshot()) as source:
        migrate(copy, _newest_migration(source))
        with closing(copy.connect()) as target:
            _copy_rows(_all_rows(engine, source), copy, target, on_progress)


def _newest_migration(source: Connection) -> str:
    return str(source.execute("SELECT max(name) FROM schema_migration").fetchone()[0])


def _copy_rows(
    source: "_Rows", engine: Engine, target: Connection, on_progress: OnProgress
) -> None:
    """Every row, in one transaction, in place of those that are there."""
    with Transaction(engine, target) as cursor:
        for name in (*_tables(engine, target), "store_ledger"):
            cursor.execute(f'DELETE FROM "{name}"')  # noqa: S608 - our names
        done = 0
        for rows in source:
            engine.insert(cursor, BY_ROW[type(rows[0])], values_of(rows))
            enter(cursor, engine.placeholder, arrivals({type(rows[0]): rows}))
            done += len(rows)
            on_progress(done)


_Rows = Iterator[list[Row]]


def _all_rows(engine: Engine, source: Connection) -> _Rows:
    """The rows of every table, a batch of one table at a time."""
    for name in _tables(engine, source):
        yield from _batches(engine, source, BY_NAME[name])


def _batches(engine: Engine, source: Connection, table: Table) -> _Rows:
    rows = (row_of(table.row, values) for values in engine.stream(source, table.select_sql))
    while batch := list(islice(rows, ROWS)):
        yield batch


# -- restoring -----------------------------------------------------------------------------------


def _fetch(source: Path, copy: SqliteEngine) -> None:
    """Copy the file aside and bring it up to date."""
    try:
        with source.open("rb") as file:
            is_database = file.read(16) == b"SQLite format 3\x00"
    except OSError as error:
        raise BackupError(f"{source}: cannot be read: {error.strerror or error}") from error
    if not is_database:
        raise BackupError(f"{source}: is no backup of Stevie")
    try:
        _copy_pages(SqliteEngine(source), copy.path, int)
        with closing(copy.snapshot()) as connection:
            _newest_migration(connection)
    except sqlite3.Error as error:
        raise BackupError(f"{source}: is no backup of Stevie: {error}") from error
    migrate(copy)


def _restore_file(copy: SqliteEngine, engine: SqliteEngine, *, is_forced: bool) -> None:
    """Put the copy in the place of the database, which is kept beside it if it held anything."""
    claim = engine.claim()
    try:
        if engine.path.exists() and not is_forced:
            migrate(engine)
            _check_empty(engine)
        _make_plain(copy.path)
        _move_aside(engine.path)
        _put_in_place(copy.path, engine.path)
        engine.create()
    finally:
        claim.release()


def _restore_rows(
    copy: SqliteEngine, engine: Engine, *, is_forced: bool, on_progress: OnProgress
) -> None:
    """Write the copy's rows in the place of those that are there, in one transaction."""
    with closing(engine.connect()) as target, closing(copy.snapshot()) as source:
        migrate(engine)
        if not is_forced:
            _check_empty(engine)
        _copy_rows(_all_rows(copy, source), engine, target, on_progress)


def _check_empty(engine: Engine) -> None:
    with closing(engine.snapshot()) as connection:
        held = {name: rows for name, rows in _counts(engine, connection).items() if rows}
    if held:
        told = ", ".join(f"{rows} rows of {name}" for name, rows in held.items())
        raise BackupError(f"{engine.shown}: holds {told}; --force replaces them")


# -- files ---------------------------------------------------------------------------------------


@contextmanager
def _spoken_for(engine: Engine) -> Iterator[None]:
    """Say in words what a driver raises: the engine's, or that of the copy, which is SQLite's."""
    expected: tuple[type[Exception], ...] = (*engine.errors, sqlite3.Error)
    try:
        yield
    except expected as error:
        is_sqlite = isinstance(error, sqlite3.Error)
        reason = sqlite_reason(error) if is_sqlite else engine.reason(error)
        raise StoreError(f"{engine.shown}: {reason}") from error


@contextmanager
def _removed_at_end(part: Path) -> Iterator[None]:
    """Leave no half of a file behind."""
    part.unlink(missing_ok=True)
    try:
        yield
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            part.with_name(part.name + suffix).unlink(missing_ok=True)


def _folder_beside(engine: Engine) -> "tempfile.TemporaryDirectory[str]":
    """Where a copy can wait: on the disk of a file that it will replace."""
    parent = engine.path.parent if isinstance(engine, SqliteEngine) else None
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".stevie-restore-", dir=parent)


def _move_aside(path: Path) -> None:
    """Keep what is there under another name, its log with it.

    The file goes first: SQLite drops a log that it finds without one.
    """
    aside = path.with_name(path.name + ASIDE)
    for suffix in ("", "-wal", "-shm"):
        aside.with_name(aside.name + suffix).unlink(missing_ok=True)
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(aside.with_name(aside.name + suffix))


def _make_plain(path: Path) -> None:
    """Leave the log mode, so that the file alone is the database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _put_in_place(part: Path, target: Path) -> None:
    """Give a whole file its name, so that it survives a loss of power."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(target)
    sync_folder(target.parent)
