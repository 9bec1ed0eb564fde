"""Time and chance as the runtime takes them: arguments, never ambient."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that waits for its moment."""

    def cancel(self) -> None:
        """Forget the callback; harmless when it has run already."""


class Clock(Protocol):
    """What time it is, and a way to be called later."""

    def wall_ns(self) -> int:
        """Return nanoseconds since the epoch, UTC; may jump."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back; only differences mean anything."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run the callback once, `delay_s` from now; it must not wait for anything."""
        ...


class Rng(Protocol):
    """A seeded source of chance; every actor has a stream of its own."""

    def random(self) -> float:
        """Return a float in [0, 1)."""
        ...

    def uniform(self, a: float, b: float, /) -> float:
        """Return a float between a and b."""
        ...

    def randrange(self, start: int, stop: int, /) -> int:
        """Return an integer in [start, stop)."""
        ...

    def fork(self, name: str) -> "Rng":
        """Return the independent stream of this name: same seed and name, same stream."""
        ...
