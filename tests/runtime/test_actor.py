"""Every way to die: each kills its own actor alone, and its supervisor hears of it once."""

import gevent
import pytest
from pykka import ActorRegistry
from pykka.messages import ProxyCall

from stevie.runtime.actor import TIMERS_MAX, StevieActor
from stevie.runtime.errors import ActorCrashed
from stevie.runtime.lifecycle import Cause, ChildDown, ChildStarted, Phase, Ping, Pong, State
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec
from tests.inject import wait_until
from tests.runtime.cast import Born, Do, Frame, Note, Player, Recall, Refusal, new_substrate, player

BASE_EXCEPTIONS = ["leaked_timeout", "exit", "interrupt"]


class Home:
    """One actor under test and a neighbor, with the test in the place of their supervisor."""

    def __init__(self) -> None:
        self.substrate = new_substrate()
        self.directory = self.substrate.directory
        self.reports: list[Message] = []
        self.journal: list[str] = []
        self.spawn(player("neighbor"), heard_by=[])

    def spawn(self, spec: ChildSpec, *, heard_by: list[Message] | None = None) -> None:
        reports = self.reports if heard_by is None else heard_by
        incarnation = self.directory.incarnation(spec.name) + 1
        self.substrate.spawn(spec, parent=None, incarnation=incarnation, report=reports.append)
        gevent.sleep(0)

    def spawn_player(self, **script: object) -> None:
        self.spawn(player("patient", journal=self.journal, **script))

    def tell(self, message: Message) -> None:
        assert self.directory.tell("patient", message)

    def ask(self, message: Message) -> object:
        return self.directory.ask("patient", message, timeout_s=2)

    def stop(self, name: str = "patient") -> None:
        actor = self.directory.cell(name).actor
        if actor is not None:
            actor.stop()
            wait_until(lambda: self.directory.view(name).state is State.DOWN)

    def the_down(self) -> ChildDown:
        """The one report of the end; the neighbor is well, and Pykka knows the dead no more."""
        wait_until(lambda: any(isinstance(report, ChildDown) for report in self.reports))
        gevent.sleep(0.005)
        downs = [report for report in self.reports if isinstance(report, ChildDown)]
        assert len(downs) == 1
        assert self.directory.ask("neighbor", Do(action="ok"), timeout_s=2) == "ok"
        assert len(ActorRegistry.get_all()) == 1
        assert self.directory.view("patient").state is State.DOWN
        return downs[0]


@pytest.fixture
def home():
    home = Home()
    yield home
    home.stop("neighbor")
    if home.directory.cell("patient") is not None:
        home.stop("patient")


def test_an_actor_that_started_says_so_once(home):
    home.spawn_player()

    assert home.reports == [ChildStarted(name="patient", incarnation=1)]
    assert home.directory.view("patient").state is State.RUNNING


@pytest.mark.parametrize(
    ("action", "cause"),
    [("bug", Cause.BUG), ("refusal", Cause.REFUSED), *[(a, Cause.BUG) for a in BASE_EXCEPTIONS]],
)
def test_an_exception_in_a_told_message_crashes(home, action, cause):
    home.spawn_player()

    home.tell(Do(action=action))

    down = home.the_down()
    assert (down.phase, down.cause, down.incarnation) == (Phase.TELL, cause, 1)
    assert home.journal == ["start patient", "stop patient"]


def test_a_refusal_of_an_asked_message_is_answered_and_the_actor_lives_on(home):
    home.spawn_player()

    with pytest.raises(Refusal, match="not today"):
        home.ask(Do(action="refusal"))

    assert home.ask(Do(action="ok")) == "ok"
    assert not any(isinstance(report, ChildDown) for report in home.reports)


def test_a_bug_in_an_asked_message_is_answered_and_crashes(home):
    home.spawn_player()

    with pytest.raises(ActorCrashed, match="ZeroDivisionError: a bug") as caught:
        home.ask(Do(action="bug"))

    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.ASK, Cause.BUG)


@pytest.mark.parametrize("action", BASE_EXCEPTIONS)
def test_a_base_exception_in_an_asked_message_reaches_the_asker_as_an_ordinary_one(home, action):
    home.spawn_player()

    with pytest.raises(ActorCrashed) as caught:
        home.ask(Do(action=action))

    assert caught.value.__cause__ is None
    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.ASK, Cause.BUG)


@pytest.mark.parametrize(
    ("action", "cause"),
    [("bug", Cause.BUG), ("refusal", Cause.REFUSED), *[(a, Cause.BUG) for a in BASE_EXCEPTIONS]],
)
def test_an_exception_in_starting_is_a_failed_start(home, action, cause):
    home.spawn_player(starting=[action])

    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.STARTING, cause)
    assert home.reports == [down]
    assert home.journal == ["start patient", "stop patient"]


@pytest.mark.parametrize(
    ("action", "cause"),
    [("bug", Cause.BUG), ("refusal", Cause.REFUSED), *[(a, Cause.BUG) for a in BASE_EXCEPTIONS]],
)
def test_an_exception_in_stopping_is_an_abnormal_stop(home, action, cause):
    home.spawn_player(stopping=[action])

    home.stop()

    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.STOPPING, cause)


def test_an_exception_in_stopping_after_a_crash_leaves_the_first_reason(home):
    home.spawn_player(stopping=["exit"])

    home.tell(Do(action="bug"))

    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.TELL, Cause.BUG)
    assert down.reason == "ZeroDivisionError: a bug"


def test_a_constructor_that_fails_is_a_failed_start_and_no_bug_of_the_parent(home):
    home.spawn(ChildSpec(name="patient", factory=Born))

    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.STARTING, Cause.BUG)
    assert "in the constructor" in down.reason


def test_a_stop_ends_well(home):
    home.spawn_player()

    home.stop()

    down = home.the_down()
    assert (down.phase, down.cause, down.is_normal) == (Phase.STOPPING, Cause.STOPPED, True)
    assert home.journal == ["start patient", "stop patient"]


def test_an_actor_may_stop_itself(home):
    home.spawn_player()

    home.tell(Do(action="stop"))

    assert home.the_down().is_normal


def test_a_stop_through_pykka_is_answered(home):
    home.spawn_player()
    (ref,) = ActorRegistry.get_by_class(Player)[1:]

    assert ref.stop(timeout=2)

    assert home.the_down().is_normal


def test_a_gevent_timeout_left_running_by_a_handler_kills_its_own_actor_alone(home):
    home.spawn_player()

    home.tell(Do(action="leave_timeout_behind"))

    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.WAITING, Cause.BUG)


@pytest.mark.parametrize("action", ["hang", "ok"])
def test_a_kill_ends_an_actor_wherever_it_waits_without_stopping(home, action):
    home.spawn_player()
    home.tell(Do(action=action))
    gevent.sleep(0)

    home.directory.cell("patient").actor.kill("enough")

    down = home.the_down()
    assert (down.cause, down.reason) == (Cause.KILLED, "enough")
    assert home.journal == ["start patient"]


def test_a_kill_before_the_first_turn_is_reported_too(home):
    spec = player("patient", journal=home.journal)
    home.substrate.spawn(spec, parent=None, incarnation=1, report=home.reports.append)
    home.directory.cell("patient").actor.kill("too soon")

    down = home.the_down()
    assert (down.phase, down.cause, down.reason) == (Phase.STARTING, Cause.KILLED, "too soon")
    assert home.journal == []


def test_a_kill_of_an_actor_that_hangs_in_stopping_ends_it(home):
    home.spawn_player(stopping=["hang"])
    home.directory.cell("patient").actor.stop()
    gevent.sleep(0.001)

    home.directory.cell("patient").actor.kill("took too long")

    down = home.the_down()
    assert (down.phase, down.cause) == (Phase.STOPPING, Cause.KILLED)


def test_who_asked_a_killed_actor_is_answered(home):
    home.spawn_player()
    reply = home.directory.request("patient", Do(action="hang"))
    gevent.sleep(0)

    home.directory.cell("patient").actor.kill("enough")

    with pytest.raises(ActorCrashed):
        reply.get(timeout=2)
    assert home.the_down().cause is Cause.KILLED


def test_a_batch_that_cannot_be_folded_kills_one_incarnation_and_is_gone(home, monkeypatch):
    home.spawn_player()

    def fold(messages: tuple[Frame, ...]) -> Frame:
        raise ZeroDivisionError("cannot fold")

    monkeypatch.setattr(Frame, "fold", fold)
    home.tell(Frame(numbers=(1,)))
    home.tell(Frame(numbers=(2,)))

    assert home.the_down().reason == "ZeroDivisionError: cannot fold"
    assert home.directory.view("patient").mailbox_depth == 0
    assert home.directory.view("patient").mailbox_bytes == 0


def test_a_stop_goes_before_a_full_mailbox(home):
    home.spawn_player()
    home.tell(Do(action="nap"))
    gevent.sleep(0)
    for number in range(Player.mailbox_capacity):
        home.tell(Note(number=number))
    assert not home.directory.tell("patient", Note(number=-1))

    home.stop()

    assert home.the_down().is_normal
    assert home.directory.view("patient").mailbox_depth == Player.mailbox_capacity


def test_the_next_incarnation_gets_all_messages_but_the_one_that_killed(home):
    home.spawn_player()
    for message in [Note(number=1), Do(action="bug"), Note(number=2)]:
        home.tell(message)
    home.the_down()
    home.tell(Note(number=3))

    home.spawn_player()

    assert home.ask(Recall()) == (2, 3)
    assert home.directory.view("patient").restarts == 1


def test_a_stop_meant_for_one_incarnation_is_not_heard_by_the_next(home):
    home.spawn_player()
    home.tell(Do(action="late_bug"))
    gevent.sleep(0)
    home.directory.cell("patient").actor.stop()
    assert home.the_down().cause is Cause.BUG

    home.spawn_player()

    assert home.ask(Do(action="ok")) == "ok"


def test_a_ping_is_answered_before_all_that_waits(home):
    home.spawn_player()
    home.tell(Do(action="nap"))
    gevent.sleep(0)
    home.tell(Do(action="bug"))
    home.tell(Ping())

    home.the_down()

    assert home.reports[1] == Pong(name="patient", incarnation=1)


def test_what_is_no_message_is_refused_at_the_sender(home):
    home.spawn_player()

    with pytest.raises(TypeError, match="expected a Message"):
        home.directory.tell("patient", ProxyCall(attr_path=["stop"], args=[], kwargs={}))

    assert home.ask(Do(action="ok")) == "ok"


class Alarmed(StevieActor):
    """Sets itself timers."""

    def __init__(self, context):
        super().__init__(context)
        self.numbers = []

    def starting(self):
        self.after(0.001, Note(number=1))
        self.after(0.002, Note(number=2)).cancel()
        self.after(0.003, Note(number=3))

    def handle(self, message):
        match message:
            case Note(number=number):
                self.numbers.append(number)
            case Do():
                for _ in range(TIMERS_MAX + 1):
                    self.after(3600, message)
        return tuple(self.numbers)


def test_an_actor_hears_its_timers_but_the_cancelled(home):
    home.spawn(ChildSpec(name="patient", factory=Alarmed))

    wait_until(lambda: home.ask(Note(number=0))[-2:-1] == (3,))

    assert [n for n in home.ask(Note(number=0)) if n] == [1, 3]


def test_timers_end_with_their_incarnation(home):
    home.spawn(ChildSpec(name="patient", factory=Alarmed))

    home.stop()
    gevent.sleep(0.01)

    assert home.directory.view("patient").mailbox_depth == 0


def test_timers_without_end_are_a_bug(home):
    home.spawn(ChildSpec(name="patient", factory=Alarmed))

    home.tell(Do(action="ok"))

    assert f"{TIMERS_MAX} timers wait" in home.the_down().reason


def test_an_actor_that_asks_crashes(home):
    class Asking(StevieActor):
        def handle(self, message):
            return self.context.directory.ask("neighbor", message, timeout_s=1)

    home.spawn(ChildSpec(name="patient", factory=Asking))

    home.tell(Do(action="ok"))

    assert "actors tell" in home.the_down().reason


def test_an_actor_that_never_runs_dry_leaves_the_others_their_turns(home):
    class Endless(StevieActor):
        def handle(self, message):
            self.tell(self.context.name, message)

    home.spawn(ChildSpec(name="patient", factory=Endless))
    home.tell(Note(number=1))

    assert home.directory.ask("neighbor", Do(action="ok"), timeout_s=2) == "ok"

    home.stop()
    assert home.the_down().is_normal
