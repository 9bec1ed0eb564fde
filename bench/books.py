"""Raw Binance frames to book to features: the kernel, its limit and its peers, on the same work.

Each contender is a process of its own on one core; they take turns, stage by stage. Whoever's final
book or features differ from the limit's ends the benchmark: a time of a wrong answer is none.
"""

import math
import pickle
import statistics
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from bench.peers.contender import BATCH, TOP_READS, Stage, Sums, Top
from bench.peers.rival import MissingPackageError, Rival, Turn
from bench.rounds import ROUNDS, Pair, Row, Timing, pair
from bench.workload import FRAMES, NEAR, RECORDED, SHORT, VENUE, Workload, generate

KERNEL = "bench.peers.kernel:Kernel"
LIMIT = "bench.limit:Limit"
NUMBA = "bench.peers.numba_ladder:NumbaLadder"
DICT = "bench.peers.dict_bisect:DictBisect"
CCXT = "bench.peers.ccxt_handler:CcxtHandler"
HFTBACKTEST = "bench.peers.hftbacktest_depth:HftbacktestDepth"

# The kernel adds its returns up in integers of 2**-62, each cut off: exact, but not the same sum.
TOLERANCES = Sums(obi=1e-9, spread_bps=1e-9, weighted_mid=1e-9, micro_vol=1e-4, ti=1e-9)


class Match(NamedTuple):
    """The kernel against one other in one stage."""

    name: str
    stage: Stage
    peer: str
    target: float | None = None


MATCHES = (
    Match(f"frames to features, {BATCH} a call", Stage.BATCHES, LIMIT, 0.5),
    Match("frames to features, 1 a call", Stage.FEATURES, LIMIT),
    Match("frames to features, 1 a call", Stage.FEATURES, NUMBA, 7.0),
    Match("frames to features, 1 a call", Stage.FEATURES, DICT, 12.0),
    Match("frames to features, 1 a call", Stage.FEATURES, CCXT, 40.0),
    Match(f"frames to book, {BATCH} a call", Stage.BOOK, LIMIT),
    Match(f"frames to book, {BATCH} a call", Stage.BOOK, NUMBA),
    Match(f"frames to book, {BATCH} a call", Stage.BOOK, DICT),
    Match("frames to numbers, 1 a call", Stage.DECODE, LIMIT),
    Match("frames to numbers, 1 a call", Stage.DECODE, DICT),
    Match("numbers to book", Stage.APPLY, LIMIT),
    Match("numbers to book", Stage.APPLY, HFTBACKTEST, 3.0),
    Match("numbers to book", Stage.APPLY, NUMBA),
    Match("numbers to book", Stage.APPLY, DICT),
    Match("read the top 20", Stage.TOP, NUMBA),
    Match("read the top 20", Stage.TOP, DICT),
    Match("read the top 20", Stage.TOP, CCXT),
)
RECORDED_MATCHES = (
    Match(f"recorded-like frames, {BATCH} a call", Stage.BATCHES, LIMIT),
    Match("recorded-like frames, 1 a call", Stage.FEATURES, NUMBA),
    Match("recorded-like frames, 1 a call", Stage.FEATURES, DICT),
)
RECORDED_SHARE = 4  # its frames are twice as long, and there are fewer of them


def rows() -> Iterator[Row]:
    """The kernel against each peer, then what each stage costs each of them."""
    yield from _contest(generate(FRAMES, profile=NEAR, text=SHORT), MATCHES)
    recorded = generate(FRAMES // RECORDED_SHARE, profile=RECORDED, text=VENUE)
    yield from _contest(recorded, RECORDED_MATCHES)


def _contest(workload: Workload, matches: tuple[Match, ...]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workload.pickle"
        path.write_bytes(pickle.dumps(workload))
        rivals = _start((KERNEL, LIMIT, *(match.peer for match in matches)), path)
        try:
            stages = dict.fromkeys(match.stage for match in matches)
            seconds = {stage: race(_rivals_of(stage, matches, rivals), stage) for stage in stages}
        finally:
            for rival in rivals.values():
                rival.stop()
    for match in matches:
        if match.peer in rivals:
            yield _pair(match, rivals, seconds[match.stage], workload)
    for stage, times in seconds.items():
        for who, cpu_s in times.items():
            yield _timing(rivals[who], stage, cpu_s, workload)


def _start(contenders: tuple[str, ...], workload: Path) -> dict[str, Rival]:
    """All whose packages are here."""
    rivals = {}
    for contender in dict.fromkeys(contenders):
        try:
            rivals[contender] = Rival(contender, workload)
        except MissingPackageError:
            sys.stderr.write(f"left out: {contender}; `make bench` installs what it needs\n")
    return rivals


def _rivals_of(
    stage: Stage, matches: tuple[Match, ...], rivals: dict[str, Rival]
) -> dict[str, Rival]:
    wanted = {KERNEL, LIMIT, *(match.peer for match in matches if match.stage is stage)}
    return {who: rival for who, rival in rivals.items() if who in wanted}


def race(rivals: dict[str, Rival], stage: Stage) -> dict[str, list[float]]:
    """The seconds of each, in turns; the first round is a warm-up."""
    seconds: dict[str, list[float]] = {who: [] for who in rivals}
    for _ in range(ROUNDS + 1):
        turns = {who: rival.run(stage) for who, rival in rivals.items()}
        for who, turn in turns.items():
            agree(rivals[who].who.name, turn, turns[LIMIT])
            seconds[who].append(turn.cpu_s)
    return {who: times[1:] for who, times in seconds.items()}


def agree(name: str, turn: Turn, limit: Turn) -> None:
    """AssertionError, naming what differs, unless book and features are the limit's."""
    _agree_on_top(name, turn.top, limit.top)
    if turn.sums is None or limit.sums is None:
        return
    for field, ours, theirs in zip(Sums._fields, turn.sums, limit.sums, strict=True):
        tolerance = getattr(TOLERANCES, field)
        assert math.isclose(ours, theirs, rel_tol=tolerance), (
            f"{name} adds {field} up to {ours!r}, the limit to {theirs!r}"
        )


def _agree_on_top(name: str, top: Top, limit: Top) -> None:
    for side, ours, theirs in zip(("bid", "ask"), top, limit, strict=True):
        for place, (mine, other) in enumerate(zip_longest(ours, theirs), start=1):
            assert mine == other, f"{name} has {mine} as {side} {place}, the limit {other}"


def _pair(
    match: Match, rivals: dict[str, Rival], seconds: dict[str, list[float]], workload: Workload
) -> Pair:
    is_top = match.stage is Stage.TOP
    return pair(
        match.name,
        unit="reads/s" if is_top else "frames/s",
        count=TOP_READS if is_top else workload.depth_frames,
        ours=(rivals[KERNEL].who.name, seconds[KERNEL]),
        peer=(_with_version(rivals[match.peer]), seconds[match.peer]),
        target=match.target,
    )


def _timing(rival: Rival, stage: Stage, cpu_s: list[float], workload: Workload) -> Timing:
    count = TOP_READS if stage is Stage.TOP else workload.depth_frames
    return Timing(
        workload.profile.name,
        rival.who.name,
        version(rival.who.package) if rival.who.package else "",
        stage,
        statistics.median(cpu_s) / count * 1e9,
        min(cpu_s) / count * 1e9,
    )


def _with_version(rival: Rival) -> str:
    name, package = rival.who.name, rival.who.package
    return f"{name} ({package} {version(package)})" if package else name
