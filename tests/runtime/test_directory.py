"""Names: who is there, who is not, and what becomes of a message for nobody."""

import pytest

from stevie.runtime.errors import ActorDeadError, AskTimeout, MailboxFull
from stevie.runtime.lifecycle import State
from stevie.runtime.supervision import Plan
from stevie.runtime.supervisor import supervise
from tests.inject import ask, tell
from tests.runtime.cast import Do, Note, Player, Price, Recall, player


@pytest.fixture
def directory(system):
    system.start(supervise("root", Plan(children=(player("a"),))))
    return system.directory


def test_a_message_to_a_name_that_nobody_has_is_a_dead_letter(directory):
    assert not directory.tell("nobody", Note(number=1))

    (letter,) = directory.dead_letters.newest()
    assert (letter.actor, letter.message_type, letter.reason) == ("nobody", "Note", "unknown_name")


def test_an_ask_to_a_name_that_nobody_has_fails_at_once(directory):
    with pytest.raises(ActorDeadError, match="nobody: unknown_name"):
        directory.ask("nobody", Recall(), timeout_s=60)


def test_an_ask_to_a_full_mailbox_fails_at_once(directory):
    directory.tell("a", Do(action="hang"))
    while directory.tell("a", Note(number=1)):
        pass

    with pytest.raises(MailboxFull, match="a: all 64 places are taken"):
        directory.ask("a", Recall(), timeout_s=60)

    directory.cell("a").actor.kill("done")


def test_an_ask_that_is_not_answered_in_time_is_a_timeout(directory):
    directory.tell("a", Do(action="nap"))

    with pytest.raises(AskTimeout, match=r"a did not answer within 0.001 s") as caught:
        directory.ask("a", Recall(), timeout_s=0.001)

    assert isinstance(caught.value, TimeoutError)


def test_an_ask_with_a_message_that_may_be_replaced_is_an_error(directory):
    with pytest.raises(TypeError, match="Price is LATEST: tell it"):
        directory.ask("a", Price(symbol="A", ticks=1), timeout_s=1)


def test_the_tree_shows_each_actor_and_its_mailbox(system, directory):
    tell(system, "a", Price(symbol="A", ticks=1))
    tell(system, "a", Price(symbol="A", ticks=2))
    assert ask(system, "a", Recall()) == (2,)

    root, view = directory.tree()

    assert (root.name, root.parent, root.actor_class) == ("root", None, "Supervisor")
    assert (view.name, view.parent, view.actor_class) == ("a", "root", "Player")
    assert (view.state, view.incarnation, view.restarts) == (State.RUNNING, 1, 0)
    assert (view.mailbox_depth, view.mailbox_capacity) == (0, Player.mailbox_capacity)
    assert (view.conflated, view.refused, view.overflowed) == (1, 0, 0)
    assert view.started_at_ns > 0
