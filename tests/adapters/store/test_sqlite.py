import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from stevie.adapters.store.engine import StoreError, StoreLockedError
from stevie.adapters.store.sqlite import SqliteEngine, lock_path, wal_path
from tests.adapters.store.rows import OK, audit_rows, head, written
from tests.e2e.processes import CHECKOUT

CLAIM = """
import sys
from pathlib import Path
from stevie.adapters.store.sqlite import SqliteEngine
claim = SqliteEngine(Path(sys.argv[1])).claim()
print("claimed", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def engine(tmp_path):
    engine = SqliteEngine(tmp_path / "var" / "stevie.db")
    engine.create()
    return engine


@pytest.fixture
def store(engine, opened):
    return opened(engine.shown)


def test_what_is_acknowledged_survives_a_loss_of_power_unless_asked_otherwise(engine):
    careless = SqliteEngine(engine.path, synchronous="normal")
    full, normal = 2, 1

    for each, level in ((engine, full), (careless, normal)):
        with closing(each.connect()) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_second_tree_is_refused_and_told_which_process_has_the_database(engine):
    command = [sys.executable, "-c", CLAIM, str(engine.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=CHECKOUT, text=True, **pipes) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "claimed\n"
            with pytest.raises(StoreLockedError, match=rf"in use by process {other.pid} "):
                engine.claim()
        finally:
            other.kill()
    engine.claim().release()  # a process that was killed holds nothing


def test_a_claim_that_was_released_is_free_for_the_next(engine):
    first = engine.claim()
    with pytest.raises(StoreLockedError, match=f"process {os.getpid()} "):
        engine.claim()
    first.release()

    second = engine.claim()

    assert lock_path(engine.path).read_text() == f"{os.getpid()}\n"
    second.release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"database gone: .*file"):
        SqliteEngine(tmp_path / "file" / "stevie.db").create()


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "stevie.db"
    path.write_text("no database at all, but long enough to look at" * 100)

    with pytest.raises(StoreError, match="database damaged: file is not a database"):
        SqliteEngine(path).create()


# -- trouble: nothing acknowledged is lost, and it goes on by itself ------------------------------


@contextmanager
def files_limited(size_bytes):
    """No file of this process grows beyond a size: the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_is_trouble_until_it_does(store, engine):
    rows = audit_rows(2000, size=400)
    assert written(store.writer, *rows[:100]) == OK

    with files_limited(wal_path(engine.path).stat().st_size + 100_000):
        outcome = written(store.writer, *rows[100:], mark="the rest")
        assert outcome.reason.startswith("disk fails: disk I/O error")
        assert not outcome.is_lasting
        assert store.archive.audit_head() == rows[99]

    assert written(store.writer, *rows[100:], mark="the rest") == OK
    assert store.archive.audit_rows(1, 3000) == rows


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here: needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_file_system_is_trouble_until_there_is_room(small_disk, opened):
    store = opened(f"sqlite:///{small_disk}/stevie.db")
    ballast = small_disk / "ballast"
    rows = audit_rows(300, size=400)
    assert written(store.writer, *rows[:100]) == OK
    ballast.write_bytes(b"x" * shutil.disk_usage(small_disk).free)

    outcome = written(store.writer, *rows[100:], mark="the rest")

    assert outcome.reason.startswith("disk full: database or disk is full")
    ballast.unlink()
    assert written(store.writer, *rows[100:], mark="the rest") == OK
    assert store.archive.audit_rows(1, 3000) == rows


def test_a_database_locked_by_another_is_trouble_until_it_is_free(store, engine, monkeypatch):
    monkeypatch.setattr("stevie.adapters.store.sqlite.BUSY_S", 0.05)
    store.writer.close()  # the next connection waits for as long as a test does
    assert store.writer.drain(5.0)
    rows = audit_rows(3)
    with closing(sqlite3.connect(engine.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        outcome = written(store.writer, *rows, mark="all")

        assert outcome.reason == "database locked: database is locked"
        assert store.archive.audit_head() is None  # readers are not held up
        other.execute("ROLLBACK")
    assert written(store.writer, *rows, mark="all") == OK
    assert store.archive.audit_head() == rows[-1]


def test_a_database_whose_folder_is_moved_away_takes_nothing_until_it_is_back(store, engine):
    rows = audit_rows(3)
    assert written(store.writer, rows[0]) == OK
    moved = engine.path.parent.rename(engine.path.parent.with_name("elsewhere"))

    outcomes = [written(store.writer, *rows[1:], mark="rest") for _ in range(3)]

    assert [each.reason.split(":")[0] for each in outcomes] == ["database gone"] * 3
    assert not engine.path.exists()  # nothing was made in its place
    moved.rename(engine.path.parent)
    assert written(store.writer, *rows[1:], mark="rest") == OK
    assert store.archive.audit_rows(1, 10) == rows  # once each, whatever the first attempt did


def test_a_database_that_was_replaced_under_its_writer_acknowledges_nothing(store, engine):
    assert written(store.writer, *audit_rows(3)) == OK
    engine.path.unlink()
    engine.path.write_bytes(b"")

    outcome = written(store.writer, *audit_rows(1, after=head(audit_rows(3))))

    assert "was replaced by another file" in outcome.reason


def test_a_read_only_file_system_is_told_as_such(engine):
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED

    assert engine.reason(error) == f"database read-only: {error}"
    assert not engine.is_lasting(error)
