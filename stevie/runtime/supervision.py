"""Supervision as data and rules: (state, event) -> effects, with time and chance as arguments.

Nothing here starts, stops or tells anything; `supervisor.py` carries the effects out. The rules are
OTP's, with back-off, deadlines and heartbeats added:

- Children start in the order of the plan, each once the one before it is up; they stop in reverse.
- A first start that fails fails the supervisor: a tree that cannot come up says so at once.
- A child that dies is restarted as its `Restart` and the `Strategy` say, after a back-off. More
  than `Intensity` allows, and the supervisor gives up: it stops its children and dies.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar, Protocol

import msgspec

from stevie.runtime.clock import Rng
from stevie.runtime.lifecycle import Cause, ChildDown, ChildStarted, Phase, Pong
from stevie.runtime.message import Delivery, Message

HEARTBEAT_S = 1.0  # a child is asked this often for a sign of life
PINGS_MISSED_MAX = 5  # a child silent for so many heartbeats hangs
KILL_S = 1.0  # a killed greenlet dies in its next turn; one that does not swallows its death
CHILDREN_MAX = 200  # of one supervisor: each may hold an alarm of every kind, within TIMERS_MAX
DOUBLINGS_MAX = 32  # 2**32 times any back-off is beyond any `max_s`


class Restart(Enum):
    """When a child that ended comes back."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # unless it ended well
    TEMPORARY = "temporary"  # never


class Strategy(Enum):
    """Who is restarted with a child that died."""

    ONE_FOR_ONE = "one_for_one"  # nobody else
    REST_FOR_ONE = "rest_for_one"  # those that started after it
    ONE_FOR_ALL = "one_for_all"  # all


class Startable(Protocol):
    """What a spec starts: an actor class."""

    mailbox_capacity: ClassVar[int]
    mailbox_bytes_max: ClassVar[int]

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> object:
        """Start one incarnation."""


def _require(condition: object, owner: object, field: str, *, want: str) -> None:
    if not condition:
        raise ValueError(
            f"{type(owner).__name__}.{field}: expected {want}, was {getattr(owner, field)!r}"
        )


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How to start one child, when to restart it, and how long it may take to come and go."""

    name: str
    factory: type[Startable]
    arguments: Mapping[str, object] = {}
    restart: Restart = Restart.PERMANENT
    start_s: float = 10.0  # math.inf: no deadline, as for supervisors
    shutdown_s: float = 5.0  # 0: killed at once; math.inf: no deadline

    def __post_init__(self) -> None:
        _require(self.name, self, "name", want="a name")
        _require(self.start_s > 0, self, "start_s", want="seconds > 0")
        _require(self.shutdown_s >= 0, self, "shutdown_s", want="seconds >= 0")
        _require(isinstance(self.restart, Restart), self, "restart", want="a Restart")


class Intensity(msgspec.Struct, frozen=True, kw_only=True):
    """So many restarts are tolerated in a period; one more means giving up."""

    restarts: int = 5
    period_s: float = 30.0

    def __post_init__(self) -> None:
        _require(self.restarts >= 0, self, "restarts", want="a count >= 0")
        _require(self.period_s > 0, self, "period_s", want="seconds > 0")


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before a restart: doubling, bounded, jittered."""

    min_s: float = 0.2
    max_s: float = 30.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        _require(self.min_s >= 0, self, "min_s", want="seconds >= 0")
        _require(self.max_s >= self.min_s, self, "max_s", want=f"seconds >= min_s {self.min_s}")
        _require(0 <= self.jitter <= 1, self, "jitter", want="a share from 0 to 1")

    def delay_s(self, attempt: int, rng: Rng) -> float:
        """Return the wait before restart number `attempt` (from 0) in a row."""
        doubled_s = self.min_s * 2.0 ** min(attempt, DOUBLINGS_MAX)
        return min(self.max_s, doubled_s) * (1 + rng.uniform(0.0, self.jitter))

    @property
    def proven_s(self) -> float:
        """A child that lived longer than this starts its back-off anew."""
        return (self.min_s + self.max_s) / 2


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A supervisor's children and its rules for them."""

    children: tuple[ChildSpec, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = Intensity()
    backoff: Backoff = Backoff()

    def __post_init__(self) -> None:
        _require(isinstance(self.strategy, Strategy), self, "strategy", want="a Strategy")
        _require(len(self.children) <= CHILDREN_MAX, self, "children", want=f"<= {CHILDREN_MAX}")
        names = [child.name for child in self.children]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"Plan.children: expected distinct names, repeated {repeated}")


# Events. ChildStarted, ChildDown and Pong are events as well.


class Begin(msgspec.Struct, frozen=True):
    """Start the children."""


class StopRequested(msgspec.Struct, frozen=True):
    """Stop the children, then end well."""


class SelfFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor itself is dying: its children go first, killed if it was."""

    cause: Cause
    reason: str


class AlarmKind(Enum):
    """What an alarm is for."""

    START = "start"  # a child took too long to start
    STOP = "stop"  # a child took too long to stop
    KILL = "kill"  # a child outlived its kill
    BACKOFF = "backoff"  # a restart is due
    HEARTBEAT = "heartbeat"  # time to ping


class Alarm(Message, frozen=True, kw_only=True, gc=False):
    """A time that a supervisor set itself has come."""

    delivery = Delivery.SYSTEM

    kind: AlarmKind
    name: str = ""
    incarnation: int = 0


Event = Begin | StopRequested | SelfFailed | ChildStarted | ChildDown | Pong | Alarm


# Effects.


class StartChild(msgspec.Struct, frozen=True, kw_only=True):
    """Start this incarnation."""

    spec: ChildSpec
    incarnation: int


class StopChild(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the child to stop."""

    name: str


class KillChild(msgspec.Struct, frozen=True, kw_only=True):
    """End the child's greenlet now."""

    name: str
    reason: str


class AbandonChild(msgspec.Struct, frozen=True, kw_only=True):
    """Fence the child off: it outlived its kill."""

    name: str


class RetireChild(msgspec.Struct, frozen=True, kw_only=True):
    """The child does not come back: close its mailbox."""

    name: str


class PingChild(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the child for a sign of life."""

    name: str


class SetAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """Come back with this alarm; it takes the place of one of the same kind and name."""

    alarm: Alarm
    delay_s: float


class NoteRestart(msgspec.Struct, frozen=True, kw_only=True):
    """A restart was decided; say so."""

    name: str
    delay_s: float
    reason: str


class ReportUp(msgspec.Struct, frozen=True):
    """All children are up for the first time."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """All children are down: the supervisor ends."""

    cause: Cause
    reason: str


Effect = (
    StartChild
    | StopChild
    | KillChild
    | AbandonChild
    | RetireChild
    | PingChild
    | SetAlarm
    | NoteRestart
    | ReportUp
    | End
)


class Status(Enum):
    """Where a child stands in its supervisor's eyes."""

    IDLE = "idle"  # down, to be started in its turn
    WAITING = "waiting"  # down, until its back-off is over
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"  # asked to stop
    KILLED = "killed"  # to die any moment
    GONE = "gone"  # down for good


ALIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING, Status.KILLED})
SETTLED = frozenset({Status.RUNNING, Status.GONE})


class Mode(Enum):
    """Where the supervisor itself stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    OVER = "over"


class Child:
    """What a supervisor knows of one child."""

    __slots__ = (
        "has_run",
        "incarnation",
        "is_condemned",
        "pings_missed_count",
        "restarts_in_row_count",
        "spec",
        "started_at_s",
        "status",
    )

    def __init__(self, spec: ChildSpec, incarnation: int) -> None:
        self.spec = spec
        self.incarnation = incarnation
        self.status = Status.IDLE
        self.is_condemned = False  # it has to go, for another's sake
        self.has_run = False  # under this incarnation of the supervisor
        self.started_at_s: float | None = None  # None: the present incarnation is not up
        self.restarts_in_row_count = 0
        self.pings_missed_count = 0

    @property
    def name(self) -> str:
        """The child's name."""
        return self.spec.name

    @property
    def is_alive(self) -> bool:
        """Say whether an incarnation exists that has not reported its end."""
        return self.status in ALIVE

    def condemn(self) -> None:
        """Have it stopped, if there is anything to stop."""
        self.is_condemned = self.is_alive


class Supervision:
    """The state of one supervisor: feed it events, carry out what `on` returns, in order."""

    def __init__(self, plan: Plan, rng: Rng, *, incarnations: Mapping[str, int]) -> None:
        """Take up a plan; `incarnations` holds the last number that each name has used."""
        self.mode = Mode.STARTING
        self.has_been_up = False
        self.children = [Child(spec, incarnations.get(spec.name, 0)) for spec in plan.children]
        self._plan = plan
        self._rng = rng
        self._by_name = {child.name: child for child in self.children}
        self._restarts_at_s: deque[float] = deque()  # at most intensity.restarts + 1 of them
        self._outcome = End(cause=Cause.STOPPED, reason="")
        self._is_brutal = False
        self._effects: list[Effect] = []

    def on(self, event: Event, *, now_s: float) -> tuple[Effect, ...]:
        """Take in one event and return what is to be done."""
        match event:
            case Pong():
                self._on_pong(event)
                # PERF: it changes nothing that is to be done, and a look at every child for every
                # child's pong is 20 ms at a time for a supervisor of 200.
                return ()
            case Begin():
                pass
            case StopRequested():
                self._shut(End(cause=Cause.STOPPED, reason=""))
            case SelfFailed():
                self._on_self_failed(event)
            case Alarm(kind=AlarmKind.HEARTBEAT):
                self._on_heartbeat()
            case _:
                self._on_child_event(event, now_s)
        self._advance()
        effects, self._effects = tuple(self._effects), []
        return effects

    def _child(self, name: str, incarnation: int) -> Child | None:
        """None for one that was abandoned, or from before this supervisor's own."""
        child = self._by_name.get(name)
        return child if child is not None and child.incarnation == incarnation else None

    def _on_pong(self, pong: Pong) -> None:
        if (child := self._child(pong.name, pong.incarnation)) is not None:
            child.pings_missed_count = 0

    def _on_child_event(self, event: ChildStarted | ChildDown | Alarm, now_s: float) -> None:
        if (child := self._child(event.name, event.incarnation)) is None:
            return
        match event:
            case ChildStarted():
                self._on_started(child, now_s)
            case ChildDown():
                self._on_down(child, event, now_s)
            case Alarm():
                self._on_alarm(child, event.kind, now_s)

    # What happens to children.

    def _on_started(self, child: Child, now_s: float) -> None:
        if child.status is Status.STARTING:
            child.status = Status.RUNNING
            child.has_run = True
            child.started_at_s = now_s
            child.pings_missed_count = 0

    def _on_down(self, child: Child, event: ChildDown, now_s: float) -> None:
        if not child.is_alive:
            return
        was_condemned = child.is_condemned
        child.is_condemned = False
        child.status = Status.IDLE
        if self.mode is Mode.STOPPING:
            return
        if not was_condemned and not child.has_run:
            reason = f"{child.name} did not start: {event.reason}"
            self._shut(End(cause=Cause.ESCALATED, reason=reason))
        elif not self._comes_back(child, is_normal=event.is_normal and not was_condemned):
            child.status = Status.GONE
            self._effects.append(RetireChild(name=child.name))
        elif not was_condemned:
            self._restart(child, event.reason, now_s)

    @staticmethod
    def _comes_back(child: Child, *, is_normal: bool) -> bool:
        match child.spec.restart:
            case Restart.PERMANENT:
                return True
            case Restart.TRANSIENT:
                return not is_normal
            case Restart.TEMPORARY:
                return False

    def _restart(self, child: Child, reason: str, now_s: float) -> None:
        if not self._may_restart(now_s):
            limit = self._plan.intensity
            text = f"over {limit.restarts} restarts in {limit.period_s:g} s, last {child.name}"
            self._shut(End(cause=Cause.ESCALATED, reason=f"{text}: {reason}"))
            return
        delay_s = self._delay_s(child, now_s)
        child.status = Status.WAITING
        self._set_alarm(AlarmKind.BACKOFF, child, delay_s)
        self._effects.append(NoteRestart(name=child.name, delay_s=delay_s, reason=reason))
        for sibling in self._affected(child):
            sibling.condemn()

    def _may_restart(self, now_s: float) -> bool:
        times = self._restarts_at_s
        times.append(now_s)
        while times[0] < now_s - self._plan.intensity.period_s:
            times.popleft()
        return len(times) <= self._plan.intensity.restarts

    def _delay_s(self, child: Child, now_s: float) -> float:
        backoff = self._plan.backoff
        if child.started_at_s is not None and now_s - child.started_at_s > backoff.proven_s:
            child.restarts_in_row_count = 0
        delay_s = backoff.delay_s(child.restarts_in_row_count, self._rng)
        child.restarts_in_row_count += 1
        return delay_s

    def _affected(self, child: Child) -> list[Child]:
        match self._plan.strategy:
            case Strategy.ONE_FOR_ONE:
                return []
            case Strategy.REST_FOR_ONE:
                return self.children[self.children.index(child) + 1 :]
            case Strategy.ONE_FOR_ALL:
                return self.children

    def _on_alarm(self, child: Child, kind: AlarmKind, now_s: float) -> None:
        match kind, child.status:
            case AlarmKind.START, Status.STARTING:
                self._kill(child, f"not started within {child.spec.start_s:g} s")
            case AlarmKind.STOP, Status.STOPPING:
                self._kill(child, f"not stopped within {child.spec.shutdown_s:g} s")
            case AlarmKind.KILL, Status.KILLED:
                self._abandon(child, now_s)
            case AlarmKind.BACKOFF, Status.WAITING:
                child.status = Status.IDLE
            case _:
                pass  # the child was faster than its alarm

    def _on_heartbeat(self) -> None:
        if self.mode is not Mode.RUNNING:
            return
        for child in self.children:
            if child.status is Status.RUNNING:
                self._ping(child)
        self._set_heartbeat()

    def _ping(self, child: Child) -> None:
        if child.pings_missed_count >= PINGS_MISSED_MAX:
            self._kill(child, f"no sign of life for {PINGS_MISSED_MAX * HEARTBEAT_S:g} s")
            return
        child.pings_missed_count += 1
        self._effects.append(PingChild(name=child.name))

    # What the supervisor does about it.

    def _on_self_failed(self, event: SelfFailed) -> None:
        end = End(cause=event.cause, reason=event.reason)
        if self.mode is Mode.STOPPING and self._outcome.cause is Cause.STOPPED:
            self._outcome = end
        self._shut(end)
        if event.cause is Cause.KILLED:
            self._is_brutal = True

    def _shut(self, outcome: End) -> None:
        """Stop every child, then end; the first outcome stands."""
        if self.mode in {Mode.STOPPING, Mode.OVER}:
            return
        self.mode = Mode.STOPPING
        self._outcome = outcome
        for child in self.children:
            child.condemn()

    def _advance(self) -> None:
        """Do what can be done now: stop the last of the condemned, else end, else start."""
        condemned = next((c for c in reversed(self.children) if c.is_condemned), None)
        if condemned is not None:
            self._stop(condemned)
        elif self.mode is Mode.STOPPING:
            self.mode = Mode.OVER
            self._effects.append(self._outcome)
        elif self.mode is not Mode.OVER:
            self._start_children()

    def _stop(self, child: Child) -> None:
        if child.status is Status.KILLED:
            return
        if self._is_brutal or child.spec.shutdown_s == 0:
            self._kill(child, "its supervisor was killed" if self._is_brutal else "told to end")
        elif child.status is not Status.STOPPING:
            child.status = Status.STOPPING
            self._effects.append(StopChild(name=child.name))
            self._set_alarm(AlarmKind.STOP, child, child.spec.shutdown_s)

    def _kill(self, child: Child, reason: str) -> None:
        child.status = Status.KILLED
        self._effects.append(KillChild(name=child.name, reason=reason))
        # A killed supervisor takes its own children down first, level by level: no deadline.
        is_leaf = math.isfinite(child.spec.shutdown_s)
        self._set_alarm(AlarmKind.KILL, child, KILL_S if is_leaf else math.inf)

    def _abandon(self, child: Child, now_s: float) -> None:
        self._effects.append(AbandonChild(name=child.name))
        down = ChildDown(
            name=child.name,
            incarnation=child.incarnation,
            phase=Phase.STOPPING,
            cause=Cause.KILLED,
            reason=f"outlived its kill by {KILL_S:g} s, left behind",
        )
        self._on_down(child, down, now_s)

    def _start_children(self) -> None:
        for child in self._startable():
            child.status = Status.STARTING
            child.started_at_s = None
            child.incarnation += 1
            self._effects.append(StartChild(spec=child.spec, incarnation=child.incarnation))
            self._set_alarm(AlarmKind.START, child, child.spec.start_s)
        if self.mode is Mode.STARTING and all(c.status in SETTLED for c in self.children):
            self.mode = Mode.RUNNING
            self.has_been_up = True
            self._effects.append(ReportUp())
            self._set_heartbeat()

    def _startable(self) -> Iterator[Child]:
        """Yield the children whose turn it is.

        In order, each after the one before it is up; but once all are up, one_for_one children
        have nothing to do with each other. One_for_all waits for the longest back-off.
        """
        is_free = self.mode is Mode.RUNNING and self._plan.strategy is Strategy.ONE_FOR_ONE
        is_for_all = self._plan.strategy is Strategy.ONE_FOR_ALL
        if is_for_all and any(c.status is Status.WAITING for c in self.children):
            return
        for child in self.children:
            if child.status is Status.IDLE:
                yield child
            if not is_free and child.status not in SETTLED:
                return

    def _set_heartbeat(self) -> None:
        self._effects.append(SetAlarm(alarm=Alarm(kind=AlarmKind.HEARTBEAT), delay_s=HEARTBEAT_S))

    def _set_alarm(self, kind: AlarmKind, child: Child, delay_s: float) -> None:
        if math.isfinite(delay_s):
            alarm = Alarm(kind=kind, name=child.name, incarnation=child.incarnation)
            self._effects.append(SetAlarm(alarm=alarm, delay_s=delay_s))
