"""The auditor and the store keeper together, on virtual time: one chain, whatever happens."""

from collections.abc import Iterator

import pytest

from stevie.actors.auditor import Auditor
from stevie.actors.store_keeper import StoreKeeper
from stevie.adapters.rng import SeededRng
from stevie.adapters.store.memory import MemoryStore
from stevie.domain.contracts.rows import FlagRow
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.verify import verify
from stevie.messages.record import AuditWanted, Recorded, RecordWanted
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.deterministic import DeterministicRuntime
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Strategy
from stevie.runtime.supervisor import supervise
from tests.deterministic.quiet import no_logs
from tests.domain.operations.logs import FACTS, raw

SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with no_logs():
        yield


class Clerk(StevieActor):
    """Notes what was recorded, and that it was durable by then."""

    mailbox_capacity = 4096

    def __init__(
        self, context: ActorContext, *, memory: MemoryStore, told: dict[int, Recorded]
    ) -> None:
        super().__init__(context)
        self._memory, self._told = memory, told

    def handle(self, message: Recorded) -> None:
        assert self._memory.audit_row(message.seq) is not None, message
        self._told[message.receipt] = message


class Stage:
    def __init__(self, seed: int) -> None:
        self.chance = SeededRng(seed)
        self.memory = MemoryStore()
        self.told: dict[int, Recorded] = {}
        self.asked = 0
        self.runtime = DeterministicRuntime(SeededRng(seed))
        self.tell = self.runtime.system.directory.tell
        children = (
            ChildSpec(name="store", factory=StoreKeeper, arguments={"writer": self.memory}),
            ChildSpec(
                name="auditor", factory=Auditor, arguments={"facts": FACTS, "tally": Tally()}
            ),
        )
        many = Intensity(restarts=1000, period_s=60.0)
        record = Plan(children=children, strategy=Strategy.ONE_FOR_ALL, intensity=many)
        clerk = ChildSpec(
            name="clerk", factory=Clerk, arguments={"memory": self.memory, "told": self.told}
        )
        self.runtime.launch(
            supervise("root", Plan(children=(clerk, supervise("record", record)), intensity=many))
        )

    def entry(self) -> AuditEntry:
        at_ns = self.runtime.clock.wall_ns()
        return AuditEntry(
            at_ns=at_ns, kind=AuditKind.BOOK_STATE, actor="book", payload=payload(number=at_ns)
        )

    def want(self) -> None:
        self.tell("auditor", AuditWanted(entries=(self.entry(),) * self.chance.randrange(1, 5)))
        self.asked += 1
        flag = FlagRow(name=f"flag{self.asked}", value="on", changed_ns=1, audit_seq=1)
        wanted = RecordWanted(
            entry=self.entry(), rows=(flag,), reply_to="clerk", receipt=self.asked
        )
        self.tell("auditor", wanted)

    def run(self, seconds: float) -> None:
        self.runtime.run_until(self.runtime.clock.monotonic_ns() + int(seconds * SECOND_NS))

    def disturb(self) -> None:
        match self.chance.randrange(0, 8):
            case 0:
                self.kill("store")
            case 1:
                self.kill("auditor")
            case 2:
                self.memory.trouble = "disk full"
            case 3:
                self.memory.trouble = ""
            case 4:
                self.memory.is_holding = True
            case 5:
                self.memory.release()

    def kill(self, name: str) -> None:
        cell = self.runtime.system.directory.cell(name)
        if cell is not None and cell.actor is not None:
            cell.actor.kill("by the test")

    def check(self) -> None:
        rows = self.memory.audit_rows(1, 10**6)
        verdict = verify(map(raw, rows))
        assert verdict.finding is None, verdict
        assert verdict.rows == len(rows)
        flags = {flag.name: flag.audit_seq for flag in self.memory.flags()}
        for receipt, recorded in self.told.items():
            assert flags[f"flag{receipt}"] == recorded.seq


@pytest.mark.parametrize("seed", range(25))
def test_the_log_is_one_chain_and_what_was_acknowledged_is_in_it(seed: int) -> None:
    stage = Stage(seed)
    for _ in range(80):
        stage.want()
        stage.disturb()
        stage.run(stage.chance.uniform(0.0, 0.4))
        stage.check()
    stage.memory.trouble = ""
    stage.memory.release()
    stage.run(20.0)
    before = len(stage.told)

    stage.want()
    stage.run(5.0)

    assert len(stage.told) == before + 1  # whatever it was, it is over
    stage.check()
    stage.runtime.stop()
