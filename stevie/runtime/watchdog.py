"""A watch on the hub from outside it: how late its timers run, and an end to a process that hangs.

A greenlet that spins, or waits in a call that gevent did not patch, freezes every actor at once; no
timer, ask or supervisor can notice. A thread of the operating system can: it prints where all
stands and ends the process. What it cannot see is a C call that keeps the GIL: it comes back first.
"""

import faulthandler
import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import gevent
from gevent.monkey import get_original

from stevie.runtime.actor import StevieActor

LIMIT_S = 10.0  # a hub that has not turned for so long will not turn again
TICK_S = 0.05  # the hub notes that it turns; its lag is known to this resolution's jitter
POLLS_PER_LIMIT = 20  # so a frozen hub is found within 5 % of the limit
STDERR = 2  # the file itself, whatever sys.stderr has become
EXIT_CODE = 3  # gunicorn halts on it instead of starting worker after worker

# gevent replaced these: the watch must not depend on the hub that it watches.
_start_new_thread: Callable[..., Any] = get_original("_thread", "start_new_thread")
_allocate_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
_get_ident: Callable[[], int] = get_original("_thread", "get_ident")
_monotonic: Callable[[], float] = get_original("time", "monotonic")

# An actor's greenlet has one of these at its bottom, with the actor in `self`.
_ACTOR_CODES: frozenset[CodeType] = frozenset({StevieActor.run.__code__})


class Watchdog:
    """Watches the hub of the thread that starts it."""

    def __init__(self, *, limit_s: float = LIMIT_S, tick_s: float = TICK_S) -> None:
        assert limit_s > tick_s, (limit_s, tick_s)
        self.lag_last_s = 0.0
        """How late the hub came to its latest tick."""
        self.lag_max_s = 0.0
        """The worst of that since the start, or since `take_lag_max_s`."""
        self._limit_s = limit_s
        self._tick_s = tick_s
        self._ticked_at_s = 0.0
        self._timer: Any = None
        self._hub_thread = 0
        self._is_watching: Any = None  # a lock, held while the thread is to go on

    def start(self) -> None:
        """Begin to watch; call it on the hub's own thread, after any fork."""
        assert self._timer is None, "started twice"
        self._hub_thread = _get_ident()
        self._ticked_at_s = _monotonic()
        self._timer = gevent.get_hub().loop.timer(self._tick_s, self._tick_s)
        self._timer.start(self._tick)
        self._is_watching = _allocate_lock()
        self._is_watching.acquire()
        _start_new_thread(self._watch, (self._is_watching,))

    def stop(self) -> None:
        """Watch no longer; the thread ends at once. Harmless when nothing is watched."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
            self._is_watching.release()

    def take_lag_max_s(self) -> float:
        """Return the worst lag since this was last asked."""
        lag_max_s, self.lag_max_s = self.lag_max_s, 0.0
        return lag_max_s

    def _tick(self) -> None:
        now_s = _monotonic()
        self.lag_last_s = max(0.0, now_s - self._ticked_at_s - self._tick_s)
        self.lag_max_s = max(self.lag_max_s, self.lag_last_s)
        self._ticked_at_s = now_s

    def _watch(self, is_watching: Any) -> None:
        while not is_watching.acquire(timeout=self._limit_s / POLLS_PER_LIMIT):
            silent_s = _monotonic() - self._ticked_at_s
            if silent_s > self._limit_s:
                self._end_process(silent_s)

    def _end_process(self, silent_s: float) -> None:
        frame = sys._current_frames().get(self._hub_thread)
        text = f"watchdog: the hub has not turned for {silent_s:.1f} s; {whose(frame)}\n"
        # Not logged: a logger may wait for a lock that the frozen hub holds.
        os.write(STDERR, text.encode())
        faulthandler.dump_traceback(file=STDERR, all_threads=True)
        os._exit(EXIT_CODE)


def whose(frame: FrameType | None) -> str:
    """Name the actor on whose greenlet this frame runs, if it is one."""
    while frame is not None:
        if frame.f_code in _ACTOR_CODES:
            actor = frame.f_locals["self"]
            return f"it runs {type(actor).__name__} {actor.context.name}"
        frame = frame.f_back
    return "it runs no actor"
