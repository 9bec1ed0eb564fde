import io
import json
import sqlite3
from contextlib import closing

import gevent
import pytest

from stevie.adapters.store import backup as copies
from stevie.adapters.store.backup import BackupError, Summary, backup, examine, export, restore
from stevie.adapters.store.engine import StoreError, StoreLockedError, engine_of
from stevie.adapters.store.migrations import MigrationRefusedError, migrate
from stevie.adapters.store.store import open_store
from stevie.domain.operations.chain import GENESIS
from tests.adapters.store.rows import (
    OK,
    audit_rows,
    bar,
    head,
    kept_house,
    l2,
    one_of_each,
    tampered,
    written,
)

CHAIN = audit_rows(1200)


@pytest.fixture
def other_url(url, tmp_path, request):
    """A second database of the same engine."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/other.db"
    return request.getfixturevalue("cluster").new_url()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "backup.db"


@pytest.fixture
def filled(url, opened):
    store = opened(url)
    assert written(store.writer, *CHAIN, *one_of_each()[1:]) == OK
    return store


def held(store):
    archive = store.archive
    return (
        archive.audit_rows(1, 9999),
        archive.bars("binance", "BTCUSDT", "1m", 9),
        archive.l2_log("binance", "BTCUSDT", 0, 99, 9),
        archive.flags(),
        archive.quarantined(9),
    )


def test_a_backup_restores_to_the_same_rows(filled, file, other_url, opened):
    made = backup(filled.engine, file)
    restored = restore(file, engine_of(other_url))

    assert made == restored
    assert made.head == head(CHAIN)
    assert made.rows == {"audit": 1200, "bars": 1, "l2_log": 1, "flags": 1, "quarantine": 1}
    other = opened(other_url)
    assert held(other) == held(filled)
    assert kept_house(other.writer).tables[0] == kept_house(filled.writer).tables[0]
    assert written(other.writer, *audit_rows(1, after=head(CHAIN)), l2(20)) == OK


def test_a_backup_is_one_file_and_leaves_no_other(filled, file, tmp_path):
    before = {path.name for path in tmp_path.iterdir()}
    backup(filled.engine, file)

    assert {path.name for path in tmp_path.iterdir()} - before == {"backup.db"}


def test_a_backup_taken_while_the_tree_writes_is_of_one_moment(url, file, other_url, opened):
    store = opened(url)
    outcomes = []

    def fill():
        for start in range(0, len(CHAIN), 20):
            rows = CHAIN[start : start + 20]
            # A bar for each audit row, in one transaction: a backup has as many of one as of both.
            bars = (bar(row.seq) for row in rows)
            outcomes.append(written(store.writer, *rows, *bars))

    writing = gevent.spawn(fill)
    backups = []
    while not writing.ready():
        # On a thread, as another process would: the writer goes on.
        backups.append(
            gevent.get_hub().threadpool.apply(backup, (store.engine, file), {"is_forced": True})
        )
    writing.get()

    assert set(map(repr, outcomes)) == {repr(OK)}
    assert all(made.rows["audit"] == made.rows["bars"] == made.head.seq for made in backups)
    assert all(made.rows["audit"] % 20 == 0 for made in backups)
    assert restore(file, engine_of(other_url)) == backups[-1]


@pytest.mark.slow
def test_a_backup_moves_a_database_to_the_other_engine_and_back(cluster, file, tmp_path, opened):
    urls = f"sqlite:///{tmp_path}/first.db", cluster.new_url(), f"sqlite:///{tmp_path}/last.db"
    first = opened(urls[0])
    assert written(first.writer, *CHAIN, *one_of_each()[1:]) == OK

    backup(first.engine, file)
    restore(file, engine_of(urls[1]))
    backup(engine_of(urls[1]), file, is_forced=True)
    restore(file, engine_of(urls[2]))

    assert held(opened(urls[1])) == held(opened(urls[2])) == held(first)


# -- what is refused ------------------------------------------------------------------------------


def test_a_file_that_is_there_is_not_replaced_unless_forced(filled, file):
    file.write_text("precious")

    with pytest.raises(BackupError, match="is there already; --force replaces it"):
        backup(filled.engine, file)

    assert file.read_text() == "precious"
    backup(filled.engine, file, is_forced=True)
    assert examine(engine_of(f"sqlite:///{file}")).head == head(CHAIN)


def test_a_database_that_holds_rows_is_not_replaced_unless_forced(
    filled, file, other_url, opened, tmp_path
):
    backup(filled.engine, file)
    other = open_store(other_url)
    assert written(other.writer, *audit_rows(3)) == OK
    other.close()
    engine = engine_of(other_url)

    with pytest.raises(BackupError, match="holds 3 rows of audit; --force replaces them"):
        restore(file, engine)
    assert examine(engine).rows["audit"] == 3

    restore(file, engine, is_forced=True)

    assert held(opened(other_url)) == held(filled)
    if engine.name == "sqlite":
        kept = tmp_path / "other.db.before-restore"
        assert examine(engine_of(f"sqlite:///{kept}")).rows["audit"] == 3


def test_a_database_in_use_is_not_replaced(filled, file, url):
    backup(filled.engine, file)

    with pytest.raises(StoreLockedError, match="is in use by"):
        restore(file, engine_of(url), is_forced=True)

    assert filled.archive.audit_head() == CHAIN[-1]


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100, "foreign"])
def test_what_is_no_backup_is_refused_and_named(content, file, tmp_path):
    if content == "foreign":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE other (a)")
    elif content is not None:
        file.write_bytes(content)
    engine = engine_of(f"sqlite:///{tmp_path}/stevie.db")

    with pytest.raises(BackupError, match=rf"^{file}: (is no backup of Stevie|cannot be read)"):
        restore(file, engine)

    assert not engine.path.exists()


def change_backup(file, sql):
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(sql)


def test_a_backup_whose_audit_chain_is_broken_is_not_restored(filled, file, tmp_path):
    backup(filled.engine, file)
    change_backup(file, "UPDATE audit SET payload = '{}' WHERE seq = 700")
    engine = engine_of(f"sqlite:///{tmp_path}/new.db")

    with pytest.raises(StoreError, match="audit row 700 is altered"):
        restore(file, engine)

    assert not engine.path.exists()


def test_a_broken_chain_is_not_backed_up_as_if_it_were_whole(url, opened, file):
    store = opened(url)
    assert written(store.writer, *CHAIN[:3]) == OK
    tampered(store, "DELETE FROM audit WHERE seq = 2")

    with pytest.raises(StoreError, match="audit row 2 is removed"):
        backup(store.engine, file)

    assert not file.exists()


def test_a_backup_from_the_future_is_refused(filled, file, tmp_path):
    backup(filled.engine, file)
    insert = "INSERT INTO schema_migration (name, applied) VALUES ('0099_wonders', '2030-01-01')"
    change_backup(file, insert)

    with pytest.raises(MigrationRefusedError, match="0099_wonders"):
        restore(file, engine_of(f"sqlite:///{tmp_path}/new.db"))


def test_a_backup_of_an_older_schema_is_brought_up_to_date_and_the_file_left_as_it_is(
    url, opened, file, other_url
):
    store = open_store(url)
    assert written(store.writer, *CHAIN[:5]) == OK
    store.migrate("0001_record")
    made = backup(store.engine, file)
    store.close()
    before = file.read_bytes()

    found = restore(file, engine_of(other_url))

    assert set(made.rows) == {"audit", "flags", "quarantine"}
    assert found.rows["audit"] == 5
    assert found.rows["bars"] == 0
    assert file.read_bytes() == before
    assert written(opened(other_url).writer, bar()) == OK


def test_a_damaged_database_is_replaced_when_forced(filled, file, tmp_path):
    backup(filled.engine, file)
    engine = engine_of(f"sqlite:///{tmp_path}/damaged.db")
    engine.path.write_bytes(b"what is left of a disk" * 400)

    with pytest.raises(StoreError, match="database damaged"):
        restore(file, engine)
    found = restore(file, engine, is_forced=True)

    assert found.head == head(CHAIN)


def test_an_empty_database_is_backed_up_too(store, file):
    assert backup(store.engine, file) == Summary(
        {"audit": 0, "bars": 0, "l2_log": 0, "flags": 0, "quarantine": 0}, GENESIS
    )


def test_progress_is_told(filled, file):
    told = []
    backup(filled.engine, file, on_progress=told.append)

    assert told
    assert told == sorted(told)


# -- export ---------------------------------------------------------------------------------------


def test_a_table_is_exported_as_json_lines(filled):
    out, told = io.BytesIO(), []

    count = export(filled.engine, "audit", out, on_progress=told.append)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert count == len(lines) == told[-1] == 1200
    assert lines[6] == {name: getattr(CHAIN[6], name) for name in CHAIN[6].__struct_fields__}


def test_bytes_are_exported_in_base64(filled):
    out = io.BytesIO()
    export(filled.engine, "l2_log", out)

    assert json.loads(out.getvalue())["body"].startswith("AP8n")


def test_an_unknown_table_is_refused_with_what_is_allowed(store):
    with pytest.raises(StoreError, match="'orders' is no table; allowed: audit, bars, l2_log, "):
        export(store.engine, "orders", io.BytesIO())


def test_migrating_a_copy_does_not_touch_the_original(filled, file, tmp_path):
    backup(filled.engine, file)
    copy = engine_of(f"sqlite:///{tmp_path}/copy.db")
    copies._fetch(file, copy)

    migrate(copy, "zero")

    assert examine(engine_of(f"sqlite:///{file}")).rows["audit"] == 1200
