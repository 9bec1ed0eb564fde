"""The auditor: one chain, whatever happens to it, to its store and to its disk."""

import json
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.actors.auditor import STORE, Auditor
from stevie.domain.contracts.rows import FlagRow
from stevie.domain.operations.audit import payload
from stevie.domain.operations.backlog import BATCH_ROWS_MAX
from stevie.domain.operations.chain import GENESIS
from stevie.messages.record import (
    AuditLost,
    AuditWanted,
    FlagsChanged,
    HeadRead,
    ReadStore,
    Recorded,
    RowsRefused,
    RowsStored,
)
from tests.actors.record_stage import AUDITOR, RecordStage
from tests.deterministic.quiet import no_logs

FLAG = FlagRow(name="trading", value="on", changed_ns=5, audit_seq=1)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with no_logs():
        yield


@pytest.fixture
def new_stage() -> Iterator[Callable[..., RecordStage]]:
    """Builds record stages, and takes them down at the end."""
    stages: list[RecordStage] = []

    def build(seed: int = 1, **options: float) -> RecordStage:
        stages.append(RecordStage(seed, **options))
        return stages[-1]

    yield build
    for stage in stages:
        stage.stop()


# -- one message at a time -----------------------------------------------------------------------


def test_entries_become_rows_in_their_order(new_stage):
    stage = new_stage()
    stage.want(3)
    stage.want(2)

    stage.run()

    assert stage.numbers() == [1, 2, 3, 4, 5]
    stage.check()
    state = stage.state()
    assert (state.head_seq, state.durable_seq, state.backlog_rows) == (5, 5, 0)
    assert state.head_hash == stage.log[-1].hash
    assert (state.lost, state.blocked_reason) == (0, "")


def test_an_empty_log_has_the_head_of_none(new_stage):
    stage = new_stage()
    stage.run()

    state = stage.state()

    assert (state.head_seq, state.head_hash) == GENESIS


def test_what_is_to_be_recorded_is_acknowledged_once_it_is_durable(new_stage):
    stage = new_stage()
    stage.database.trouble = "disk full"
    stage.record(FLAG, receipt=70)
    stage.run(3)
    assert stage.recorded == []

    stage.database.trouble = ""
    stage.run(3)

    assert stage.recorded == [Recorded(receipt=70, seq=1)]
    assert stage.database.rows[1] == FlagRow(name="trading", value="on", changed_ns=5, audit_seq=1)


def test_the_flags_that_are_on_are_part_of_the_provenance(new_stage):
    stage = new_stage()
    stage.want()
    stage.tell(FlagsChanged(on=("fast", "trading")))
    stage.want()

    stage.run()

    assert [json.loads(row.provenance)["flags"] for row in stage.log] == [[], ["fast", "trading"]]


def test_flags_are_known_to_the_next_incarnation_too(new_stage):
    stage = new_stage()
    stage.tell(FlagsChanged(on=("trading",)))
    stage.run()
    stage.kill(AUDITOR)
    stage.want()

    stage.run()

    assert json.loads(stage.log[-1].provenance)["flags"] == ["trading"]


def test_a_full_mailbox_leaves_a_row_that_tells_of_it(new_stage):
    stage = new_stage()
    stage.want()
    stage.tell(AuditLost(lost_count=4, lost_bytes=4096))
    stage.want()

    stage.run()

    assert [row.kind for row in stage.log] == ["book_state", "audit_lost", "book_state"]
    expected = {"where": "mailbox", "at_least": 4, "bytes": 4096}
    assert json.loads(stage.log[1].payload) == expected
    assert stage.state().lost == 4


def test_a_mailbox_that_overflows_declares_it_where_it_happened(new_stage):
    stage = new_stage()
    stage.run()
    stage.runtime.scheduler.hold(AUDITOR)
    facts = payload(body="x" * 60_000)
    big = msgspec.structs.replace(stage.entry(), payload=facts)
    fitting = Auditor.mailbox_bytes_max // big.size_bytes()
    for _ in range(fitting + 3):
        stage.tell(AuditWanted(entries=(big,)))

    stage.runtime.scheduler.release(AUDITOR)
    stage.run()

    lost, *rest = stage.log
    assert json.loads(lost.payload)["where"] == "mailbox"
    assert json.loads(lost.payload)["at_least"] == stage.state().lost == fitting
    assert [row.payload.encode() for row in rest] == [facts] * 3


# -- a store in trouble --------------------------------------------------------------------------


def test_trouble_of_the_store_blocks_orders_with_its_reason_until_it_is_over(new_stage):
    stage = new_stage()
    stage.database.trouble = "database is locked"
    stage.want()
    stage.run(0.5)
    assert stage.state().blocked_reason == ""

    stage.run(1.0)
    assert stage.state().blocked_reason == "audit_backpressure: database is locked"

    stage.database.trouble = ""
    stage.run(3)
    stage.database.trouble = "disk full"
    stage.want()
    stage.run(2)
    assert stage.state().blocked_reason == "audit_backpressure: disk full"

    stage.database.trouble = ""
    stage.run(3)
    assert stage.state().blocked_reason == ""
    assert stage.numbers() == [1, 2]
    stage.check()


def test_a_disk_that_is_full_for_half_a_minute_costs_no_entry(new_stage):
    stage = new_stage()
    stage.run()
    stage.database.trouble = "disk full"
    for _ in range(60):
        stage.want(20)
        stage.run(0.5)
    assert stage.state().backlog_rows == 1_200

    stage.database.trouble = ""
    stage.run(5)

    assert stage.numbers() == list(range(1, 1_201))
    assert stage.state().lost == 0
    stage.check()


def test_a_store_whose_mailbox_is_full_is_told_again(new_stage):
    stage = new_stage()
    stage.run()
    stage.runtime.scheduler.hold(STORE)
    while stage.runtime.system.directory.tell(STORE, ReadStore()):
        pass
    stage.want(3)
    stage.run(0.5)
    assert stage.log == []

    stage.runtime.scheduler.release(STORE)
    stage.run()

    assert stage.numbers() == [1, 2, 3]


def test_rows_that_the_store_refuses_begin_the_chain_anew_from_what_is_durable(new_stage):
    stage = new_stage()
    stage.want(2)
    stage.run()
    stage.runtime.scheduler.hold(STORE)
    stage.want(3)
    stage.run(0.1)
    receipt = 2**32 + 2  # of the first incarnation's second batch

    stage.tell(RowsRefused(receipt=receipt, reason="too long"))
    stage.runtime.scheduler.release(STORE)
    stage.run(5)
    stage.want()
    stage.run()

    assert stage.incarnation() == 2
    assert stage.numbers()[-1] == 6
    stage.check()


# -- incarnations --------------------------------------------------------------------------------


def test_entries_told_while_the_auditor_is_down_are_there_afterwards(new_stage):
    stage = new_stage()
    stage.want(2)
    stage.run()
    stage.kill(AUDITOR)
    stage.runtime.settle()
    stage.want(3)

    stage.run(3)

    assert stage.incarnation() == 2
    assert stage.numbers() == [1, 2, 3, 4, 5]
    assert stage.state().lost == 0
    stage.check()


def test_what_went_with_a_killed_auditor_is_told_in_the_log(new_stage):
    stage = new_stage()
    stage.run()
    stage.database.trouble = "disk full"
    stage.want(7)
    stage.record(receipt=70)
    stage.run(0.5)
    stage.kill(AUDITOR)
    stage.run(0.1)
    stage.database.trouble = ""
    stage.want(2)

    stage.run(5)

    assert [row.kind for row in stage.log] == ["audit_lost", "book_state", "book_state"]
    assert json.loads(stage.log[0].payload) == {"where": "restart", "at_least": 8, "bytes": 0}
    assert stage.numbers() == [9, 10]
    assert (stage.state().lost, stage.recorded) == (8, [])


def test_answers_to_an_earlier_incarnation_are_not_heard(new_stage):
    stage = new_stage()
    stage.want(2)
    stage.run()

    stage.tell(HeadRead(receipt=5, seq=77, hash="7" * 64))
    stage.tell(HeadRead(receipt=2**32, seq=77, hash="7" * 64))
    stage.tell(RowsStored(receipt=1))
    stage.tell(RowsRefused(receipt=1, reason="of before"))
    stage.want()
    stage.run()

    assert stage.incarnation() == 1
    assert stage.numbers() == [1, 2, 3]
    stage.check()


def test_a_head_that_an_earlier_incarnation_asked_for_is_not_continued_from(new_stage):
    stage = new_stage()
    stage.run()
    stage.want(2)
    stage.run()
    stage.runtime.scheduler.hold(STORE)
    stage.kill(AUDITOR)
    stage.runtime.scheduler.release(STORE)
    stage.runtime.settle()
    stage.tell(HeadRead(receipt=2**32, seq=0, hash=GENESIS.hash))  # answered late
    stage.want()

    stage.run(3)

    assert stage.incarnation() == 2
    assert stage.numbers() == [1, 2, 3]
    stage.check()


def test_a_batch_left_in_the_mailbox_of_a_dead_store_does_not_leave_a_hole(new_stage):
    stage = new_stage()
    stage.run()
    stage.database.trouble = "disk full"
    stage.want()
    stage.run(0.02)
    stage.runtime.scheduler.hold(STORE)
    stage.want(BATCH_ROWS_MAX)
    stage.run(0.02)
    stage.kill(STORE)  # with the first batch in its memory, and the second in its mailbox
    stage.runtime.scheduler.release(STORE)
    stage.database.trouble = ""
    stage.run(3)
    stage.want()

    stage.run()

    assert json.loads(stage.log[0].payload)["at_least"] == 1 + BATCH_ROWS_MAX
    assert stage.numbers() == [2 + BATCH_ROWS_MAX]
    stage.check()


def test_an_auditor_goes_on_after_a_log_that_is_there_already(new_stage):
    before = new_stage()
    before.want(3)
    before.run()
    stage = new_stage()
    stage.database.rows.extend(before.log)
    stage.kill(STORE)
    stage.run(3)
    stage.want()

    stage.run()

    assert [row.seq for row in stage.log] == [1, 2, 3, 4]
    assert stage.log[3].prev_hash == before.log[2].hash
    assert stage.state().lost == 0


def test_what_waits_when_the_auditor_ends_is_handed_to_the_store(new_stage):
    stage = new_stage()
    stage.run()
    stage.want()
    stage.runtime.settle()
    stage.want(2 * BATCH_ROWS_MAX)
    stage.runtime.settle()
    assert stage.log == []

    crash(stage)
    stage.run(3)

    assert stage.incarnation() == 2
    assert stage.numbers() == list(range(1, 2 * BATCH_ROWS_MAX + 2))
    assert stage.state().lost == 0
    stage.check()


# -- anything, in any order ----------------------------------------------------------------------

DEEDS = st.one_of(
    st.tuples(st.just("want"), st.integers(1, 400)),
    st.tuples(st.just("record"), st.integers(1, 9)),
    st.tuples(st.just("run"), st.sampled_from([1, 4, 10, 50, 300, 2_000])),
    st.tuples(st.just("kill"), st.sampled_from([AUDITOR, STORE])),
    st.tuples(st.just("crash"), st.just("")),
    st.tuples(st.just("trouble"), st.sampled_from(["", "disk full"])),
    st.tuples(st.just("hold"), st.sampled_from([AUDITOR, STORE])),
    st.tuples(st.just("release"), st.sampled_from([AUDITOR, STORE])),
)


def do(stage: RecordStage, deed: str, how: object) -> None:  # noqa: C901 - one case a deed
    scheduler = stage.runtime.scheduler
    match deed, how:
        case "want", int(count):
            stage.want(count)
        case "record", int(count):
            for _ in range(count):
                stage.record(FLAG, receipt=stage.told)
        case "run", int(milliseconds):
            stage.run(milliseconds / 1000)
        case "kill", str(name):
            stage.kill(name)
        case "crash", _:
            crash(stage)
        case "trouble", str(reason):
            stage.database.trouble = reason
        case "hold", str(name):
            scheduler.hold(name)
        case "release", str(name):
            scheduler.release(name)


def crash(stage: RecordStage) -> None:
    """A message that is none of the auditor's: a bug of who sent it, and its end."""
    stage.tell(Recorded(receipt=0, seq=0))


def lived(seed: int, deeds: list[tuple[str, object]]) -> RecordStage:
    """A stage that all this was done to, and that was left alone until it came to rest."""
    stage = RecordStage(seed)
    for deed, how in deeds:
        do(stage, deed, how)
        stage.check()
    for name in (AUDITOR, STORE):
        stage.runtime.scheduler.release(name)
    stage.database.trouble = ""
    stage.run(120)
    return stage


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), deeds=st.lists(DEEDS, max_size=25))
def test_no_seq_is_skipped_or_used_again_and_no_entry_vanishes_unsaid(seed, deeds):
    with no_logs():
        stage = lived(seed, deeds)
        try:
            stage.check()
            state = stage.state()
            assert state.blocked_reason == ""
            assert state.backlog_rows == 0
            assert state.durable_seq == state.head_seq == len(stage.log)
            lost = [json.loads(r.payload)["at_least"] for r in stage.log if r.kind == "audit_lost"]
            assert len(stage.numbers()) + sum(lost) == stage.told
            assert state.lost == sum(lost)
        finally:
            stage.stop()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_makes_the_same_log(seed):
    deeds = [("want", 300), ("run", 4), ("kill", AUDITOR), ("record", 5), ("run", 900), ("want", 9)]
    stages = [lived(seed, deeds) for _ in range(2)]
    for stage in stages:
        stage.stop()

    assert stages[0].log == stages[1].log != []
    assert stages[0].runtime.scheduler.digest() == stages[1].runtime.scheduler.digest()
