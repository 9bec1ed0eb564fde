"""The keeper on virtual time, with a store in memory that fails and stalls as the test says."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stevie.actors.store_counters import StoreCounter
from stevie.actors.store_keeper import HOUSE_EVERY, LOOK_S, StoreKeeper
from stevie.adapters.rng import SeededRng
from stevie.adapters.store.memory import MemoryStore
from stevie.domain.contracts.rows import Row
from stevie.domain.operations.chain import GENESIS
from stevie.messages.record import (
    HeadRead,
    ReadHead,
    ReadStore,
    RowsLost,
    RowsRefused,
    RowsStored,
    StoreDurably,
    StoreRows,
    StoreState,
    StoreTrouble,
    TableSize,
)
from stevie.ports_record import TableLimit
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import Counter
from stevie.runtime.deterministic import DeterministicRuntime
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec, Plan, Strategy
from stevie.runtime.supervisor import supervise
from tests.adapters.store.rows import audit_rows, bar, head, l2, quarantined
from tests.deterministic.quiet import no_logs

SECOND_NS = 1_000_000_000
CHAIN = audit_rows(100)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with no_logs():
        yield


class Journal(StevieActor):
    """Notes what it is told: it plays whoever waits for receipts."""

    mailbox_capacity = 1024

    def __init__(self, context: ActorContext, *, told: list[Message]) -> None:
        super().__init__(context)
        self._told = told

    def handle(self, message: Message) -> None:
        self._told.append(message)


class Stage:
    """The keeper, one who waits for receipts, and hands to move them."""

    def __init__(self, *limits: TableLimit) -> None:
        self.memory = MemoryStore()
        self.told: list[Message] = []
        self.runtime = DeterministicRuntime(SeededRng(3))
        arguments = {"writer": self.memory, "limits": limits}
        children = (
            ChildSpec(name="store", factory=StoreKeeper, arguments=arguments),
            ChildSpec(name="auditor", factory=Journal, arguments={"told": self.told}),
            ChildSpec(name="flags", factory=Journal, arguments={"told": self.told}),
        )
        self.runtime.launch(
            supervise("record", Plan(children=children, strategy=Strategy.ONE_FOR_ALL))
        )

    def tell(self, *messages: Message) -> None:
        for message in messages:
            assert self.runtime.system.directory.tell("store", message)
        self.runtime.settle()

    def durably(self, *rows: Row, receipt: int = 1, by: str = "auditor") -> None:
        self.tell(StoreDurably(rows=rows, reply_to=by, receipt=receipt))

    def run(self, seconds: float) -> None:
        self.runtime.run_until(self.runtime.clock.monotonic_ns() + int(seconds * SECOND_NS))

    def state(self) -> StoreState:
        reply = self.runtime.system.directory.request("store", ReadStore())
        self.runtime.settle()
        state: Any = reply.get(timeout=0)
        assert isinstance(state, StoreState)
        return state

    def count(self, counter: Counter) -> int:
        return self.runtime.system.counters.value(counter)

    def written(self) -> list[Row]:
        return [row for rows in self.memory.writes for row in rows]

    def end(self, name: str = "store") -> None:
        """Kill, as a supervisor does with one that hangs."""
        cell = self.runtime.system.directory.cell(name)
        assert cell is not None
        assert cell.actor is not None
        cell.actor.kill("by the test")
        self.run(1.0)


@pytest.fixture
def new_stage() -> Iterator[Callable[..., Stage]]:
    """Builds stages, and takes them down at the end."""
    stages: list[Stage] = []

    def build(*limits: TableLimit) -> Stage:
        stages.append(Stage(*limits))
        return stages[-1]

    yield build
    for stage in stages:
        stage.runtime.stop()


@pytest.fixture
def stage(new_stage: Callable[..., Stage]) -> Stage:
    return new_stage()


def test_durable_rows_are_written_and_receipted(stage):
    stage.durably(*CHAIN[:3], receipt=7)

    assert stage.written() == list(CHAIN[:3])
    assert stage.told == [RowsStored(receipt=7)]
    assert stage.count(StoreCounter.ROWS_WRITTEN) == 3


def test_a_receipt_comes_after_the_rows_are_durable_and_not_before(stage):
    stage.memory.is_holding = True
    stage.durably(CHAIN[0])
    assert stage.told == []
    assert stage.state().waiting_rows == 1

    stage.memory.release()
    stage.run(0)

    assert stage.told == [RowsStored(receipt=1)]
    assert stage.state().waiting_rows == 0


def test_bulk_rows_are_written_and_nobody_is_told(stage):
    stage.tell(StoreRows(rows=(bar(1), bar(2))))

    assert stage.written() == [bar(1), bar(2)]
    assert stage.told == []


def test_one_write_is_under_way_and_durable_rows_overtake_bulk(stage):
    stage.memory.is_holding = True
    stage.tell(StoreRows(rows=(l2(10),)))
    stage.tell(StoreRows(rows=(l2(20),)))
    stage.durably(CHAIN[0], receipt=1)
    stage.durably(CHAIN[1], receipt=2)

    stage.memory.release()
    stage.run(0)

    assert list(stage.memory.writes)[1:] == [CHAIN[:2], (l2(20),)]
    assert stage.told == [RowsStored(receipt=1), RowsStored(receipt=2)]


def test_the_end_of_the_log_is_read_after_all_that_was_told_before(stage):
    stage.memory.is_holding = True
    stage.tell(ReadHead(reply_to="auditor", receipt=1))
    stage.durably(*CHAIN[:5], receipt=2)
    stage.tell(ReadHead(reply_to="auditor", receipt=3))

    stage.memory.release()
    stage.run(0)

    end = head(CHAIN[:5])
    assert sorted(stage.told, key=lambda message: message.receipt) == [
        HeadRead(receipt=1, seq=GENESIS.seq, hash=GENESIS.hash),
        RowsStored(receipt=2),
        HeadRead(receipt=3, seq=end.seq, hash=end.hash),
    ]


# -- trouble --------------------------------------------------------------------------------------


def test_a_write_that_fails_is_told_at_once_and_tried_until_it_succeeds(stage):
    stage.memory.trouble = "disk full"
    stage.durably(*CHAIN[:2], receipt=5)
    assert stage.told == [StoreTrouble(reason="disk full")]
    stage.run(30.0)
    assert stage.state().trouble == "disk full"
    assert 10 < stage.count(StoreCounter.WRITES_FAILED) < 40  # it waits longer and longer

    stage.memory.trouble = ""
    stage.run(2.1)

    assert stage.written() == list(CHAIN[:2])
    assert stage.told[1:] == [RowsStored(receipt=5), StoreTrouble(reason="")]
    assert stage.state().trouble == ""


def test_whoever_comes_during_the_trouble_hears_of_it_and_of_its_end(stage):
    stage.memory.trouble = "disk full"
    stage.tell(StoreRows(rows=(bar(),)))
    assert stage.told == []  # nobody waits
    stage.durably(CHAIN[0], by="flags")
    stage.durably(CHAIN[1], by="auditor")

    assert stage.told == [StoreTrouble(reason="disk full")] * 2
    stage.memory.trouble = ""
    stage.run(3.0)
    assert stage.told.count(StoreTrouble(reason="")) == 2
    assert stage.written() == [bar(), *CHAIN[:2]]


def test_a_write_that_takes_too_long_is_trouble_until_it_ends(stage):
    stage.memory.is_holding = True
    stage.durably(CHAIN[0])
    stage.run(3.0)
    assert stage.told == [StoreTrouble(reason="database slow: a write takes over 1 s")]

    stage.memory.release()
    stage.run(0.1)

    assert stage.told[1:] == [RowsStored(receipt=1), StoreTrouble(reason="")]


def test_rows_at_fault_are_refused_to_their_sender_and_the_others_are_written(stage):
    stage.memory.is_holding = True
    stage.durably(CHAIN[0], receipt=1)
    stage.durably(CHAIN[1], receipt=2)
    stage.durably(CHAIN[7], receipt=3)
    stage.durably(bar(), receipt=4, by="flags")

    stage.memory.release()
    stage.run(0.1)

    refusal = next(each for each in stage.told if isinstance(each, RowsRefused))
    assert refusal.receipt == 3
    assert "does not follow row 2" in refusal.reason
    assert [e.receipt for e in stage.told if isinstance(e, RowsStored)] == [1, 2, 4]
    assert stage.written() == [CHAIN[0], CHAIN[1], bar()]


def test_bulk_rows_at_fault_are_lost_alone_and_counted(stage):
    stage.tell(StoreRows(rows=(bar(1), bar(2, trades=-1), bar(3))))

    assert stage.written() == [bar(1), bar(3)]
    assert stage.count(StoreCounter.ROWS_LOST) == stage.state().lost_rows == 1


# -- bounds ---------------------------------------------------------------------------------------


def test_bulk_rows_beyond_the_bound_are_lost_and_counted_and_durable_ones_are_not(stage):
    stage.memory.trouble = "disk full"
    large = tuple(quarantined(number, size=1_000_000) for number in range(40))
    for row in large:
        stage.tell(StoreRows(rows=(row,)))
    stage.durably(CHAIN[0])

    state = stage.state()
    lost = stage.count(StoreCounter.ROWS_LOST)
    assert 0 < lost == state.lost_rows < 10
    assert state.waiting_bytes < 42 * 2**20
    stage.memory.trouble = ""
    stage.run(5.0)
    assert len(stage.written()) == 40 - lost + 1


def test_rows_that_the_mailbox_dropped_are_counted(stage):
    stage.tell(RowsLost(lost_count=4, lost_bytes=1024))

    assert stage.count(StoreCounter.ROWS_LOST) == stage.state().lost_rows == 4


# -- housekeeping ---------------------------------------------------------------------------------


def test_tables_are_measured_and_kept_within_their_limits_now_and_then(new_stage):
    stage = new_stage(TableLimit("quarantine", rows_max=3))
    stage.tell(StoreRows(rows=tuple(quarantined(number) for number in range(10))))
    assert stage.state().tables[-1] == TableSize(table="quarantine", rows=0, bytes=0)

    stage.run(LOOK_S * HOUSE_EVERY + 0.1)

    state = stage.state()
    assert state.tables[-1] == TableSize(table="quarantine", rows=3, bytes=3 * 266)
    assert state.database_bytes == 3 * 266
    assert state.engine == "memory"
    assert stage.count(StoreCounter.ROWS_PRUNED) == 7


def test_a_failure_to_keep_house_leaves_the_last_measure(stage):
    stage.durably(CHAIN[0])
    stage.run(LOOK_S * HOUSE_EVERY + 0.1)
    before = stage.state().tables
    stage.memory.trouble = "database locked"
    stage.run(LOOK_S * HOUSE_EVERY)

    assert stage.state().tables == before
    assert before[0].rows == 1


# -- the end, and the next incarnation ------------------------------------------------------------


def test_a_stop_writes_what_was_accepted_and_what_still_waits_in_the_mailbox(stage):
    stage.memory.is_holding = True
    stage.durably(CHAIN[0], receipt=1)
    stage.runtime.scheduler.hold("store")
    directory = stage.runtime.system.directory
    for number in range(1, 30):
        directory.tell("store", StoreDurably(rows=(CHAIN[number],), reply_to="x", receipt=number))
    directory.tell("store", StoreRows(rows=(bar(),)))
    stage.memory.release()
    stage.runtime.system.ask_to_stop()
    stage.runtime.scheduler.release("store")

    stage.runtime.stop()

    assert stage.written() == [*CHAIN[:30], bar()]


def test_a_stop_in_trouble_ends_all_the_same(stage):
    stage.memory.trouble = "disk full"
    stage.durably(CHAIN[0])

    assert stage.runtime.stop()
    assert stage.written() == []
    assert RowsStored(receipt=1) not in stage.told


def test_the_next_incarnation_does_what_waits_in_the_mailbox_in_its_order(stage):
    stage.memory.is_holding = True
    stage.durably(CHAIN[0], receipt=1)
    stage.runtime.scheduler.hold("store")
    directory = stage.runtime.system.directory
    directory.tell("store", StoreDurably(rows=(CHAIN[1],), reply_to="auditor", receipt=2))
    directory.tell("store", ReadHead(reply_to="auditor", receipt=3))
    stage.runtime.scheduler.release("store")
    stage.end()  # while the first write is under way
    stage.memory.release()
    stage.run(1.0)

    assert RowsStored(receipt=1) not in stage.told  # asked of an incarnation that is no more
    assert RowsStored(receipt=2) in stage.told
    assert HeadRead(receipt=3, seq=2, hash=CHAIN[1].hash) in stage.told
    assert stage.written() == list(CHAIN[:2])


def test_a_crash_writes_what_was_accepted_before_it(stage):
    stage.memory.is_holding = True
    stage.durably(CHAIN[0], receipt=1)
    stage.durably(CHAIN[1], receipt=2)
    stage.memory.release()
    stage.tell(RowsLost(lost_count="many", lost_bytes=0))  # type: ignore[arg-type]  # a bug
    stage.run(1.0)

    assert stage.written() == list(CHAIN[:2])
    assert stage.state().waiting_rows == 0
