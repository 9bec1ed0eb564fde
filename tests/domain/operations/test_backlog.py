"""The backlog: order, bounds, what is said of a loss, and when nothing may be begun."""

import json
from itertools import count

import pytest

from stevie.domain.contracts.rows import BarRow, FlagRow
from stevie.domain.operations import backlog as bounds
from stevie.domain.operations.backlog import (
    BATCH_ROWS_MAX,
    BATCHES_MAX,
    SECOND_NS,
    Acknowledged,
    Backlog,
    Batch,
    Tally,
)
from stevie.domain.operations.chain import GENESIS, Head
from stevie.domain.operations.verify import verify
from tests.domain.operations.logs import FACTS, NOW_NS, entry, raw

FLAG = FlagRow(name="trading", value="on", changed_ns=NOW_NS, audit_seq=1)
BAR = BarRow(
    venue="binance",
    symbol="BTCUSDT",
    timeframe="1m",
    opened_ns=1,
    closed_ns=2,
    known_ns=3,
    open_ticks=1,
    high_ticks=1,
    low_ticks=1,
    close_ticks=1,
    volume_lots=0,
    trades=0,
    price_decimals=2,
    size_decimals=5,
    source="trades",
)


def new(tally: Tally | None = None, *, first_receipt: int = 1) -> Backlog:
    return Backlog(
        facts=FACTS,
        tally=tally or Tally(),
        actor="auditor",
        receipts=count(first_receipt),
        now_ns=0,
    )


def begun(tally: Tally | None = None) -> Backlog:
    backlog = new(tally)
    backlog.begin(GENESIS, at_ns=NOW_NS)
    return backlog


def take(backlog: Backlog, *numbers: int) -> None:
    backlog.take([entry(number) for number in numbers], at_ns=NOW_NS)


def record(backlog: Backlog, number: int, *rows, receipt: int = 7) -> None:
    backlog.take_record(entry(number), rows, reply_to="flags", receipt=receipt, at_ns=NOW_NS)


def batch_of(backlog: Backlog, now_ns: int = 0) -> Batch:
    batch = backlog.next_batch(now_ns)
    assert batch is not None
    return batch


def drained(backlog: Backlog) -> list:
    """All rows that are still to come, each batch stored as it comes."""
    rows = []
    while (batch := backlog.next_batch(0)) is not None:
        rows.extend(batch.rows)
        backlog.on_stored(batch.receipt)
    return rows


def facts_of(row) -> dict:
    return json.loads(row.payload)


# -- order ---------------------------------------------------------------------------------------


def test_nothing_is_sealed_before_it_is_known_where_the_log_ends():
    backlog = new()
    take(backlog, 1, 2)

    assert backlog.next_batch(0) is None
    assert backlog.head is None

    backlog.begin(Head(41, "4" * 64), at_ns=NOW_NS)
    rows = batch_of(backlog).rows

    assert [(row.seq, facts_of(row)["number"]) for row in rows] == [(42, 1), (43, 2)]
    assert rows[0].prev_hash == "4" * 64


def test_rows_come_in_the_order_in_which_entries_were_taken():
    backlog = begun()
    take(backlog, *range(600))

    rows = drained(backlog)

    assert [facts_of(row)["number"] for row in rows] == list(range(600))
    assert verify(map(raw, rows)).rows == 600
    assert (backlog.rows, backlog.bytes, backlog.durable_seq) == (0, 0, 600)


def test_a_batch_is_bounded_and_so_are_those_in_flight():
    backlog = begun()
    take(backlog, *range(BATCH_ROWS_MAX * (BATCHES_MAX + 1)))

    sizes = [len(batch_of(backlog).rows) for _ in range(BATCHES_MAX)]

    assert sizes == [BATCH_ROWS_MAX] * BATCHES_MAX
    assert backlog.next_batch(0) is None


def test_a_small_batch_goes_out_alone_and_what_comes_meanwhile_is_the_next_one():
    backlog = begun()
    take(backlog, 1)
    first = batch_of(backlog)
    take(backlog, 2)
    take(backlog, 3)
    assert backlog.next_batch(0) is None

    backlog.on_stored(first.receipt)

    assert [len(first.rows), len(batch_of(backlog).rows)] == [1, 2]


def test_a_batch_is_bounded_in_bytes_but_never_empty(monkeypatch):
    monkeypatch.setattr(bounds, "BATCH_BYTES_MAX", 1)
    backlog = begun()
    take(backlog, 1, 2)

    assert [len(batch_of(backlog).rows) for _ in range(2)] == [1, 1]


def test_a_provenance_names_the_flags_that_were_on_when_the_entry_was_taken():
    tally = Tally(("fast",))
    backlog = begun(tally)
    take(backlog, 1)
    tally.flags = ("fast", "trading")
    take(backlog, 2)

    told = [json.loads(row.provenance)["flags"] for row in batch_of(backlog).rows]

    assert told == [["fast"], ["fast", "trading"]]


def test_at_the_end_all_that_waits_is_sealed_as_far_as_a_store_that_ends_takes_it(monkeypatch):
    monkeypatch.setattr(bounds, "BATCH_ROWS_MAX", 2)
    monkeypatch.setattr(bounds, "LAST_BATCHES_MAX", 3)
    backlog = begun()
    take(backlog, *range(9))
    first = batch_of(backlog)

    rest = list(backlog.rest(0))

    assert [len(batch.rows) for batch in rest] == [2, 2, 2]
    rows = [row for batch in (first, *rest) for row in batch.rows]
    assert verify(map(raw, rows)).rows == 8
    assert list(new().rest(0)) == []


# -- receipts ------------------------------------------------------------------------------------


def test_rows_that_belong_to_an_entry_go_with_it_and_point_at_it():
    backlog = begun()
    take(backlog, 1)
    record(backlog, 2, FLAG, BAR)

    rows = batch_of(backlog).rows

    assert [row.table for row in rows] == ["audit", "audit", "flags", "bars"]
    assert rows[2].audit_seq == rows[1].seq == 2
    assert rows[3] == BAR


def test_who_asked_is_told_once_all_of_it_is_durable_and_not_before():
    backlog = begun()
    record(backlog, 1, receipt=70)
    take(backlog, 2)
    record(backlog, 3, receipt=71)
    batch = batch_of(backlog)

    assert backlog.durable_seq == 0
    acknowledged = backlog.on_stored(batch.receipt)

    assert acknowledged == (Acknowledged("flags", 70, 1), Acknowledged("flags", 71, 3))
    assert backlog.durable_seq == 3


def test_an_entry_is_never_in_another_batch_than_its_rows():
    backlog = begun()
    take(backlog, *range(BATCH_ROWS_MAX - 1))
    record(backlog, 0, *[BAR] * 3)
    record(backlog, 0, *[BAR] * BATCH_ROWS_MAX)

    assert len(batch_of(backlog).rows) == BATCH_ROWS_MAX - 1
    backlog.on_stored(1)
    assert len(batch_of(backlog).rows) == 4
    backlog.on_stored(2)
    assert len(batch_of(backlog).rows) == BATCH_ROWS_MAX + 1


def test_a_receipt_of_an_earlier_incarnation_means_nothing():
    backlog = begun()
    take(backlog, 1)
    batch_of(backlog)

    assert backlog.on_stored(999) == ()
    assert (backlog.durable_seq, backlog.rows) == (0, 1)
    assert not backlog.is_in_flight(999)


def test_batches_stored_out_of_order_are_a_bug_of_the_store():
    backlog = begun()
    take(backlog, *range(2 * BATCH_ROWS_MAX))
    batch_of(backlog)
    second = batch_of(backlog)

    with pytest.raises(AssertionError, match="expected batch 1"):
        backlog.on_stored(second.receipt)


# -- losses --------------------------------------------------------------------------------------


def test_what_does_not_fit_leaves_one_row_that_says_how_much_is_missing(monkeypatch):
    monkeypatch.setattr(bounds, "ROWS_MAX", 3)
    tally = Tally()
    backlog = begun(tally)
    take(backlog, *range(1, 9))

    rows = drained(backlog)

    assert [row.kind for row in rows[3:]] == ["audit_lost"]
    weight = sum(entry(number).size_bytes() for number in range(4, 9))
    assert facts_of(rows[3]) == {"where": "backlog", "at_least": 5, "bytes": weight}
    assert tally.lost == 5


def test_a_loss_stands_where_it_happened(monkeypatch):
    monkeypatch.setattr(bounds, "ROWS_MAX", 3)
    backlog = begun()
    take(backlog, 1, 2, 3, 4)
    backlog.on_stored(batch_of(backlog).receipt)
    take(backlog, 5)

    rows = drained(backlog)

    assert [facts_of(row).get("number") for row in rows] == [5]
    take(backlog, 6, 7, 8, 9)
    take(backlog, 10)
    kinds = [
        (facts_of(row).get("number"), facts_of(row).get("at_least")) for row in drained(backlog)
    ]
    assert kinds == [(6, None), (7, None), (8, None), (None, 2)]


def test_the_bound_in_bytes_holds_too(monkeypatch):
    monkeypatch.setattr(bounds, "BYTES_MAX", 2 * entry(1).size_bytes())
    backlog = begun()
    take(backlog, 1, 2, 3)

    assert [row.kind == "audit_lost" for row in drained(backlog)] == [False, False, True]


def test_what_a_mailbox_dropped_is_told_in_the_log():
    tally = Tally()
    backlog = begun(tally)
    take(backlog, 1)
    backlog.lose(count=4, lost_bytes=4096, where="mailbox", at_ns=NOW_NS + 5)
    backlog.lose(count=1, lost_bytes=4, where="mailbox", at_ns=NOW_NS + 6)
    take(backlog, 2)

    rows = drained(backlog)

    assert [row.seq for row in rows] == [1, 2, 3]
    assert facts_of(rows[1]) == {"where": "mailbox", "at_least": 5, "bytes": 4100}
    assert (rows[1].at_ns, rows[1].actor) == (NOW_NS + 5, "auditor")
    assert tally.lost == 5


def test_one_who_asked_and_was_lost_is_told_nothing(monkeypatch):
    monkeypatch.setattr(bounds, "ROWS_MAX", 1)
    backlog = begun()
    record(backlog, 1, receipt=70)
    record(backlog, 2, receipt=71)
    batch = batch_of(backlog)

    assert backlog.on_stored(batch.receipt) == (Acknowledged("flags", 70, 1),)


# -- incarnations --------------------------------------------------------------------------------


def crashed(tally: Tally, *, is_in_flight_durable: bool) -> Backlog:
    """Three entries in a batch in flight, two waiting; then another incarnation of the auditor."""
    first = begun(tally)
    take(first, 1, 2, 3)
    batch = batch_of(first)
    take(first, 4, 5)
    last = batch.rows[-1]
    second = new(tally, first_receipt=1000)
    take(second, 6)
    second.begin(Head(3, last.hash) if is_in_flight_durable else GENESIS, at_ns=NOW_NS)
    return second


@pytest.mark.parametrize(("is_durable", "lost"), [(True, 2), (False, 5)])
def test_the_next_incarnation_tells_how_many_went_with_the_one_before(is_durable, lost):
    tally = Tally()
    second = crashed(tally, is_in_flight_durable=is_durable)

    rows = drained(second)

    assert [row.kind for row in rows] == ["audit_lost", entry(6).kind]
    assert facts_of(rows[0]) == {"where": "restart", "at_least": lost, "bytes": 0}
    assert rows[0].seq == (4 if is_durable else 1)
    assert tally.lost == lost


def test_a_loss_is_told_once_and_a_quiet_restart_tells_nothing():
    tally = Tally()
    backlog = crashed(tally, is_in_flight_durable=True)
    rows = drained(backlog)

    third = new(tally, first_receipt=2000)
    third.begin(Head(rows[-1].seq, rows[-1].hash), at_ns=NOW_NS)

    assert third.next_batch(0) is None
    assert tally.lost == 2


def test_a_loss_that_was_not_told_yet_when_its_teller_died_is_not_forgotten():
    tally = Tally()
    first = begun(tally)
    first.lose(count=4, lost_bytes=1, where="mailbox", at_ns=NOW_NS)
    take(first, 1)
    second = new(tally)
    second.begin(GENESIS, at_ns=NOW_NS)

    (row,) = drained(second)

    assert facts_of(row)["at_least"] == 5
    assert tally.lost == 5


# -- when nothing may be begun -------------------------------------------------------------------


def test_an_auditor_at_rest_blocks_nothing():
    backlog = begun()

    assert backlog.blocked_reason(3600 * SECOND_NS) == ""


def test_trouble_blocks_once_it_has_lasted_a_second_and_no_longer_when_it_is_over():
    backlog = begun()
    backlog.on_trouble("database is locked", now_ns=10)
    backlog.on_trouble("disk full", now_ns=SECOND_NS)

    assert backlog.blocked_reason(10 + SECOND_NS) == ""
    assert backlog.blocked_reason(11 + SECOND_NS) == "audit_backpressure: disk full"

    backlog.on_trouble("", now_ns=12 + SECOND_NS)
    assert backlog.blocked_reason(20 * SECOND_NS) == ""


def test_trouble_is_over_as_soon_as_something_is_stored():
    backlog = begun()
    take(backlog, 1)
    batch = batch_of(backlog)
    backlog.on_trouble("disk full", now_ns=0)
    backlog.on_stored(batch.receipt)

    assert backlog.blocked_reason(9 * SECOND_NS) == ""


def test_a_store_that_says_nothing_blocks_too():
    backlog = begun()
    take(backlog, 1)
    batch_of(backlog, now_ns=SECOND_NS)

    assert backlog.blocked_reason(6 * SECOND_NS) == ""
    reason = backlog.blocked_reason(7 * SECOND_NS)
    assert reason == "audit_backpressure: nothing was stored for 6 s"


def test_not_knowing_where_the_log_ends_blocks_after_a_second():
    backlog = new()
    backlog.on_trouble("", now_ns=0)

    assert backlog.blocked_reason(SECOND_NS) == ""
    assert "where the log ends" in backlog.blocked_reason(SECOND_NS + 1)


@pytest.mark.parametrize(("rows_max", "bytes_max"), [(4, 2**20), (1000, 4 * 700)])
def test_half_of_the_bound_blocks_before_anything_is_lost(monkeypatch, rows_max, bytes_max):
    monkeypatch.setattr(bounds, "ROWS_MAX", rows_max)
    monkeypatch.setattr(bounds, "BYTES_MAX", bytes_max)
    tally = Tally()
    backlog = begun(tally)
    take(backlog, 1, 2)
    assert backlog.blocked_reason(0) == ""

    take(backlog, 3)

    assert backlog.blocked_reason(0).startswith("audit_backpressure: 3 rows wait")
    assert tally.lost == 0
    drained(backlog)
    assert backlog.blocked_reason(0) == ""
