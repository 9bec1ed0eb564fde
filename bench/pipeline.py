"""The road of a frame: feed, mailbox, book, publication; against the bare kernel and a bare tell.

Frames come as the transport hands them over, combined (`{"stream":...,"data":...}`) as the venue
sends them on the one socket that Stevie follows. Two questions:

Throughput: bursts of a thousand frames, by CPU time; the peer is the same kernel called directly,
so the ratio is what is left of its speed after routing, two mailboxes and three actors.

Latency: 5,000 frames a second, one a read, by the wall clock, from the hand-over of a frame.
"Readable" ends when the book has handled it: whoever asks the book from then on gets features that
include it. "Published" ends when market_data has handled those features. A book publishes at most
twenty times a second, so the frames are spread over as many books as it takes for each frame to be
published: every frame pays for its ladder, its BookChanged and its FeaturesChanged. The peer is the
emptiest chain there is, at the same pace on the same loop: a message to an actor that tells it on.
"""

import gc
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import gevent
import msgspec

from bench.rounds import ROUNDS, Pair, compare
from bench.workload import Workload, generate, interleave
from stevie.actors.market_counters import MarketCounter
from stevie.actors.market_data import MarketData
from stevie.actors.venue_book import BookSettings, VenueBook
from stevie.actors.venue_feed import FeedSettings, VenueFeed
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import NativeKernel
from stevie.adapters.rng import SeededRng
from stevie.domain.market.core import BookCore, CoreSpec
from stevie.domain.market.instrument import Instrument
from stevie.messages.market import (
    BookChanged,
    BookConnected,
    BookRead,
    FeaturesChanged,
    FramesReceived,
    ReadBook,
    SnapshotAnswered,
)
from stevie.ports import ConnectionListener, HttpAnswer, Kernel
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import Counters
from stevie.runtime.directory import Directory
from stevie.runtime.message import Message
from stevie.runtime.supervision import CHILDREN_MAX, ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from stevie.venues.binance.venue import BinanceSpot

FRAMES = 50_000
BURST = 1_000
BOOKS = (1, 20)
LEVELS = 5_000  # asked for, more than there are: the snapshots vouch for every price

PACE_FRAMES_PER_S = 5_000
PACE_FRAMES = 10_000  # two seconds
READ_BOOKS = 20
PUBLISH_BOOKS = 500  # each has a frame every 100 ms, as Binance sends them
LATENCY_FACTOR_MAX = 3.0  # what we are after, of the bare tell
TIMEOUT_S = 30.0


class Latency(NamedTuple):
    """Microseconds of ours and of the peer: medians over the rounds, and of the rounds' ratios."""

    name: str
    unit: str
    ours: str
    peer: str
    ours_p50: float
    ours_p99: float
    peer_p50: float
    peer_p99: float
    ratio_p99: float
    target: float


def rows() -> Iterator[Pair | Latency]:
    """Throughput for one book and for many, then latency."""
    kernel = NativeKernel()
    for books in BOOKS:
        yield _throughput(kernel, books)
    yield _latency(kernel, "readable", READ_BOOKS)
    yield _latency(kernel, "published", PUBLISH_BOOKS)


# -- throughput ----------------------------------------------------------------------------------


def _throughput(kernel: Kernel, books: int) -> Pair:
    tapes = [Tape(workload) for workload in interleave(books, FRAMES)]
    frames = list(merged(tapes))
    road, cores = Road(kernel, tapes), [kernel.new_core(tape.spec) for tape in tapes]
    try:
        row = compare(
            f"frames to features through feed, mailbox and book, {books} book(s)",
            unit="frames/s",
            count=len(frames),
            ours=("Stevie, bursts of 1,000", lambda: road.run(frames)),
            peer=("its kernel, called directly", lambda: _run_cores(cores, tapes, BURST // books)),
        )
        for core, book in zip(cores, road.read(), strict=True):
            assert book.state == "LIVE", book
            assert core.top(20) == (book.bids, book.asks), "the books differ: no time counts"
    finally:
        road.stop()
    return row


def _run_cores(cores: Sequence[BookCore], tapes: Sequence["Tape"], batch: int) -> None:
    for core, tape in zip(cores, tapes, strict=True):
        core.load_snapshot(tape.snapshot, LEVELS, 0)
    for start in range(0, max(len(tape.frames) for tape in tapes), batch):
        for core, tape in zip(cores, tapes, strict=True):
            frames = tape.frames[start : start + batch]
            core.apply_frames(frames, (time.monotonic_ns(),) * len(frames), 0)


# -- latency -------------------------------------------------------------------------------------


def _latency(kernel: Kernel, end: Literal["readable", "published"], books: int) -> Latency:
    tapes = [Tape(each, depth_only=True) for each in alike(books, PACE_FRAMES)]
    frames = list(merged(tapes))
    road, chain = Road(kernel, tapes), Chain()
    measured = []
    # What start-up made stays for good: left to the collector, one pass over it (kernel bindings,
    # modules, books) holds the loop for tens of milliseconds. The collector itself stays on.
    gc.collect()
    gc.freeze()
    try:
        for _ in range(ROUNDS + 1):
            ours = road.pace(frames, end)
            measured.append((ours, chain.pace(len(ours))))
    finally:
        road.stop()
        chain.stop()
        gc.unfreeze()
    figures = [(*_percentiles(ours), *_percentiles(peer)) for ours, peer in measured[1:]]
    medians = [statistics.median(column) for column in zip(*figures, strict=True)]
    return Latency(
        f"frame received to features {end}, {PACE_FRAMES_PER_S:,} frames/s",
        "us",
        f"Stevie, {books} books",
        "Stevie's own empty tell from actor to actor",
        *medians,
        statistics.median(ours_p99 / peer_p99 for _, ours_p99, _, peer_p99 in figures),
        LATENCY_FACTOR_MAX,
    )


def _percentiles(times_ns: Sequence[int]) -> tuple[float, float]:
    cuts = statistics.quantiles(times_ns, n=100)
    return cuts[49] / 1e3, cuts[98] / 1e3


def paced(count: int) -> Iterator[int]:
    """Count up at the pace, letting the loop turn meanwhile as it does under load."""
    began_ns, step_ns = time.monotonic_ns(), 10**9 // PACE_FRAMES_PER_S
    for index in range(count):
        gevent.sleep(0)
        while time.monotonic_ns() < began_ns + index * step_ns:
            gevent.sleep(0)
        yield index


# -- ours ----------------------------------------------------------------------------------------


class Tape:
    """One book's snapshot and its frames as they come on a combined socket."""

    def __init__(self, workload: Workload, *, depth_only: bool = False) -> None:
        self.symbol, self.snapshot = workload.symbol, workload.snapshot
        self.frames = [
            _combined(workload.symbol, frame)
            for frame in workload.frames
            if b"depthUpdate" in frame or not depth_only
        ]
        self.instrument = Instrument(
            venue="binance",
            symbol=self.symbol,
            native=self.symbol,
            base=self.symbol,
            quote="USDT",
        )
        self.spec = CoreSpec(native_symbol=self.symbol, rule=BinanceSpot().rule)


def alike(books: int, frames: int) -> Iterator[Workload]:
    """One workload under many names: quickly made, and as large in the caches as any other."""
    made = generate(frames // books, symbol="S00000")
    for book in range(books):
        symbol = f"S{book:05d}"
        renamed = [frame.replace(b"S00000", symbol.encode()) for frame in made.frames]
        yield made._replace(symbol=symbol, frames=renamed)


def _combined(symbol: str, frame: bytes) -> bytes:
    stream = "depth@100ms" if b"depthUpdate" in frame else "aggTrade"
    return b'{"stream":"%b@%b","data":%b}' % (symbol.lower().encode(), stream.encode(), frame)


def merged(tapes: Sequence[Tape]) -> Iterator[bytes]:
    """One frame of each in turn, to the end."""
    longest = max(len(tape.frames) for tape in tapes)
    for index in range(longest):
        yield from (tape.frames[index] for tape in tapes if index < len(tape.frames))


class Wire:
    """The outside: one socket that the bench speaks for; snapshots are told by hand."""

    listener: ConnectionListener

    def connect(self, url: str, listener: ConnectionListener) -> "Wire":
        del url
        self.listener = listener
        gevent.spawn(listener.on_open)
        return self

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        """Nobody answers."""

    def send(self, text: str) -> None:
        """Nobody listens."""

    def ping(self) -> None:
        self.listener.on_heard()

    def close(self) -> None:
        """Nothing is open."""


class TimedBook(VenueBook):
    """A book that also notes how old the oldest of the frames is that it has just handled."""

    def __init__(self, context: ActorContext, times_ns: deque[int], **settings: Any) -> None:
        super().__init__(context, **settings)
        self._times_ns = times_ns

    def handle(self, message: Any) -> object:
        answer = super().handle(message)
        if isinstance(message, FramesReceived):
            self._times_ns.append(time.monotonic_ns() - message.received_ns[0])
        return answer


class Witness(MarketData):
    """MarketData that also notes when it has handled the features of a frame."""

    def __init__(self, context: ActorContext, awaited: dict[str, tuple[int, int]]) -> None:
        super().__init__(context)
        self._awaited, self.times_ns = awaited, list[int]()
        self._seqs: dict[str, int] = {}

    def handle(self, message: Any) -> object:
        answer = super().handle(message)
        if isinstance(message, BookChanged) and message.book is not None:
            self._seqs[message.symbol] = message.book.certificate.last_seq
        elif isinstance(message, FeaturesChanged):
            seq, sent_ns = self._awaited.get(message.symbol, (2**63, 0))
            if self._seqs[message.symbol] >= seq:
                self.times_ns.append(time.monotonic_ns() - sent_ns)
                del self._awaited[message.symbol]
        return answer


class Road:
    """A feed, its books and market_data, and what a transport would do with them."""

    def __init__(self, kernel: Kernel, tapes: Sequence[Tape]) -> None:
        self._tapes, self._wire = tapes, Wire()
        self._awaited: dict[str, tuple[int, int]] = {}  # by symbol: sequence, when handed over
        self._read_ns: deque[int] = deque(maxlen=PACE_FRAMES)
        self._names = [f"book/binance/{tape.symbol}" for tape in tapes]
        self._system = _system(
            ChildSpec(name="market_data", factory=Witness, arguments={"awaited": self._awaited}),
            ChildSpec(
                name="feed/binance",
                factory=VenueFeed,
                arguments={
                    "codec": BinanceSpot(),
                    "transport": self._wire,
                    "instruments": tuple(tape.instrument for tape in tapes),
                    "settings": FeedSettings(),
                },
            ),
            *self._books(kernel),
        )
        self._directory: Directory = self._system.directory
        self._mailboxes = [cell.mailbox for cell in self._directory.cells()]
        self._settle()

    def _books(self, kernel: Kernel) -> Iterator[ChildSpec]:
        """In groups of what one supervisor takes."""
        for start in range(0, len(self._tapes), CHILDREN_MAX):
            tapes = self._tapes[start : start + CHILDREN_MAX]
            plan = Plan(children=tuple(self._book(kernel, tape) for tape in tapes))
            yield supervise(f"books/{start}", plan)

    def _book(self, kernel: Kernel, tape: Tape) -> ChildSpec:
        arguments = {
            "instrument": tape.instrument,
            "rule": BinanceSpot().rule,
            "kernel": kernel,
            "settings": BookSettings(),
            "times_ns": self._read_ns,
        }
        return ChildSpec(name=f"book/binance/{tape.symbol}", factory=TimedBook, arguments=arguments)

    def run(self, frames: Sequence[bytes]) -> None:
        """From a new snapshot through all frames, in bursts."""
        rest = self._sync(frames)
        for start in range(0, len(rest), BURST):
            burst = rest[start : start + BURST]
            self._wire.listener.on_frames(burst, time.monotonic_ns())
            self._settle()

    def pace(self, frames: Sequence[bytes], end: Literal["readable", "published"]) -> Sequence[int]:
        """From a new snapshot through all frames, one a read; nanoseconds that each one took."""
        rest = [(*_symbol_and_seq(frame), frame) for frame in self._sync(frames)]
        gevent.sleep(0.1)  # what was published by the sync is out
        witness: Any = self._directory.cell("market_data").actor
        witness.times_ns = []
        self._read_ns.clear()
        for index in paced(len(rest)):
            symbol, seq, frame = rest[index]
            now_ns = time.monotonic_ns()
            # One that still waits stays: late features are as late as the oldest frame in them.
            _, sent_ns = self._awaited.get(symbol, (0, now_ns))
            self._awaited[symbol] = seq, sent_ns
            self._wire.listener.on_frames((frame,), now_ns)
        gevent.sleep(0.2)
        assert not self._awaited, "features that never came"
        assert self._read_ns, "no frame was handled"
        return self._read_ns if end == "readable" else witness.times_ns

    def _sync(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        """Make every book LIVE by its first frame and its snapshot; what is left of the frames."""
        count = len(self._names)
        self._tell_all(BookConnected() for _ in self._names)
        self._wire.listener.on_frames(frames[:count], time.monotonic_ns())
        self._settle()
        self._tell_all(
            SnapshotAnswered(native_symbol=tape.symbol, body=tape.snapshot, level_limit=LEVELS)
            for tape in self._tapes
        )
        return frames[count:]

    def _tell_all(self, messages: Iterable[Message]) -> None:
        for name, message in zip(self._names, messages, strict=True):
            self._directory.tell(name, message)
        self._settle()

    def _settle(self) -> None:
        gevent.sleep(0)
        while not all(mailbox.empty() for mailbox in self._mailboxes):
            gevent.sleep(0)

    def read(self) -> list[BookRead]:
        """Every book as it is."""
        ask = self._directory.ask
        return [ask(name, ReadBook(depth=20), timeout_s=TIMEOUT_S) for name in self._names]

    def stop(self) -> None:
        self._system.stop()


def _symbol_and_seq(frame: bytes) -> tuple[str, int]:
    data = msgspec.json.decode(frame)["data"]
    return data["s"], data["u"]


# -- the peer ------------------------------------------------------------------------------------


class Baton(Message, frozen=True, kw_only=True, gc=False):
    """Pass it on."""

    sent_ns: int


class Runner(StevieActor):
    """Tells the next one."""

    def handle(self, message: Baton) -> object:
        return self.tell("finish", message)


class Finish(StevieActor):
    """Notes how long it took."""

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)
        self.times_ns: list[int] = []

    def handle(self, message: Baton) -> object:
        self.times_ns.append(time.monotonic_ns() - message.sent_ns)
        return None


class Chain:
    """An actor that tells another."""

    def __init__(self) -> None:
        self._system = _system(
            ChildSpec(name="finish", factory=Finish), ChildSpec(name="runner", factory=Runner)
        )

    def pace(self, count: int) -> list[int]:
        """Nanoseconds that each message took to the second actor."""
        finish: Any = self._system.directory.cell("finish").actor
        finish.times_ns = []
        for _ in paced(count):
            self._system.directory.tell("runner", Baton(sent_ns=time.monotonic_ns()))
        gevent.sleep(0.1)
        return finish.times_ns

    def stop(self) -> None:
        self._system.stop()


def _system(*children: ChildSpec) -> ActorSystem:
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1), counters=Counters(MarketCounter))
    system.start(supervise("root", Plan(children=children)))
    return system
