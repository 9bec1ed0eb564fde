"""One tree of actors: brought up, watched at its root, taken down."""

import logging
from collections.abc import Callable

import gevent
from gevent.event import Event
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from stevie.runtime.clock import Clock, Rng
from stevie.runtime.context import Substrate
from stevie.runtime.counters import Counters
from stevie.runtime.dead_letters import DeadLetters
from stevie.runtime.directory import Directory
from stevie.runtime.errors import StartFailed
from stevie.runtime.lifecycle import ChildDown, ChildStarted
from stevie.runtime.message import Message
from stevie.runtime.scheduler import GreenletScheduler, Scheduler
from stevie.runtime.supervision import ChildSpec, NoteRestart

log = logging.getLogger("stevie.runtime")

START_S = 60.0  # the tree is up or has failed by then
STOP_S = 30.0  # the tree is down by then, or is killed
KILL_GRACE_S = 5.0  # for a killed tree to fall, leaf by leaf


class ActorSystem:
    """The only place of the runtime that waits: for its tree to be up, and to be gone."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: Rng,
        counters: Counters | None = None,
        scheduler: Scheduler | None = None,
        on_restart: Callable[[NoteRestart], object] = lambda _: None,
    ) -> None:
        self.counters = counters if counters is not None else Counters()
        self.directory = Directory(clock, DeadLetters(self.counters))
        self._substrate = Substrate(
            clock=clock,
            rng=rng,
            directory=self.directory,
            counters=self.counters,
            scheduler=scheduler if scheduler is not None else GreenletScheduler(),
            on_restart=on_restart,
        )
        self._root: ChildSpec | None = None
        self._settled = Event()  # up, or down
        self._down = Event()
        self._last_down: ChildDown | None = None
        self._is_expected_down = False
        self._on_root_down: list[Callable[[ChildDown], None]] = []

    def start(self, root: ChildSpec, *, timeout_s: float = START_S) -> None:
        """Bring the tree up; StartFailed if it does not come, and nothing of it is left."""
        self._is_expected_down = True  # until it is up, its end is this caller's news
        self.launch(root)
        if not self._settled.wait(timeout_s):
            self.stop()
            raise StartFailed(f"{root.name}: not up within {timeout_s:g} s")
        if self._last_down is not None:
            self.directory.close(root.name)
            raise StartFailed(f"{root.name}: {self._last_down.reason}")
        self._is_expected_down = False

    def launch(self, root: ChildSpec) -> None:
        """Begin to bring the tree up, and return at once."""
        assert self._root is None, "a system carries one tree, once"
        self._root = root
        self._substrate.spawn(root, parent=None, incarnation=1, report=self._hear_root)

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Take the tree down in reverse order; False if it had to be killed."""
        if self._root is None:
            return True
        self.ask_to_stop()
        is_clean = self._down.wait(timeout_s)
        if not is_clean:
            log.error("system_stop_overdue", extra={"timeout_s": timeout_s})
            self._kill_root(self._root.name)
        self.directory.close(self._root.name)
        return is_clean

    def ask_to_stop(self) -> None:
        """Begin to take the tree down, and return at once."""
        if self._root is not None:
            self._is_expected_down = True
            self._ask_root_to_stop(self._root.name)

    def on_root_down(self, callback: Callable[[ChildDown], None]) -> None:
        """Call back, on a greenlet of its own, if the root dies without being asked to."""
        self._on_root_down.append(callback)

    def root_is_dead(self) -> bool:
        """Say whether the tree has come down, asked or not."""
        return self._down.is_set()

    def _hear_root(self, message: Message) -> None:
        match message:
            case ChildStarted():
                self._settled.set()
            case ChildDown():
                self._on_down(message)
            case _:
                raise AssertionError(f"the root reported {message!r}")

    def _on_down(self, down: ChildDown) -> None:
        self._last_down = down
        self._settled.set()
        self._down.set()
        if not self._is_expected_down:
            log.critical("root_died", extra={"actor": down.name, "reason": down.reason})
            for callback in self._on_root_down:
                gevent.spawn(callback, down)

    def _ask_root_to_stop(self, name: str) -> None:
        cell = self.directory.cell(name)
        if cell is not None and cell.actor is not None:
            cell.mailbox.put(Envelope(_ActorStop()))

    def _kill_root(self, name: str) -> None:
        cell = self.directory.cell(name)
        if cell is not None and cell.actor is not None:
            cell.actor.kill("the system was stopped")
            self._down.wait(KILL_GRACE_S)
