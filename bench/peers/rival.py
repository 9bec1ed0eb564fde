"""A contender in a process of its own, pinned to one core, that works when it is told to.

`python -m bench.peers.rival MODULE:CLASS WORKLOAD` is that process: it reads stages from its input,
a line each, and answers each with a line of JSON.
"""

import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.peers.contender import TOP_LEVELS, Contender, Stage, Sums, Top
from bench.rounds import cpu_s

STOP_TIMEOUT_S = 10
MISSING = 3  # the exit code of a process whose package is not installed


class MissingPackageError(RuntimeError):
    """A peer's package is not installed."""


class Introduction(msgspec.Struct):
    """Who a contender is."""

    name: str
    package: str
    stages: tuple[Stage, ...]


class Turn(msgspec.Struct):
    """What one run took, and what came of it."""

    cpu_s: float
    top: Top
    sums: Sums | None
    facts: dict[str, float]


class Rival:
    """The parent's end of a contender's process."""

    def __init__(self, contender: str, workload: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, contender, str(workload)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            self.who = msgspec.json.decode(self._answer(contender), type=Introduction)
        except BaseException:
            self.stop()
            raise

    def run(self, stage: Stage) -> Turn:
        """One run of one stage."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{stage}\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._answer(self.who.name), type=Turn)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(STOP_TIMEOUT_S)

    def _answer(self, name: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait(STOP_TIMEOUT_S)
            assert code == MISSING, f"{name} ended with exit code {code}; see above"
            raise MissingPackageError(name)
        return line


def main() -> int:
    """The process."""
    where, workload_path = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a package prints is no answer
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, _, class_name = where.partition(":")
    try:
        contender_class = getattr(importlib.import_module(module), class_name)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{where}: {error}\n")
        return MISSING
    workload: Any = pickle.loads(Path(workload_path).read_bytes())
    contender: Contender = contender_class(workload)

    def answer(what: Introduction | Turn) -> None:
        answers.write(f"{msgspec.json.encode(what).decode()}\n")
        answers.flush()

    answer(Introduction(contender.name, contender.package, contender.stages))
    for line in sys.stdin:
        answer(turn(contender, Stage(line.strip())))
    return 0


def turn(contender: Contender, stage: Stage) -> Turn:
    """Reset it, and time one run."""
    contender.reset(stage)
    seconds = cpu_s(lambda: contender.run(stage))
    facts: dict[str, float] = getattr(contender, "facts", dict)()
    return Turn(seconds, contender.top(TOP_LEVELS), contender.sums(), facts)


if __name__ == "__main__":
    sys.exit(main())
