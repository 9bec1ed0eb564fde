"""The store in memory must do what the databases do: both are given the same, and compared."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stevie.adapters.store.memory import MemoryStore
from stevie.adapters.store.store import open_store
from stevie.ports_record import TableLimit, WriteOutcome
from tests.adapters.store.rows import (
    OK,
    audit_rows,
    bar,
    flag,
    head,
    kept_house,
    l2,
    quarantined,
    written,
)

NAMES = st.sampled_from(["a", "b"])
BARS = st.builds(bar, st.integers(0, 3), venue=NAMES, known_ns=st.integers(1, 3))
LOGS = st.builds(lambda n, venue: l2(n * 10, venue=venue), st.integers(1, 4), NAMES)
FLAGS = st.builds(flag, NAMES, st.sampled_from(["true", "false"]), st.integers(1, 3))
BATCHES = st.lists(
    st.lists(st.one_of(BARS, LOGS, FLAGS, st.builds(quarantined, st.integers(1, 9))), max_size=5),
    max_size=5,
)
LIMITS = (TableLimit("l2_log", bytes_max=800), TableLimit("quarantine", rows_max=2))


def everything(archive):
    return (
        archive.audit_latest(99),
        archive.audit_rows(2, 2),
        archive.audit_row(2),
        archive.bars("a", "BTCUSDT", "1m", 2),
        archive.bars_across("BTCUSDT", "1m", 1, 5),
        archive.flags(),
        archive.l2_log("a", "BTCUSDT", 5, 25, 9),
        archive.quarantined(3),
    )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches=BATCHES, data=st.data())
def test_memory_and_a_database_answer_alike(tmp_path_factory, batches, data):
    memory = MemoryStore()
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/stevie.db")
    chain = audit_rows(len(batches))
    try:
        for rows, link in zip(batches, chain, strict=True):
            assert written(memory, *rows, link) == written(store.writer, *rows, link)
            assert everything(memory) == everything(store.archive)
            if data.draw(st.booleans()):
                reports = kept_house(memory, *LIMITS), kept_house(store.writer, *LIMITS)
                assert reports[0].tables == kept_house(store.writer).tables
                assert reports[0].pruned_rows == reports[1].pruned_rows
    finally:
        store.close()


def test_it_refuses_what_a_database_refuses():
    memory = MemoryStore()
    assert written(memory, *audit_rows(1)) == OK

    again = written(memory, *audit_rows(1))
    broken = written(memory, bar(), bar(1, trades=-1))

    assert again.is_lasting
    assert "does not follow" in again.reason
    assert broken.is_lasting
    assert memory.bars("binance", "BTCUSDT", "1m", 9) == ()


def test_a_mark_is_written_once():
    memory, rows = MemoryStore(), audit_rows(1)

    assert written(memory, *rows, mark="m") == written(memory, *rows, mark="m") == OK
    assert len(memory.writes) == 1


def test_trouble_fails_every_write_until_it_is_over():
    memory, rows = MemoryStore(), audit_rows(2)
    memory.trouble = "disk full"

    assert written(memory, *rows) == WriteOutcome(reason="disk full")
    assert kept_house(memory).reason == "disk full"
    memory.trouble = ""
    assert written(memory, *rows) == OK
    assert written(memory, *audit_rows(1, after=head(rows))) == OK


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_held_happens_when_it_is_released(count):
    memory, outcomes = MemoryStore(), []
    memory.is_holding = True
    for number, row in enumerate(audit_rows(count)):
        memory.write([row], mark=str(number), on_done=outcomes.append)

    assert not memory.drain(9.0)
    assert (outcomes, memory.audit_head()) == ([], None)
    memory.release()
    assert memory.drain(0)
    assert [each.reason for each in outcomes] == [""] * count
