"""The base of every actor: three hooks, and every way to die accounted for.

Pykka's own loop misses half of the ways: it stops all actors of the process on a BaseException,
keeps an actor alive after a bug in an asked message, and tells nobody of a failure to start. So
`StevieActor` is a Pykka actor by its designed hooks, with a loop of its own:

    an exception in        told            asked                    starting        stopping
    a refusal              crash           answered, lives on       failed start    abnormal stop
    a bug                  crash           answered and crash       failed start    abnormal stop
    a BaseException        crash           answered and crash       failed start    abnormal stop

Whatever ends an incarnation ends it alone, and its supervisor is told exactly once (`ChildDown`).
The message that killed it is gone; the others wait in the mailbox for the next incarnation.
"""

import logging
from typing import Any, ClassVar

from gevent import GreenletExit, sleep
from pykka import Actor, ActorRegistry, Future
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import RuntimeCounter
from stevie.runtime.errors import ActorCrashed, ActorDeadError
from stevie.runtime.lifecycle import Cause, ChildDown, ChildStarted, Phase, Ping, Pong, State
from stevie.runtime.mailbox import Mail, Mailbox, opened
from stevie.runtime.message import Message
from stevie.runtime.reply import Deferred, Reply
from stevie.runtime.scheduler import Running

log = logging.getLogger("stevie.runtime")

SLICE_NS = 2_000_000  # of continuous work, then the others have their turn: lag stays within 5 ms
TIMERS_MAX = 1024  # waiting at once for one actor; more is a leak
DEFERRED_MAX = 4096  # answers owed at once: as many as a mailbox holds asks
REASON_LENGTH_MAX = 500  # characters of an exception's text kept for the tree


class ActorTimer:
    """A message that an actor sends itself later, unless the incarnation ends before."""

    __slots__ = ("_actor", "_message", "_timer")

    def __init__(self, actor: "StevieActor", delay_s: float, message: Message) -> None:
        self._actor = actor
        self._message = message
        self._timer = actor.context.clock.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._actor.forget_timer(self)
        self._actor.tell(self._actor.context.name, self._message)

    def cancel(self) -> None:
        """Send nothing; harmless when it was sent already."""
        self._timer.cancel()
        self._actor.forget_timer(self)


class StevieActor(Actor):
    """Subclasses define `handle`, and `starting` and `stopping` where there is something to do."""

    mailbox_capacity: ClassVar[int] = 1024  # messages; Pekko's default is 1000
    mailbox_bytes_max: ClassVar[int] = 4 * 2**20  # of BATCH messages
    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, context: ActorContext) -> None:
        self.context = context
        super().__init__()
        self._timers: dict[ActorTimer, None] = {}
        self._owed: dict[Deferred, None] = {}
        self._running: Running | None = None
        self._kill_reason = "killed"
        self._is_ending = False
        self._is_over = False

    # Three hooks.

    def starting(self) -> None:
        """Prepare; the actor counts as started when this returns."""

    # PERF: a subclass narrows `Any` to the union that it matches on, and assert_never refuses the
    # rest; an isinstance of such a union takes up to 2 us a message.
    def handle(self, message: Any) -> object:
        """Do what the message says; what is returned answers an ask, and is immutable."""
        raise NotImplementedError(f"{type(self).__name__} was sent {message!r}")

    def stopping(self) -> None:
        """Clean up; runs once for each incarnation that began to start, unless it was killed."""

    # What a subclass may use.

    def tell(self, name: str, message: Message) -> bool:
        """Send to a name and go on; False if it was refused."""
        return self.context.directory.tell(name, message)

    def after(self, delay_s: float, message: Message) -> Timer:
        """Send the message to this actor later; cancelled when the incarnation ends."""
        assert len(self._timers) < TIMERS_MAX, f"{self.context.name}: {TIMERS_MAX} timers wait"
        timer = ActorTimer(self, delay_s, message)
        self._timers[timer] = None
        return timer

    def defer(self) -> Deferred:
        """Make an answer for `handle` to return now and to be given later; lost with the actor."""
        assert len(self._owed) < DEFERRED_MAX, f"{self.context.name}: {DEFERRED_MAX} answers owed"
        deferred = Deferred(self._owed.pop)
        self._owed[deferred] = None
        return deferred

    def forget_timer(self, timer: ActorTimer) -> None:
        """Drop a timer that fired or was cancelled."""
        self._timers.pop(timer, None)

    # What a scheduler uses: `begin` once, then `step` for all mail until `is_over`.

    @property
    def is_over(self) -> bool:
        """Say whether this incarnation has ended."""
        return self._is_over

    def begin(self) -> None:
        """Start the incarnation."""
        try:
            self.starting()
        except BaseException as error:  # noqa: BLE001 - any end is this actor's alone
            self.fail(error, Phase.STARTING)
        else:
            self.started()

    def step(self, mail: Mail) -> None:
        """Handle one message; nothing that happens inside comes out."""
        if type(mail) is Envelope:
            message, reply = mail.message, mail.reply_to
        else:
            message, reply = mail, None
        try:
            kind = type(message)
            if kind is Ping:
                self._answer_ping()
                return
            if kind is _ActorStop:
                self.on_stop_requested(reply)
                return
            answer = self.handle(message)
        except BaseException as error:  # noqa: BLE001 - any end is this actor's alone
            self._on_handling_failed(error, reply)
        else:
            if type(answer) is Deferred:
                answer.bind(reply)
            elif reply is not None:
                reply.set(answer)

    def fail(self, error: BaseException, phase: Phase) -> None:
        """Begin the end of this incarnation because of `error`; the first one counts."""
        if self._is_ending:
            return
        self._log_failure(error, phase)
        cause, reason = self._cause(error), self._reason(error)
        if cause is Cause.KILLED:
            self.end(phase, cause, reason)
        else:
            self.wind_up(phase, cause, reason)

    def kill(self, reason: str) -> None:
        """End this incarnation from outside, wherever it waits; `stopping` does not run."""
        self._kill_reason = reason
        if self._running is not None:
            self._running.kill()

    def fence(self) -> None:
        """Let an incarnation that outlived its kill do nothing more when it comes round."""
        self._close()
        self.context.cell.state = State.DOWN
        self.context.cell.actor = None

    def vanish(self) -> None:
        """Report the end if nothing has: the greenlet is no more."""
        is_starting = self.context.cell.state is State.STARTING
        phase = Phase.STARTING if is_starting else Phase.WAITING
        self.end(phase, Cause.KILLED, self._kill_reason)

    # How it lives.

    def run(self) -> None:
        """Live from start to end on the present greenlet."""
        self.begin()
        while not self._is_over:
            try:
                self._take_turn()
            except BaseException as error:  # noqa: BLE001 - a kill, a leaked timeout, a bad batch
                self.fail(error, Phase.WAITING)

    _actor_loop = run

    def _take_turn(self) -> None:
        """Wait for a message, then handle what there is for one slice of time."""
        now_ns = self.context.clock.monotonic_ns
        poll = self.context.cell.mailbox.poll
        step = self.step
        mail: Mail | None = self.context.cell.mailbox.take()
        turn_ends_ns = now_ns() + SLICE_NS
        while mail is not None:
            step(mail)
            if self._is_over:
                return
            if now_ns() >= turn_ends_ns:
                sleep(0)
                return
            mail = poll()

    def _answer_ping(self) -> None:
        context = self.context
        context.report(Pong(name=context.name, incarnation=context.incarnation))

    def started(self) -> None:
        """Tell the supervisor that this incarnation is up."""
        context = self.context
        context.cell.state = State.RUNNING
        context.counters.add(RuntimeCounter.INCARNATIONS_STARTED, type(self).__name__)
        context.report(ChildStarted(name=context.name, incarnation=context.incarnation))

    # How it dies.

    def on_stop_requested(self, reply: Future[Any] | None) -> None:
        """Stop before anything else that waits."""
        self.wind_up(Phase.STOPPING, Cause.STOPPED, "")
        if reply is not None:
            reply.set(None)

    def _on_handling_failed(self, error: BaseException, reply: Future[Any] | None) -> None:
        if reply is None:
            self.fail(error, Phase.TELL)
        elif isinstance(error, self.refusals):
            reply.set_exception((type(error), error, None))
        else:
            # Answered first: `stopping` may take its time.
            reply.set_exception((ActorCrashed, self._as_crash(error), None))
            self.fail(error, Phase.ASK)

    def _as_crash(self, error: BaseException) -> ActorCrashed:
        crash = ActorCrashed(f"{self.context.name} died of the message: {self._reason(error)}")
        # A BaseException would look to the asker like its own kill or exit: not even chained.
        crash.__cause__ = error if isinstance(error, Exception) else None
        return crash

    def _cause(self, error: BaseException) -> Cause:
        if isinstance(error, GreenletExit):
            return Cause.KILLED
        return Cause.REFUSED if isinstance(error, self.refusals) else Cause.BUG

    def _reason(self, error: BaseException) -> str:
        """Say what went wrong in one bounded line."""
        if isinstance(error, GreenletExit):
            return self._kill_reason
        return " ".join(f"{type(error).__name__}: {error}".split())[:REASON_LENGTH_MAX]

    def wind_up(self, phase: Phase, cause: Cause, reason: str) -> None:
        """Run `stopping`, then end; the first cause stands, unless all was well until then."""
        self._is_ending = True
        self.context.cell.state = State.STOPPING
        try:
            self.stopping()
        except BaseException as error:  # noqa: BLE001 - any end is this actor's alone
            self._log_failure(error, Phase.STOPPING)
            if cause is Cause.STOPPED:
                cause, reason = self._cause(error), self._reason(error)
        self.end(phase, cause, reason)

    def end(self, phase: Phase, cause: Cause, reason: str) -> None:
        """Close the incarnation and tell the supervisor; again or once fenced, nothing."""
        if self._is_over:
            return
        self._close()
        context = self.context
        context.cell.state = State.DOWN
        context.cell.actor = None
        context.cell.last_reason = reason or cause.value
        labels = (type(self).__name__, phase.value, cause.value)
        context.counters.add(RuntimeCounter.INCARNATIONS_ENDED, *labels)
        self._answer_stops(context.cell.mailbox)
        context.report(
            ChildDown(
                name=context.name,
                incarnation=context.incarnation,
                phase=phase,
                cause=cause,
                reason=reason or cause.value,
            )
        )

    def _close(self) -> None:
        self._is_ending = True
        self._is_over = True
        ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        for timer in tuple(self._timers):
            timer.cancel()
        for deferred in tuple(self._owed):
            deferred.refuse(ActorDeadError(f"{self.context.name} ended before it could answer"))

    @staticmethod
    def _answer_stops(mailbox: Mailbox) -> None:
        """Drop system messages meant for this incarnation; who asked it to stop is told it has."""
        for _, reply_to in map(opened, mailbox.clear_system()):
            if reply_to is not None:
                reply_to.set(None)

    def _log_failure(self, error: BaseException, phase: Phase) -> None:
        is_bug = not isinstance(error, (GreenletExit, *self.refusals))
        log.log(
            logging.ERROR if is_bug else logging.WARNING,
            "actor_failed",
            exc_info=error if is_bug else None,
            extra={
                "actor": self.context.name,
                "incarnation": self.context.incarnation,
                "phase": phase.value,
                "reason": self._reason(error),
            },
        )

    # Pykka's designed hooks.

    def _create_actor_inbox(self) -> Mailbox:  # type: ignore[override]  # the name's own mailbox
        return self.context.cell.mailbox

    @staticmethod
    def _create_future() -> Reply:
        return Reply()

    def _start_actor_loop(self) -> None:
        self.context.cell.actor = self
        self._running = self.context.scheduler.launch(self)

    def on_receive(self, message: Any) -> Any:
        """Serve Pykka's own entry point the same way."""
        return self.handle(message)
