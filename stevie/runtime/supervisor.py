"""The supervisor actor: carries out what `supervision.py` decides.

Receives  ChildStarted, ChildDown, Pong (from its children), Alarm (from itself).
Answers   nothing.
State     a `Supervision`, and its alarms.

It never waits for a child: every step is one message. Whatever it dies of - giving up, a bug of its
own, a kill - its children go first, in reverse; a kill is passed on to them.
"""

import logging
from typing import Any

from pykka import Future
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from stevie.runtime.actor import StevieActor
from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import RuntimeCounter
from stevie.runtime.lifecycle import Cause, ChildDown, ChildStarted, Phase, Ping, Pong, State
from stevie.runtime.message import Message
from stevie.runtime.supervision import (
    AbandonChild,
    Alarm,
    AlarmKind,
    Begin,
    ChildSpec,
    Effect,
    End,
    Event,
    KillChild,
    Mode,
    NoteRestart,
    PingChild,
    Plan,
    ReportUp,
    Restart,
    RetireChild,
    SelfFailed,
    SetAlarm,
    StartChild,
    StopChild,
    StopRequested,
    Supervision,
)

log = logging.getLogger("stevie.runtime")

SupervisorMessage = ChildStarted | ChildDown | Pong | Alarm

NO_DEADLINE = float("inf")  # a supervisor takes as long as its children, who have deadlines


def supervise(name: str, plan: Plan, *, restart: Restart = Restart.PERMANENT) -> ChildSpec:
    """Return the spec of a supervisor with this plan."""
    return ChildSpec(
        name=name,
        factory=Supervisor,
        arguments={"plan": plan},
        restart=restart,
        start_s=NO_DEADLINE,
        shutdown_s=NO_DEADLINE,
    )


class Supervisor(StevieActor):
    """Thin shell around `Supervision`."""

    mailbox_capacity = 1  # all that a supervisor is told comes on the system lane

    def __init__(self, context: ActorContext, *, plan: Plan) -> None:
        super().__init__(context)
        self._children = plan.children
        known = {spec.name: context.directory.incarnation(spec.name) for spec in plan.children}
        self._supervision = Supervision(plan, context.rng, incarnations=known)
        self._alarms: dict[tuple[AlarmKind, str], Timer] = {}  # at most one of a kind for each
        self._stop_replies: list[Future[Any]] = []  # of those few who asked it to stop

    # The ways of an actor, with its children in mind.

    def begin(self) -> None:
        """Start the children; it counts as started when all of them have."""
        try:
            self._drive(Begin())
        except BaseException as error:  # noqa: BLE001 - any end is this actor's alone
            self.fail(error, Phase.STARTING)

    def handle(self, message: Message) -> None:
        """Take in what a child or an alarm says."""
        assert isinstance(message, SupervisorMessage), message
        self._drive(message)

    def on_stop_requested(self, reply: Future[Any] | None) -> None:
        """Stop the children, then end."""
        if reply is not None:
            self._stop_replies.append(reply)
        self._drive(StopRequested())

    def fail(self, error: BaseException, phase: Phase) -> None:
        """Take the children down, then end."""
        if self.is_over:
            return
        self._log_failure(error, phase)
        cause, reason = self._cause(error), self._reason(error)
        try:
            self._drive(SelfFailed(cause=cause, reason=reason))
        except BaseException:
            log.exception("supervisor_failed_twice", extra={"actor": self.context.name})
            self._drop_children()
            self.end(phase, cause, reason)

    def vanish(self) -> None:
        """Leave no child behind if the greenlet ended without an end."""
        if not self.is_over:
            self._drop_children()
        super().vanish()

    def end(self, phase: Phase, cause: Cause, reason: str) -> None:
        """Close the incarnation, and answer those who asked it to stop."""
        super().end(phase, cause, reason)
        for reply in self._stop_replies:
            reply.set(None)
        self._stop_replies.clear()

    def _drop_children(self) -> None:
        """Kill what runs, last first, with no rules left to go by."""
        for spec in reversed(self._children):
            self._kill_child(spec.name, "its supervisor failed")

    # Carrying out.

    def _drive(self, event: Event) -> None:
        now_s = self.context.clock.monotonic_ns() / 1e9
        for effect in self._supervision.on(event, now_s=now_s):
            self._carry_out(effect)
        if self._supervision.mode is Mode.STOPPING:
            self.context.cell.state = State.STOPPING

    def _carry_out(self, effect: Effect) -> None:  # noqa: C901 - one line for each effect
        match effect:
            case StartChild(spec=spec, incarnation=incarnation):
                self._start_child(spec, incarnation)
            case StopChild(name=name):
                self._stop_child(name)
            case KillChild(name=name, reason=reason):
                self._kill_child(name, reason)
            case AbandonChild(name=name):
                self._abandon_child(name)
            case RetireChild(name=name):
                self.context.directory.close(name)
            case PingChild(name=name):
                self._ping_child(name)
            case SetAlarm(alarm=alarm, delay_s=delay_s):
                self._set_alarm(alarm, delay_s)
            case NoteRestart():
                self._note_restart(effect)
            case ReportUp():
                self.started()
            case End(cause=cause, reason=reason):
                self._end_with(cause, reason)

    def _start_child(self, spec: ChildSpec, incarnation: int) -> None:
        self.context.substrate.spawn(
            spec, parent=self.context.name, incarnation=incarnation, report=self._hear
        )

    def _hear(self, message: Message) -> None:
        self.context.directory.tell(self.context.name, message)

    def _child(self, name: str) -> StevieActor | None:
        """Return the child's living incarnation; without one, its ChildDown is on the way."""
        cell = self.context.directory.cell(name)
        return cell.actor if cell is not None and cell.parent == self.context.name else None

    def _stop_child(self, name: str) -> None:
        # NOTE: told to the living only: a stop left in the mailbox of the dead would be the first
        # thing that its next incarnation hears.
        if (child := self._child(name)) is not None:
            child.context.cell.mailbox.put(Envelope(_ActorStop()))

    def _ping_child(self, name: str) -> None:
        if self._child(name) is not None:
            self.tell(name, Ping())

    def _kill_child(self, name: str, reason: str) -> None:
        if (child := self._child(name)) is not None:
            self.context.counters.add(RuntimeCounter.KILLS, type(child).__name__)
            child.kill(reason)

    def _abandon_child(self, name: str) -> None:
        if (child := self._child(name)) is not None:
            child.fence()
            log.error("actor_abandoned", extra={"actor": name})
            self.context.counters.add(RuntimeCounter.ABANDONED, type(child).__name__)

    def _set_alarm(self, alarm: Alarm, delay_s: float) -> None:
        key = (alarm.kind, alarm.name)
        if (earlier := self._alarms.get(key)) is not None:
            earlier.cancel()
        self._alarms[key] = self.after(delay_s, alarm)

    def _note_restart(self, restart: NoteRestart) -> None:
        self.context.counters.add(RuntimeCounter.RESTARTS, self.context.name)
        extra = {"actor": restart.name, "delay_s": restart.delay_s, "reason": restart.reason}
        log.warning("child_restarted", extra=extra)
        self.context.substrate.on_restart(restart)

    def _end_with(self, cause: Cause, reason: str) -> None:
        if cause is Cause.ESCALATED:
            self.context.counters.add(RuntimeCounter.ESCALATIONS, self.context.name)
            log.error("supervisor_gave_up", extra={"actor": self.context.name, "reason": reason})
        self.end(self._phase(cause), cause, reason)

    def _phase(self, cause: Cause) -> Phase:
        if not self._supervision.has_been_up:
            return Phase.STARTING
        return Phase.STOPPING if cause is Cause.STOPPED else Phase.WAITING
