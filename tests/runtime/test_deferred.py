"""An answer that comes later: asked now, given when something else has happened."""

import gevent
import pytest

from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.errors import ActorDeadError, AskTimeout
from stevie.runtime.reply import Deferred
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from tests.runtime.cast import Do, Note, Refusal


class Promiser(StevieActor):
    """Owes an answer to every Do, and settles all of them with the next Note."""

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)
        self._debts: list[Deferred] = []

    def handle(self, message: Do | Note) -> object:
        if isinstance(message, Do):
            self._debts.append(self.defer())
            return self._debts[-1]
        for debt in self._debts:
            if message.number < 0:
                debt.refuse(Refusal(f"no: {message.number}"))
            else:
                debt.answer(message.number)
        self._debts.clear()
        return None


@pytest.fixture
def promiser(system: ActorSystem) -> ActorSystem:
    child = ChildSpec(name="promiser", factory=Promiser)
    system.start(supervise("root", Plan(children=(child,))))
    return system


def test_an_answer_may_come_with_a_later_message(promiser: ActorSystem) -> None:
    replies = [promiser.directory.request("promiser", Do(action="owe")) for _ in range(3)]
    gevent.sleep(0)
    assert not any(reply.is_set for reply in replies)
    promiser.directory.tell("promiser", Note(number=7))
    assert [reply.get(timeout=2) for reply in replies] == [7, 7, 7]


def test_a_refusal_may_come_later_and_the_actor_lives_on(promiser: ActorSystem) -> None:
    reply = promiser.directory.request("promiser", Do(action="owe"))
    promiser.directory.tell("promiser", Note(number=-1))
    with pytest.raises(Refusal, match="no: -1"):
        reply.get(timeout=2)
    assert promiser.directory.incarnation("promiser") == 1


def test_who_asked_an_actor_that_ends_hears_that_it_did(promiser: ActorSystem) -> None:
    reply = promiser.directory.request("promiser", Do(action="owe"))
    gevent.sleep(0)
    promiser.stop()
    with pytest.raises(ActorDeadError, match="ended before it could answer"):
        reply.get(timeout=2)


def test_an_asker_who_gave_up_harms_nobody(promiser: ActorSystem) -> None:
    with pytest.raises(AskTimeout):
        promiser.directory.ask("promiser", Do(action="owe"), timeout_s=0.01)
    promiser.directory.tell("promiser", Note(number=1))
    reply = promiser.directory.request("promiser", Do(action="owe"))
    promiser.directory.tell("promiser", Note(number=2))
    assert reply.get(timeout=2) == 2


def test_an_answer_owed_to_nobody_is_given_to_nobody(promiser: ActorSystem) -> None:
    promiser.directory.tell("promiser", Do(action="owe"))
    promiser.directory.tell("promiser", Note(number=3))
    reply = promiser.directory.request("promiser", Do(action="owe"))
    promiser.directory.tell("promiser", Note(number=4))
    assert reply.get(timeout=2) == 4
