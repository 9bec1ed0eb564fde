"""The base of every message, and how a mailbox treats each kind of it.

Fields hold immutable values only (int, str, bytes, bool, enum, tuple, other messages): a message is
shared between sender and receiver, and `gc=False` is safe for such values alone. A subclass says
`frozen=True, kw_only=True, gc=False` again.
"""

from collections.abc import Hashable
from enum import Enum
from typing import Any, ClassVar, Self

import msgspec


class Delivery(Enum):
    """What a mailbox does with a message that has to wait."""

    SYSTEM = "system"  # served before all others, always accepted, lost with its incarnation
    COMMAND = "command"  # one by one in order; refused when the mailbox is full
    LATEST = "latest"  # the newest per key takes the place of the one that waits
    BATCH = "batch"  # neighbors are taken as one; bounded in bytes; a loss is declared


# What a class has to define itself for its delivery to work.
REQUIRED_METHODS = {
    Delivery.SYSTEM: (),
    Delivery.COMMAND: (),
    Delivery.LATEST: ("conflation_key",),
    Delivery.BATCH: ("size_bytes", "fold", "loss"),
}


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A frozen record that one actor tells another."""

    delivery: ClassVar[Delivery] = Delivery.COMMAND

    def __init_subclass__(cls, **config: Any) -> None:
        super().__init_subclass__(**config)
        for method in REQUIRED_METHODS[cls.delivery]:
            if not any(method in base.__dict__ for base in cls.__mro__ if base is not Message):
                raise TypeError(f"{cls.__name__} is {cls.delivery.name} but has no {method}()")

    def conflation_key(self) -> Hashable:
        """Name what this message is the latest state of (LATEST only)."""
        raise NotImplementedError

    def size_bytes(self) -> int:
        """Count the bytes that this message holds while it waits (BATCH only), at least 1."""
        raise NotImplementedError

    @classmethod
    def fold(cls, messages: tuple[Self, ...]) -> Self:
        """Make one message of two or more that waited side by side (BATCH only)."""
        raise NotImplementedError

    @classmethod
    def loss(cls, *, lost_count: int, lost_bytes: int) -> "Message":
        """Declare to the receiver that so many messages were dropped here (BATCH only)."""
        raise NotImplementedError
