"""`stevie db`: the database's schema, its backups, and its rows.

Exit codes are those of cli.py: 1 the answer is no, 2 wrong use, 4 a file that cannot be used.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, NoReturn

import typer
import ujson
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from stevie.adapters.store import backup as copies
from stevie.adapters.store.engine import StoreError, engine_of
from stevie.adapters.store.store import open_store
from stevie.adapters.store.tables import BY_NAME
from stevie.ports_record import ArchiveError

EXIT_NO, EXIT_USAGE, EXIT_UNREADABLE = 1, 2, 4

errors = Console(stderr=True)

Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def db_app(store_url: Callable[[], str]) -> typer.Typer:
    """The commands; `store_url` is called by each, for the database that is configured."""
    app = typer.Typer(
        help="The database: upgrade, downgrade, backup, restore, export.", no_args_is_help=True
    )

    @app.callback()
    def _configured(context: typer.Context) -> None:
        context.obj = store_url

    for command in (upgrade, downgrade, backup, restore, export):
        app.command()(command)
    return app


def upgrade(context: typer.Context) -> None:
    """Bring the schema up to date (starting Stevie does it too); no tree may run."""
    _change_schema(context.obj(), "")


def downgrade(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="The last migration to keep, or zero.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Lose what it has no place for.")] = False,
) -> None:
    """Take the schema back, for an older version; no tree may run."""
    if not force:
        _fail("downgrade: drops the tables that came later; say --force", EXIT_USAGE)
    _change_schema(context.obj(), target)


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to; an SQLite file for every engine.")],
    *,
    force: Force = False,
) -> None:
    """Copy the database as it is now, verified; a tree may run and write."""
    with _said(), _progress("backup") as on_progress:
        engine = engine_of(context.obj())
        found = copies.backup(engine, file, is_forced=force, on_progress=on_progress)
    _print_summary(str(file), found)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup, of this engine or another.")],
    *,
    force: Force = False,
) -> None:
    """Make the database what a backup holds; no tree may run."""
    with _said(), _progress("restore") as on_progress:
        engine = engine_of(context.obj())
        found = copies.restore(file, engine, is_forced=force, on_progress=on_progress)
    _print_summary(str(file), found)


def export(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help=f"One of {', '.join(BY_NAME)}.")],
    out: Annotated[Path | None, typer.Option(help="A file; default: standard output.")] = None,
) -> None:
    """Write a table as JSON lines, bytes in base64; a tree may run and write."""
    with _said(), _opened(out) as file, _progress(table) as on_progress:
        copies.export(engine_of(context.obj()), table, file, on_progress=on_progress)


def _change_schema(url: str, target: str) -> None:
    with _said():
        store = open_store(url, target=target)
        applied = store.applied
        store.close()
    _print_json({"applied": applied.forward, "reverted": applied.back})


@contextmanager
def _said() -> Iterator[None]:
    """End the command with what is wrong, in a line."""
    try:
        yield
    except copies.BackupError as error:
        _fail(str(error), EXIT_UNREADABLE)
    except (StoreError, ArchiveError, OSError) as error:
        _fail(str(error), EXIT_NO)


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        yield sys.stdout.buffer
        return
    with out.open("wb") as file:
        yield file


def _fail(message: str, code: int) -> NoReturn:
    errors.print(Text(f"stevie: {message}", style="red"), soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on standard error, only for a person who watches."""
    columns = (TextColumn("{task.description} {task.completed:,}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.update(task, completed=count)


def _print_summary(file: str, found: copies.Summary) -> None:
    _print_json({"file": file, "rows": found.rows, "audit_head": str(found.head)})


def _print_json(value: object) -> None:
    sys.stdout.write(ujson.dumps(value, escape_forward_slashes=False, ensure_ascii=False) + "\n")
