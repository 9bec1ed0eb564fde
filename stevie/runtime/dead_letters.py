"""Messages that nobody will handle: the last of them, and counts of all."""

from collections import deque
from typing import NamedTuple

from stevie.runtime.counters import Counters, RuntimeCounter

# The newest dead letters kept for people to look at: a screen's scroll, some 100 kB.
RING_CAPACITY = 1024
# Distinct (actor, message type, reason) counted; names come from specs, so this is never reached
# but by a sender that invents names.
KINDS_MAX = 4096


class DeadLetter(NamedTuple):
    """One message that arrived nowhere; of the message itself just the type is kept."""

    actor: str
    message_type: str
    reason: str
    at_ns: int


class DeadLetters:
    """A ring of the newest dead letters and a count by (actor, message type, reason)."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._ring: deque[DeadLetter] = deque(maxlen=RING_CAPACITY)
        self._counts: dict[tuple[str, str, str], int] = {}

    def record(self, *, actor: str, message: object, reason: str, at_ns: int) -> None:
        """Keep and count one message that was for `actor`."""
        letter = DeadLetter(actor, type(message).__name__, reason, at_ns)
        self._ring.append(letter)
        self._count(letter)
        self._counters.add(RuntimeCounter.DEAD_LETTERS, reason)

    def _count(self, letter: DeadLetter) -> None:
        kind = (letter.actor, letter.message_type, letter.reason)
        if kind not in self._counts and len(self._counts) >= KINDS_MAX:
            kind = ("other", "other", letter.reason)
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def newest(self) -> tuple[DeadLetter, ...]:
        """Return the letters of the ring, oldest first."""
        return tuple(self._ring)

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return how many there were by (actor, message type, reason)."""
        return dict(self._counts)
