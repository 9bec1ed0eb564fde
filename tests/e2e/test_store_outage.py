"""The store keeper, its thread and a database that goes away: seconds in `make test`, 30 in soak.

Somebody writes all the time, as the auditor does. While the database is away he is told why; what
was acknowledged is there afterwards, and writing goes on by itself.
"""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest

from stevie.actors.store_keeper import StoreKeeper
from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.adapters.store.backup import examine
from stevie.adapters.store.sqlite import SqliteEngine
from stevie.adapters.store.store import Store, open_store
from stevie.domain.operations.chain import Chain
from stevie.messages.record import ReadStore, RowsStored, StoreDurably, StoreState, StoreTrouble
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from tests.adapters.store.rows import entry
from tests.deterministic.quiet import no_logs
from tests.inject import wait_until
from tests.postgres import Cluster, new_cluster

TEST_S, SOAK_S = 1.5, 30.0
BACK_WITHIN_S = 10.0  # a pause of 2 s, a connection, and a loaded machine
GROUP = 20
ONE_PAGE = 4096

Outage = Callable[[], AbstractContextManager[None]]


class Diary:
    """What the writer of rows saw."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.acknowledged = 0
        self.troubles: list[str] = []


class Chronicler(StevieActor):
    """Seals rows and has them kept, two requests at a time."""

    mailbox_capacity = 64

    def __init__(self, context: ActorContext, *, diary: Diary) -> None:
        super().__init__(context)
        self._diary = diary

    def starting(self) -> None:
        self._send()
        self._send()

    def handle(self, message: Message) -> None:
        match message:
            case RowsStored():
                self._diary.acknowledged = message.receipt
                self._send()
            case StoreTrouble():
                self._diary.troubles.append(message.reason)

    def _send(self) -> None:
        chain = self._diary.chain
        rows = tuple(chain.seal(entry(chain.head.seq), b"{}") for _ in range(GROUP))
        message = StoreDurably(rows=rows, reply_to=self.context.name, receipt=chain.head.seq)
        assert self.tell("store", message)


def moved_away(store: Store) -> Outage:
    @contextmanager
    def outage() -> Iterator[None]:
        assert isinstance(store.engine, SqliteEngine)
        folder = store.engine.path.parent
        elsewhere = folder.rename(folder.with_name("elsewhere"))
        try:
            yield
        finally:
            elsewhere.rename(folder)

    return outage


def locked(store: Store) -> Outage:
    @contextmanager
    def outage() -> Iterator[None]:
        assert isinstance(store.engine, SqliteEngine)
        with closing(sqlite3.connect(store.engine.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    return outage


def full(_store: Store) -> Outage:
    """No file of this process may grow so far that the log takes a page: the disk is full."""

    @contextmanager
    def outage() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ONE_PAGE, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return outage


@contextmanager
def at_work(store: Store) -> Iterator[tuple[ActorSystem, Diary]]:
    system, diary = ActorSystem(clock=LiveClock(), rng=SeededRng(1)), Diary()
    children = (
        ChildSpec(name="store", factory=StoreKeeper, arguments={"writer": store.writer}),
        ChildSpec(name="chronicler", factory=Chronicler, arguments={"diary": diary}),
    )
    system.start(supervise("record", Plan(children=children)))
    try:
        yield system, diary
    finally:
        system.stop()
        store.close()


def survive(store: Store, outage: Outage, kind: str, *, seconds: float) -> None:
    with no_logs(), at_work(store) as (system, diary):
        wait_until(lambda: diary.acknowledged > 5 * GROUP)
        with outage():
            wait_until(lambda: any(diary.troubles), "the trouble is told", within_s=10.0)
            before = diary.acknowledged
            _pass(seconds)
            assert diary.acknowledged == before  # nothing is acknowledged meanwhile
            state: StoreState = system.directory.ask("store", ReadStore(), timeout_s=5.0)
            assert state.trouble.startswith(kind), state.trouble
            assert 0 < state.waiting_rows <= 2 * GROUP
        wait_until(
            lambda: diary.acknowledged > before + 5 * GROUP, "it goes on", within_s=BACK_WITHIN_S
        )
        assert diary.troubles[-1] == ""
    summary = examine(store.engine)
    assert summary.head.seq >= diary.acknowledged
    assert summary.rows["audit"] == summary.head.seq


def _pass(seconds: float) -> None:
    """Let the actors live for so long."""
    clock = LiveClock()
    end_ns = clock.monotonic_ns() + int(seconds * 1e9)
    wait_until(lambda: clock.monotonic_ns() >= end_ns, within_s=seconds + 5.0)


OUTAGES = [(moved_away, "database gone"), (locked, "database locked"), (full, "disk fails")]
LENGTHS = [
    pytest.param(TEST_S, marks=pytest.mark.slow),
    pytest.param(SOAK_S, marks=pytest.mark.soak),
]


@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize(("outage", "kind"), OUTAGES)
def test_trouble_with_sqlite_is_told_and_outlived(tmp_path, outage, kind, seconds):
    store = open_store(f"sqlite:///{tmp_path}/var/stevie.db")

    survive(store, outage(store), kind, seconds=seconds)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = new_cluster()
    yield cluster
    cluster.remove()


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_postgresql_that_is_gone_is_told_and_outlived(cluster, seconds):
    @contextmanager
    def stopped() -> Iterator[None]:
        cluster.kill()
        try:
            yield
        finally:
            cluster.start()

    survive(open_store(cluster.new_url()), stopped, "database gone", seconds=seconds)
