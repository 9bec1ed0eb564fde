"""Starting: `make run` a second time, from the command to a LIVE book, stage by stage.

`python -m bench.start [ROUNDS]`. Whatever else the machine does shows in the seconds: the minimum
is what the start takes, the median what it took today.
"""

import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 10
ROUNDS_MAX = 100
LIVE_WITHIN_S = 60.0
END_WITHIN_S = 15.0
POLL_S = 0.01
EXCHANGE_PORT_OFFSET = 100
BOOK = "/api/l2/binance/BTCUSDT"

# What the log says at the end of each stage, in the order in which they come.
STAGES = {
    "make, stevie up, honcho": ("started (pid=",),
    "gunicorn": ("Booting worker",),
    "imports of the worker": ("stevie_starting",),
    "kernel": ("kernel_loaded",),
    "actors": ("tree_started",),
    "connection": ("feed_connected",),
    "delta, snapshot, LIVE": ("book_state", "state=LIVE", "book/binance/BTCUSDT"),
}
BESIDE = {"simulator listens (beside)": ("exchange_listening",)}


class Start(NamedTuple):
    """One start: seconds since the command at which each stage had ended."""

    ended_s: dict[str, float]
    answered_s: float
    cpu_s: float


def main() -> None:
    """Start so many times and print where the time goes."""
    rounds = min(int(sys.argv[1]) if sys.argv[1:] else ROUNDS, ROUNDS_MAX)
    measure()  # the first start may compile
    starts = [measure() for _ in range(rounds)]
    Console(width=100).print(table(starts))


def table(starts: list[Start]) -> Table:
    """The stages one by one, and what they add up to."""
    table = Table(title=f"a second `make run`, {len(starts)} starts, seconds")
    for column in ("stage", "min", "median", "ended at, median"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    before = [0.0] * len(starts)
    for stage in STAGES:
        ended = [start.ended_s[stage] for start in starts]
        _row(table, stage, [now - then for now, then in zip(ended, before, strict=True)], ended)
        before = ended
    for stage in BESIDE:
        ended = [start.ended_s[stage] for start in starts]
        _row(table, stage, ended, ended)
    _row(table, "book answered LIVE", [start.answered_s for start in starts])
    _row(table, "CPU until then, all processes", [start.cpu_s for start in starts])
    return table


def _row(table: Table, name: str, took_s: list[float], ended_s: list[float] | None = None) -> None:
    ended = f"{statistics.median(ended_s):.2f}" if ended_s else ""
    table.add_row(name, f"{min(took_s):.2f}", f"{statistics.median(took_s):.2f}", ended)


def measure() -> Start:
    """Start once, and end all of it."""
    port = _free_port()
    told = {k: v for k, v in os.environ.items() if not k.startswith("STEVIE")}
    began_s = time.monotonic()
    child = subprocess.Popen(
        ["make", "run"],
        cwd=CHECKOUT,
        env={**told, "PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[tuple[float, str]] = []

    def read() -> None:
        assert child.stdout is not None
        lines.extend((time.monotonic() - began_s, line) for line in child.stdout)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        answered_s = _live_at(port, began_s)
        cpu_s = _cpu_s(child.pid)
    finally:
        os.killpg(child.pid, signal.SIGINT)  # honcho's way to end what it runs
        child.wait(END_WITHIN_S)
        reader.join(END_WITHIN_S)
    marks = {**STAGES, **BESIDE}
    return Start(
        {stage: _said_at(lines, words) for stage, words in marks.items()}, answered_s, cpu_s
    )


def _free_port() -> int:
    """One whose neighbor, where the simulator goes, is free as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port: int = held.getsockname()[1]
        try:
            socket.create_server(("127.0.0.1", port + EXCHANGE_PORT_OFFSET)).close()
        except (OSError, OverflowError):
            continue
        return port


def _live_at(port: int, began_s: float) -> float:
    while (elapsed_s := time.monotonic() - began_s) < LIVE_WITHIN_S:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", BOOK)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return time.monotonic() - began_s
        except OSError:
            pass  # nobody listens yet
        finally:
            connection.close()
        time.sleep(POLL_S)
    raise TimeoutError(f"no LIVE book within {elapsed_s:.0f} s")


def _cpu_s(pid: int) -> float:
    """CPU time of a process and all that it has begun, those that ended included."""
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        used[int(entry.name)] = sum(map(int, fields[11:15]))
    waiting, ticks = [pid], 0
    while waiting:
        each = waiting.pop()
        ticks += used.get(each, 0)
        waiting += children.get(each, [])
    return ticks / os.sysconf("SC_CLK_TCK")


def _said_at(lines: list[tuple[float, str]], words: tuple[str, ...]) -> float:
    return next((at_s for at_s, line in lines if all(word in line for word in words)), float("nan"))


if __name__ == "__main__":
    main()
