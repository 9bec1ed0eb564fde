"""Bytes that no venue would send, by the million: no report, no wrong LIVE book, no exception."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stevie.adapters.kernel import PythonKernel
from stevie.venues.binance.reference import BinanceReferenceCore
from tests.parity.recordings import RULES, recording
from tests.soak import fuzz as campaign
from tests.soak import sanitized
from tests.soak.cases import Case

CHECKOUT = Path(__file__).resolve().parents[2]
SEED = 1
HOURS_S = 4 * 3600


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel as it is, compiled once for all tests."""
    return sanitized.build(tmp_path_factory.mktemp("sanitized"))


def fuzz(library: Path, source: str, *, mutants: int, stderr: int | None) -> tuple[int, str]:
    """Run a campaign; its exit code and the last that it said."""
    if source == "recorded":
        for name in RULES:
            recording(name)  # skips the test where there is none
    done = subprocess.run(
        (
            *(sys.executable, "-u", "-m", "tests.soak.fuzz", str(library)),
            *("--source", source, "--mutants", str(mutants), "--seed", str(SEED)),
        ),
        cwd=CHECKOUT,
        env=sanitized.environ(),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
        timeout=HOURS_S,
    )
    return done.returncode, done.stdout[-100:] + (done.stderr or "")[-20_000:]


@pytest.mark.slow
@pytest.mark.timeout(600)  # compiling with sanitizers is slow where others compile as well
@pytest.mark.parametrize(("source", "mutants"), [("generated", 3_000), ("recorded", 700)])
def test_thousands_of_mutants_find_nothing(library: Path, source: str, mutants: int) -> None:
    code, said = fuzz(library, source, mutants=mutants, stderr=subprocess.PIPE)

    assert (code, "well" in said) == (0, True), said


@pytest.mark.soak
@pytest.mark.parametrize(("source", "mutants"), [("generated", 750_000), ("recorded", 250_000)])
def test_a_million_mutants_find_nothing(
    library: Path, source: str, mutants: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with capfd.disabled():  # for whoever watches: its progress, and a report if there is one
        code, said = fuzz(library, source, mutants=mutants, stderr=None)

    assert (code, "well" in said) == (0, True), said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "report"),
    [
        ("char* text = new char[8]; delete[] text; volatile char c = text[start];", "after-free"),
        (
            "volatile int sum = 2147483647; sum = sum + static_cast<int>(start);",
            "signed integer overflow",
        ),
    ],
    ids=["address", "undefined"],
)
def test_a_planted_mistake_is_reported(tmp_path: Path, mistake: str, report: str) -> None:
    source = tmp_path / "planted.cpp"
    source.write_text(f'#include <cstdint>\nextern "C" void err(int64_t start) {{ {mistake} }}\n')
    planted = tmp_path / "planted.so"
    subprocess.run(("g++", *sanitized.FLAGS, str(source), "-o", str(planted)), check=True)

    done = subprocess.run(
        (sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(planted)!r}).err(1)"),
        env=sanitized.environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode != 0
    assert report in done.stderr


def test_a_seed_makes_the_same_case_again() -> None:
    once, again = (list(Case("generated", 3).batches()) for _ in range(2))

    assert once == again
    assert once != list(Case("generated", 5).batches())


class ForgetfulCore(BinanceReferenceCore):
    """Loses the last level of the bids."""

    def ladder(self, count: int) -> tuple[bytes, bytes]:
        bids, asks = super().ladder(count)
        return bids[:-16], asks


@pytest.mark.slow
def test_a_wrong_live_book_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "ORACLE_SHARE", 1.0)
    kernel = PythonKernel(ForgetfulCore)

    def run() -> None:
        for seed in range(1, 4):
            campaign.run_case(Case("generated", seed), kernel, Counter())

    with pytest.raises(AssertionError):
        run()
