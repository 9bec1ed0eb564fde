"""What actors and their supervisors tell each other, and the states of an incarnation."""

from enum import Enum
from typing import ClassVar

from stevie.runtime.message import Delivery, Message


class State(Enum):
    """Where the present incarnation of a named actor stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DOWN = "down"


class Phase(Enum):
    """What an incarnation was doing when its end began."""

    STARTING = "starting"
    WAITING = "waiting"  # for its next message
    TELL = "tell"
    ASK = "ask"
    STOPPING = "stopping"


class Cause(Enum):
    """Why an incarnation ended."""

    STOPPED = "stopped"  # it was asked to, and nothing went wrong
    REFUSED = "refused"  # an expected no, where nobody was there to be answered
    BUG = "bug"
    KILLED = "killed"
    ESCALATED = "escalated"  # a supervisor gave up


class ChildStarted(Message, frozen=True, kw_only=True, gc=False):
    """A child is ready for its messages."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    name: str
    incarnation: int


class ChildDown(Message, frozen=True, kw_only=True, gc=False):
    """An incarnation is over; told exactly once for each."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    name: str
    incarnation: int
    phase: Phase
    cause: Cause
    reason: str

    @property
    def is_normal(self) -> bool:
        """Say whether it ended because it should."""
        return self.cause is Cause.STOPPED


class Ping(Message, frozen=True, kw_only=True, gc=False):
    """Asks a child for a sign of life."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM


class Pong(Message, frozen=True, kw_only=True, gc=False):
    """A child's sign of life."""

    delivery: ClassVar[Delivery] = Delivery.SYSTEM

    name: str
    incarnation: int
