"""The flag keeper: what it says is durable, and everybody hears of it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.actors.auditor import Auditor
from stevie.actors.flag_keeper import AUDITOR, STORE, WAITING_MAX, FlagKeeper
from stevie.actors.store_keeper import StoreKeeper
from stevie.adapters.rng import SeededRng
from stevie.domain.contracts.rows import FlagRow, Row
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.flags import FlagRefusedError, UnknownFlagError
from stevie.messages.record import (
    FlagsChanged,
    FlagState,
    KeepHouse,
    ReadAudit,
    ReadFlags,
    Recorded,
    SetFlag,
)
from stevie.ports_record import WriteOutcome
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import RuntimeCounter
from stevie.runtime.deterministic import DeterministicRuntime
from stevie.runtime.errors import AskTimeout
from stevie.runtime.message import Message
from stevie.runtime.reply import Reply
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Strategy
from stevie.runtime.supervisor import supervise
from tests.actors.record_stage import START_NS, Database
from tests.deterministic.quiet import no_logs
from tests.domain.operations.logs import FACTS

FLAGS = "flags"
LISTENER = "listener"
SECOND_NS = 1_000_000_000


def newest(database: Database) -> tuple[FlagRow, ...]:
    """The table of flags: one row each, audit rows told apart, with their true numbers."""
    return tuple({row.name: row for row in database.rows if isinstance(row, FlagRow)}.values())


class FlagDatabase(Database):
    """Tells which flags it has, to whoever writes nothing."""

    def _written(self, rows: tuple[Row, ...], mark: str) -> WriteOutcome:
        outcome = super()._written(rows, mark)
        return outcome if rows else msgspec.structs.replace(outcome, flags=newest(self))


class Listener(StevieActor):
    """Notes which flags are on, as it hears of them."""

    mailbox_capacity = 4

    def __init__(self, context: ActorContext, *, heard: list[tuple[str, ...]]) -> None:
        super().__init__(context)
        self._heard = heard

    def handle(self, message: FlagsChanged | ReadFlags) -> None:
        if isinstance(message, FlagsChanged):
            self._heard.append(message.on)


class FlagStage:
    """Store, auditor, flag keeper and one who heeds flags, on virtual time."""

    def __init__(self, seed: int = 1, *, rows: tuple[FlagRow, ...] = ()) -> None:
        rng = SeededRng(seed)
        self.runtime = DeterministicRuntime(rng, start_ns=START_NS)
        self.directory = self.runtime.system.directory
        self.database = FlagDatabase(self.runtime.clock, rng.fork("disk"))
        self.database.rows.extend(rows)
        self.tally = Tally()
        self.heard: list[tuple[str, ...]] = []
        listeners = (AUDITOR, LISTENER, "not there yet")
        record = self._group(
            "record",
            Strategy.ONE_FOR_ALL,
            ChildSpec(name=STORE, factory=StoreKeeper, arguments={"writer": self.database}),
            ChildSpec(
                name=AUDITOR, factory=Auditor, arguments={"facts": FACTS, "tally": self.tally}
            ),
            ChildSpec(name=FLAGS, factory=FlagKeeper, arguments={"listeners": listeners}),
        )
        listener = ChildSpec(name=LISTENER, factory=Listener, arguments={"heard": self.heard})
        self.runtime.launch(self._group("root", Strategy.ONE_FOR_ONE, record, listener))

    @staticmethod
    def _group(name: str, strategy: Strategy, *children: ChildSpec) -> ChildSpec:
        intensity = Intensity(restarts=1000, period_s=60.0)
        return supervise(name, Plan(children=children, strategy=strategy, intensity=intensity))

    # -- hands

    def ask(self, message: Message) -> Reply:
        reply = self.directory.request(FLAGS, message)
        self.runtime.settle()
        return reply

    def set(self, value: bool, name: str = "l2_log") -> Reply:
        return self.ask(SetFlag(name=name, value=value, by="127.0.0.1"))

    def run(self, seconds: float = 1.0) -> None:
        now_ns = self.runtime.clock.monotonic_ns()
        self.runtime.run_until(now_ns + int(seconds * SECOND_NS))

    def kill(self, name: str) -> None:
        cell = self.directory.cell(name)
        if cell is not None and cell.actor is not None:
            cell.actor.kill("by the test")

    # -- what came of it

    def states(self) -> dict[str, FlagState]:
        answer = self.ask(ReadFlags()).get(timeout=0)
        return {flag.name: flag for flag in answer.flags}

    def values(self) -> dict[str, bool]:
        return {name: flag.value for name, flag in self.states().items()}

    def rows(self) -> dict[str, str]:
        return {row.name: row.value for row in newest(self.database)}

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(row.payload) for row in self.database.log if row.kind == "flag_set"]


@pytest.fixture
def new_stage() -> Iterator[Callable[..., FlagStage]]:
    """Builds stages, and takes them down at the end."""
    stages: list[FlagStage] = []

    def build(*arguments: Any, **options: Any) -> FlagStage:
        stages.append(FlagStage(*arguments, **options))
        return stages[-1]

    with no_logs():
        yield build
        for stage in stages:
            stage.runtime.stop()


def is_open(reply: Reply) -> bool:
    return not reply.is_set


BOTH = ("bars_backfill", "l2_log")


# -- asked ---------------------------------------------------------------------------------------


def test_flags_that_were_never_set_have_their_defaults(new_stage):
    stage = new_stage()
    stage.run()

    assert stage.values() == {"bars_backfill": True, "l2_log": True}
    assert {(flag.changed_ns, flag.audit_seq) for flag in stage.states().values()} == {(0, 0)}


def test_a_change_is_answered_once_it_is_durable_and_audited(new_stage):
    stage = new_stage()
    stage.run()

    reply = stage.set(False)
    assert is_open(reply)
    assert stage.values()["l2_log"] is True
    stage.run(0.1)

    answer = reply.get(timeout=0)
    assert (answer.name, answer.value, answer.audit_seq) == ("l2_log", False, 1)
    assert answer.changed_ns == START_NS + SECOND_NS
    assert answer == stage.states()["l2_log"]
    assert stage.told() == [{"name": "l2_log", "from": True, "to": False, "by": "127.0.0.1"}]
    (row,) = newest(stage.database)
    assert row == FlagRow(name="l2_log", value="off", changed_ns=answer.changed_ns, audit_seq=1)


def test_what_is_so_already_is_answered_at_once_and_leaves_no_row(new_stage):
    stage = new_stage()
    stage.run()

    assert stage.set(True).get(timeout=0) == stage.states()["l2_log"]
    stage.set(False)
    stage.run(0.1)
    assert stage.set(False).get(timeout=0).audit_seq == 1
    stage.run(0.1)

    assert len(stage.told()) == 1


def test_two_who_want_the_same_wait_for_one_row(new_stage):
    stage = new_stage()
    stage.run()

    replies = [stage.set(False), stage.set(False)]
    assert all(map(is_open, replies))
    stage.run(0.1)

    assert [reply.get(timeout=0).audit_seq for reply in replies] == [1, 1]
    assert len(stage.told()) == 1


def test_changes_of_mind_are_recorded_in_their_order(new_stage):
    stage = new_stage()
    stage.run()

    replies = [stage.set(value) for value in (False, True, True, False)]
    stage.run(0.5)

    assert [(told["from"], told["to"]) for told in stage.told()] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert stage.values()["l2_log"] is False
    assert [reply.get(timeout=0).name for reply in replies] == ["l2_log"] * 4


def test_an_unknown_flag_is_refused_and_the_keeper_lives_on(new_stage):
    stage = new_stage()
    stage.run()

    with pytest.raises(UnknownFlagError):
        stage.set(True, "nope").get(timeout=0)

    assert stage.directory.incarnation(FLAGS) == 1
    assert stage.values()["l2_log"] is True


def test_until_the_store_has_answered_nothing_is_told_or_changed(new_stage):
    stage = new_stage(rows=(FlagRow(name="l2_log", value="off", changed_ns=5, audit_seq=3),))

    for question in (ReadFlags(), SetFlag(name="l2_log", value=True, by="cli")):
        with pytest.raises(FlagRefusedError, match="still being read"):
            stage.ask(question).get(timeout=0)
    assert stage.heard == []

    stage.run(0.1)
    assert stage.values()["l2_log"] is False
    assert stage.heard[-1] == ("bars_backfill",)


# -- a record stage in trouble -------------------------------------------------------------------


def test_while_the_disk_is_full_nobody_is_told_that_it_is_done(new_stage):
    stage = new_stage()
    stage.run()
    stage.database.trouble = "disk full"
    reply = stage.set(False)
    stage.run(30)

    assert is_open(reply)
    with pytest.raises(AskTimeout):
        reply.get(timeout=0)
    assert stage.values()["l2_log"] is True
    assert stage.heard[-1] == BOTH

    stage.database.trouble = ""
    stage.run(5)
    assert stage.values()["l2_log"] is False
    assert stage.rows() == {"l2_log": "off"}


def test_no_more_wait_than_there_is_room_for(new_stage):
    stage = new_stage()
    stage.run()
    stage.database.trouble = "disk full"
    replies = [stage.set(number % 2 == 1) for number in range(WAITING_MAX)]

    with pytest.raises(FlagRefusedError, match=str(WAITING_MAX)):
        stage.set(False).get(timeout=0)

    stage.database.trouble = ""
    stage.run(10)
    assert not any(map(is_open, replies))
    last = stage.set(False)
    stage.run()
    assert last.get(timeout=0).audit_seq == WAITING_MAX + 1


def test_an_auditor_that_takes_nothing_more_changes_nothing(new_stage):
    stage = new_stage()
    stage.run()
    stage.runtime.scheduler.hold(AUDITOR)
    while stage.directory.tell(AUDITOR, ReadAudit()):
        pass

    with pytest.raises(FlagRefusedError, match="audit log"):
        stage.set(False).get(timeout=0)

    assert stage.values()["l2_log"] is True


def test_a_store_whose_mailbox_was_full_is_asked_again(new_stage):
    stage = new_stage()
    stage.runtime.scheduler.hold(STORE)
    stage.kill(FLAGS)
    stage.run(0.5)
    while stage.directory.tell(STORE, KeepHouse()):
        pass
    stage.run(3)
    stage.runtime.scheduler.release(STORE)
    stage.run(8)

    assert stage.values() == {"bars_backfill": True, "l2_log": True}


# -- incarnations --------------------------------------------------------------------------------


def test_the_next_incarnation_has_it_from_the_store(new_stage):
    stage = new_stage()
    stage.run()
    stage.set(False)
    stage.run()
    before = stage.states()

    stage.kill(FLAGS)
    stage.run(3)

    assert stage.directory.incarnation(FLAGS) == 2
    assert stage.states() == before


def test_a_change_that_an_incarnation_before_asked_for_is_not_overlooked(new_stage):
    stage = new_stage()
    stage.run()
    stage.runtime.scheduler.hold(AUDITOR)
    reply = stage.set(False)  # lies in the auditor's mailbox, which outlives both of them
    stage.kill(FLAGS)
    stage.runtime.scheduler.release(AUDITOR)
    stage.run(5)

    assert stage.directory.incarnation(FLAGS) == 2
    assert stage.rows() == {"l2_log": "off"}
    assert stage.values()["l2_log"] is False
    assert stage.heard[-1] == ("bars_backfill",)
    with pytest.raises(Exception, match=r"answer|stopped|ended"):
        reply.get(timeout=0)


def test_a_receipt_of_an_incarnation_before_makes_it_look_again(new_stage):
    stage = new_stage()
    stage.run()
    row = FlagRow(name="l2_log", value="off", changed_ns=5, audit_seq=9)
    stage.database.rows.append(row)  # became durable after the rows were read

    stage.directory.tell(FLAGS, Recorded(receipt=2, seq=9))
    stage.run(0.1)

    assert stage.states()["l2_log"].audit_seq == 9
    assert stage.heard[-1] == ("bars_backfill",)


def test_rows_that_say_nothing_to_this_version_stop_nobody(new_stage):
    rows = (
        FlagRow(name="of_old", value="on", changed_ns=5, audit_seq=3),
        FlagRow(name="l2_log", value="perhaps", changed_ns=5, audit_seq=4),
    )
    stage = new_stage(rows=rows)
    stage.run()

    assert stage.values() == {"bars_backfill": True, "l2_log": True}


# -- told ----------------------------------------------------------------------------------------


def test_a_change_reaches_the_listeners_in_the_instant_in_which_it_is_durable(new_stage):
    stage = new_stage()
    stage.run(1.5)
    reply = stage.set(False)
    while is_open(reply):
        assert stage.heard[-1] == BOTH
        stage.run(0.001)

    assert stage.heard[-1] == ("bars_backfill",)
    stage.set(False, "bars_backfill")
    stage.run(0.1)
    assert stage.heard[-1] == ()


def test_the_log_tells_with_every_row_which_flags_were_on(new_stage):
    stage = new_stage()
    stage.run()
    for value in (False, True):
        stage.set(value)
        stage.run()

    provenance = [json.loads(row.provenance)["flags"] for row in stage.database.log]
    assert provenance == [["bars_backfill", "l2_log"], ["bars_backfill"]]


def test_a_listener_that_was_restarted_hears_within_a_second(new_stage):
    stage = new_stage()
    stage.run()
    stage.set(False)
    stage.run()
    stage.kill(LISTENER)
    stage.runtime.settle()
    stage.heard.clear()

    stage.run(1.0)

    assert set(stage.heard) == {("bars_backfill",)}


def test_a_listener_that_was_full_hears_within_a_second(new_stage):
    stage = new_stage()
    stage.run()
    stage.runtime.scheduler.hold(LISTENER)
    while stage.directory.tell(LISTENER, ReadFlags()):
        pass
    stage.set(False)
    stage.run(0.1)
    stage.runtime.scheduler.release(LISTENER)
    stage.runtime.settle()
    assert stage.heard[-1] == BOTH

    stage.run(1.0)

    assert stage.heard[-1] == ("bars_backfill",)


def test_who_is_not_there_yet_gets_no_letters(new_stage):
    stage = new_stage()
    stage.run(10)

    counters = stage.runtime.system.counters
    assert counters.value(RuntimeCounter.DEAD_LETTERS, "unknown_name") == 0
    assert len(stage.heard) <= 11


# -- anything, in any order ----------------------------------------------------------------------

NAMES = (STORE, AUDITOR, FLAGS, LISTENER)
DEEDS = st.one_of(
    st.tuples(st.just("set"), st.tuples(st.sampled_from(BOTH), st.booleans())),
    st.tuples(st.just("run"), st.sampled_from([1, 4, 10, 50, 300, 2_000])),
    st.tuples(st.just("kill"), st.sampled_from(NAMES)),
    st.tuples(st.just("trouble"), st.sampled_from(["", "disk full"])),
    st.tuples(st.just("hold"), st.sampled_from(NAMES)),
    st.tuples(st.just("release"), st.sampled_from(NAMES)),
)


def do(stage: FlagStage, deed: str, how: Any) -> Reply | None:
    match deed:
        case "set":
            return stage.set(how[1], how[0])
        case "run":
            stage.run(how / 1000)
        case "kill":
            stage.kill(how)
        case "trouble":
            stage.database.trouble = how
        case "hold":
            stage.runtime.scheduler.hold(how)
        case "release":
            stage.runtime.scheduler.release(how)
    return None


def confirmed(reply: Reply | None) -> FlagState | None:
    """The answer, if it is there and no refusal."""
    if reply is None or not reply.is_set:
        return None
    try:
        answer = reply.get(timeout=0)
    except Exception:
        return None
    assert isinstance(answer, FlagState)
    return answer


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), deeds=st.lists(DEEDS, max_size=25))
def test_what_is_answered_is_durable_and_in_the_end_all_agree(seed, deeds):
    with no_logs():
        stage = FlagStage(seed)
        try:
            replies = []
            for deed, how in deeds:
                replies.append(do(stage, deed, how))
                for answer in filter(None, map(confirmed, replies)):
                    seqs = [row.seq for row in stage.database.log]
                    assert answer.audit_seq == 0 or answer.audit_seq in seqs
            for name in NAMES:
                stage.runtime.scheduler.release(name)
            stage.database.trouble = ""
            stage.run(120)

            in_rows = {name: value == "on" for name, value in stage.rows().items()}
            assert stage.values() == {"bars_backfill": True, "l2_log": True, **in_rows}
            on = tuple(sorted(name for name, value in stage.values().items() if value))
            assert stage.heard[-1] == on == tuple(stage.tally.flags)
        finally:
            stage.runtime.stop()
