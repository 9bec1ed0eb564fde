"""The command line: up, exchange, replay, explore, doctor.

Exit codes: 0 all well; 1 the answer is no (differences, a failed check); 2 a wrong command line or
configuration; 3 the actor tree died; 4 an input file cannot be read; 130 interrupted.
"""

# ruff: noqa: PLC0415 - each command imports what it needs: `up` and `exchange` start often

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stevie import __version__
from stevie.config import VENUES, Config, ConfigError, load

if TYPE_CHECKING:
    from rich.console import Console

    from stevie.ports import Kernel

VenueName = StrEnum("VenueName", {name: name for name in VENUES})  # type: ignore[misc]

SPEED_MAX = 1e6


class AtEnd(StrEnum):
    """What becomes of a served capture's clients when it is over."""

    STAY = "stay"
    CLOSE = "close"
    LOOP = "loop"


EXIT_NO = 1
EXIT_USAGE = 2
EXIT_DIED = 3
EXIT_UNREADABLE = 4

GROUPS = ("db", "audit")

app = typer.Typer(
    help="Stevie: true level-2 books of crypto venues, on paper. Exit codes: 0 well, 1 the answer "
    "is no, 2 wrong use, 3 the actor tree died, 4 unreadable input.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def _console(*, is_error: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=is_error)


def _fail(message: str, code: int) -> NoReturn:
    from rich.text import Text

    text = Text(f"stevie: {message}", style="red")
    _console(is_error=True).print(text, soft_wrap=True)
    raise typer.Exit(code)


def _loaded(flags: dict[str, object] | None = None) -> Config:
    """The configuration; a wrong one ends the command."""
    try:
        return load(environ=os.environ, flags=flags)
    except ConfigError as error:
        _fail(str(error), EXIT_USAGE)


def _configured(flags: dict[str, object] | None = None, *, level: str = "") -> Config:
    """The configuration, with logs set up by it.

    `level` is for a command whose output is not its log, unless the configuration sets one.
    """
    from stevie import logs
    from stevie.adapters.clock import LiveClock

    config = _loaded(flags)
    if not level or "log.level" in config.origins:
        level = config.log.level
    logs.configure(clock=LiveClock(), format=config.log.format, level=level)
    return config


def mount(word: str = "") -> None:
    """Add the groups of commands, unless `word`, the first of the line, is another command.

    Their modules bring the database's libraries, for which no other command is to wait.
    """
    if word not in {"", *GROUPS} and not word.startswith("-"):
        return
    from stevie.commands_audit import audit_app
    from stevie.commands_db import db_app

    for name, group in zip(GROUPS, (db_app, audit_app), strict=True):
        app.add_typer(group(_store_url), name=name)


def _store_url() -> str:
    return _configured(level="warning").store.url.reveal()


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"stevie {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True),
    ] = False,
) -> None:
    del version


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="HTTP port; the exchange takes port + 100.")
    ] = None,
    market: Annotated[str | None, typer.Option(help="simulated or live.")] = None,
) -> None:
    """Run Stevie, and the simulated exchange unless the market is live; Ctrl-C stops both."""
    from stevie import launch

    config = _loaded({"http.port": port, "market": market})
    arguments, environ = launch.process_plan(config, dict(os.environ))
    os.chdir(launch.CHECKOUT)
    os.execve(arguments[0], arguments, environ)  # noqa: S606 - our own process runner


@app.command()
def exchange(
    port: Annotated[int | None, typer.Option(help="Port; default $PORT, else 5100.")] = None,
    host: Annotated[str | None, typer.Option(help="Interface to listen on.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same market.")] = None,
    *,
    alpha: Annotated[
        bool | None, typer.Option(help="Whether order flow predicts a little of the next move.")
    ] = None,
    faults: Annotated[
        str | None, typer.Option(help="What goes wrong, such as 'drop:p=0.01;stall:at=10,for=3'.")
    ] = None,
    truth: Annotated[
        bool | None, typer.Option(help="Tell loopback the true books at /truth/VENUE/SYMBOL?seq=.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Serve this capture instead of a market.")
    ] = None,
    speed: Annotated[
        str, typer.Option(help="Times the recorded speed, or max: as fast as it is taken.")
    ] = "1",
    at_end: Annotated[
        AtEnd, typer.Option(help="Of the capture: stay silent, close (1000) and end, or loop.")
    ] = AtEnd.STAY,
) -> None:
    """Serve the simulated exchange: Binance spot and USD-M over their own REST and WebSocket."""
    config = _configured(
        {
            "simulator.port": port if port is not None else _port_from_environment(),
            "simulator.host": host,
            "simulator.seed": seed,
            "simulator.alpha": alpha,
            "simulator.faults": faults,
            "simulator.truth": truth,
        }
    )
    raise typer.Exit(_serve_exchange(config, replay, speed=speed, at_end=at_end))


def _serve_exchange(config: Config, replay: Path | None, *, speed: str, at_end: AtEnd) -> int:
    from stevie.capture import CaptureError
    from stevie.venues.simulator.config import ExchangeConfig
    from stevie.venues.simulator.faults import FaultSpecError
    from stevie.venues.simulator.playback import PlaybackError, Replay
    from stevie.venues.simulator.registry import SYMBOLS
    from stevie.venues.simulator.server import main_exchange

    simulator = config.simulator
    symbols = tuple(symbol for symbol in config.symbols if symbol in SYMBOLS)
    if not symbols and replay is None:
        _fail(f"symbols: none of them is simulated; allowed: {', '.join(SYMBOLS)}", EXIT_USAGE)
    played = Replay(path=replay, speed=_speed(speed), at_end=at_end.value) if replay else None
    try:
        return main_exchange(
            ExchangeConfig(
                host=simulator.host,
                port=simulator.port,
                seed=simulator.seed,
                symbols=symbols,
                alpha=simulator.alpha,
                faults=simulator.faults,
                truth=simulator.truth,
                replay=played,
            )
        )
    except FaultSpecError as error:
        _fail(f"simulator.faults: {error}", EXIT_USAGE)
    except (PlaybackError, CaptureError) as error:
        _fail(str(error), EXIT_UNREADABLE)


def _speed(text: str) -> float:
    """Times the recorded speed; 0 is as fast as it is taken."""
    try:
        speed = 0.0 if text == "max" else float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= SPEED_MAX:
        allowed = f"a number from 0 to {SPEED_MAX:g}, or max"
        _fail(f"speed: expected {allowed}, was {text!r}", EXIT_USAGE)
    return speed


def _port_from_environment() -> int | None:
    """A process runner's PORT is this process's own, unless its port is configured."""
    text = os.environ.pop("PORT", "")
    is_configured = "STEVIE__SIMULATOR__PORT" in os.environ
    return int(text) if text.isdecimal() and not is_configured else None


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A capture: gzip'd JSON lines of raw frames.")],
    venue: Annotated[
        VenueName | None, typer.Option(help="Default: told by the frames' URLs.")
    ] = None,
    instruments: Annotated[
        Path | None, typer.Option(help="The venue's instrument list, for tick and lot sizes.")
    ] = None,
    expect: Annotated[
        Path | None, typer.Option(help="NAME.expected.json: exit 1 unless exactly so.")
    ] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Run a capture through the real actors, as fast as they take it, and print the books."""
    from stevie.capture import CaptureError
    from stevie.replay import job, report
    from stevie.replay.expectation import ExpectationError
    from stevie.replay.runner import ReplayCrashedError
    from stevie.replay.sources import SourceError

    config = _configured(level="warning")
    kernel = _kernel(config)
    request = job.Request(file=file, venue=venue, instruments=instruments, expect=expect)
    try:
        with _progress(file.name) as on_progress:
            outcome = job.run(request, kernel, on_progress)
    except (SourceError, ExpectationError, CaptureError, OSError) as error:
        _fail(str(error), EXIT_UNREADABLE)
    except ReplayCrashedError as error:
        _fail(str(error), EXIT_DIED)
    expected = str(expect) if expect else None
    if as_json:
        _print_json(report.as_json(outcome, file=str(file), expect=expected, kernel=kernel.name))
    else:
        report.print_outcome(_console(), outcome, expect=expected, kernel=kernel.name)
    if outcome.replayed.broken:
        _fail(outcome.replayed.broken, EXIT_UNREADABLE)
    raise typer.Exit(EXIT_NO if outcome.differences else 0)


@app.command()
def explore(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 50,
    minutes: Annotated[float, typer.Option(min=0.5, help="Virtual minutes of each.")] = 2.0,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    *,
    symbols: Annotated[str, typer.Option(help="Compact symbols.")] = "BTCUSDT,ETHUSDT",
    venues: Annotated[str, typer.Option(help="Venues.")] = "binance",
    plan: Annotated[
        str | None, typer.Option(help="This fault plan for every seed, not the seed's own.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the market actors on virtual time against a faulty simulated market, seed by seed."""
    from stevie.explore import campaign

    config = _configured(level="critical")
    kernel = _kernel(config)
    wanted = campaign.Request(
        first_seed=seed,
        seeds=seeds,
        seconds=round(minutes * 60),
        symbols=tuple(symbols.split(",")),
        venues=tuple(venues.split(",")),
        plan=plan,
    )
    try:
        with _progress("exploring", "seeds") as on_progress:
            summary = campaign.explore(wanted, kernel, on_progress)
    except campaign.RequestError as error:
        _fail(str(error), EXIT_USAGE)
    if as_json:
        _print_json(campaign.as_json(summary))
    else:
        campaign.print_summary(_console(), summary)
    raise typer.Exit(EXIT_NO if summary.finding else 0)


@app.command(name="doctor")
def examine(*, as_json: JsonFlag = False) -> None:
    """Look at this machine, the configuration and the market, and say what will work."""
    from stevie import doctor

    config = _configured(level="warning")
    findings = doctor.examine(config)
    if as_json:
        _print_json({"findings": [finding._asdict() for finding in findings]})
    else:
        doctor.print_findings(_console(), findings)
    raise typer.Exit(0 if all(finding.is_ok for finding in findings) else EXIT_NO)


def _kernel(config: Config) -> "Kernel":
    from stevie import bootstrap
    from stevie.adapters.kernel import KernelError

    try:
        return bootstrap.kernel(config)
    except KernelError as error:
        _fail(str(error), EXIT_NO)


@contextmanager
def _progress(what: str, unit: str = "frames") -> Iterator[Callable[[int], None]]:
    """A counter on standard error, only for a person who watches."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    errors = _console(is_error=True)
    name = TextColumn("{task.description}", markup=False)
    columns = (name, TextColumn("{task.completed:,} " + unit))
    with Progress(
        *columns, TimeElapsedColumn(), console=errors, disable=not errors.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.update(task, completed=count)


def _print_json(value: object) -> None:
    import ujson

    sys.stdout.write(ujson.dumps(value, escape_forward_slashes=False, ensure_ascii=False) + "\n")
