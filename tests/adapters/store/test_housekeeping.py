import pytest

from stevie.adapters.store.housekeeping import CHUNK_BYTES, CHUNK_ROWS
from stevie.ports_record import HouseReport, TableLimit, TableMeasure
from tests.adapters.store.rows import (
    OK,
    audit_rows,
    bar,
    flag,
    kept_house,
    l2,
    quarantined,
    written,
)

MANY = 10_000


def kept_until_done(writer, *limits) -> list[HouseReport]:
    reports = [kept_house(writer, *limits)]
    while reports[-1].has_more:
        reports.append(kept_house(writer, *limits))
    return reports


def measured(writer, name) -> TableMeasure:
    return next(each for each in kept_house(writer).tables if each.table == name)


def test_tables_are_measured_by_what_was_written(store):
    chain = audit_rows(3)
    assert written(store.writer, *chain, l2(10), quarantined(size=44)) == OK
    assert written(store.writer, l2(20)) == OK

    report = kept_house(store.writer)

    weight = sum(row.size_bytes() for row in chain)
    assert report.reason == ""
    assert report.database_bytes > 10_000
    assert TableMeasure("audit", 3, weight) in report.tables
    assert TableMeasure("l2_log", 2, 2 * l2(10).size_bytes()) in report.tables
    assert TableMeasure("quarantine", 1, 300) in report.tables


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_rows_of_a_table_with_keys_are_counted_once_each(store):
    assert written(store.writer, *(bar(n) for n in range(5)), flag()) == OK
    assert written(store.writer, *(bar(n, known_ns=10**15) for n in range(5)), flag()) == OK

    assert measured(store.writer, "bars") == TableMeasure("bars", 5, 5 * 256)
    assert measured(store.writer, "flags").rows == 1


def test_what_was_rolled_back_is_not_counted(store):
    assert written(store.writer, *audit_rows(2)) == OK
    assert written(store.writer, l2(10), *audit_rows(1)).is_lasting

    assert measured(store.writer, "l2_log").rows == 0
    assert measured(store.writer, "audit").rows == 2


def test_a_table_over_its_bytes_loses_its_oldest_rows_and_no_more(store):
    rows = [l2(number, body=b"x" * 744) for number in range(10, 110)]
    assert written(store.writer, *rows) == OK
    limit = TableLimit("l2_log", bytes_max=40_500)

    report = kept_house(store.writer, limit)

    assert (report.pruned_rows, report.has_more) == (60, False)
    assert store.archive.l2_log("binance", "BTCUSDT", 0, MANY, MANY) == tuple(rows[60:])
    assert measured(store.writer, "l2_log") == TableMeasure("l2_log", 40, 40_000)
    assert kept_house(store.writer, limit).pruned_rows == 0


def test_a_table_over_its_rows_loses_its_oldest_rows(store):
    rows = [quarantined(number) for number in range(1, 31)]
    assert written(store.writer, *rows) == OK

    report = kept_house(store.writer, TableLimit("quarantine", rows_max=10))

    assert (report.pruned_rows, report.has_more) == (20, False)
    assert store.archive.quarantined(MANY) == tuple(rows[:19:-1])


def test_much_is_removed_a_little_at_a_time(store):
    assert written(store.writer, *(quarantined(n) for n in range(1, 501))) == OK

    reports = kept_until_done(store.writer, TableLimit("quarantine", rows_max=10))

    assert [each.pruned_rows for each in reports] == [CHUNK_ROWS, CHUNK_ROWS, 490 - 2 * CHUNK_ROWS]
    assert measured(store.writer, "quarantine").rows == 10


def test_large_rows_are_removed_fewer_at_a_time(store):
    megabyte = b"\x00" * 2**20
    for first in range(0, 12, 4):
        rows = [l2(number + 9, body=megabyte) for number in range(first, first + 4)]
        assert written(store.writer, *rows) == OK

    report = kept_house(store.writer, TableLimit("l2_log", bytes_max=2**20))

    assert report.pruned_rows == CHUNK_BYTES // 2**20
    assert report.has_more


def test_writing_goes_on_between_two_removals(store):
    assert written(store.writer, *(quarantined(n) for n in range(1, 501))) == OK
    limit = TableLimit("quarantine", rows_max=10)

    assert kept_house(store.writer, limit).has_more
    assert written(store.writer, quarantined(999)) == OK
    kept_until_done(store.writer, limit)

    assert store.archive.quarantined(1)[0].at_ns == 999
    assert measured(store.writer, "quarantine").rows == 10


def test_the_space_of_removed_rows_is_used_again(store):
    def fill():
        rows = (l2(number + 9, body=b"x" * 10_000) for number in range(100))
        assert written(store.writer, *rows) == OK
        kept_until_done(store.writer, TableLimit("l2_log", bytes_max=1_000_000))
        return kept_house(store.writer).database_bytes

    fill()
    before = fill()
    for _ in range(4):
        after = fill()

    assert after < before * 2.2  # a server that vacuums later than we look may be behind


def test_evidence_is_never_removed(store):
    assert written(store.writer, *audit_rows(3)) == OK

    report = kept_house(store.writer, TableLimit("audit", rows_max=1))

    assert report.reason == "bug: AssertionError: audit is kept for ever"
    assert len(store.archive.audit_rows(1, MANY)) == 3
