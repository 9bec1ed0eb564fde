import os

import gevent
import psycopg
import pytest

from stevie.adapters.store.engine import StoreError, StoreLockedError, engine_of
from stevie.adapters.store.postgres import PostgresEngine
from stevie.adapters.store.store import open_store
from stevie.ports_record import ArchiveDownError
from tests.adapters.store.rows import OK, audit_rows, bar, quarantined, written, written_at_last

pytestmark = pytest.mark.slow


@pytest.fixture
def url(cluster):
    return cluster.new_url()


@pytest.fixture
def store(url, opened):
    return opened(url)


def test_a_second_tree_is_refused_and_told_who_has_the_database(store, url):
    with pytest.raises(StoreLockedError, match=f"in use by stevie process {os.getpid()}; "):
        open_store(url)


def test_the_database_is_free_once_its_tree_is_closed(url):
    open_store(url).close()
    open_store(url).close()


def test_two_trees_may_have_two_databases_of_one_server(store, cluster, opened):
    other = opened(cluster.new_url())

    assert written(store.writer, bar(1)) == written(other.writer, bar(2)) == OK


def test_a_database_that_does_not_exist_is_named(cluster):
    url = cluster.new_url().replace("/test_", "/absent_")

    with pytest.raises(StoreError, match=r'database ".*absent_\d+" does not exist'):
        open_store(url)


def test_without_psycopg_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr("stevie.adapters.store.postgres.psycopg", None)

    with pytest.raises(StoreError, match=r"postgresql://u:\*\*\*@h/n: needs psycopg; run: pip "):
        engine_of("postgresql://u:secret@h/n")


def test_a_server_that_restarts_loses_nothing_that_was_acknowledged(store, cluster):
    rows = audit_rows(6)
    assert written(store.writer, *rows[:3]) == OK
    assert store.archive.audit_head() == rows[2]
    cluster.kill()
    failed = written(store.writer, *rows[3:], mark="rest")
    with pytest.raises(ArchiveDownError, match="database gone"):
        store.archive.audit_head()

    cluster.start()

    assert failed.reason.startswith("database gone: ")
    assert not failed.is_lasting
    assert written(store.writer, *rows[3:], mark="rest") == OK
    assert store.archive.audit_rows(1, 10) == rows


def test_reads_go_on_over_a_restart_that_happened_between_them(store, cluster):
    assert written(store.writer, *audit_rows(1)) == OK
    assert store.archive.audit_head() is not None
    cluster.stop()
    cluster.start()

    assert store.archive.audit_head() is not None


def test_a_tree_that_lost_its_session_writes_nothing_while_another_has_the_database(
    store, url, cluster
):
    cluster.stop()
    cluster.start()
    with psycopg.connect(url) as other:
        PostgresEngine(url)._take_lock(other)

        outcomes = [written(store.writer, *audit_rows(1), mark="m") for _ in range(2)]

        assert "terminating connection" in outcomes[0].reason or "gone" in outcomes[0].reason
        assert "is in use by" in outcomes[1].reason
    assert written(store.writer, *audit_rows(1), mark="m") == OK


def test_the_hub_turns_while_the_server_takes_its_time(store):
    engine = store.engine
    store.writer.call(lambda: None)
    turns = 0

    def turn():
        nonlocal turns
        while True:
            gevent.sleep(0.005)
            turns += 1

    turning = gevent.spawn(turn)
    connection = engine.snapshot()
    store.writer.call(lambda: connection.execute("SELECT pg_sleep(0.3)"))
    turning.kill()
    connection.close()

    assert turns > 20


def test_a_text_that_postgresql_has_no_place_for_is_the_rows_own_fault(store):
    bad = quarantined()
    outcome = written(store.writer, type(bad)(**{**_fields(bad), "reason": "a\x00b"}))

    assert outcome.is_lasting
    assert written_at_last(store.writer, quarantined()) == []


def _fields(row):
    return {name: getattr(row, name) for name in row.__struct_fields__}
