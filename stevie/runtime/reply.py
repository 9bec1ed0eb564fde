"""The answer to an ask, on gevent's own primitives.

PERF: Pykka's ThreadingFuture builds a Condition for each ask, a dozen objects under gevent.
"""

import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import gevent
from gevent.hub import Waiter
from pykka import Future

from stevie.runtime.errors import AskTimeout

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_SETTLED, _LATE = object(), object()  # what wakes a waiter


class Reply(Future[Any]):
    """A value or an exception that arrives once; any greenlets of this thread may wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._waiters: list[Waiter[object]] = []

    @property
    def is_set(self) -> bool:
        """Say whether `get` would return at once."""
        return self._is_set

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the value or raise the exception; AskTimeout when neither came in time."""
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._is_set:
            self._wait(timeout)
        if self._error is not None:
            raise self._error
        return self._value

    def _wait(self, timeout_s: float | None) -> None:
        waiter: Waiter[object] = Waiter()
        self._waiters.append(waiter)
        hub = gevent.get_hub()
        timer = None if timeout_s is None else hub.loop.timer(max(0.0, timeout_s))
        try:
            if timer is not None:
                timer.start(partial(waiter.switch, _LATE), update=True)
            if waiter.get() is _LATE:
                raise AskTimeout(f"no answer within {timeout_s} s")
        finally:
            self._waiters.remove(waiter)
            if timer is not None:
                timer.stop()
                timer.close()

    def set(self, value: Any = None) -> None:
        """Answer with a value."""
        self._settle(value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an exception, the one being handled if none is given."""
        info: ExcInfo = exc_info if exc_info is not None else sys.exc_info()
        kind, error, _ = info
        assert kind is not None
        self._settle(None, error if error is not None else kind())

    def _settle(self, value: Any, error: BaseException | None) -> None:
        assert not self._is_set, "an ask is answered once"
        self._is_set = True
        self._value = value
        self._error = error
        loop = gevent.get_hub().loop
        for waiter in self._waiters:
            loop.run_callback(waiter.switch, _SETTLED)


class Deferred:
    """An answer that a handler owes: it returns this, and answers or refuses once, later."""

    __slots__ = ("_on_settled", "_reply")

    def __init__(self, on_settled: Callable[["Deferred"], object]) -> None:
        self._on_settled = on_settled
        self._reply: Future[Any] | None = None

    def bind(self, reply: Future[Any] | None) -> None:
        """Take the asker's reply; None if nobody asked."""
        self._reply = reply

    def answer(self, value: object) -> None:
        """Answer; immutable, like every answer."""
        self._on_settled(self)
        if self._reply is not None:
            self._reply.set(value)

    def refuse(self, error: Exception) -> None:
        """Answer with a refusal."""
        self._on_settled(self)
        if self._reply is not None:
            self._reply.set_exception((type(error), error, None))
