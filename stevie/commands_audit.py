"""`stevie audit`: what the audit log's chain of hashes proves, and where it ends.

Exit codes are those of cli.py: 0 the log verifies; 1 it does not; 2 wrong use; 4 it cannot be read.
"""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Annotated, NoReturn, cast

import typer
import ujson
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from stevie.adapters.store.backup import raw_audit_rows
from stevie.adapters.store.engine import Engine, StoreError, engine_of
from stevie.domain.operations.chain import GENESIS, Head
from stevie.domain.operations.verify import Claim, RawRow, Verdict, read_claim, verify

EXIT_NO, EXIT_USAGE, EXIT_UNREADABLE = 1, 2, 4
PROGRESS_ROWS = 1000  # between two words about the progress: some 10 ms

UNSEEN = (
    "Rows cut off at the end cannot be seen this way, nor a log that was sealed anew: "
    "note `stevie audit head` somewhere else, and pass it as --head."
)

errors = Console(stderr=True)


def audit_app(store_url: Callable[[], str]) -> typer.Typer:
    """The commands; `store_url` is called by each, for the database that is configured."""
    app = typer.Typer(help="The audit log: verify, head.", no_args_is_help=True)

    @app.command(name="verify")
    def verify_log(
        head: Annotated[
            str | None,
            typer.Option(help="SEQ:HASH or HASH, as `stevie audit head` printed it before."),
        ] = None,
        *,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    ) -> None:
        """Name the first row that was altered, removed, reordered, duplicated or cut off.

        Rows cut off at the end are seen only against a --head; a tree may run and write.
        """
        claim = _claim(head)
        with _said(store_url()) as engine, _progress() as on_progress:
            verdict = _verify(engine, claim, on_progress)
        _print(verdict, claim, as_json=as_json)
        raise typer.Exit(EXIT_NO if verdict.finding else 0)

    @app.command(name="head")
    def print_head() -> None:
        """Print the number and the hash of the last row, to be noted somewhere else."""
        with _said(store_url()) as engine:
            found = _head(engine)
        typer.echo(str(found))

    return app


def _claim(text: str | None) -> Claim | None:
    try:
        return None if text is None else read_claim(text)
    except ValueError as error:
        _fail(f"--head: {error}", EXIT_USAGE)


def _verify(engine: Engine, claim: Claim | None, on_progress: Callable[[int], None]) -> Verdict:
    with closing(engine.snapshot()) as connection:
        # Closed first: a finding may leave rows unread, and their cursor needs the connection.
        rows = cast("Generator[RawRow]", raw_audit_rows(engine, connection))
        with closing(rows):
            return verify(_counted(rows, on_progress), claim=claim)


def _counted(rows: Iterator[RawRow], on_progress: Callable[[int], None]) -> Iterator[RawRow]:
    for count, row in enumerate(rows, start=1):
        yield row
        if count % PROGRESS_ROWS == 0:
            on_progress(count)


def _head(engine: Engine) -> Head:
    sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
    with closing(engine.snapshot()) as connection:
        found = connection.execute(sql).fetchone()
    if found is None:
        return GENESIS
    try:
        read_claim(f"{found[0]}:{found[1]}")
    except ValueError:
        _fail(f"row {found[0]}: its hash is none; run `stevie audit verify`", EXIT_NO)
    return Head(*found)


# -- what is said --------------------------------------------------------------------------------


def _print(verdict: Verdict, claim: Claim | None, *, as_json: bool) -> None:
    if as_json:
        _print_json(verdict, claim)
        return
    if verdict.finding is not None:
        typer.echo(str(verdict.finding))
        typer.echo(f"rows before it that are as they were sealed: {verdict.rows:,}")
        return
    typer.echo(f"{verdict.rows:,} rows are as they were sealed, up to {verdict.head}")
    if claim is None:
        typer.echo(UNSEEN)


def _print_json(verdict: Verdict, claim: Claim | None) -> None:
    finding = verdict.finding
    document = {
        "is_sound": finding is None,
        "rows": verdict.rows,
        "head": str(verdict.head),
        "is_checked_against_head": claim is not None,
        "finding": finding and {f: getattr(finding, f) for f in finding.__struct_fields__},
    }
    text = ujson.dumps(document, escape_forward_slashes=False, ensure_ascii=False)
    sys.stdout.write(f"{text}\n")


@contextmanager
def _said(url: str) -> Iterator[Engine]:
    """The engine of a URL; a database that cannot be read ends the command with why."""
    try:
        engine = engine_of(url)
    except StoreError as error:
        _fail(str(error), EXIT_USAGE)
    try:
        yield engine
    except StoreError as error:
        _fail(str(error), EXIT_UNREADABLE)
    except engine.errors as error:
        _fail(f"{engine.shown}: {engine.reason(error)}", EXIT_UNREADABLE)


def _fail(message: str, code: int) -> NoReturn:
    errors.print(Text(f"stevie: {message}", style="red"), soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A counter on standard error, only for a person who watches."""
    columns = (TextColumn("audit {task.completed:,} rows"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar:
        task = bar.add_task("audit", total=None)
        yield lambda count: bar.update(task, completed=count)
