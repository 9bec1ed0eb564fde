"""The limit, `bench/limit.cpp`, as one more contender."""

import ctypes
import shutil
import subprocess
from array import array
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from bench.peers.contender import BATCH, TOP_LEVELS, TOP_READS, Stage, Sums, Top
from bench.workload import Workload

SOURCE = Path(__file__).with_suffix(".cpp")
BUILD_DIR = SOURCE.parents[1] / "build"
COMPILER = "g++"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared")


class Limit:
    """One call for the whole workload."""

    name = "limit: C++, no checks"
    package = ""
    stages = (*Stage,)

    def __init__(self, workload: Workload) -> None:
        self._library = load()
        self._snapshot = workload.snapshot
        self._frames = b"".join(workload.frames)
        ends = accumulate(len(frame) for frame in workload.frames)
        self._starts = array("l", [0, *ends])
        self._tape = (self._frames, self._starts.buffer_info()[0], len(workload.frames))
        self._limit = self._library.limit_new(workload.floor_ticks, workload.span_ticks)
        self._library.limit_parse(self._limit, *self._tape)

    def __del__(self) -> None:
        self._library.limit_delete(self._limit)

    def reset(self, stage: Stage) -> None:
        self._library.limit_reset(self._limit, self._snapshot)
        self._has_sums = stage in {Stage.FEATURES, Stage.BATCHES}

    def run(self, stage: Stage) -> None:
        library, limit = self._library, self._limit
        match stage:
            case Stage.DECODE:
                library.limit_decode(limit, *self._tape)
            case Stage.APPLY:
                library.limit_apply(limit)
            case Stage.BOOK:
                library.limit_book(limit, *self._tape)
            case Stage.FEATURES:
                library.limit_features(limit, *self._tape, 1)
            case Stage.BATCHES:
                library.limit_features(limit, *self._tape, BATCH)
            case Stage.TOP:
                into = (ctypes.c_int64 * (4 * TOP_LEVELS))()
                library.limit_tops(limit, TOP_LEVELS, TOP_READS, into)

    def top(self, count: int) -> Top:
        into = (ctypes.c_int64 * (4 * count))()
        self._library.limit_top(self._limit, count, into)
        levels = list(zip(into[::2], into[1::2], strict=True))
        return tuple(levels[:count]), tuple(levels[count:])

    def sums(self) -> Sums | None:
        if not self._has_sums:
            return None
        into = (ctypes.c_double * len(Sums._fields))()
        self._library.limit_sums(self._limit, into)
        return Sums(*into)


def load() -> ctypes.CDLL:
    """The library, compiled if these sources have not been."""
    key = sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    target = BUILD_DIR / f"liblimit-{key}.so"
    if not target.exists():
        BUILD_DIR.mkdir(exist_ok=True)
        compiler = shutil.which(COMPILER)
        assert compiler is not None, f"{COMPILER} is not installed (Debian: apt-get install g++)"
        scratch = target.with_suffix(".new.so")
        subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(scratch)], check=True)
        scratch.replace(target)
    library = ctypes.CDLL(str(target))
    tape = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64]
    number, handle = ctypes.c_int64, ctypes.c_void_p
    for name, arguments in {
        "limit_delete": [handle],
        "limit_reset": [handle, ctypes.c_char_p],
        "limit_decode": tape,
        "limit_parse": tape,
        "limit_apply": [handle],
        "limit_book": tape,
        "limit_features": [*tape, number],
        "limit_sums": [handle, ctypes.c_void_p],
        "limit_top": [handle, number, ctypes.c_void_p],
        "limit_tops": [handle, number, number, ctypes.c_void_p],
        "limit_new": [number, number],
    }.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    library.limit_new.restype = handle
    return library
