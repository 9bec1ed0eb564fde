"""One replay as asked for on the command line: find out, run, compare."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from stevie.adapters.clock import LiveClock
from stevie.ports import Kernel
from stevie.replay.expectation import Expectation, differences, read_expectation
from stevie.replay.runner import Replay, Replayed
from stevie.replay.sources import (
    SourceError,
    instruments_for,
    read_instrument_list,
    subject_of,
)
from stevie.venues.registry import VENUES


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; a venue of None is told by the capture's URLs."""

    file: Path
    venue: str | None = None
    instruments: Path | None = None
    expect: Path | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `differences` is None if nothing was expected."""

    venue: str
    replayed: Replayed
    elapsed_s: float
    differences: tuple[str, ...] | None


def run(request: Request, kernel: Kernel, on_progress: Callable[[int], None]) -> Outcome:
    """Replay; SourceError, ExpectationError, CaptureError or OSError if the input is of no use."""
    expected = read_expectation(request.expect) if request.expect else Expectation(symbols={})
    venue, natives = subject_of(request.file, request.venue)
    codec = VENUES[venue].codec(VENUES[venue].live)
    if not natives:
        raise SourceError(f"{request.file}: neither depth frames nor snapshots of {venue}")
    listed = read_instrument_list(request.instruments, codec) if request.instruments else ()
    runner = Replay(
        request.file,
        codec=codec,
        kernel=kernel,
        instruments=instruments_for(natives, venue, listed),
        on_progress=on_progress,
    )
    started_ns = LiveClock.monotonic_ns()
    counts = {name: book.checkpoint_counts for name, book in expected.symbols.items()}
    replayed = runner.run(counts)
    return Outcome(
        venue=venue,
        replayed=replayed,
        elapsed_s=(LiveClock.monotonic_ns() - started_ns) / 1e9,
        differences=tuple(differences(expected, replayed.books)) if request.expect else None,
    )
