"""The deterministic runtime: the production actors on virtual time, one step at a time.

A seeded scheduler chooses which ready actor handles its next envelope; time stands still while
anybody is ready and then jumps to the next timer. No greenlet, no clock of the machine and no
ambient chance takes part, so a seed fixes every step, and a digest over all of them proves it: the
same seed gives the same digest in every process, whatever PYTHONHASHSEED is.
"""

import heapq
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from typing import NamedTuple

import msgspec
from gevent import GreenletExit  # what a kill is called; no greenlet is made here

from stevie.runtime.actor import StevieActor
from stevie.runtime.clock import Rng
from stevie.runtime.counters import Counters
from stevie.runtime.lifecycle import Phase
from stevie.runtime.mailbox import Mail, Mailbox, opened
from stevie.runtime.scheduler import Steppable
from stevie.runtime.supervision import ChildSpec
from stevie.runtime.system import ActorSystem

SECOND_NS = 1_000_000_000
STEPS_PER_INSTANT_MAX = 100_000  # far beyond any burst: actors that never come to rest spin
STOP_NS = 120 * SECOND_NS  # of virtual time; a tree that is not down by then is cut off

BEGUN, KILLED = "begun", "killed"  # steps that handle no message


class VirtualTimer:
    """A callback that waits for virtual time."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the callback."""
        self.callback = None


class VirtualClock:
    """Time that passes when its owner says so; wall and monotonic time are the same.

    Timers due at the same moment run in the order of arming, or as `ties` draws.
    """

    def __init__(self, now_ns: int = 0, *, ties: Rng | None = None) -> None:
        self._now_ns = now_ns
        self._ties = ties
        self._order = count()
        self._timers: list[tuple[int, float, int, VirtualTimer]] = []

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, as its owner says."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The same; it never goes back."""
        return self._now_ns

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> VirtualTimer:
        """Run the callback when virtual time has come so far."""
        return self.call_at(self._now_ns + int(delay_s * 1e9), callback)

    def call_at(self, at_ns: int, callback: Callable[[], None]) -> VirtualTimer:
        """Run the callback at that moment."""
        timer = VirtualTimer(callback)
        tie = self._ties.random() if self._ties is not None else 0.0
        heapq.heappush(self._timers, (at_ns, tie, next(self._order), timer))
        return timer

    def next_ns(self) -> int | None:
        """When the next timer is due."""
        while self._timers and self._timers[0][3].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def fire_next(self) -> None:
        """Let time pass until the next timer is due, and run this one alone."""
        due_ns = self.next_ns()
        assert due_ns is not None, "no timer waits"
        timer = heapq.heappop(self._timers)[3]
        self.skip(due_ns)
        if timer.callback is not None:
            timer.callback()

    def skip(self, to_ns: int) -> None:
        """Let time pass without running anything: what became due runs late, once."""
        self._now_ns = max(self._now_ns, to_ns)

    def advance(self, to_ns: int) -> None:
        """Let time pass, running what is due on the way, in order."""
        while (due_ns := self.next_ns()) is not None and due_ns <= to_ns:
            self.fire_next()
        self.skip(to_ns)


class Step(NamedTuple):
    """One turn of one actor: what it handled, and when."""

    number: int
    at_ns: int
    actor: str
    incarnation: int
    what: str
    """The type of the message, BEGUN or KILLED."""
    message: object


class SpinningError(Exception):
    """Actors keep one another busy without end at one moment of virtual time."""


class SteppedActor:
    """One incarnation that the scheduler steps."""

    __slots__ = ("_make_ready", "actor", "is_begun", "is_killed", "is_ready")

    def __init__(self, actor: StevieActor, make_ready: "Callable[[SteppedActor], None]") -> None:
        self.actor = actor
        self.is_begun = self.is_killed = self.is_ready = False
        self._make_ready = make_ready

    @property
    def name(self) -> str:
        """Return the actor's name."""
        return self.actor.context.name

    @property
    def mailbox(self) -> Mailbox:
        """Return the mailbox of its name."""
        return self.actor.context.cell.mailbox

    def wake(self) -> None:
        """Say that a message waits."""
        self._make_ready(self)

    def kill(self) -> None:
        """Have it end at its next turn, as a greenlet does."""
        self.is_killed = True
        self._make_ready(self)

    def turn(self) -> tuple[str, Callable[[], None], object]:
        """Return what its next turn is: a name, the deed, and the message if there is one."""
        if self.is_killed:
            self.is_killed = False
            return KILLED, self._die, None
        if not self.is_begun:
            self.is_begun = True
            return BEGUN, self.actor.begin, None
        return self._next_mail()

    def _die(self) -> None:
        if self.is_begun:
            self.actor.fail(GreenletExit(), Phase.WAITING)
        else:
            self.actor.vanish()

    def _next_mail(self) -> tuple[str, Callable[[], None], object]:
        try:
            mail: Mail | None = self.mailbox.poll()
        except BaseException as error:  # noqa: BLE001 - a batch that cannot be folded is its own end
            bad = error
            return type(bad).__name__, lambda: self.actor.fail(bad, Phase.WAITING), None
        assert mail is not None, f"{self.name} was ready for nothing"
        message = opened(mail).message
        return type(message).__name__, lambda: self.actor.step(mail), message


class SeededScheduler:
    """Steps ready actors one envelope at a time, the next one drawn by chance."""

    def __init__(
        self, clock: VirtualClock, rng: Rng, *, on_step: Callable[[Step], None] = lambda _: None
    ) -> None:
        self.on_step = on_step
        """Called after every step; what it raises comes out of `step`."""
        self.step_count = 0
        self._clock = clock
        self._rng = rng
        self._ready: list[SteppedActor] = []  # bounded by the names; the dead leave at their turn
        self._held: dict[str, list[SteppedActor]] = {}
        self._digest = sha256()
        self._encoder = msgspec.msgpack.Encoder(order="deterministic")

    def launch(self, actor: Steppable) -> SteppedActor:
        """Take in one incarnation; its first turn begins it."""
        assert isinstance(actor, StevieActor), actor
        stepped = SteppedActor(actor, self._make_ready)
        self._make_ready(stepped)
        return stepped

    def hold(self, name: str) -> None:
        """Give this name no turn until it is released, as if a turn of it took long."""
        held = self._held.setdefault(name, [])
        held.extend(stepped for stepped in self._ready if stepped.name == name)
        self._ready = [stepped for stepped in self._ready if stepped.name != name]

    def release(self, name: str) -> None:
        """Give turns again to a name that was held."""
        self._ready.extend(self._held.pop(name, ()))

    def is_held(self, name: str) -> bool:
        """Say whether this name gets no turn."""
        return name in self._held

    def step(self) -> bool:
        """Give one ready actor its turn; False if none is ready."""
        if not self._ready:
            return False
        stepped = self._draw()
        stepped.is_ready = False
        if not stepped.actor.is_over:
            self._give_turn(stepped)
        return True

    def digest(self) -> str:
        """Return the SHA-256 over all steps so far."""
        return self._digest.hexdigest()

    def _draw(self) -> SteppedActor:
        ready = self._ready
        index = self._rng.randrange(0, len(ready)) if len(ready) > 1 else 0
        ready[index], ready[-1] = ready[-1], ready[index]
        return ready.pop()

    def _give_turn(self, stepped: SteppedActor) -> None:
        context = stepped.actor.context
        what, deed, message = stepped.turn()
        self.step_count += 1
        now_ns = self._clock.monotonic_ns()
        step = Step(self.step_count, now_ns, context.name, context.incarnation, what, message)
        self._note(step)
        deed()
        self._rest(stepped)
        self.on_step(step)

    def _note(self, step: Step) -> None:
        head = f"{step.at_ns}|{step.actor}|{step.incarnation}|{step.what}|"
        self._digest.update(head.encode())
        self._digest.update(self._encoder.encode(step.message))

    def _rest(self, stepped: SteppedActor) -> None:
        """Stay ready while something waits; otherwise let the next message wake it."""
        if stepped.actor.is_over:
            return
        if stepped.is_killed or not stepped.mailbox.empty():
            self._make_ready(stepped)
        else:
            stepped.mailbox.wake = stepped.wake

    def _make_ready(self, stepped: SteppedActor) -> None:
        if not stepped.is_ready:
            stepped.is_ready = True
            self._held.get(stepped.name, self._ready).append(stepped)


class DeterministicRuntime:
    """One tree of actors on virtual time, run by its owner."""

    def __init__(self, rng: Rng, *, start_ns: int = 0, counters: Counters | None = None) -> None:
        self.clock = VirtualClock(start_ns)
        self.scheduler = SeededScheduler(self.clock, rng.fork("schedule"))
        self.system = ActorSystem(
            clock=self.clock, rng=rng.fork("actors"), counters=counters, scheduler=self.scheduler
        )
        self._root = ""

    def launch(self, root: ChildSpec) -> None:
        """Bring the tree up, as far as no time has to pass for it."""
        self._root = root.name
        self.system.launch(root)
        self.settle()

    def settle(self) -> None:
        """Step until nobody is ready; time stands still."""
        for _ in range(STEPS_PER_INSTANT_MAX):
            if not self.scheduler.step():
                return
        raise SpinningError(f"{STEPS_PER_INSTANT_MAX} steps at {self.clock.monotonic_ns()} ns")

    def run_until(self, to_ns: int) -> None:
        """Let virtual time pass, each timer with all of its consequences before the next."""
        self.settle()
        while (due_ns := self.clock.next_ns()) is not None and due_ns <= to_ns:
            self.clock.fire_next()
            self.settle()
        self.clock.skip(to_ns)

    def waiting(self) -> tuple[str, ...]:
        """Name the actors that run, are not held, and leave messages lying while nobody is ready.

        There are none, unless a wake-up was lost.
        """
        cells = map(self.system.directory.cell, (row.name for row in self.system.directory.tree()))
        return tuple(
            cell.name
            for cell in cells
            if cell is not None
            and cell.actor is not None
            and not cell.mailbox.empty()
            and not self.scheduler.is_held(cell.name)
        )

    def stop(self) -> bool:
        """Take the tree down in virtual time; False if it had to be cut off."""
        self.system.ask_to_stop()
        deadline_ns = self.clock.monotonic_ns() + STOP_NS
        try:
            while not self.system.root_is_dead() and self._is_before(deadline_ns):
                self.run_until(min(deadline_ns, self.clock.next_ns() or deadline_ns))
        finally:
            is_clean = self.system.root_is_dead()
            self._cut_off()
        return is_clean

    def _is_before(self, deadline_ns: int) -> bool:
        return self.clock.monotonic_ns() < deadline_ns

    def _cut_off(self) -> None:
        """Leave no actor behind, and nobody waiting for one."""
        for row in reversed(self.system.directory.tree()):
            cell = self.system.directory.cell(row.name)
            if cell is not None and cell.actor is not None:
                cell.actor.fence()
        self.system.directory.close(self._root)
