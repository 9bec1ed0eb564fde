"""What the documents say is so: lists, links, commands, paths, the tree, the first replay."""

import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from stevie import cli
from stevie.actors.record_tree import RecordSetup
from stevie.actors.root import BarsSetup, VenueSetup, root_spec
from stevie.adapters.bar_recall import ArchiveRecall
from stevie.adapters.kernel import PythonKernel
from stevie.adapters.store.memory import MemoryStore
from stevie.config import LEAVES
from stevie.domain.market.instrument import Instrument
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.provenance import ProvenanceFacts
from stevie.ports import ConnectionListener, HttpAnswer
from stevie.replay import job, report
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.venues.binance.klines import BinanceBars
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.binance.venue import SPOT_LIVE, BinanceSpot
from tests import reference

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]
ADRS = sorted((CHECKOUT / "docs" / "adr").glob("*.md"))
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
REFERENCE = (CHECKOUT / "docs" / "reference.md").read_text(encoding="utf-8")
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


# -- the reference -------------------------------------------------------------------------------


def test_the_reference_is_what_the_code_says() -> None:
    assert reference.text() == REFERENCE, "run: .venv/bin/python -m tests.reference"


def test_the_reference_has_every_setting_route_counter_message_and_option() -> None:
    options = [name for each in reference.command_parameters().values() for name in each]

    assert all(f"| `{key}` |" in REFERENCE for key in LEAVES)
    assert all(f"| `{route}` |" in REFERENCE for route, _ in reference.routes())
    assert all(f"| `{counter.name}` |" in REFERENCE for counter in reference.counters())
    assert all(f"| `{message.__name__}` |" in REFERENCE for message in reference.messages())
    assert all(
        reference.spelled(option) in REFERENCE for option in options if option.name != "help"
    )


def test_the_readme_lists_the_exit_codes_of_the_command_line() -> None:
    listed = " ".join(README.split())

    for code, meaning in reference.exit_codes().items():
        assert f"{code} {meaning}" in listed


def test_the_command_lines_help_speaks_of_the_same_exit_codes() -> None:
    said = " ".join(str(cli.app.info.help).split())

    assert all(re.search(rf"\b{code} \w", said) for code in reference.exit_codes() if code < 5)


# -- pages ---------------------------------------------------------------------------------------


@EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        linked = (page.parent / parts.path).resolve() if parts.path else page
        assert linked.exists(), target
        assert not parts.fragment or parts.fragment in anchors(linked), target


@EVERY_PAGE
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:stevie|native|tests|docs|tools|bench)/[^`\s]*)`", prose(page))
    missing = [path for path in named if "<" not in path and not (CHECKOUT / path).exists()]

    assert missing == []


@EVERY_PAGE
def test_environment_variables_that_a_page_names_are_settings(page: Path) -> None:
    known = {reference.variable(key) for key in LEAVES} | {"STEVIE__SECTION__KEY"}
    known.add("STEVIE__HTTP__PRT")  # the page on configuration shows what a slip looks like
    named = set(re.findall(r"STEVIE__\w+", page.read_text(encoding="utf-8")))

    assert named <= known


@EVERY_PAGE
def test_make_targets_that_a_page_names_are_in_the_makefile(page: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    text = page.read_text(encoding="utf-8")

    assert set(re.findall(r"(?:^    |`)make\s+([a-z-]+)", text, re.MULTILINE)) <= targets


@EVERY_PAGE
def test_commands_that_a_page_names_are_commands(page: Path) -> None:
    named = re.findall(r"(?:`|bin/)stevie ([a-z]+)", page.read_text(encoding="utf-8"))

    assert set(named) <= {words.split()[0] for words in reference.command_parameters()}


def test_the_readme_names_the_two_commands_of_a_fresh_clone() -> None:
    assert "    make run " in README
    assert "    make test " in README


# -- decisions -----------------------------------------------------------------------------------


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{n:04d}" for n in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_a_decision_has_its_number_context_decision_and_consequences(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {path.name[:4]}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_every_runtime_dependency_is_argued_for() -> None:
    setup = (CHECKOUT / "setup.cfg").read_text(encoding="utf-8")
    (block,) = re.findall(r"^install_requires =\n((?:    .*\n)+)", setup, re.MULTILINE)
    wanted = re.findall(r"^    ([a-z0-9-]+)", block, re.MULTILINE)
    (decision,) = [path for path in ADRS if path.name.endswith("runtime-dependencies.md")]
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")

    rows = re.findall(r"^\| ([a-z0-9-]+)(?: \*)? \| ([0-9.]+),", decision.read_text(), re.M)
    assert sorted(name for name, _ in rows) == sorted(wanted)
    assert [row for row in rows if f"\n{row[0]}=={row[1]}" not in f"\n{lock}"] == []


def test_the_code_cites_decisions_that_exist() -> None:
    cited = {
        number
        for path in [*(CHECKOUT / "stevie").rglob("*.py"), CHECKOUT / "setup.cfg"]
        for number in re.findall(r"docs/adr/(\d{4})", path.read_text(encoding="utf-8"))
    }

    assert cited <= {path.name[:4] for path in ADRS}


# -- the architecture ----------------------------------------------------------------------------


class NoTransport:
    """Never used: the tree is only looked at."""

    def connect(self, url: str, listener: ConnectionListener) -> None:
        raise AssertionError(url)

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        raise AssertionError(url)


def tree_rows() -> list[str]:
    """The tree of one venue with one book, drawn as ARCHITECTURE.md draws it."""
    btc = Instrument(venue="binance", symbol="BTCUSDT", native="BTCUSDT", base="BTC", quote="USDT")
    setup = VenueSetup(
        codec=BinanceSpot(),
        transport=NoTransport(),  # type: ignore[arg-type]
        instruments=(btc,),
        kernel=PythonKernel(BinanceReferenceCore),
        bars=BarsSetup(codec=BinanceBars.spot(SPOT_LIVE), recall=ArchiveRecall(MemoryStore())),
    )
    facts = ProvenanceFacts(code="", config_hash="", kernel_hash="", features_hash="")
    record = RecordSetup(writer=MemoryStore(), limits=(), facts=facts, tally=Tally())
    drawn = drawn_rows(root_spec([setup], record), "", "")
    return [row.replace("BTCUSDT", "<symbol>").replace("binance", "<venue>") for row in drawn]


def drawn_rows(spec: ChildSpec, head: str, tail: str) -> Iterator[str]:
    plan = spec.arguments.get("plan")
    if not isinstance(plan, Plan):
        yield head + spec.name
        return
    allowed = f"{plan.intensity.restarts} in {plan.intensity.period_s:g} s"
    yield f"{head}{spec.name} {plan.strategy.value} {allowed}"
    for child in plan.children:
        is_last = child is plan.children[-1]
        branch, further = ("└── ", "    ") if is_last else ("├── ", "│   ")
        yield from drawn_rows(child, tail + branch, tail + further)


def test_the_tree_of_the_architecture_is_the_codes() -> None:
    (drawn,) = [block for block in blocks(ARCHITECTURE, "text") if block.startswith("root")]

    # Columns are for the eye: runs of blanks after the name count as one.
    assert [re.sub(r"(?<=\S) +", " ", row) for row in drawn.splitlines()] == [
        re.sub(r"(?<=\S) +", " ", row) for row in tree_rows()
    ]


def test_the_code_map_has_every_package_and_an_invariant_each() -> None:
    rows = re.findall(r"^\| (`.*)$", ARCHITECTURE.partition("## Code map")[2], re.MULTILINE)
    packages = {path.parent.name for path in (CHECKOUT / "stevie").glob("*/__init__.py")}
    files = {f"stevie/{path.name}" for path in (CHECKOUT / "stevie").glob("[a-z]*.py")}

    assert all("**Invariant:**" in row for row in rows)
    assert [name for name in packages if not any(f"`stevie/{name}/`" in row for row in rows)] == []
    assert [file for file in files if not any(f"`{file}`" in row for row in rows)] == []


# -- the first look ------------------------------------------------------------------------------


def test_the_capture_of_the_readme_replays_to_the_book_of_the_readme(tmp_path: Path) -> None:
    (capture,) = blocks(README, "jsonl")
    (shown,) = blocks(README, "text")
    file = tmp_path / "capture.jsonl"
    file.write_text(capture, encoding="utf-8")

    outcome = job.run(job.Request(file=file), PythonKernel(BinanceReferenceCore), lambda _: None)
    said = StringIO()
    report.print_outcome(Console(file=said, width=80), outcome, expect=None, kernel="python")

    lines = [line.rstrip() for line in said.getvalue().splitlines()]
    assert lines[: lines.index("")] == shown.splitlines()
