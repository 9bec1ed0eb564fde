"""Exploration: one seed lived through, by the production actors against a tape with faults."""

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from stevie.actors.market_counters import MarketCounter
from stevie.actors.root import MARKET_DATA, VenueSetup, root_spec
from stevie.actors.venue_book import BookSettings
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.rng import SeededRng
from stevie.domain.market.book import BookLimits
from stevie.domain.market.frame_buffer import BufferLimits
from stevie.domain.market.instrument import Instrument, InstrumentKind
from stevie.domain.market.link import LinkLimits
from stevie.explore.exchange import Exchange
from stevie.explore.faults import (
    MS_NS,
    ActiveFaults,
    Fault,
    Kind,
    Plan,
    Targets,
    draw_plan,
    quiet_from_ms,
)
from stevie.explore.invariants import InjectedCrash, Invariants, Violation
from stevie.explore.tape import SECOND_NS, START_NS, TAPES_KEPT, Tape, TapeKey, TapeShelf
from stevie.messages.market import ReadBook, ReadFeed, ReadMarket
from stevie.ports import Kernel
from stevie.runtime.counters import Counters
from stevie.runtime.deterministic import DeterministicRuntime, SpinningError, Step
from stevie.runtime.lifecycle import Phase
from stevie.runtime.message import Message
from stevie.venues.registry import VENUES, simulated

BEAT_NS = SECOND_NS // 10
QUESTION_SHARE = 0.1  # of the beats: once a second
LAST_EVENTS = 40  # steps and faults kept for a failure's report
EVENT_LENGTH_MAX = 200  # characters of one of them
SECONDS_MIN = 20  # recovery alone is watched for ten
# What an actor may be set up with; each seed draws.
BUFFER_FRAMES = (4096, 4096, 60)
ROTATE_S = (82_800.0, 82_800.0, 17.0)


Chosen = TypeVar("Chosen")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What every seed of a campaign is lived through with."""

    seconds: int = 120
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    venues: tuple[str, ...] = ("binance",)

    @property
    def targets(self) -> Targets:
        """Whom faults can hit."""
        places = (f"{venue}/{symbol}" for venue in self.venues for symbol in self.symbols)
        return Targets(symbols=tuple(places), venues=self.venues)

    def tape_key(self, seed: int) -> TapeKey:
        """The market of a seed: a few markets serve all seeds, since recording them takes long."""
        return TapeKey(seed % TAPES_KEPT, self.seconds, self.symbols, self.venues)

    def plan(self, seed: int) -> Plan:
        """What goes wrong in a seed."""
        rng = SeededRng(seed).fork("plan")
        return draw_plan(rng, self.targets, length_ms=self.seconds * 1000)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What did not hold, and what happened before."""

    invariant: str
    detail: str
    at_ms: int
    events: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one seed with one plan."""

    seed: int
    plan: Plan
    digest: str
    steps: int
    checked: int
    virtual_s: float
    resyncs: int
    faults: dict[str, int]
    failure: Failure | None


class Explorer:
    """Lives seeds through; keeps the tapes between them."""

    def __init__(self, scenario: Scenario, kernel: Kernel) -> None:
        assert scenario.seconds >= SECONDS_MIN, scenario
        self.scenario = scenario
        self._kernel = kernel
        self._shelf = TapeShelf()

    def explore(self, seed: int, plan: Plan | None = None) -> Outcome:
        """Live one seed through, with its own plan unless another is given."""
        tape = self._shelf.tape(self.scenario.tape_key(seed))
        own = self.scenario.plan(seed) if plan is None else plan
        return Exploration(self.scenario, tape, self._kernel, seed=seed, plan=own).run()


class Exploration:
    """One tree, one tape, one plan."""

    def __init__(
        self, scenario: Scenario, tape: Tape, kernel: Kernel, *, seed: int, plan: Plan
    ) -> None:
        rng = SeededRng(seed)
        self._seed, self._plan, self._end_ns = seed, plan, tape.end_ns
        self._counters = Counters(MarketCounter)
        self._runtime = DeterministicRuntime(rng, start_ns=START_NS, counters=self._counters)
        self._runtime.scheduler.on_step = self._after_step
        self._faults = ActiveFaults(plan, start_ns=START_NS)
        self._dice = rng.fork("questions")
        self._is_over = False
        self._exchanges = {
            venue: Exchange(
                tape,
                venue,
                clock=self._runtime.clock,
                rng=rng.fork(f"net/{venue}"),
                faults=self._faults,
            )
            for venue in scenario.venues
        }
        setups, choice = [], rng.fork("settings")
        for venue in scenario.venues:
            limits = BookLimits(buffer=BufferLimits(frames_max=_pick(choice, BUFFER_FRAMES)))
            setups.append(
                VenueSetup(
                    codec=VENUES[venue].codec(simulated("http://exchange")),
                    transport=self._exchanges[venue],
                    instruments=tuple(_instrument(venue, symbol) for symbol in scenario.symbols),
                    kernel=kernel,
                    feed=FeedSettings(link=LinkLimits(rotate_after_s=_pick(choice, ROTATE_S))),
                    book=BookSettings(limits=limits),
                )
            )
        self._root = root_spec(setups)
        self._books = {
            f"book/{venue}/{instrument.symbol}": (venue, instrument.native)
            for venue, setup in zip(scenario.venues, setups, strict=True)
            for instrument in setup.instruments
        }
        self._invariants = Invariants(
            self._runtime,
            tape,
            self._exchanges,
            self._books,
            quiet_ns=START_NS + quiet_from_ms(plan) * MS_NS,
        )
        self._events: deque[Step | Fault] = deque(maxlen=LAST_EVENTS)

    def run(self) -> Outcome:
        """Live it through, to the end or to the first thing that does not hold."""
        failure = None
        try:
            self._live()
        except SpinningError as spinning:
            failure = self._failure(Violation("actors come to rest", str(spinning)))
        except Violation as found:
            failure = self._failure(found)
        digest, steps = self._runtime.scheduler.digest(), self._runtime.scheduler.step_count
        virtual_s = (self._runtime.clock.monotonic_ns() - START_NS) / SECOND_NS
        is_clean = self._stop()
        if failure is None and not is_clean:
            failure = self._failure(Violation("the tree comes down when asked", "it did not"))
        return Outcome(
            seed=self._seed,
            plan=self._plan,
            digest=digest,
            steps=steps,
            checked=self._invariants.checked,
            virtual_s=virtual_s,
            resyncs=sum(
                sample.value
                for sample in self._counters.snapshot()
                if sample.counter is MarketCounter.RESYNCS
            ),
            faults=self._faults.counts(),
            failure=failure,
        )

    def _live(self) -> None:
        for fault in self._plan:
            self._arm(fault)
        self._runtime.clock.call_at(START_NS + BEAT_NS, self._beat)
        self._runtime.launch(self._root)
        self._runtime.run_until(self._end_ns)
        self._invariants.at_end()

    def _stop(self) -> bool:
        self._is_over = True
        self._runtime.scheduler.on_step = lambda _: None
        for name in self._faulty_actors():
            self._runtime.scheduler.release(name)
        return self._runtime.stop()

    # -- every tenth of a second ----------------------------------------------------------------

    def _beat(self) -> None:
        if self._is_over:
            return
        now_ns = self._runtime.clock.monotonic_ns()
        self._runtime.clock.call_at(now_ns + BEAT_NS, self._beat)
        self._invariants.on_beat(now_ns)
        if self._dice.random() < QUESTION_SHARE:
            name, question = self._question()
            reply = self._runtime.system.directory.request(name, question)
            self._invariants.expect_answer(name, reply, now_ns)

    def _question(self) -> tuple[str, Message]:
        place = _pick(self._dice, tuple(self._books))
        _, venue, symbol = place.split("/")
        questions: tuple[tuple[str, Message], ...] = (
            (place, ReadBook()),
            (f"feed/{venue}", ReadFeed()),
            (MARKET_DATA, ReadMarket(symbol=symbol)),
        )
        return _pick(self._dice, questions)

    # -- faults of actors -----------------------------------------------------------------------

    def _arm(self, fault: Fault) -> None:
        at_ns = START_NS + fault.at_ms * MS_NS
        self._runtime.clock.call_at(at_ns, lambda: self._begin(fault))
        if fault.kind in {Kind.BUSY, Kind.OVERFLOW}:
            end_ns = at_ns + fault.for_ms * MS_NS
            self._runtime.clock.call_at(end_ns, lambda: self._end_hold(fault))

    def _begin(self, fault: Fault) -> None:
        self._events.append(fault)
        match fault.kind:
            case Kind.DISCONNECT:
                self._disconnect(fault)
            case Kind.CRASH:
                self._faults.note(fault)
                self._crash(fault)
            case Kind.BUSY | Kind.OVERFLOW:
                self._faults.note(fault)
                self._hold(fault)
            case _:
                pass  # the exchange asks for it when it matters

    def _disconnect(self, fault: Fault) -> None:
        now_ns, times = self._runtime.clock.monotonic_ns(), max(1, fault.count)
        for index in range(times):
            at_ns = now_ns + fault.for_ms * MS_NS * index // times
            self._runtime.clock.call_at(at_ns, lambda: self._cut(fault))

    def _cut(self, fault: Fault) -> None:
        self._faults.note(fault)
        self._exchanges[fault.target].disconnect(fault.amount)

    def _crash(self, fault: Fault) -> None:
        cell = self._runtime.system.directory.cell(fault.target)
        actor = cell.actor if cell is not None else None
        if actor is None:
            return
        if fault.amount:
            actor.kill("killed by the plan")
        else:
            actor.fail(InjectedCrash("as planned"), Phase.WAITING)

    def _hold(self, fault: Fault) -> None:
        self._runtime.scheduler.hold(fault.target)
        cell = self._runtime.system.directory.cell(fault.target)
        if fault.kind is Kind.OVERFLOW and cell is not None:
            cell.mailbox.bytes_max = max(fault.amount, cell.mailbox.bytes_waiting)

    def _end_hold(self, fault: Fault) -> None:
        self._runtime.scheduler.release(fault.target)
        cell = self._runtime.system.directory.cell(fault.target)
        if fault.kind is Kind.OVERFLOW and cell is not None and cell.actor is not None:
            cell.mailbox.bytes_max = cell.actor.mailbox_bytes_max

    def _faulty_actors(self) -> Sequence[str]:
        return [it.target for it in self._plan if it.kind in {Kind.BUSY, Kind.OVERFLOW}]

    # -- what happened --------------------------------------------------------------------------

    def _after_step(self, step: Step) -> None:
        self._events.append(step)
        self._invariants.after_step(step)

    def _failure(self, found: Violation) -> Failure:
        return Failure(
            invariant=found.invariant,
            detail=found.detail,
            at_ms=(self._runtime.clock.monotonic_ns() - START_NS) // MS_NS,
            events=tuple(map(_told, self._events)),
        )


def _told(event: Step | Fault) -> str:
    """One line of a failure's last events."""
    if isinstance(event, Fault):
        return f"{event.at_ms:>7} ms  fault {event}"
    at_ms = (event.at_ns - START_NS) / MS_NS
    content = " ".join(str(event.message).split()) if event.message is not None else event.what
    text = f"{at_ms:>10.3f} ms  {event.actor}#{event.incarnation}  {content}"
    return text if len(text) <= EVENT_LENGTH_MAX else text[: EVENT_LENGTH_MAX - 3] + "..."


def _pick(rng: SeededRng, among: Sequence[Chosen]) -> Chosen:
    return among[rng.randrange(0, len(among))]


def _instrument(venue: str, native: str) -> Instrument:
    suffix = VENUES[venue].symbol_suffix
    return Instrument(
        venue=venue,
        symbol=native + suffix,
        native=native,
        base=native.removesuffix("USDT"),
        quote="USDT",
        kind=InstrumentKind.PERPETUAL if suffix else InstrumentKind.SPOT,
        tick_size="1",
        lot_size="1",
    )
