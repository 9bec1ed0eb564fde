"""A tree comes up whole or not at all, and goes down in reverse, whatever waits."""

import gevent
import pytest
from pykka import ActorRegistry

from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.runtime.errors import ActorDeadError, StartFailed
from stevie.runtime.lifecycle import State
from stevie.runtime.supervision import Intensity, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from tests.inject import names, tell, views, wait_until
from tests.runtime.cast import QUICK, Do, Note, Player, Recall, player


def root_of(*children, **rules):
    return supervise("root", Plan(children=children, **rules))


def test_a_tree_starts_in_order_and_stops_in_reverse(system):
    journal = []
    group = supervise("group", Plan(children=tuple(player(n, journal=journal) for n in "ab")))

    system.start(root_of(group, player("c", journal=journal)))
    assert names(system) == ["root", "group", "a", "b", "c"]
    assert system.stop(timeout_s=2)

    assert journal == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]
    assert ActorRegistry.get_all() == []
    assert {view.state for view in system.directory.tree()} == {State.DOWN}


def test_a_stop_with_a_full_mailbox_is_quick_and_what_waited_is_accounted_for(system):
    system.start(root_of(player("a")))
    tell(system, "a", Do(action="nap"))
    gevent.sleep(0)
    for number in range(Player.mailbox_capacity - 1):
        tell(system, "a", Note(number=number))
    reply = system.directory.request("a", Recall())

    assert system.stop(timeout_s=2)

    with pytest.raises(ActorDeadError, match="a stopped before it handled"):
        reply.get(timeout=0)
    counts = system.directory.dead_letters.counts()
    assert counts["a", "Note", "stopped"] == Player.mailbox_capacity - 1


def test_a_tree_that_does_not_stop_in_time_is_killed(system):
    system.start(root_of(player("a", stopping=["hang"])))

    assert not system.stop(timeout_s=0.01)

    assert ActorRegistry.get_all() == []
    assert system.root_is_dead()


def test_a_tree_that_does_not_come_up_in_time_is_taken_down(system):
    with pytest.raises(StartFailed, match=r"not up within 0.01 s"):
        system.start(root_of(player("a", starting=["hang"], shutdown_s=0)), timeout_s=0.01)

    assert ActorRegistry.get_all() == []


def test_a_stop_that_was_asked_for_is_no_death_of_the_root(system):
    deaths = []
    system.on_root_down(deaths.append)
    system.start(root_of(player("a")))

    system.stop(timeout_s=2)
    gevent.sleep(0.001)

    assert deaths == []
    assert system.root_is_dead()


def test_a_death_of_the_root_is_called_back_once(system):
    deaths = []
    system.on_root_down(deaths.append)
    system.start(root_of(player("a"), intensity=Intensity(restarts=0)))
    assert not system.root_is_dead()

    tell(system, "a", Do(action="exit"))
    wait_until(lambda: deaths)

    assert [death.name for death in deaths] == ["root"]
    assert system.root_is_dead()


def test_stopping_twice_or_before_a_start_is_harmless(system):
    assert system.stop()
    system.start(root_of(player("a")))

    assert system.stop(timeout_s=2)
    assert system.stop(timeout_s=2)
    assert views(system)["a"].incarnation == 1


def test_whoever_built_the_system_hears_of_each_restart():
    heard = []
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1), on_restart=heard.append)
    system.start(root_of(player("patient"), backoff=QUICK))
    try:
        tell(system, "patient", Do(action="bug"))
        wait_until(lambda: system.directory.incarnation("patient") == 2)
    finally:
        system.stop()
    assert [(restart.name, restart.reason) for restart in heard] == [
        ("patient", "ZeroDivisionError: a bug")
    ]
