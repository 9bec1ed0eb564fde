"""Actors run on greenlets here, but nothing in them knows: any scheduler can step them."""

import heapq
from collections.abc import Callable

import gevent
from gevent import GreenletExit

from stevie.adapters.rng import SeededRng
from stevie.runtime.actor import StevieActor
from stevie.runtime.lifecycle import Phase, State
from stevie.runtime.scheduler import ActorGreenlet, is_inside_actor
from stevie.runtime.supervision import Backoff, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from tests.inject import views
from tests.runtime.cast import Do, Note, Recall, player


class HeapClock:
    """Time that moves from timer to timer."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.cancelled: set[int] = set()
        self.count = 0

    def wall_ns(self) -> int:
        return self.now_ns

    monotonic_ns = wall_ns

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> "HeapTimer":
        self.count += 1
        heapq.heappush(self.heap, (self.now_ns + int(delay_s * 1e9), self.count, callback))
        return HeapTimer(self, self.count)

    def advance(self, seconds: float, settle: Callable[[], None]) -> None:
        end_ns = self.now_ns + int(seconds * 1e9)
        while self.heap and self.heap[0][0] <= end_ns:
            self.now_ns, number, callback = heapq.heappop(self.heap)
            if number not in self.cancelled:
                callback()
                settle()
        self.now_ns = end_ns


class HeapTimer:
    def __init__(self, clock: HeapClock, number: int) -> None:
        self.clock = clock
        self.number = number

    def cancel(self) -> None:
        self.clock.cancelled.add(self.number)


class Stepper:
    """Steps whoever has a message, one at a time, on the caller's own greenlet."""

    def __init__(self) -> None:
        self.actors: list[StevieActor] = []
        self.unborn: list[StevieActor] = []

    def launch(self, actor: StevieActor) -> "SteppedActor":
        self.unborn.append(actor)
        return SteppedActor(actor)

    def settle(self) -> None:
        """Step until nobody has anything to do."""
        while self.step_one():
            pass

    def step_one(self) -> bool:
        if self.unborn:
            actor = self.unborn.pop(0)
            self.actors.append(actor)
            actor.begin()
            return True
        self.actors = [actor for actor in self.actors if not actor.is_over]
        for actor in self.actors:
            if (mail := actor.context.cell.mailbox.poll()) is not None:
                actor.step(mail)
                return True
        return False


class SteppedActor:
    def __init__(self, actor: StevieActor) -> None:
        self.actor = actor

    def kill(self) -> None:
        self.actor.fail(GreenletExit(), Phase.WAITING)


def test_a_supervised_tree_lives_and_recovers_without_a_single_greenlet():
    clock, stepper = HeapClock(), Stepper()
    system = ActorSystem(clock=clock, rng=SeededRng(1), scheduler=stepper)
    plan = Plan(children=(player("a"), player("b")), backoff=Backoff(min_s=1, max_s=9, jitter=0))
    system.launch(supervise("root", plan))
    stepper.settle()
    for message in [Note(number=1), Do(action="bug"), Note(number=2)]:
        system.directory.tell("a", message)
    stepper.settle()
    assert views(system)["a"].state is State.DOWN
    clock.advance(0.9, stepper.settle)
    assert views(system)["a"].state is State.DOWN

    clock.advance(0.1, stepper.settle)
    reply = system.directory.request("a", Recall())
    stepper.settle()

    assert reply.get(timeout=0) == (2,)
    assert (views(system)["a"].incarnation, views(system)["b"].incarnation) == (2, 1)
    system.directory.cell("root").actor.kill("done")
    stepper.settle()
    assert system.root_is_dead()
    assert {view.state for view in system.directory.tree()} == {State.DOWN}


def test_it_is_known_whether_the_caller_is_an_actor():
    inside = ActorGreenlet(is_inside_actor)
    inside.start()

    assert inside.get(timeout=2)
    assert not is_inside_actor()
    assert not gevent.spawn(is_inside_actor).get(timeout=2)
