"""Tell any named actor of a running tree any message, and wait for what comes of it.

The test plays whoever would have sent it: a venue's feed, a supervisor, a dying child. Everything
here has a deadline; what did not come in time fails the test with a sentence.
"""

import time
from collections.abc import Callable
from typing import Any

import gevent

from stevie.runtime.directory import ActorView
from stevie.runtime.lifecycle import State
from stevie.runtime.message import Message
from stevie.runtime.system import ActorSystem

WITHIN_S = 5.0  # far above what anything here takes, so that a loaded machine fails no test
POLL_S = 0.001


def tell(system: ActorSystem, name: str, message: Message, *, within_s: float = WITHIN_S) -> None:
    """Send the message to the actor of this name; a full mailbox is waited for."""
    assert system.directory.cell(name) is not None, f"no actor is named {name}: {names(system)}"
    wait_until(lambda: system.directory.tell(name, message), f"{name} takes it", within_s=within_s)


def ask(system: ActorSystem, name: str, message: Message, *, within_s: float = WITHIN_S) -> Any:
    """Send the message to the actor of this name and return its answer."""
    return system.directory.ask(name, message, timeout_s=within_s)


def wait_until(
    condition: Callable[[], object], what: str = "the condition", *, within_s: float = WITHIN_S
) -> None:
    """Let the actors run until the condition holds."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        gevent.sleep(POLL_S)


def wait_for_state(system: ActorSystem, name: str, state: State, *, incarnation: int = 0) -> None:
    """Let the actors run until one is in this state, in this incarnation (0: in any)."""

    def holds() -> bool:
        view = system.directory.view(name)
        return view.state is state and incarnation in {0, view.incarnation}

    wait_until(holds, f"{name} is {state.value} (incarnation {incarnation or 'any'})")


def names(system: ActorSystem) -> list[str]:
    """List the names of a tree."""
    return [view.name for view in system.directory.tree()]


def views(system: ActorSystem) -> dict[str, ActorView]:
    """Return the tree's rows by name."""
    return {view.name: view for view in system.directory.tree()}
