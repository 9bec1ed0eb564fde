"""The house rules that no linter knows. Limits may be tightened, not loosened."""

import ast
import re
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from stevie.actors.market_counters import MarketCounter
from stevie.domain.market.core import BookCore, Code, FrameKind
from stevie.domain.market.features import Features
from stevie.http.metrics import PROMISED
from stevie.runtime.counters import Counter, RuntimeCounter, declared

CHECKOUT = Path(__file__).resolve().parents[1]
MODULES = sorted((CHECKOUT / "stevie").rglob("*.py"))
ACTORS = sorted((CHECKOUT / "stevie" / "actors").glob("*.py"))
KERNEL = (CHECKOUT / "native" / "micro.cpp").read_text(encoding="utf-8")
KERNEL_HEADER = (CHECKOUT / "native" / "micro.h").read_text(encoding="utf-8")

FUNCTION_LINES_MAX = 50
FUNCTION_LINES_MEDIAN_MAX = 4
FUNCTION_LINES_90_PERCENT_MAX = 20

# An actor is a screen or two. These two take in fourteen and eleven kinds of message, and the list
# of their imports, their union and their dispatch are half of them: they may only shrink.
ACTOR_LINES_MAX = 180
ACTOR_LINES_RATCHET = {"venue_feed.py": 323, "venue_book.py": 265}

# Modules without a test file of their own name, by where they are tested instead. The simulator is
# tested as what it plays: a protocol, a market, a server.
SIMULATOR = "venues/simulator"
TESTED_BY = {
    "tests/e2e/test_end_of_process.py": ("__main__",),
    "tests/replay/test_replay.py": (
        *(f"replay/{name}" for name in ("expectation", "job", "report", "runner", "sources")),
    ),
    "tests/actors/test_venue_feed.py": (
        "messages/market",
        "actors/feed_answers",
        "actors/feed_snapshots",
    ),
    "tests/actors/test_venue_book.py": ("actors/book_publication",),
    "tests/actors/test_book_records.py": ("actors/book_journal", "actors/quarantine"),
    "tests/actors/test_record_stage.py": ("messages/record", "actors/record_tree"),
    "tests/actors/test_store_keeper.py": (
        "actors/store_line",
        "actors/store_receipts",
        "actors/store_counters",
    ),
    "tests/actors/test_bar_keeper.py": ("messages/bars",),
    "tests/adapters/store/test_border.py": ("ports_record",),
    "tests/http/test_metrics.py": ("http/store_metrics",),
    "tests/test_config.py": ("database_url",),
    "tests/runtime/test_clock.py": ("adapters/clock",),
    "tests/runtime/test_rng.py": ("adapters/rng",),
    "tests/runtime/test_actor.py": ("runtime/lifecycle", "runtime/context"),
    f"tests/{SIMULATOR}/test_simulator_connection.py": (f"{SIMULATOR}/connection",),
    f"tests/{SIMULATOR}/test_simulator_server.py": (
        *(f"{SIMULATOR}/{name}" for name in ("server", "sockets", "stage", "registry")),
        f"{SIMULATOR}/binance/protocol",
    ),
    f"tests/{SIMULATOR}/test_faulty_exchange.py": (
        *(f"{SIMULATOR}/{name}" for name in ("answers", "config", "venue")),
        f"{SIMULATOR}/binance/venue",
    ),
    f"tests/{SIMULATOR}/test_playback.py": (f"{SIMULATOR}/binance/replayed",),
    f"tests/{SIMULATOR}/test_binance_limits.py": (f"{SIMULATOR}/binance/limits",),
    f"tests/{SIMULATOR}/test_binance_rest.py": (
        *(f"{SIMULATOR}/binance/{name}" for name in ("rest", "exchange_info", "klines")),
        f"{SIMULATOR}/binance/listings",
    ),
    f"tests/{SIMULATOR}/test_binance_frames.py": (
        f"{SIMULATOR}/binance/frames",
        f"{SIMULATOR}/binance/numerals",
    ),
    f"tests/{SIMULATOR}/test_binance_session.py": (
        f"{SIMULATOR}/binance/session",
        f"{SIMULATOR}/binance/publisher",
    ),
    f"tests/{SIMULATOR}/test_simulated_market.py": (
        *(f"{SIMULATOR}/market/{name}" for name in ("bars", "book", "dice", "efficient", "listed")),
        *(f"{SIMULATOR}/market/{name}" for name in ("makers", "simulation", "takers")),
    ),
}
TESTED_IN = {f"stevie/{each}.py": test for test, modules in TESTED_BY.items() for each in modules}
NOTHING_TO_TEST = {
    "stevie/ports.py": "protocols, which mypy checks",
    "stevie/ports_bars.py": "protocols, which mypy checks",
    "stevie/runtime/errors.py": "names of errors",
    "stevie/venues/simulator/market/listing.py": "what a market is made of, as data",
}

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
ABSTRACT_BASES = {"Message", "StevieActor", "Resource"}

# Queues without a limit of their own, and the name of what bounds them.
BOUNDED_BY = {
    "stevie/runtime/mailbox.py": "self.capacity",
    "stevie/domain/market/features.py": "WINDOW_ENTRIES_MAX",
}

# Functions of the reference that the kernel need not repeat, or has under no name, and why.
TWIN_MODULES = ("fixed_point", "sequencer", "features")
REFERENCE_ONLY = {
    "to_units": "the edges convert single numbers",
    "to_text": "texts are made at the edges",
    "imbalance": "a ratio of sums, Row.ratio",
}


class Function(NamedTuple):
    where: str
    lines: int


def relative(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything in a module; parsed once for all tests."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


@cache
def functions(path: Path) -> tuple[Function, ...]:
    """Every function with the lines of its body, docstring left out."""
    return tuple(
        Function(f"{relative(path)}:{node.lineno} {node.name}", body_lines(node))
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[ast.get_docstring(node, clean=False) is not None :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def lines_matching(pattern: str, *folders: str) -> list[str]:
    """`path: line` for each line of code below these folders that matches."""
    return [
        f"{relative(path)}: {line.strip()}"
        for folder in folders
        for path in sorted((CHECKOUT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(pattern, line)
    ]


# -- size ----------------------------------------------------------------------------------------


def test_no_function_is_longer_than_a_screen() -> None:
    too_long = [f for path in MODULES for f in functions(path) if f.lines > FUNCTION_LINES_MAX]

    assert too_long == []


def test_functions_are_short_as_a_rule() -> None:
    lengths = sorted(function.lines for path in MODULES for function in functions(path))

    assert median(lengths) <= FUNCTION_LINES_MEDIAN_MAX
    assert lengths[len(lengths) * 9 // 10] <= FUNCTION_LINES_90_PERCENT_MAX


@pytest.mark.parametrize("path", ACTORS, ids=lambda path: path.name)
def test_an_actor_file_is_a_screen_or_two(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert lines <= ACTOR_LINES_RATCHET.get(path.name, ACTOR_LINES_MAX)


def test_the_ratchet_of_actor_files_names_no_file_that_has_become_short() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in ACTORS}

    assert [name for name in ACTOR_LINES_RATCHET if lines.get(name, 0) <= ACTOR_LINES_MAX] == []


# -- where things are ----------------------------------------------------------------------------


def own_test(module: Path) -> Path:
    """`stevie/a/b.py` -> `tests/a/test_b.py`."""
    inside = module.relative_to(CHECKOUT / "stevie")
    return CHECKOUT / "tests" / inside.parent / f"test_{inside.name}"


def test_every_module_has_its_test() -> None:
    untested = [
        relative(module)
        for module in MODULES
        if module.name != "__init__.py"
        and relative(module) not in (*TESTED_IN, *NOTHING_TO_TEST)
        and not own_test(module).exists()
    ]

    assert untested == [], "write tests/.../test_NAME.py, or say in TESTED_BY where it is tested"


def test_modules_said_to_be_tested_elsewhere_exist_and_are_tested_there() -> None:
    for module, tests in TESTED_IN.items():
        assert (CHECKOUT / module).exists(), module
        assert (CHECKOUT / tests).exists(), tests
        assert not own_test(CHECKOUT / module).exists(), f"{module} has a test of its own by now"


def test_modules_with_nothing_to_test_have_no_function_that_does_anything() -> None:
    for module in NOTHING_TO_TEST:
        assert [each for each in functions(CHECKOUT / module) if each.lines > 0] == [], module


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [relative(path) for path in MODULES if path.stem in VAGUE_NAMES] == []


# -- actors --------------------------------------------------------------------------------------


def test_no_actor_asks_another() -> None:
    found = lines_matching(r"\.(ask|request|proxy)\(", "stevie/actors", "stevie/runtime")

    assert [line for line in found if not line.startswith("stevie/runtime/directory.py")] == []


def test_nothing_sleeps_in_actors_and_domain() -> None:
    assert lines_matching(r"\bsleep\(", "stevie/actors", "stevie/domain") == []


def test_every_actor_names_the_capacity_of_its_mailbox() -> None:
    for path in ACTORS:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and "StevieActor" in map(ast.unparse, node.bases):
                assigned = [ast.unparse(each) for each in node.body if isinstance(each, ast.Assign)]
                assert any(each.startswith("mailbox_capacity = ") for each in assigned), node.name


def test_every_case_of_an_actor_ends_in_assert_never() -> None:
    for path in ACTORS:
        text = path.read_text(encoding="utf-8")
        if "(StevieActor)" in text:
            assert "assert_never(message)" in text, relative(path)


# -- bounds --------------------------------------------------------------------------------------


def is_unbounded_queue(node: ast.AST) -> bool:
    """A `deque()` without a second argument or maxlen, a `Queue()` without any."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    if node.func.id == "deque":
        return len(node.args) < 2 and not any(k.arg == "maxlen" for k in node.keywords)
    return node.func.id in {"Queue", "SimpleQueue"} and not node.args and not node.keywords


def test_a_queue_has_a_limit_or_names_what_bounds_it() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        for node in nodes(path):
            if is_unbounded_queue(node):
                line = text.splitlines()[node.lineno - 1]  # type: ignore[attr-defined]
                bound = BOUNDED_BY.get(relative(path))
                assert "#" in line or (bound and bound in text), f"{relative(path)}: {line}"


# -- the kernel and its reference ----------------------------------------------------------------


def reference_functions(module: str) -> list[str]:
    path = CHECKOUT / "stevie" / "domain" / "market" / f"{module}.py"
    return [
        node.name.lstrip("_")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("__")
    ]


@pytest.mark.parametrize("module", TWIN_MODULES)
def test_the_kernel_has_every_function_of_the_reference_under_its_name(module: str) -> None:
    missing = [
        name
        for name in reference_functions(module)
        if name not in REFERENCE_ONLY and not re.search(rf"\b{name}\(.*\) (const )?{{", KERNEL)
    ]

    assert missing == []


def test_functions_said_to_be_of_the_reference_alone_are_there() -> None:
    names = [name for module in TWIN_MODULES for name in reference_functions(module)]

    assert [name for name in REFERENCE_ONLY if name not in names] == []


def test_the_kernel_has_every_method_of_a_book_core() -> None:
    wanted = {name for name in vars(BookCore) if not name.startswith("_")}
    methods = set(re.findall(r"PyObject\* (\w+)\(", KERNEL_HEADER))

    assert methods - {"source_hash", "configure"} == wanted


@pytest.mark.parametrize("enum", [Code, FrameKind])
def test_numbers_that_cross_the_border_mean_the_same_on_both_sides(
    enum: type[Code] | type[FrameKind],
) -> None:
    body = re.search(rf"enum class {enum.__name__} : int64_t {{(.*?)}}", KERNEL_HEADER, re.DOTALL)
    assert body is not None
    values = {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", body[1])}

    assert values == {each.name: each.value for each in enum}


def test_the_kernel_fills_every_field_of_the_features() -> None:
    assert f"FEATURE_COUNT = {len(Features._fields)};" in KERNEL


# -- words ---------------------------------------------------------------------------------------


def test_only_abstract_bases_leave_something_to_be_implemented() -> None:
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and node.name not in ABSTRACT_BASES:
                names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                assert "NotImplementedError" not in names, f"{path}: {node.name}"


@pytest.mark.parametrize(
    "counter", [*declared(RuntimeCounter), *declared(MarketCounter)], ids=lambda each: each.name
)
def test_a_counter_has_a_name_by_the_rules_and_a_sentence(counter: Counter) -> None:
    promised = {family.name for family in PROMISED}

    assert re.fullmatch(r"stevie_[a-z_]+_total", counter.name) or counter.name in promised
    assert re.fullmatch(r"[A-Z].* .*\.", counter.help)


def test_no_two_counters_have_one_name() -> None:
    names = [counter.name for counter in (*declared(RuntimeCounter), *declared(MarketCounter))]

    assert len(names) == len(set(names))


def test_nothing_is_left_to_be_done_later() -> None:
    assert lines_matching(r"\b(TODO|FIXME|XXX|HACK)\b", "stevie") == []
