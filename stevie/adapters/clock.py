"""The live clock: the machine's time, timers on gevent's loop."""

import time
from collections.abc import Callable

import gevent


class LoopTimer:
    """One shot on the hub's loop; its callback runs in the hub and must not wait."""

    __slots__ = ("_callback", "_watcher")

    def __init__(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._watcher = gevent.get_hub().loop.timer(max(0.0, delay_s))
        # The loop's own idea of now is as old as its last turn: without an update, a timer armed
        # late in a long turn fires early.
        self._watcher.start(self._fire, update=True)

    def _fire(self) -> None:
        self.cancel()
        self._callback()

    def cancel(self) -> None:
        """Forget the callback; harmless when it has run already."""
        self._watcher.stop()
        self._watcher.close()


class LiveClock:
    """Wall time, monotonic time and timers of this machine."""

    # PERF: the functions themselves, so that a reading costs no second call.
    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> LoopTimer:
        """Run the callback once in the hub, `delay_s` from now."""
        return LoopTimer(delay_s, callback)
