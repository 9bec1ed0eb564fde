"""Virtual time and the seeded scheduler: the same seed, the same steps."""

import pytest

from stevie.adapters.rng import SeededRng
from stevie.runtime.actor import StevieActor
from stevie.runtime.deterministic import (
    BEGUN,
    KILLED,
    DeterministicRuntime,
    SpinningError,
    Step,
    VirtualClock,
)
from stevie.runtime.lifecycle import State
from stevie.runtime.mailbox import Mailbox
from stevie.runtime.message import Message
from stevie.runtime.supervision import Backoff, ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from tests.runtime.cast import Do, Frame, Note, Recall, player

SECOND_NS = 1_000_000_000
STEADY = Backoff(min_s=1, max_s=9, jitter=0)


def lived(seed: int, *names: str) -> tuple[DeterministicRuntime, list[Step]]:
    runtime, steps = DeterministicRuntime(SeededRng(seed)), []
    runtime.scheduler.on_step = steps.append
    runtime.launch(supervise("root", Plan(children=tuple(map(player, names)), backoff=STEADY)))
    return runtime, steps


def handled(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.actor, step.what) for step in steps if step.actor != "root"]


# -- the clock -----------------------------------------------------------------------------------


def test_timers_run_in_the_order_of_their_moments_and_then_of_arming():
    clock, ran = VirtualClock(5), []
    for delay_s, name in [(2, "c"), (1, "a"), (1, "b"), (3, "late")]:
        clock.call_later(delay_s, lambda name=name: ran.append((clock.wall_ns(), name)))

    clock.advance(5 + 2 * SECOND_NS)

    assert ran == [(5 + SECOND_NS, "a"), (5 + SECOND_NS, "b"), (5 + 2 * SECOND_NS, "c")]
    assert clock.monotonic_ns() == 5 + 2 * SECOND_NS


def test_ties_are_broken_by_the_seed_if_there_is_one():
    def order(seed: int) -> list[int]:
        clock, ran = VirtualClock(ties=SeededRng(seed)), []
        for number in range(20):
            clock.call_later(1, lambda number=number: ran.append(number))
        clock.advance(SECOND_NS)
        return ran

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == list(range(20))


def test_a_cancelled_timer_neither_runs_nor_holds_time_up():
    clock, ran = VirtualClock(), []
    clock.call_later(1, lambda: ran.append(1)).cancel()

    assert clock.next_ns() is None
    clock.advance(2 * SECOND_NS)
    assert ran == []


def test_time_that_is_skipped_runs_its_timers_late_and_once():
    clock, ran = VirtualClock(), []
    clock.call_later(1, lambda: ran.append(clock.wall_ns()))

    clock.skip(7 * SECOND_NS)
    assert ran == []
    clock.advance(8 * SECOND_NS)

    assert ran == [7 * SECOND_NS]


# -- the scheduler -------------------------------------------------------------------------------


def test_the_same_seed_takes_the_same_steps_and_another_one_others():
    def history(seed: int) -> tuple[str, list[tuple[str, str]]]:
        runtime, steps = lived(seed, *"abcdef")
        for number in range(30):
            for name in "abcdef":
                runtime.system.directory.tell(name, Note(number=number))
        runtime.system.directory.tell("c", Do(action="bug"))
        runtime.run_until(3 * SECOND_NS)
        digest = runtime.scheduler.digest()
        assert runtime.stop()
        return digest, handled(steps)

    assert history(1) == history(1)
    assert history(1)[0] != history(2)[0]
    assert history(1)[1] != history(2)[1]


def test_the_digest_knows_the_content_of_a_message():
    def digest(number: int) -> str:
        runtime, _ = lived(1, "a")
        runtime.system.directory.tell("a", Note(number=number))
        runtime.settle()
        assert runtime.stop()
        return runtime.scheduler.digest()

    assert digest(1) == digest(1) != digest(2)


def test_an_ask_is_answered_without_anybody_waiting():
    runtime, _ = lived(1, "a")
    runtime.system.directory.tell("a", Note(number=4))

    reply = runtime.system.directory.request("a", Recall())

    assert not reply.is_set
    runtime.settle()
    assert reply.get(timeout=0) == (4,)
    assert runtime.stop()


def test_a_held_actor_gets_no_turn_and_finds_its_frames_folded_into_one():
    runtime, steps = lived(1, "a")
    runtime.scheduler.hold("a")
    for number in range(3):
        runtime.system.directory.tell("a", Frame(numbers=(number,)))
        runtime.settle()
    assert handled(steps) == [("a", BEGUN)]
    assert runtime.waiting() == ()

    runtime.scheduler.release("a")
    runtime.settle()

    assert handled(steps)[1:] == [("a", "Frame")]
    assert steps[-1].message == Frame(numbers=(0, 1, 2), size=3)
    assert runtime.stop()


def test_a_killed_actor_dies_at_its_next_turn_and_is_restarted_in_virtual_time():
    runtime, steps = lived(1, "a")
    cell = runtime.system.directory.cell("a")
    cell.actor.kill("enough")
    runtime.settle()
    assert (cell.state, cell.last_reason) == (State.DOWN, "enough")

    runtime.system.directory.tell("a", Note(number=1))  # waits for the next incarnation
    runtime.run_until(SECOND_NS)

    assert handled(steps) == [("a", BEGUN), ("a", KILLED), ("a", BEGUN), ("a", "Note")]
    assert cell.incarnation == 2
    assert runtime.stop()


def test_an_actor_killed_before_its_first_turn_never_begins():
    runtime = DeterministicRuntime(SeededRng(1))
    runtime.system.launch(player("a"))
    runtime.system.directory.cell("a").actor.kill("too early")

    runtime.settle()

    assert runtime.system.root_is_dead()
    assert runtime.system.directory.view("a").last_reason == "too early"


def test_a_batch_that_cannot_be_folded_ends_one_incarnation_only(monkeypatch):
    def unfoldable(*_: object) -> Frame:
        raise ValueError("unfoldable")

    runtime, _ = lived(1, "a")
    runtime.scheduler.hold("a")
    for number in range(2):
        runtime.system.directory.tell("a", Frame(numbers=(number,)))
    monkeypatch.setattr(Frame, "fold", unfoldable)
    runtime.scheduler.release("a")
    runtime.run_until(2 * SECOND_NS)

    view = runtime.system.directory.view("a")
    assert (view.state, view.incarnation) == (State.RUNNING, 2)
    assert view.last_reason == "ValueError: unfoldable"
    assert runtime.stop()


class Echo(StevieActor):
    """Tells itself whatever it is told, for ever."""

    mailbox_capacity = 4

    def handle(self, message: Message) -> None:
        self.tell(self.context.name, message)


def test_actors_that_never_come_to_rest_are_found():
    runtime = DeterministicRuntime(SeededRng(1))
    runtime.launch(ChildSpec(name="echo", factory=Echo))
    runtime.system.directory.tell("echo", Note(number=1))

    with pytest.raises(SpinningError, match="100000 steps at 0 ns"):
        runtime.settle()

    runtime.system.directory.cell("echo").actor.kill("enough")
    runtime.settle()


def test_a_lost_wake_up_is_told():
    runtime, _ = lived(1, "a")
    runtime.system.directory.cell("a").mailbox.wake = None

    runtime.system.directory.tell("a", Note(number=1))
    runtime.settle()

    assert runtime.waiting() == ("a",)
    assert runtime.stop()  # its supervisor kills it when it does not hear


def test_a_tree_that_will_not_stop_is_cut_off(monkeypatch):
    runtime, _ = lived(1, "a", "b")
    monkeypatch.setattr(Mailbox, "put", lambda *_: None)  # nobody hears of the stop

    assert not runtime.stop()
    assert {row.state for row in runtime.system.directory.tree()} == {State.DOWN}
