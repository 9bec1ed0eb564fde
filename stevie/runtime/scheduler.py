"""What gives actors their turns: a greenlet for each, here; a seeded scheduler elsewhere."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import gevent

from stevie.runtime.lifecycle import Phase
from stevie.runtime.mailbox import Mail


class Steppable(Protocol):
    """What a scheduler needs of an actor: to `run` it, or to `begin` it and `step` it itself."""

    @property
    def is_over(self) -> bool:
        """Say whether there is nothing left to step."""
        ...

    def run(self) -> None:
        """Live from start to end, on this greenlet."""

    def begin(self) -> None:
        """Start; raises nothing."""

    def step(self, mail: Mail) -> None:
        """Handle one message of the mailbox; raises nothing."""

    def fail(self, error: BaseException, phase: Phase) -> None:
        """Begin the end: of GreenletExit, a kill."""

    def vanish(self) -> None:
        """Report the end if the actor has not: its greenlet is no more."""


class Running(Protocol):
    """One incarnation being run."""

    def kill(self) -> None:
        """Have it end as soon as it gives way; never blocks."""


class Scheduler(Protocol):
    """Runs incarnations."""

    def launch(self, actor: Steppable) -> Running:
        """Begin to run one; it must not run before this returns."""
        ...


if TYPE_CHECKING:
    PlainGreenlet = gevent.Greenlet[[], None]
else:
    PlainGreenlet = gevent.Greenlet  # generic for type checkers only


class ActorGreenlet(PlainGreenlet):
    """A greenlet that is an actor, so that an ask from inside one can be told apart."""


class RunningGreenlet:
    """An incarnation on its own greenlet."""

    def __init__(self, greenlet: ActorGreenlet) -> None:
        self._greenlet = greenlet

    def kill(self) -> None:
        """Raise GreenletExit in it at the hub's next turn."""
        self._greenlet.kill(block=False)


class GreenletScheduler:
    """A greenlet for each incarnation."""

    def launch(self, actor: Steppable) -> RunningGreenlet:
        """Begin to run one in the hub's next turn."""
        greenlet = ActorGreenlet(actor.run)
        # A greenlet killed before its first turn never runs at all: only the link hears of it.
        greenlet.rawlink(_vanishing(actor))
        greenlet.start()
        return RunningGreenlet(greenlet)


def _vanishing(actor: Steppable) -> Callable[[object], None]:
    return lambda _: actor.vanish()


def is_inside_actor() -> bool:
    """Say whether the caller runs on an actor's own greenlet."""
    return isinstance(gevent.getcurrent(), ActorGreenlet)
