"""Results: what was measured, where, and with which versions; as JSON, tables, a document."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from bench.rounds import ROUNDS, Figure, Pair, Timing
from bench.workload import FRAMES

CHECKOUT = Path(__file__).parents[1]
RESULTS = CHECKOUT / "bench" / "results.json"
DOCUMENT = CHECKOUT / "docs" / "performance.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PACKAGES = (
    "stevie", "msgspec", "cppyy", "numba", "numpy", "hftbacktest", "ccxt", "orjson", "cryptofeed",
    "websockets", "pykka", "gevent",
)  # fmt: skip

Rows = list[Any]  # of Row, or whatever named tuple a suite has for itself


class Machine(msgspec.Struct):
    """Where it ran."""

    platform: str
    processor: str
    python: str
    compiler: str
    commit: str
    at: str


class Other(msgspec.Struct):
    """A row of a kind that a suite has for itself: a named tuple, told field by field."""

    kind: str
    fields: dict[str, str | float | None]


class Results(msgspec.Struct):
    """One run."""

    machine: Machine
    versions: dict[str, str]
    rounds: int
    frames: int
    pairs: list[Pair]
    figures: list[Figure]
    timings: list[Timing]
    others: list[Other]


def save(rows: Rows) -> None:
    """Write bench/results.json."""
    results = Results(
        machine=_machine(),
        versions=dict(_versions()),
        rounds=ROUNDS,
        frames=FRAMES,
        pairs=[row for row in rows if isinstance(row, Pair)],
        figures=[row for row in rows if isinstance(row, Figure)],
        timings=[row for row in rows if isinstance(row, Timing)],
        others=[
            Other(type(row).__name__, row._asdict())
            for row in rows
            if not isinstance(row, Pair | Figure | Timing)
        ],
    )
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def load() -> Results:
    """Read it back."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


# -- as tables -----------------------------------------------------------------------------------


def headline(results: Results) -> str:
    """How it was measured, in a sentence."""
    machine = results.machine
    return (
        f"Medians of {results.rounds} rounds in turn, by CPU time, {results.frames:,} frames: "
        f"{machine.processor}, {machine.platform}, Python {machine.python}, {machine.compiler}, "
        f"commit {machine.commit}, {machine.at}."
    )


def tables(results: Results) -> Iterator[Table]:
    """Those that the terminal shows."""
    for title, head, body in sections(results):
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(head):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in body:
            table.add_row(*row)
        yield table


Section = tuple[str, list[str], list[list[str]]]


def sections(results: Results) -> Iterator[Section]:
    """Title, head and body of each table."""
    if results.pairs:
        yield "Side by side, per CPU second", PAIR_HEAD, [_pair_row(row) for row in results.pairs]
    for workload, timings in groupby(results.timings, lambda row: row.workload):
        yield _stages(workload, list(timings))
    if results.figures:
        body = [
            [row.name, f"{row.median:,.1f} {row.unit}", f"{row.best:,.1f} {row.unit}"]
            for row in results.figures
        ]
        yield "Costs of ours", ["what", "median", "best"], body
    for kind, others in groupby(results.others, lambda row: row.kind):
        rows = [row.fields for row in others]
        head = [name.replace("_", " ") for name in rows[0]]
        yield kind, head, [[_cell(value) for value in row.values()] for row in rows]


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,.2f}"


PAIR_HEAD = ["what", "ours", "speed", "peer", "speed", "ratio", "wanted"]


def _pair_row(row: Pair) -> list[str]:
    return [
        row.name,
        row.ours,
        f"{row.ours_per_s:,.0f} {row.unit}",
        row.peer,
        f"{row.peer_per_s:,.0f}",
        f"{row.ratio:.2f}",
        "" if row.target is None else f"≥ {row.target:.2f}",
    ]


def _stages(workload: str, timings: list[Timing]) -> Section:
    stages = list(dict.fromkeys(row.stage for row in timings))
    cells = {(row.contender, row.stage): f"{row.median_ns:,.0f}" for row in timings}
    body = [
        [contender, *(cells.get((contender, stage), "") for stage in stages)]
        for contender in dict.fromkeys(row.contender for row in timings)
    ]
    return f"Nanoseconds a depth frame (top: a read), {workload} frames", ["", *stages], body


# -- as a document -------------------------------------------------------------------------------


def write_docs(results: Results) -> None:
    """Put the tables between the marks of docs/performance.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, f"{DOCUMENT} has lost its marks"
    DOCUMENT.write_text(f"{before}{BEGIN}\n{document(results)}\n{END}{after}", encoding="utf-8")


def document(results: Results) -> str:
    """The tables in Markdown."""
    packages = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    parts = [headline(results), f"Versions: {packages}."]
    for title, head, body in sections(results):
        align = ["---", *["---:"] * (len(head) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in (head, align, *body)]
        parts.append(f"**{title}**\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


# -- where it ran --------------------------------------------------------------------------------


def _machine() -> Machine:
    return Machine(
        platform=platform.platform(terse=True),
        processor=_processor(),
        python=sys.version.split()[0],
        compiler=_line_of("g++", "--version"),
        commit=_line_of("git", "describe", "--always", "--dirty"),
        at=_line_of("date", "-u", "+%Y-%m-%d"),
    )


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed"


def _line_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    except OSError:
        return f"{command[0]}: none"
    return (done.stdout.splitlines() or ["none"])[0]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")
