"""Many books: the cost of a frame when books take turns, their memory, and the cost to publish."""

import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.peers.contender import Stage, Sums, Top
from bench.peers.rival import Rival, Turn
from bench.rounds import ROUNDS, Figure, Row, pair
from bench.workload import FRAMES, SNAPSHOT_LIMIT, START_NS, Workload, interleave
from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.book import Book
from stevie.domain.market.core import BookCore, Code, CoreSpec
from stevie.domain.market.sequencer import SequenceRule

BOOKS = (1, 100, 1_000)
SCALING_TARGET = 1 / 1.5
PUBLICATIONS = 20_000
PAGE_BYTES = 4096


class ManyBooks:
    """Books that take turns, one frame a call and its features read: the worst case for caches.

    The second half of the frames is timed: the first one makes the books what they stay.
    """

    name = "many books"
    package = "stevie"
    stages = (Stage.FEATURES,)

    def __init__(self, workloads: list[Workload]) -> None:
        self._kernel = NativeKernel()
        self._workloads = workloads
        turns = zip(*(zip(w.frames, w.received_ns, strict=True) for w in workloads), strict=True)
        # Copied, so that they lie in memory in the order in which they come, as on arrival.
        self._frames = [
            (bytes(memoryview(frame)), at_ns) for turn in turns for frame, at_ns in turn
        ]
        self._bytes_before = 0

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        self._cores: list[BookCore] = []
        self._bytes_before = self._bytes_before or _resident_bytes()
        self._cores = [_core(self._kernel, workload) for workload in self._workloads]
        self._follow(range(len(self._frames) // 2))

    def run(self, stage: Stage) -> None:  # noqa: ARG002
        self._follow(range(len(self._frames) // 2, len(self._frames)))

    def _follow(self, indices: range) -> None:
        cores, count = self._cores, len(self._cores)
        for index in indices:
            frame, at_ns = self._frames[index]
            cores[index % count].follow(frame, at_ns)

    def facts(self) -> dict[str, float]:
        """What the books weigh; the memory of the first ones is there for those that follow."""
        views = [core.view() for core in self._cores]
        wanted = sum(workload.depth_frames for workload in self._workloads)
        assert sum(view.applied for view in views) == wanted, "frames were left out"
        return {
            "book_bytes": (_resident_bytes() - self._bytes_before) / len(views),
            "levels": sum(view.bid_levels + view.ask_levels for view in views) / len(views),
        }

    def top(self, count: int) -> Top:
        return self._cores[0].top(count)

    def sums(self) -> Sums | None:
        return None


class Publication:
    """A live book's FreshBook, 200 levels a side, made again and again."""

    name = "publication"
    package = "stevie"
    stages = (Stage.TOP,)

    def __init__(self, workloads: list[Workload]) -> None:
        self._kernel, self._workload = NativeKernel(), workloads[0]

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        workload = self._workload
        spec = CoreSpec(native_symbol=workload.symbol, rule=SequenceRule.SPOT)
        self._book = Book(lambda: self._kernel.new_core(spec))
        self._book.on_connected(START_NS)
        self._book.on_frames(workload.frames[:1], workload.received_ns[:1])
        self._book.on_snapshot(workload.snapshot, SNAPSHOT_LIMIT, START_NS)
        self._book.on_frames(workload.frames[1:], workload.received_ns[1:])
        assert self._book.is_live, self._book.reason

    def run(self, stage: Stage) -> None:  # noqa: ARG002
        for _ in range(PUBLICATIONS):
            self._book.fresh_book("binance", "BTCUSDT")

    def top(self, count: int) -> Top:
        return self._book.core.top(count)

    def sums(self) -> Sums | None:
        return None


def _core(kernel: NativeKernel, workload: Workload) -> BookCore:
    core = kernel.new_core(CoreSpec(native_symbol=workload.symbol, rule=SequenceRule.SPOT))
    code = core.load_snapshot(workload.snapshot, SNAPSHOT_LIMIT, START_NS)
    assert code == Code.OK, code
    return core


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def rows() -> Iterator[Row]:
    """The same number of frames for each number of books."""
    with tempfile.TemporaryDirectory() as folder:
        rivals = []
        try:
            for books in BOOKS:
                path = Path(folder) / f"{books}.pickle"
                path.write_bytes(pickle.dumps(interleave(books, FRAMES)))
                rivals.append(Rival("bench.scale:ManyBooks", path))
            turns = _race(rivals, Stage.FEATURES)
            publisher = Rival("bench.scale:Publication", Path(folder) / f"{BOOKS[0]}.pickle")
            rivals.append(publisher)
            publications = _race([publisher], Stage.TOP)[0]
        finally:
            for rival in rivals:
                rival.stop()
    yield from _scaling([[turn.cpu_s for turn in each[1:]] for each in turns])
    yield from _weights(turns[-1][0].facts)  # of the first round: later ones reuse its memory
    costs_ns = [turn.cpu_s / PUBLICATIONS * 1e9 for turn in publications[1:]]
    yield Figure("publish a book of 200 levels a side", "ns", median(costs_ns), min(costs_ns))


def _race(rivals: list[Rival], stage: Stage) -> list[list[Turn]]:
    """Each one's turns, round by round; the first is a warm-up."""
    rounds = [[rival.run(stage) for rival in rivals] for _ in range(ROUNDS + 1)]
    return [list(turns) for turns in zip(*rounds, strict=True)]


def _scaling(seconds: list[list[float]]) -> Iterator[Row]:
    for books, many_s in zip(BOOKS[1:], seconds[1:], strict=True):
        yield pair(
            "frames of books that take turns",
            unit="frames/s",
            count=FRAMES // 2,
            ours=(f"{books:,} books", many_s),
            peer=("1 book", seconds[0]),
            target=SCALING_TARGET,
        )


def _weights(facts: dict[str, float]) -> Iterator[Row]:
    bytes_a_book, levels = facts["book_bytes"], facts["levels"]
    name = f"memory of a book of {levels:,.0f} levels"
    yield Figure(name, "kB", bytes_a_book / 1e3, bytes_a_book / 1e3)
    yield Figure("memory of a level", "B", bytes_a_book / levels, bytes_a_book / levels)
