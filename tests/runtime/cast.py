"""Actors and messages for tests of the runtime: they do as they are told, dying included."""

from collections.abc import Sequence
from typing import Any, ClassVar

import gevent

from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext, Substrate
from stevie.runtime.counters import Counters
from stevie.runtime.dead_letters import DeadLetters
from stevie.runtime.directory import Directory
from stevie.runtime.message import Delivery, Message
from stevie.runtime.scheduler import GreenletScheduler
from stevie.runtime.supervision import Backoff, ChildSpec

QUICK = Backoff(min_s=0.001, max_s=0.002, jitter=0.0)


class Refusal(Exception):  # noqa: N818
    """An expected no."""


class Do(Message, frozen=True, kw_only=True, gc=False):
    """Act in one of the ways of ACTIONS."""

    action: str


class Note(Message, frozen=True, kw_only=True, gc=False):
    """Remember this number."""

    number: int


class Recall(Message, frozen=True, kw_only=True, gc=False):
    """Answer with the numbers remembered by this incarnation."""


class Price(Message, frozen=True, kw_only=True, gc=False):
    """The newest per symbol counts."""

    delivery: ClassVar[Delivery] = Delivery.LATEST

    symbol: str
    ticks: int

    def conflation_key(self) -> str:
        return self.symbol


class Lost(Message, frozen=True, kw_only=True, gc=False):
    """Frames were dropped here."""

    count: int
    size_bytes: int


class Frame(Message, frozen=True, kw_only=True, gc=False):
    """Numbered bytes, folded into longer ones."""

    delivery: ClassVar[Delivery] = Delivery.BATCH

    numbers: tuple[int, ...]
    size: int = 1

    def size_bytes(self) -> int:
        return self.size

    @classmethod
    def fold(cls, messages: tuple["Frame", ...]) -> "Frame":
        numbers = tuple(n for message in messages for n in message.numbers)
        return cls(numbers=numbers, size=sum(message.size for message in messages))

    @classmethod
    def loss(cls, *, lost_count: int, lost_bytes: int) -> Lost:
        return Lost(count=lost_count, size_bytes=lost_bytes)


class OtherFrame(Frame, frozen=True, kw_only=True, gc=False):
    """Of another type: not a neighbor of a Frame."""


class Player(StevieActor):
    """Keeps a journal that outlives it, and acts as the script says: an action per incarnation."""

    mailbox_capacity = 64
    refusals = (Refusal,)

    def __init__(
        self,
        context: ActorContext,
        *,
        journal: list[str] | None = None,
        starting: Sequence[str] = (),
        stopping: Sequence[str] = (),
    ) -> None:
        super().__init__(context)
        self.numbers: list[int] = []
        self._journal = journal if journal is not None else []
        self._starting = starting
        self._stopping = stopping

    def starting(self) -> None:
        self._journal.append(f"start {self.context.name}")
        self._act_of(self._starting)

    def handle(self, message: Message) -> object:
        match message:
            case Do(action=action):
                return self._act(action)
            case Note(number=number):
                self.numbers.append(number)
            case Price(ticks=ticks):
                self.numbers.append(ticks)
            case Frame(numbers=numbers):
                self.numbers.extend(numbers)
            case Lost(count=count):
                self.numbers.append(-count)
            case Recall():
                return tuple(self.numbers)
        return None

    def stopping(self) -> None:
        self._journal.append(f"stop {self.context.name}")
        self._act_of(self._stopping)

    def _act_of(self, script: Sequence[str]) -> None:
        index = self.context.incarnation - 1
        if index < len(script):
            self._act(script[index])

    def _act(self, action: str) -> object:
        return getattr(self, f"_act_{action}")()

    def _act_ok(self) -> str:
        return "ok"

    def _act_bug(self) -> None:
        raise ZeroDivisionError("a bug")

    def _act_refusal(self) -> None:
        raise Refusal("not today")

    def _act_leaked_timeout(self) -> None:
        raise gevent.Timeout(0.001)

    def _act_exit(self) -> None:
        raise SystemExit(1)

    def _act_interrupt(self) -> None:
        raise KeyboardInterrupt

    def _act_greenlet_exit(self) -> None:
        raise gevent.GreenletExit

    def _act_leave_timeout_behind(self) -> None:
        gevent.Timeout(0.001).start()

    def _act_stop(self) -> None:
        self.stop()

    def _act_hang(self) -> None:
        gevent.sleep(3600)

    def _act_nap(self) -> None:
        gevent.sleep(0.02)

    def _act_late_bug(self) -> None:
        gevent.sleep(0.01)
        raise ZeroDivisionError("a bug")

    def _act_swallow_kill(self) -> None:
        try:
            gevent.sleep(3600)
        except gevent.GreenletExit:
            gevent.sleep(0.05)


class Born(StevieActor):
    """Cannot even be constructed."""

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)
        raise ZeroDivisionError("in the constructor")


def player(name: str, **options: Any) -> ChildSpec:
    """The spec of a Player; `restart` and the deadlines are the spec's, all else is the actor's."""
    of_spec = {
        key: options.pop(key) for key in ("restart", "start_s", "shutdown_s") if key in options
    }
    return ChildSpec(name=name, factory=Player, arguments=options, **of_spec)


def new_substrate(**replaced: Any) -> Substrate:
    """What actors stand on, without a system: tests hear the reports themselves."""
    counters = Counters()
    clock = replaced.pop("clock", LiveClock())
    return Substrate(
        clock=clock,
        rng=SeededRng(1),
        directory=Directory(clock, DeadLetters(counters)),
        counters=counters,
        scheduler=replaced.pop("scheduler", GreenletScheduler()),
    )
