"""Runs one capture through the production actors, as fast as they take it.

Time is the capture's own. Frames are handed over in chunks, and the next chunk only when every
mailbox is empty again: nothing is dropped, and a run is repeatable.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import gevent
import msgspec

from stevie.actors.root import VenueSetup, root_spec
from stevie.actors.venue_book import BookSettings
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.replay import ReplayTransport
from stevie.adapters.rng import SeededRng
from stevie.capture import CaptureError, TimedLine, read_capture
from stevie.domain.market.book import BookLimits
from stevie.domain.market.frame_buffer import BufferLimits
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.link import SECOND_NS, LinkLimits
from stevie.messages.market import BookRead, FramesReceived, ReadBook, WatchCheckpoints
from stevie.ports import Kernel, VenueCodec
from stevie.replay.sources import snapshot_symbol
from stevie.runtime.counters import Counters
from stevie.runtime.deterministic import VirtualClock
from stevie.runtime.directory import Cell
from stevie.runtime.lifecycle import State
from stevie.runtime.system import ActorSystem
from stevie.venues.registry import venue_of

CHUNK_FRAMES = 1000
CHUNK_BYTES = 4 * 2**20
LIVED_NS = 60 * SECOND_NS  # a longer pause of the capture is skipped but for its last minute
ASK_S = 30.0
DEPTH = 10
NEVER_S = float("inf")

# A recording may hold back its snapshots for long, and its symbols ask for theirs all at once.
_FEED = FeedSettings(
    link=LinkLimits(rotate_after_s=NEVER_S), snapshots_in_flight_max=100_000, mute_after_s=NEVER_S
)
_BOOK = BookSettings(
    limits=BookLimits(buffer=BufferLimits(frames_max=1_000_000, bytes_max=1 << 30))
)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay; `broken` says where the capture ended early, "" if it did not."""

    books: tuple[BookRead, ...]
    frames: int
    broken: str


class ReplayCrashedError(Exception):
    """An actor crashed: a bug, and what its successor holds is not the capture's book."""


class Replay:
    """One capture, one venue, its own tree of actors."""

    def __init__(
        self,
        path: Path,
        *,
        codec: VenueCodec,
        kernel: Kernel,
        instruments: Sequence[Instrument],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._path, self._codec, self._on_progress = path, codec, on_progress
        self._clock = VirtualClock()
        self._transport = ReplayTransport(lambda url: snapshot_symbol(url, codec))
        self._names = {i.native: f"book/{i.venue}/{i.symbol}" for i in instruments}
        self._feed = f"feed/{codec.venue}"
        self._setup = VenueSetup(
            codec=codec,
            transport=self._transport,
            instruments=tuple(instruments),
            kernel=kernel,
            feed=_FEED,
            book=_BOOK,
        )
        self._system = ActorSystem(clock=self._clock, rng=SeededRng(0), counters=Counters())
        self._cells: tuple[Cell, ...] = ()
        self._frames = 0

    def run(self, checkpoints: Mapping[str, tuple[int, ...]]) -> Replayed:
        """Replay to the end, or to where the file breaks, and read every book.

        `checkpoints` gives, by native symbol, the counts of applied deltas at which the top of the
        book is noted.
        """
        broken = ""
        lines = read_capture(self._path)
        first = next(lines)  # there is one: a capture without symbols is not replayed
        self._clock.advance(first.at_ns)
        self._system.start(root_spec([self._setup]))
        self._cells = self._system.directory.cells()
        try:
            for native, name in self._names.items():
                counts = WatchCheckpoints(applied_counts=checkpoints.get(native, ()))
                self._system.directory.tell(name, counts)
            try:
                self._feed_all(first, lines)
            except CaptureError as error:
                broken = str(error)
            return Replayed(books=self._read(), frames=self._frames, broken=broken)
        finally:
            self._system.stop()

    def _feed_all(self, first: TimedLine, lines: Iterator[TimedLine]) -> None:
        mine = {self._codec.venue, ""}
        chunk: list[TimedLine] = []
        chunk_bytes = 0
        try:
            for line in chain((first,), lines):
                if venue_of(line.url) not in mine:
                    continue  # another venue's, recorded beside this one
                if line.kind == "ws_in":
                    chunk.append(line)
                    chunk_bytes += len(line.raw)
                    if len(chunk) >= CHUNK_FRAMES or chunk_bytes >= CHUNK_BYTES:
                        self._hand_over(chunk)
                        chunk, chunk_bytes = [], 0
                elif line.kind == "rest":
                    self._hand_over(chunk)
                    chunk, chunk_bytes = [], 0
                    self._answer(line)
        finally:
            self._hand_over(chunk)  # what came before a break is kept

    def _hand_over(self, chunk: list[TimedLine]) -> None:
        if not chunk:
            return
        frames = tuple(line.raw for line in chunk)
        times = tuple(line.at_ns for line in chunk)
        received = FramesReceived(frames=frames, received_ns=times, connections=(1,))
        self._system.directory.tell(self._feed, received)
        self._settle()
        self._advance(times[-1])
        self._frames += len(frames)
        self._on_progress(self._frames)

    def _answer(self, line: TimedLine) -> None:
        self._advance(line.at_ns)
        self._transport.offer(line.url, line.raw)
        self._settle()
        self._frames += 1

    def _advance(self, to_ns: int) -> None:
        """Let the capture's time pass from timer to timer, each with its consequences."""
        self._clock.skip(to_ns - LIVED_NS)
        while (due_ns := self._clock.next_ns()) is not None and due_ns <= to_ns:
            self._clock.advance(due_ns)
            self._settle()
        self._clock.advance(to_ns)

    def _settle(self) -> None:
        """Let every actor work off its mailbox."""
        while True:
            gevent.sleep(0)
            for cell in self._cells:
                if cell.incarnation > 1 or cell.state is not State.RUNNING:
                    raise ReplayCrashedError(f"{cell.name} crashed: {cell.last_reason}")
            if all(cell.mailbox.empty() for cell in self._cells):
                return

    def _read(self) -> tuple[BookRead, ...]:
        ask = self._system.directory.ask
        return tuple(
            ask(name, ReadBook(depth=DEPTH), timeout_s=ASK_S) for name in self._names.values()
        )
