from contextlib import closing

import msgspec
import pytest

from stevie.adapters.store.engine import Engine
from stevie.adapters.store.store import open_store
from stevie.domain.contracts.rows import FlagRow
from stevie.domain.operations.chain import GENESIS
from tests.adapters.store.rows import (
    OK,
    audit_rows,
    bar,
    flag,
    head,
    kept_house,
    l2,
    one_of_each,
    outcome_of,
    quarantined,
    tampered,
    written,
)


def test_rows_of_every_table_go_in_and_come_out(store):
    rows = one_of_each()

    assert written(store.writer, *rows) == OK

    archive = store.archive
    assert (archive.audit_head(), *archive.bars("binance", "BTCUSDT", "1m", 9)) == rows[:2]
    assert archive.l2_log("binance", "BTCUSDT", 0, 99, 9) == rows[2:3]
    assert archive.flags() + archive.quarantined(9) == rows[3:]


def test_no_rows_are_a_write_as_well(store):
    assert written(store.writer) == OK


def test_of_a_batch_with_one_bad_row_nothing_is_written(store):
    good, again = audit_rows(3), audit_rows(1)
    assert written(store.writer, *again) == OK
    tampered(store, "UPDATE audit SET seq = 2, hash = 'not ours'")

    outcome = written(store.writer, bar(), good[2])

    assert outcome.is_lasting
    assert store.archive.bars("binance", "BTCUSDT", "1m", 9) == ()
    assert written(store.writer, bar()) == OK  # the connection is as good as new


def test_what_a_database_itself_refuses_is_the_rows_fault(store):
    tampered(store, "CREATE UNIQUE INDEX only_one ON quarantine (border)")

    outcome = written(store.writer, bar(), quarantined(1), quarantined(2))

    assert outcome.is_lasting
    assert outcome.reason.startswith("rows refused: ")
    assert store.archive.bars("binance", "BTCUSDT", "1m", 9) == ()
    assert written(store.writer, quarantined(1)) == OK


@pytest.mark.parametrize("chosen", [slice(0, 1), slice(1, 2), slice(3, 4), slice(2, 5, 2)])
def test_audit_rows_that_do_not_follow_the_last_one_are_refused(store, chosen):
    chain = audit_rows(5)
    assert written(store.writer, *chain[:2]) == OK

    outcome = written(store.writer, *chain[chosen])

    assert outcome.is_lasting
    assert "does not follow row " in outcome.reason
    assert written(store.writer, *chain[2:]) == OK


def test_a_row_of_another_chain_is_refused(store):
    assert written(store.writer, *audit_rows(2)) == OK

    outcome = written(store.writer, *audit_rows(3, size=9)[2:])

    assert "does not follow row 2:" in outcome.reason


def test_a_write_tells_where_the_audit_log_ends(store):
    chain = audit_rows(3)

    assert outcome_of(store.writer).head == GENESIS
    assert outcome_of(store.writer, *chain, mark="m").head == head(chain)
    assert outcome_of(store.writer, *chain, mark="m").head == head(chain)  # as written already
    assert outcome_of(store.writer, bar()).head is None
    assert outcome_of(store.writer).head == head(chain)


def test_who_writes_nothing_is_told_which_flags_were_set(store):
    first = FlagRow(name="l2_log", value="on", changed_ns=5, audit_seq=1)
    rows = (first, FlagRow(name="bars_backfill", value="off", changed_ns=6, audit_seq=2))
    assert outcome_of(store.writer).flags == ()
    assert outcome_of(store.writer, *rows, mark="m").flags == ()
    newer = msgspec.structs.replace(first, value="off", changed_ns=7, audit_seq=3)
    assert written(store.writer, newer) == OK

    assert outcome_of(store.writer).flags == (rows[1], newer)


def test_a_row_that_breaks_its_contract_is_refused_before_anything_is_written(store):
    outcome = written(store.writer, bar(), bar(1, open_ticks=0))

    assert outcome.is_lasting
    assert outcome.reason.startswith("row refused: bars [binance, BTCUSDT, 1m, ")
    assert "open_ticks" in outcome.reason
    assert store.archive.bars("binance", "BTCUSDT", "1m", 9) == ()


def test_a_newer_bar_takes_the_place_of_an_older_one_and_not_the_other_way(store):
    old, new = bar(known_ns=100), bar(known_ns=200, close_ticks=111)

    assert written(store.writer, old) == written(store.writer, new) == OK
    assert written(store.writer, old) == OK

    assert store.archive.bars("binance", "BTCUSDT", "1m", 9) == (new,)


def test_of_two_bars_of_one_key_in_a_batch_the_newer_one_stays(store):
    old, new = bar(known_ns=100), bar(known_ns=200)

    assert written(store.writer, new, old, old) == OK

    assert store.archive.bars("binance", "BTCUSDT", "1m", 9) == (new,)


def test_a_flag_has_the_value_of_its_latest_audit_row(store):
    assert written(store.writer, flag(value="true", audit_seq=5)) == OK
    assert written(store.writer, flag(value="false", audit_seq=4)) == OK
    assert written(store.writer, flag("other")) == OK

    assert [(each.name, each.value) for each in store.archive.flags()] == [
        ("no_orders", "true"),
        ("other", "true"),
    ]


# -- a write whose outcome nobody heard of --------------------------------------------------------


def test_a_batch_that_was_committed_and_said_to_have_failed_is_not_written_twice(
    store, monkeypatch
):
    rows = (*audit_rows(2), l2(10), quarantined())

    def went_wrong(_engine: Engine) -> None:
        raise OSError("the answer to COMMIT was lost")

    monkeypatch.setattr(type(store.engine), "still_there", went_wrong)
    assert written(store.writer, *rows, mark="m").reason.endswith("the answer to COMMIT was lost")
    monkeypatch.undo()

    assert written(store.writer, *rows, mark="m") == OK

    assert store.archive.audit_rows(1, 9) == rows[:2]
    assert store.archive.l2_log("binance", "BTCUSDT", 0, 99, 9) == rows[2:3]
    assert [each.rows for each in kept_house(store.writer).tables] == [2, 0, 1, 0, 1]


def test_a_mark_is_known_to_the_next_connection_too(store):
    rows = audit_rows(2)
    assert written(store.writer, *rows, mark="m") == OK
    store.writer.close()

    assert written(store.writer, *rows, mark="m") == OK
    assert written(store.writer, *audit_rows(1, after=head(rows)), mark="n") == OK
    assert len(store.archive.audit_rows(1, 9)) == 3


def test_the_marks_of_a_process_before_this_one_mean_nothing(url):
    """A keeper counts from one in each process: the same mark, and other rows."""
    rows = audit_rows(2)
    for row in rows:
        store = open_store(url)
        assert written(store.writer, row, mark="1.1") == OK
        store.close()

    last = open_store(url)
    assert last.archive.audit_rows(1, 9) == rows
    last.close()


# -- the end --------------------------------------------------------------------------------------


def test_a_close_waits_for_what_was_accepted(store):
    rows, outcomes = audit_rows(500), []
    store.writer.write(rows, mark="m", on_done=outcomes.append)
    store.writer.close()

    assert store.writer.drain(5.0)
    assert [each.reason for each in outcomes] == [""]
    assert store.archive.audit_head() == rows[-1]


def test_a_bug_in_a_job_is_told_as_one_and_logged(store, monkeypatch, capsys):
    def buggy(*_arguments: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(type(store.engine), "insert", buggy)

    assert written(store.writer, bar()).reason == "bug: ZeroDivisionError: a bug"
    assert "store_job_failed" in capsys.readouterr().out


@pytest.mark.parametrize("rows", [2000])
def test_a_large_batch_is_one_transaction(store, rows):
    chain = audit_rows(rows)

    assert written(store.writer, *chain, *(l2(number) for number in range(9, 209))) == OK

    with closing(store.engine.snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (rows,)
