"""`make bench`: prints a table and writes bench/results.json."""

from gevent import monkey

monkey.patch_all()  # before anything that opens a socket or starts a thread is imported

import logging
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench import actors, books
from bench.rounds import ROUNDS, Pair

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    logging.disable(logging.CRITICAL)  # the peer's own chatter is no part of its work
    console = Console(width=120)  # a table that a log keeps whole
    console.print(f"medians of {ROUNDS} runs of each side in turn, by CPU time")
    rows = [*books.rows(), *actors.rows()]
    console.print(_table(rows))
    results = {"machine": _machine(), "rounds": ROUNDS, "rows": [row._asdict() for row in rows]}
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    console.print(f"written to {RESULTS.relative_to(Path.cwd())}", highlight=False)


def _table(rows: list[Pair]) -> Table:
    table = Table()
    for column in ("what", "ours", "per CPU second", "peer", "per CPU second", "ratio"):
        table.add_column(column, justify="left" if column in {"what", "ours", "peer"} else "right")
    for row in rows:
        speeds = f"{row.ours_per_s:,.0f} {row.unit}", f"{row.peer_per_s:,.0f} {row.unit}"
        table.add_row(row.name, row.ours, speeds[0], row.peer, speeds[1], f"{row.ratio:.2f}")
    return table


def _machine() -> dict[str, str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "python": sys.version.split()[0],
        "commit": commit.stdout.strip() or "none",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


if __name__ == "__main__":
    main()
