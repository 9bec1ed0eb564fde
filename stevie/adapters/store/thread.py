"""A thread of the operating system that does one job after the other, and tells the hub of each.

Beside gevent's own pool of one thread the hub is as late with either, within the noise of the
measurement. This one is there for what the pool does not promise: the order of jobs and of their
outcomes, a bound, never two threads at a time, and an end at which connections are closed.
"""

import os
from _queue import SimpleQueue  # the C one: gevent patches `queue.SimpleQueue`
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.event import AsyncResult, Event
from gevent.monkey import get_original

_start_new_thread: Callable[..., Any] = get_original("_thread", "start_new_thread")

Job = Callable[[], Any]


class Failed(NamedTuple):
    """What a job raised."""

    error: BaseException


class _Task(NamedTuple):
    """A job, and whom to tell on the hub of what it returned or raised."""

    job: Job
    on_done: Callable[[Any], None]
    is_last: bool = False


class JobThread:
    """Started by its first job, ended by `close`, started again by a later job; never two."""

    def __init__(self, *, jobs_max: int, at_end: Callable[[], None]) -> None:
        self.pending = 0
        """Jobs that were submitted and not told of yet."""
        self._jobs_max = jobs_max
        self._at_end = at_end  # runs on the thread, last
        self._pid = os.getpid()
        self._tasks: SimpleQueue[_Task] = SimpleQueue()  # bounded by jobs_max
        self._done: deque[tuple[_Task, Any]] = deque()  # bounded by jobs_max
        self._watcher: Any = None
        self._is_closing = False
        self._idle = Event()
        self._idle.set()

    def submit(self, job: Job, on_done: Callable[[Any], None]) -> None:
        """Have the job done after those before it; never blocks."""
        assert self.pending < self._jobs_max, f"{self.pending} jobs wait: nobody waits for outcomes"
        self._put(_Task(job, on_done))

    def call(self, job: Job) -> Any:
        """Have the job done, and let the calling greenlet wait for what it returns or raises."""
        result: AsyncResult[Any] = AsyncResult()
        self.submit(job, result.set)
        value = result.get()
        if isinstance(value, Failed):
            raise value.error
        return value

    def drain(self, timeout_s: float) -> bool:
        """Let the calling greenlet wait until all jobs are done and told of."""
        return bool(self._idle.wait(timeout_s))

    def close(self) -> None:
        """End after the jobs that wait; `drain` waits for the end as well."""
        if self._watcher is not None and not self._is_closing:
            self._is_closing = True
            self._put(_Task(self._at_end, lambda _: None, is_last=True))

    def _put(self, task: _Task) -> None:
        assert os.getpid() == self._pid, "made before a fork: threads do not survive one"
        self.pending += 1
        self._idle.clear()
        self._tasks.put(task)
        if self._watcher is None:
            self._start()

    def _start(self) -> None:
        self._watcher = gevent.get_hub().loop.async_()
        self._watcher.start(self._tell)
        _start_new_thread(self._run, (self._watcher,))

    def _run(self, watcher: Any) -> None:
        """Live on the thread."""
        is_last = False
        while not is_last:
            task = self._tasks.get()
            try:
                value = task.job()
            except BaseException as error:  # noqa: BLE001 - whoever asked for the job judges it
                value = Failed(error)
            is_last = task.is_last
            if is_last:
                _end_hub()
            self._done.append((task, value))
            watcher.send()

    def _tell(self) -> None:
        """On the hub: say what was done."""
        while self._done:
            task, value = self._done.popleft()
            self.pending -= 1
            if task.is_last:
                self._end()
            task.on_done(value)
        if self.pending == 0:
            self._idle.set()

    def _end(self) -> None:
        """The thread is gone; jobs that came after the close have another one."""
        self._watcher.stop()
        self._watcher.close()
        self._watcher = None
        self._is_closing = False
        if self.pending:
            self._start()


def _end_hub() -> None:
    """End the hub that a driver's waiting has made for this thread, if it has."""
    hub = get_hub_if_exists()
    if hub is not None:
        hub.destroy(destroy_loop=True)
