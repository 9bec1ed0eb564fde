"""Supervisors on living actors: who comes back, who goes, and that nobody is left."""

from collections.abc import Callable

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pykka import ActorRegistry

from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.runtime import supervision
from stevie.runtime.counters import RuntimeCounter
from stevie.runtime.errors import ActorDeadError, StartFailed
from stevie.runtime.lifecycle import State
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Restart, Strategy
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from tests.inject import ask, tell, views, wait_for_state, wait_until
from tests.runtime.cast import QUICK, Do, Note, Recall, player


@pytest.fixture
def journal() -> list[str]:
    return []


def group(name: str, *children: ChildSpec, **rules: object) -> ChildSpec:
    return supervise(name, Plan(children=children, backoff=QUICK, **rules))


def start(system: ActorSystem, *children: ChildSpec, **rules: object) -> None:
    """A root that gives up at once over a group of these children."""
    root = Plan(children=(group("group", *children, **rules),), intensity=Intensity(restarts=0))
    system.start(supervise("root", root), timeout_s=5)


def incarnations(system: ActorSystem) -> dict[str, int]:
    return {name: view.incarnation for name, view in views(system).items()}


def crash(system: ActorSystem, name: str, action: str = "bug") -> None:
    """Have an actor die and wait until it is back."""
    incarnation = views(system)[name].incarnation
    tell(system, name, Do(action=action))
    wait_for_state(system, name, State.RUNNING, incarnation=incarnation + 1)


def test_a_crashed_child_comes_back_and_its_sibling_notices_nothing(system):
    start(system, player("a"), player("b"))

    crash(system, "a")

    assert incarnations(system) == {"root": 1, "group": 1, "a": 2, "b": 1}
    assert views(system)["a"].last_reason == "ZeroDivisionError: a bug"
    assert system.counters.value(RuntimeCounter.RESTARTS, "group") == 1


@pytest.mark.parametrize(
    ("strategy", "again"),
    [
        (Strategy.ONE_FOR_ONE, ["start b"]),
        (Strategy.REST_FOR_ONE, ["stop c", "start b", "start c"]),
        (Strategy.ONE_FOR_ALL, ["stop c", "stop a", "start a", "start b", "start c"]),
    ],
)
def test_the_strategy_holds_for_living_actors(system, journal, strategy, again):
    start(system, *[player(n, journal=journal) for n in "abc"], strategy=strategy)
    journal.clear()

    tell(system, "b", Do(action="bug"))
    wait_until(lambda: len(journal) == 1 + len(again))

    assert journal == ["stop b", *again]


def test_a_restart_keeps_the_mailbox_and_loses_the_killer_alone(system):
    start(system, player("a"))
    for message in [Note(number=1), Do(action="bug"), Note(number=2), Note(number=3)]:
        tell(system, "a", message)

    assert ask(system, "a", Recall()) == (2, 3)
    assert incarnations(system)["a"] == 2


def test_a_sibling_restarted_for_anothers_sake_keeps_its_mailbox(system):
    start(system, player("a"), player("b"), strategy=Strategy.ONE_FOR_ALL)
    tell(system, "b", Do(action="nap"))
    gevent.sleep(0)
    tell(system, "b", Note(number=1))
    tell(system, "a", Do(action="bug"))

    wait_for_state(system, "b", State.RUNNING, incarnation=2)

    assert ask(system, "b", Recall()) == (1,)


def test_a_sibling_that_died_before_it_could_be_stopped_comes_back_once(system):
    start(system, player("a"), player("b"), strategy=Strategy.REST_FOR_ONE)
    for name in "ab":  # both die before their supervisor has its turn
        tell(system, name, Do(action="bug"))

    wait_for_state(system, "b", State.RUNNING, incarnation=2)
    assert ask(system, "b", Do(action="ok")) == "ok"

    assert incarnations(system)["b"] == 2


def test_an_ask_during_a_restart_is_answered_by_the_next_incarnation(system):
    start(system, player("a", starting=["ok", "nap"]))
    tell(system, "a", Do(action="bug"))
    wait_for_state(system, "a", State.STARTING, incarnation=2)

    assert ask(system, "a", Do(action="ok")) == "ok"


def test_a_supervisor_that_gives_up_stops_its_children_and_the_death_goes_up(system, journal):
    deaths = []
    system.on_root_down(deaths.append)
    children = [player(n, journal=journal) for n in "abc"]
    start(system, *children, intensity=Intensity(restarts=1, period_s=30))
    crash(system, "b")
    journal.clear()

    tell(system, "b", Do(action="bug"))
    wait_until(lambda: deaths)

    assert journal == ["stop b", "stop c", "stop a"]
    assert system.root_is_dead()
    assert ActorRegistry.get_all() == []
    assert "over 0 restarts in 30 s, last group" in deaths[0].reason
    assert "over 1 restarts in 30 s, last b: ZeroDivisionError: a bug" in deaths[0].reason


def test_a_group_that_gave_up_is_restarted_whole_with_its_mailboxes(system):
    inner = group("inner", player("a"), intensity=Intensity(restarts=0))
    start(system, inner)
    tell(system, "a", Do(action="bug"))
    tell(system, "a", Note(number=1))

    wait_for_state(system, "a", State.RUNNING, incarnation=2)

    assert ask(system, "a", Recall()) == (1,)
    assert incarnations(system) == {"root": 1, "group": 1, "inner": 2, "a": 2}


@pytest.mark.parametrize("action", ["bug", "exit", "leaked_timeout", "refusal"])
def test_a_child_that_cannot_start_fails_the_tree_at_once(system, journal, action):
    children = [player("a", journal=journal), player("b", journal=journal, starting=[action])]

    with pytest.raises(StartFailed, match="b did not start"):
        start(system, *children)

    assert journal == ["start a", "start b", "stop b", "stop a"]
    assert system.root_is_dead()
    assert ActorRegistry.get_all() == []


def test_a_restart_that_fails_to_start_is_tried_again(system):
    start(system, player("a", starting=["ok", "bug", "refusal"]))

    tell(system, "a", Do(action="bug"))
    wait_for_state(system, "a", State.RUNNING, incarnation=4)

    assert ask(system, "a", Do(action="ok")) == "ok"


def test_a_temporary_child_that_died_leaves_dead_letters_and_answers_its_askers(system):
    start(system, player("a", restart=Restart.TEMPORARY))
    tell(system, "a", Do(action="late_bug"))
    gevent.sleep(0)
    tell(system, "a", Note(number=1))
    reply = system.directory.request("a", Recall())

    with pytest.raises(ActorDeadError, match="a stopped before"):
        reply.get(timeout=2)

    assert not system.directory.tell("a", Note(number=2))
    counts = system.directory.dead_letters.counts()
    assert counts == {("a", "Note", "stopped"): 2, ("a", "Recall", "stopped"): 1}


def test_a_transient_child_that_ended_well_stays_away(system):
    start(system, player("a", restart=Restart.TRANSIENT), player("b"))

    tell(system, "a", Do(action="stop"))
    wait_for_state(system, "a", State.DOWN)
    crash(system, "b")

    assert incarnations(system)["a"] == 1
    with pytest.raises(ActorDeadError):
        ask(system, "a", Do(action="ok"))


def test_children_past_their_deadline_to_stop_are_killed(system, journal):
    start(system, player("a", journal=journal, stopping=["hang"], shutdown_s=0.01))

    assert system.stop(timeout_s=2)

    assert system.counters.value(RuntimeCounter.KILLS, "Player") == 1
    assert views(system)["a"].last_reason == "not stopped within 0.01 s"


def test_a_child_past_its_deadline_to_start_is_killed(system):
    with pytest.raises(StartFailed, match=r"a did not start: not started within 0.01 s"):
        start(system, player("a", starting=["hang"], start_s=0.01))


def test_a_child_stuck_in_a_handler_is_stopped_by_a_kill(system):
    start(system, player("a", shutdown_s=0.01), player("b"))
    tell(system, "a", Do(action="hang"))
    gevent.sleep(0)

    assert system.stop(timeout_s=2)

    assert system.counters.value(RuntimeCounter.KILLS, "Player") == 1


def test_a_child_that_swallows_its_kill_is_left_behind(system, monkeypatch):
    monkeypatch.setattr(supervision, "KILL_S", 0.01)
    start(system, player("a", shutdown_s=0))
    tell(system, "a", Do(action="swallow_kill"))
    gevent.sleep(0)

    assert system.stop(timeout_s=2)

    assert system.counters.value(RuntimeCounter.ABANDONED, "Player") == 1
    gevent.sleep(0.06)
    assert views(system)["a"].state is State.DOWN


def test_a_child_without_a_sign_of_life_is_killed_and_comes_back(system, monkeypatch):
    monkeypatch.setattr(supervision, "HEARTBEAT_S", 0.002)
    start(system, player("a"), player("b"))

    crash(system, "a", "hang")

    assert views(system)["a"].last_reason.startswith("no sign of life")
    assert incarnations(system)["b"] == 1


@pytest.mark.parametrize("action", ["kill", "own_bug"])
def test_a_supervisor_that_dies_of_anything_takes_its_children_along_and_comes_back(
    system, journal, action
):
    inner = group("inner", *[player(n, journal=journal) for n in "ab"])
    start(system, inner, player("c", journal=journal))
    journal.clear()

    if action == "kill":
        system.directory.cell("inner").actor.kill("enough")
    else:
        tell(system, "inner", Note(number=1))  # not for a supervisor: a bug of its own
    wait_for_state(system, "b", State.RUNNING, incarnation=2)

    stops = [] if action == "kill" else ["stop b", "stop a"]
    assert journal == [*stops, "start a", "start b"]
    assert incarnations(system) == {
        "root": 1, "group": 1, "inner": 2, "a": 2, "b": 2, "c": 1,
    }  # fmt: skip


def test_a_killed_root_leaves_nobody(system):
    deaths = []
    system.on_root_down(deaths.append)
    start(system, group("inner", player("a"), player("b")), player("c"))

    system.directory.cell("root").actor.kill("enough")
    wait_until(lambda: deaths)

    assert ActorRegistry.get_all() == []
    assert deaths[0].reason == "enough"


def test_a_supervisor_whose_rules_fail_drops_its_children(system, monkeypatch):
    deaths = []
    system.on_root_down(deaths.append)
    start(system, player("a"), player("b"))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("rules")

    monkeypatch.setattr(supervision.Supervision, "on", fail)
    tell(system, "a", Do(action="bug"))
    wait_until(lambda: not ActorRegistry.get_all())

    assert deaths[0].name == "root"


def test_a_name_has_one_parent(system):
    with pytest.raises(StartFailed, match="a: belongs to inner, group wants to start it"):
        start(system, group("inner", player("a")), player("a"))


def test_a_supervisor_killed_while_it_starts_leaves_nobody(system):
    failure = gevent.spawn(
        _start_failure, lambda: start(system, player("a"), player("b", starting=["hang"]))
    )
    wait_until(lambda: "b" in views(system))

    system.directory.cell("group").actor.kill("enough")

    assert "enough" in failure.get(timeout=2)
    assert ActorRegistry.get_all() == []


def _start_failure(start_it: Callable[[], None]) -> str:
    with pytest.raises(StartFailed) as caught:
        start_it()
    return str(caught.value)


ACTIONS = st.sampled_from(["bug", "refusal", "exit", "leaked_timeout", "stop", "ok"])


@settings(max_examples=25, deadline=None)
@given(
    strategy=st.sampled_from(Strategy),
    restarts=st.lists(st.sampled_from(Restart), min_size=1, max_size=4),
    events=st.lists(st.tuples(st.integers(0, 3), ACTIONS), max_size=6),
    limit=st.integers(0, 3),
)
def test_whatever_the_children_die_of_nobody_is_left_and_the_limit_holds(
    strategy, restarts, events, limit
):
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1))
    children = [player(f"c{i}", restart=restart) for i, restart in enumerate(restarts)]
    start(system, *children, strategy=strategy, intensity=Intensity(restarts=limit, period_s=60))

    for index, action in events:
        system.directory.tell(f"c{index % len(children)}", Do(action=action))
        gevent.sleep(0.001)
    system.stop(timeout_s=5)

    assert ActorRegistry.get_all() == []
    assert system.counters.value(RuntimeCounter.RESTARTS, "group") <= limit
    assert {view.state for view in system.directory.tree()} == {State.DOWN}
