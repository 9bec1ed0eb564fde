"""The record stage on virtual time: auditor, store, and one who waits for receipts.

The database and the thread that writes it are no actors: they outlive a crash, as real ones do.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from stevie.actors.auditor import STORE, Auditor
from stevie.actors.store_keeper import StoreKeeper
from stevie.adapters.rng import SeededRng
from stevie.domain.contracts.rows import AuditRow, Row
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.chain import GENESIS, Head
from stevie.domain.operations.verify import verify
from stevie.messages.record import (
    AuditState,
    AuditWanted,
    ReadAudit,
    Recorded,
    RecordWanted,
)
from stevie.ports_record import HouseReport, TableLimit, WriteOutcome
from stevie.runtime.actor import StevieActor
from stevie.runtime.clock import Clock
from stevie.runtime.context import ActorContext
from stevie.runtime.deterministic import DeterministicRuntime
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Strategy
from stevie.runtime.supervisor import supervise
from tests.domain.operations.logs import FACTS, raw

AUDITOR = "auditor"
START_NS = 1_732_320_000_000_000_000
SECOND_NS = 1_000_000_000


class Database:
    """A StoreWriter in memory: each write takes its time, whatever becomes of who asked for it."""

    engine = "memory"

    def __init__(self, clock: Clock, rng: SeededRng, *, write_s: float = 0.005) -> None:
        self.rows: list[Row] = []
        self.trouble = ""
        self._clock, self._rng, self._write_s = clock, rng, write_s
        self._free_ns = 0
        self._mark = ""
        self._pending: deque[Callable[[], None]] = deque()

    @property
    def log(self) -> list[AuditRow]:
        return [row for row in self.rows if isinstance(row, AuditRow)]

    def head(self) -> Head:
        return Head(self.log[-1].seq, self.log[-1].hash) if self.log else GENESIS

    def write(
        self, rows: Sequence[Row], *, mark: str, on_done: Callable[[WriteOutcome], None]
    ) -> None:
        took_s = self._write_s * (0.5 + self._rng.random())
        self._free_ns = max(self._free_ns, self._clock.monotonic_ns()) + int(took_s * SECOND_NS)
        delay_s = (self._free_ns - self._clock.monotonic_ns()) / SECOND_NS
        self._pending.append(lambda: on_done(self._written(tuple(rows), mark)))
        self._clock.call_later(delay_s, self._do_next)

    def _do_next(self) -> None:
        if self._pending:
            self._pending.popleft()()

    def _written(self, rows: tuple[Row, ...], mark: str) -> WriteOutcome:
        """Append all rows or none."""
        first = next((row for row in rows if isinstance(row, AuditRow)), None)
        if self.trouble:
            return WriteOutcome(reason=self.trouble)
        if mark != self._mark and first and (first.seq - 1, first.prev_hash) != self.head():
            return WriteOutcome(reason="it does not follow", is_lasting=True)
        if mark != self._mark:
            self.rows.extend(rows)
            self._mark = mark
        return WriteOutcome(head=self.head())

    def keep_house(
        self, limits: Sequence[TableLimit], on_done: Callable[[HouseReport], None]
    ) -> None:
        self._clock.call_later(self._write_s, lambda: on_done(HouseReport()))

    def drain(self, timeout_s: float) -> bool:
        while self._pending:  # as if the time had passed: virtual time does not while one waits
            self._do_next()
        return True

    def close(self) -> None:
        pass


class Asker(StevieActor):
    """Notes what is acknowledged, and whether it was durable by then."""

    mailbox_capacity = 4096

    def __init__(self, context: ActorContext, *, database: Database, told: list[Recorded]) -> None:
        super().__init__(context)
        self._database, self._told = database, told

    def handle(self, message: Recorded) -> None:
        assert self._database.head().seq >= message.seq, message
        self._told.append(message)


class RecordStage:
    """The record group, and hands to move it."""

    def __init__(self, seed: int = 1, *, write_s: float = 0.005) -> None:
        rng = SeededRng(seed)
        self.runtime = DeterministicRuntime(rng, start_ns=START_NS)
        self.database = Database(self.runtime.clock, rng.fork("disk"), write_s=write_s)
        self.tally = Tally()
        self.recorded: list[Recorded] = []
        self.told = 0
        children = (
            ChildSpec(name=STORE, factory=StoreKeeper, arguments={"writer": self.database}),
            ChildSpec(
                name=AUDITOR, factory=Auditor, arguments={"facts": FACTS, "tally": self.tally}
            ),
            ChildSpec(
                name="asker",
                factory=Asker,
                arguments={"database": self.database, "told": self.recorded},
            ),
        )
        plan = Plan(
            children=children,
            strategy=Strategy.ONE_FOR_ALL,
            intensity=Intensity(restarts=1000, period_s=60.0),
        )
        self.runtime.launch(supervise("record", plan))

    # -- hands

    def entry(self) -> AuditEntry:
        self.told += 1
        return AuditEntry(
            at_ns=self.runtime.clock.wall_ns(),
            kind=AuditKind.BOOK_STATE,
            actor="book/binance/BTCUSDT",
            payload=payload(number=self.told),
        )

    def tell(self, message: Message) -> bool:
        return self.runtime.system.directory.tell(AUDITOR, message)

    def want(self, count: int = 1) -> None:
        assert self.tell(AuditWanted(entries=tuple(self.entry() for _ in range(count))))

    def record(self, *rows: Row, receipt: int = 0) -> None:
        command = RecordWanted(entry=self.entry(), rows=rows, reply_to="asker", receipt=receipt)
        assert self.tell(command)

    def run(self, seconds: float = 1.0) -> None:
        clock = self.runtime.clock
        self.runtime.run_until(clock.monotonic_ns() + int(seconds * SECOND_NS))

    def kill(self, name: str) -> None:
        cell = self.runtime.system.directory.cell(name)
        if cell is not None and cell.actor is not None:
            cell.actor.kill("by the test")

    def state(self) -> AuditState:
        reply = self.runtime.system.directory.request(AUDITOR, ReadAudit())
        self.runtime.settle()
        state: Any = reply.get(timeout=0)
        assert isinstance(state, AuditState)
        return state

    # -- what came of it

    @property
    def log(self) -> list[AuditRow]:
        return self.database.log

    def incarnation(self, name: str = AUDITOR) -> int:
        return self.runtime.system.directory.view(name).incarnation

    def check(self) -> None:
        """The log is whole: nothing skipped, used again or out of order."""
        verdict = verify(map(raw, self.log))
        assert verdict.finding is None, verdict
        assert verdict.rows == len(self.log)
        numbers = self.numbers()
        assert numbers == sorted(set(numbers))

    def numbers(self) -> list[int]:
        return [number_of(row) for row in self.log if row.kind == AuditKind.BOOK_STATE]

    def stop(self) -> None:
        self.runtime.stop()


def number_of(row: AuditRow) -> int:
    number: int = json.loads(row.payload)["number"]
    return number
