"""Doctor: looks at the machine, the configuration and the market, and says what will work."""

import shutil
import socket
import sys
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from gevent.event import AsyncResult
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stevie import bootstrap
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import KernelError
from stevie.adapters.transport import GeventTransport
from stevie.config import Config, explain
from stevie.ports import HttpAnswer
from stevie.venues.registry import VENUES, simulated

ANSWER_S = 5.0
PROBE_S = 1.0
SKEW_MS_MAX = 1000.0
OK = 200
REGION_BLOCKED = {403, 451}


class _Time(msgspec.Struct, frozen=True):
    """Binance's answer to GET time."""

    serverTime: int  # noqa: N815 - the venue's name


class Finding(NamedTuple):
    """One thing looked at, and what to do where it is not well."""

    check: str
    is_ok: bool
    detail: str
    advice: str = ""


def examine(config: Config) -> list[Finding]:
    """Look at everything; nothing is changed."""
    return [*_machine(), _kernel(config), _port(config), *_venues(config), *_settings(config)]


def print_findings(console: Console, findings: list[Finding]) -> None:
    """A line each, the advice under what is not well."""
    table = Table(box=None, show_header=False)
    for finding in findings:
        mark = "[green]ok[/green]" if finding.is_ok else "[red]FAIL[/red]"
        table.add_row(mark, finding.check, Text(finding.detail))
        if finding.advice:
            table.add_row("", "", Text(finding.advice))
    console.print(table)


def _machine() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), found)
    compiler = shutil.which("g++")
    advice = "" if compiler else "apt-get install g++, or set STEVIE__KERNEL__MODE=python"
    yield Finding("compiler", compiler is not None, compiler or "no g++ on the PATH", advice)


def _kernel(config: Config) -> Finding:
    try:
        kernel = bootstrap.kernel(config)
    except KernelError as error:
        return Finding("kernel", is_ok=False, detail=str(error))
    is_as_wished = kernel.name == "native" or config.kernel.mode == "python"
    advice = "" if is_as_wished else "the slow reference serves: see the warning above"
    return Finding("kernel", is_as_wished, f"{kernel.name} {kernel.source_hash[:16]}", advice)


def _port(config: Config) -> Finding:
    host, port = config.http.host, config.http.port
    try:
        socket.create_connection((host, port), timeout=PROBE_S).close()
    except OSError:
        return Finding("http port", is_ok=True, detail=f"{port} is free")
    shown = f"[{host}]" if ":" in host else host
    answer = _get(f"http://{shown}:{port}/healthz")
    is_stevie = answer.status == OK
    detail = (
        f"{port} is taken, by a running Stevie"
        if is_stevie
        else f"{port} is taken, not by a Stevie that is well"
    )
    advice = "" if is_stevie else "choose another: stevie up --port N"
    return Finding("http port", is_stevie, detail, advice)


def _venues(config: Config) -> Iterator[Finding]:
    for venue in config.venues:
        entry = VENUES[venue]
        is_live = config.market == "live"
        endpoints = entry.live if is_live else simulated(config.simulator.url)
        codec = entry.codec(endpoints)
        before_ns = LiveClock.wall_ns()
        answer = _get(codec.time_url())
        yield _venue(venue, answer, before_ns, is_live=is_live)


def _venue(venue: str, answer: HttpAnswer, before_ns: int, *, is_live: bool) -> Finding:
    """Reachable, blocked here, or not; and how far the clocks are apart."""
    check = f"venue {venue}"
    if answer.status in REGION_BLOCKED:
        detail = f"HTTP {answer.status}: refuses this region"
        advice = "use market = simulated, or replay recordings"
        return Finding(check, is_ok=False, detail=detail, advice=advice)
    if answer.status != OK:
        detail = answer.body.decode("utf-8", "replace") if answer.status == 0 else ""
        advice = (
            "is there a network?"
            if is_live
            else "start the simulator: stevie exchange (or make run)"
        )
        return Finding(check, is_ok=False, detail=detail or f"HTTP {answer.status}", advice=advice)
    after_ns = LiveClock.wall_ns()
    try:
        venue_ms = msgspec.json.decode(answer.body, type=_Time).serverTime
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Finding(check, is_ok=False, detail=f"{answer.url} answers, but is no venue's")
    skew_ms = venue_ms - (before_ns + after_ns) / 2e6
    within_ms = (after_ns - before_ns) / 2e6
    detail = f"reachable; its clock is {skew_ms:+.0f} ms off ours (within {within_ms:.0f} ms)"
    is_ok = abs(skew_ms) <= SKEW_MS_MAX + within_ms
    return Finding(check, is_ok, detail, "" if is_ok else "set this machine's clock (NTP)")


def _settings(config: Config) -> Iterator[Finding]:
    for row in explain(config):
        if row.source != "default":
            yield Finding(row.key, is_ok=True, detail=f"{row.value}  (from {row.source})")


def _get(url: str) -> HttpAnswer:
    transport = GeventTransport(
        LiveClock(),
        connect_timeout_s=ANSWER_S,
        read_timeout_s=ANSWER_S,
        answer_timeout_s=2 * ANSWER_S,
    )
    told: AsyncResult[HttpAnswer] = AsyncResult()
    transport.get(url, told.set)
    answer = told.get()
    transport.close()
    assert answer is not None
    return answer
