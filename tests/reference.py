"""Writes docs/reference.md from the code: `.venv/bin/python -m tests.reference`.

`tests/test_docs.py` fails when the file is not what this would write.
"""

from gevent import monkey

monkey.patch_all()
# ruff: noqa: E402 - nothing may be imported before the line above

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from prometheus_client.parser import text_string_to_metric_families

import stevie
from stevie import cli
from stevie.actors.market_counters import MarketCounter
from stevie.config import LEAVES, PREFIX, Config, Row, explain
from stevie.domain.market.book import BookState, Reason
from stevie.http.metrics import PROMISED
from stevie.runtime.counters import Counter, RuntimeCounter, declared
from stevie.runtime.message import Message
from tests.http.fakes import Site

CHECKOUT = Path(__file__).resolve().parents[1]
TARGET = CHECKOUT / "docs" / "reference.md"
REGISTRIES = (RuntimeCounter, MarketCounter)
HEAD = """# Reference

Written from the code by `.venv/bin/python -m tests.reference`; edit the code, not this page. A test
fails when the two differ. How the settings are read is in [configuration](configuration.md), what
the words mean in the [glossary](GLOSSARY.md).
"""


def text() -> str:
    """The whole page."""
    parts = (HEAD, *_commands(), *_exit_codes(), *_routes(), *_settings(), *_states())
    return "\n".join((*parts, *_metrics(), *_counters(), *_messages()))


# -- the command line ----------------------------------------------------------------------------


@cache
def commands() -> dict[str, Any]:
    """Every command by its words, those of groups too, as typer knows them."""
    cli.mount()
    return dict(_leaves("", typer.main.get_command(cli.app)))


def _leaves(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from _leaves(f"{words} {name}".strip(), child)


def command_parameters() -> dict[str, Sequence[Any]]:
    """By command, its arguments and options."""
    return {words: command.params for words, command in commands().items()}


def spelled(parameter: Any) -> str:
    """`--alpha`, `--no-alpha`; an argument by its name in capitals."""
    names = (*parameter.opts, *parameter.secondary_opts)
    shown = [name if name.startswith("-") else name.upper() for name in names]
    return ", ".join(f"`{name}`" for name in shown)


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    for name, command in commands().items():
        yield f"### `stevie {name}`\n\n{command.help}\n"
        rows = [(spelled(each), each.help) for each in command.params if each.name != "help"]
        yield from _table(("option", "what it does"), rows)
    yield from ("`stevie --version` prints the version.\n",)


def exit_codes() -> dict[int, str]:
    """As the command line's own docstring has them."""
    described = str(cli.__doc__).partition("Exit codes: ")[2].replace("\n", " ").rstrip(". ")
    pairs = (part.partition(" ")[::2] for part in described.split("; "))
    return {int(code): meaning for code, meaning in pairs}


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield from _table(("code", "meaning"), [(str(c), m) for c, m in exit_codes().items()])


# -- HTTP ----------------------------------------------------------------------------------------


def routes() -> list[tuple[str, str]]:
    """What the index itself lists."""
    listed = Site().get("/").json["routes"]
    return [("/", "This list.")] + [(each["route"], each["what"]) for each in listed]


def _routes() -> Iterator[str]:
    yield "## Routes\n"
    yield "All take GET and HEAD, and POST where it says so; all but `/metrics` answer JSON.\n"
    yield from _table(("route", "what it answers"), [(f"`{r}`", what) for r, what in routes()])


# -- settings ------------------------------------------------------------------------------------


def variable(key: str) -> str:
    """`http.port` -> `STEVIE__HTTP__PORT`."""
    return PREFIX + key.replace(".", "__").upper()


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    rows = [
        (f"`{row.key}`", f"`{variable(row.key)}`", _default(row), _allowed(LEAVES[row.key]))
        for row in explain(Config())
    ]
    yield from _table(("key", "environment variable", "default", "allowed"), rows)


def _default(row: Row) -> str:
    is_switch = row.value in {"True", "False"}
    return row.value.lower() if is_switch else row.value or "(none)"


def _allowed(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return str(hint.__metadata__[0].description)
    return ", ".join(get_args(hint)) if get_origin(hint) is Literal else "true, false"


# -- what is counted -----------------------------------------------------------------------------


def _states() -> Iterator[str]:
    yield "## States of a book\n"
    yield f"States: {_listed(each.value for each in BookState)}.\n"
    yield f"Reasons: {_listed(each.value for each in Reason if each.value)}.\n"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def counters() -> list[Counter]:
    """Every counter that is declared."""
    return [counter for registry in REGISTRIES for counter in declared(registry)]


def families() -> list[tuple[str, str, str]]:
    """Every family of /metrics but the process's own: name, type, sentence."""
    found = text_string_to_metric_families(Site().get("/metrics").text)
    return [
        (f"{each.name}_total" if each.type == "counter" else each.name, each.type, sentence(each))
        for each in found
        if not each.name.startswith("process_")
    ]


def idle_families() -> list[str]:
    """Families that exist for dashboards to find, and that no counter feeds."""
    fed = {counter.name for counter in counters()}
    return [family.name for family in PROMISED if family.name not in fed]


def sentence(family: Any) -> str:
    """A family's help text."""
    return str(family.documentation)


def _metrics() -> Iterator[str]:
    yield "## Metrics\n"
    yield "Read from the actors when `/metrics` is scraped; `process_*` comes from the library.\n"
    yield f"Nothing feeds these yet, they stay at 0: {_listed(idle_families())}.\n"
    rows = [(f"`{name}`", kind, text) for name, kind, text in families()]
    yield from _table(("family", "type", "what it says"), rows)


def _counters() -> Iterator[str]:
    yield "## Counters\n"
    yield "Counted where it happens; in `/metrics` from the first time on, or as said above.\n"
    rows = [(f"`{each.name}`", _listed(each.labels), each.help) for each in counters()]
    yield from _table(("counter", "labels", "what it counts"), rows)


# -- messages ------------------------------------------------------------------------------------


def messages() -> list[type[Message]]:
    """Every message class of the package, in the order of its modules and lines."""
    for module in pkgutil.walk_packages(stevie.__path__, "stevie."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = Message.__subclasses__()
    ours = [each for each in found if each.__module__.startswith("stevie.")]
    return sorted(ours, key=lambda message: message.__module__)


def _messages() -> Iterator[str]:
    yield "## Messages\n"
    yield "Delivery is what a mailbox does with a message that has to wait; answers have none.\n"
    for module in dict.fromkeys(message.__module__ for message in messages()):
        yield f"### `{module}`\n"
        mine = [message for message in messages() if message.__module__ == module]
        yield from _table(("message", "delivery", "fields", "what it says"), map(_message, mine))


def _message(message: type[Message]) -> tuple[str, str, str, str]:
    is_answer = re.search(r"(State|Read|Reading)$", message.__name__) is not None
    fields = _listed(message.__struct_fields__)
    said = " ".join(str(message.__doc__).split())
    return f"`{message.__name__}`", "" if is_answer else message.delivery.value, fields, said


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    yield "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
