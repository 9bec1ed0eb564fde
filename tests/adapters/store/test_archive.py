from contextlib import closing

import gevent
import pytest

from stevie.adapters.store import archive as archives
from stevie.adapters.store.archive import sql_of
from stevie.ports_record import READ_ROWS_MAX, ArchiveBusyError, RowInvalidError
from tests.adapters.store.rows import OK, audit_rows, bar, flag, l2, quarantined, tampered, written

MINUTE_NS = 60_000_000_000


@pytest.fixture
def archive(store):
    return store.archive


def test_an_empty_archive_answers_with_nothing(archive):
    assert archive.audit_head() is None
    assert archive.audit_row(1) is None
    assert archive.audit_latest(10) == archive.flags() == archive.quarantined(5) == ()
    assert archive.bars("binance", "BTCUSDT", "1m", 5) == ()


def test_the_audit_log_is_read_from_its_end_by_number_and_in_pages(store, archive):
    rows = audit_rows(30)
    assert written(store.writer, *rows) == OK

    assert archive.audit_head() == rows[-1]
    assert archive.audit_latest(3) == (rows[29], rows[28], rows[27])
    assert archive.audit_row(7) == rows[6]
    assert archive.audit_row(31) is None
    assert archive.audit_rows(11, 5) == rows[10:15]
    assert archive.audit_rows(29, 5) == rows[28:]


def test_bars_are_the_newest_of_one_venue_oldest_first(store, archive):
    own = [bar(number) for number in range(10)]
    others = [bar(n, venue="kraken") for n in range(10)], [bar(n, timeframe="5m") for n in (1, 2)]
    assert written(store.writer, *own, *others[0], *others[1], bar(1, symbol="ETHUSDT")) == OK

    assert archive.bars("binance", "BTCUSDT", "1m", 4) == tuple(own[6:])
    assert archive.bars_across("BTCUSDT", "1m", 8 * MINUTE_NS, 9) == (
        *(own[8], others[0][8]),
        *(own[9], others[0][9]),
    )


def test_the_log_of_a_book_is_read_by_the_sequences_that_its_rows_touch(store, archive):
    rows = [l2(number) for number in range(10, 110, 10)]  # 1-10, 11-20, ... 91-100
    assert written(store.writer, *rows, l2(20, symbol="ETHUSDT"), l2(20, venue="kraken")) == OK

    assert archive.l2_log("binance", "BTCUSDT", 15, 35, 99) == tuple(rows[1:4])
    assert archive.l2_log("binance", "BTCUSDT", 20, 21, 99) == tuple(rows[1:3])
    assert archive.l2_log("binance", "BTCUSDT", 1, 100, 2) == tuple(rows[:2])
    assert archive.l2_log("binance", "BTCUSDT", 101, 999, 2) == ()


def test_rows_of_one_sequence_come_in_the_order_of_writing(store, archive):
    snapshot = l2(10, first_seq=10, kind="snapshot", frames=0)
    assert written(store.writer, snapshot, l2(10), l2(10, epoch=2)) == OK

    found = archive.l2_log("binance", "BTCUSDT", 0, 99, 99)

    assert [(row.kind, row.epoch) for row in found] == [
        *(("snapshot", 1), ("frames", 1), ("frames", 2))
    ]


def test_no_read_returns_more_than_its_bound(store, archive, monkeypatch):
    monkeypatch.setattr(archives, "READ_ROWS_MAX", 5)
    assert written(store.writer, *audit_rows(9)) == OK

    assert len(archive.audit_latest(READ_ROWS_MAX)) == 5
    assert archive.audit_latest(-1) == ()


# -- rows that break their contract ---------------------------------------------------------------


def test_a_row_that_was_changed_to_break_its_contract_is_counted_and_not_handed_out(url, opened):
    told = []
    store = opened(url, on_invalid=told.append)
    assert written(store.writer, *audit_rows(3), bar()) == OK
    tampered(store, "UPDATE audit SET hash = 'short' WHERE seq = 2")
    tampered(store, "UPDATE bars SET open_ticks = -1")

    with pytest.raises(RowInvalidError, match=r"^audit \[2\]: .*\$\.hash") as caught:
        store.archive.audit_latest(9)
    with pytest.raises(RowInvalidError, match=r"^bars \[binance, BTCUSDT, 1m, 0\]: .*open_ticks"):
        store.archive.bars("binance", "BTCUSDT", "1m", 9)

    assert (caught.value.table, caught.value.key) == ("audit", "2")
    assert told == ["audit", "bars"]
    assert store.archive.audit_row(3) is not None  # the others are served


def test_a_reader_cannot_write(store):
    database = store.engine.database(is_reader=True)
    with closing(database):
        database.connect()

        with pytest.raises(Exception, match=r"readonly database|read-only transaction"):
            database.execute_sql("DELETE FROM audit")


# -- bounds ---------------------------------------------------------------------------------------


def test_readers_beyond_the_bound_are_told_to_come_again(store, archive, monkeypatch):
    monkeypatch.setattr(archives, "WAITING_MAX", 2)
    reads = [gevent.spawn(archive.audit_latest, 1) for _ in range(4)]
    gevent.sleep(0)  # all of them wait

    with pytest.raises(ArchiveBusyError, match="2 reads wait already"):
        archive.audit_latest(1)

    assert [read.get(timeout=10) for read in reads] == [()] * 4


def test_reads_hold_up_nobody_but_who_asked(store, archive):
    assert written(store.writer, *audit_rows(2000)) == OK
    turns = 0

    def turn():
        nonlocal turns
        while True:
            gevent.sleep(0.001)
            turns += 1

    turning = gevent.spawn(turn)
    assert len(archive.audit_rows(1, 2000)) == 2000
    turning.kill()

    assert turns > 0


# -- every read is served by an index -------------------------------------------------------------

PLANS = {
    "audit_latest": (archives.audit_latest_query(5), ("scan",), "audit_pkey"),
    "audit_row": (archives.audit_row_query(700), ("integer primary key (rowid=?)",), "audit_pkey"),
    "audit_rows": (
        archives.audit_rows_query(700, 5),
        ("integer primary key (rowid>?)",),
        "audit_pkey",
    ),
    "bars": (
        archives.bars_query("binance", "BTCUSDT", "1m", 5),
        ("sqlite_autoindex_bars_1", "venue=? AND symbol=? AND timeframe=?"),
        "bars_pkey",
    ),
    "bars_across": (
        archives.bars_across_query("BTCUSDT", "1m", 700 * MINUTE_NS, 5),
        ("bars_symbol_timeframe_opened_ns", "symbol=? AND timeframe=? AND opened_ns>?"),
        "bars_symbol_timeframe_opened_ns",
    ),
    "l2_log": (
        archives.l2_log_query("binance", "BTCUSDT", 9000, 9100, 5),
        ("l2log_venue_symbol_seq", "venue=? AND symbol=? AND seq>?"),
        "l2log_venue_symbol_seq",
    ),
    "quarantined": (archives.quarantined_query(5), ("scan",), "quarantine_pkey"),
}


def planned(store, query):
    """What the database says it will do."""
    explain = "EXPLAIN QUERY PLAN " if store.engine.name == "sqlite" else "EXPLAIN "
    database = store.engine.database(is_reader=True)
    with closing(database):
        database.connect()
        sql, parameters = sql_of(query, database)
        rows = database.execute_sql(explain + sql, parameters).fetchall()
    return "\n".join(str(row[-1]) for row in rows)


@pytest.fixture
def filled(store):
    """Enough rows that an index pays."""
    assert written(store.writer, *audit_rows(1500)) == OK
    for venue in ("binance", "kraken", "okx"):
        assert written(store.writer, *(bar(n, venue=venue) for n in range(700))) == OK
        rows = (l2(n * 10, venue=venue, first_seq=n * 10 - 9) for n in range(1, 1000))
        assert written(store.writer, *rows) == OK
    assert written(store.writer, *(quarantined(n) for n in range(1, 1000)), flag()) == OK
    tampered(store, "ANALYZE")
    return store


def test_every_read_is_served_by_its_index(filled):
    is_sqlite = filled.engine.name == "sqlite"
    for name, (query, sqlite_says, index) in PLANS.items():
        plan = planned(filled, query)
        for part in sqlite_says if is_sqlite else (f"using {index}",):
            assert part.lower() in plan.lower(), f"{name}: {plan}"
        scans = "SCAN" in plan if is_sqlite else "Seq Scan" in plan
        from_the_end = name in {"audit_latest", "quarantined"}  # a walk of the rows themselves
        assert not scans or (is_sqlite and from_the_end), f"{name}: {plan}"
        assert "TEMP B-TREE" not in plan or name == "bars_across", f"{name}: {plan}"


def test_every_read_of_the_archive_has_its_plan_looked_at():
    queries = {name.removesuffix("_query") for name in vars(archives) if name.endswith("_query")}

    assert queries == {*PLANS, "flags"}  # of which there are a dozen
