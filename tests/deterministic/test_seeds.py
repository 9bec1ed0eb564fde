"""The same seed is the same history, and no seed finds a book that lies."""

import os
import subprocess
import sys

import pytest

from stevie.explore.campaign import reproduction
from stevie.explore.exploration import Explorer, Outcome, Scenario
from stevie.explore.faults import Kind
from tests.deterministic.quiet import fastest_kernel, python_explorer

BOTH = ("binance", "binance_usdm")
QUICK = Scenario(seconds=30)  # of virtual time: with 16 s of faults, then 14 s to recover
PRINT_DIGEST = """
from tests.deterministic.quiet import no_logs, python_explorer
from stevie.explore.exploration import Scenario
with no_logs():
    outcome = python_explorer(Scenario(seconds=24)).explore(11)
print(outcome.digest, outcome.steps)
"""


def story(outcome: Outcome) -> str:
    """What to say of a seed that failed."""
    assert outcome.failure is not None
    return "\n".join(
        (
            f"seed {outcome.seed}: {outcome.failure.invariant}: {outcome.failure.detail}",
            reproduction(QUICK, outcome),
            *outcome.failure.events,
        )
    )


def run_all(explorer: Explorer, seeds: range) -> list[Outcome]:
    outcomes = []
    for seed in seeds:
        outcomes.append(explorer.explore(seed))
        assert outcomes[-1].failure is None, story(outcomes[-1])
    return outcomes


def test_a_seed_is_lived_the_same_way_again_and_another_seed_is_not():
    explorer = python_explorer(Scenario(seconds=20))

    first, again, other = explorer.explore(3), explorer.explore(3), explorer.explore(4)

    assert first == again
    assert first.digest != other.digest


@pytest.mark.slow
def test_the_digest_is_the_same_in_two_processes_and_on_two_hash_seeds():
    def printed(hash_seed: str) -> str:
        environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", PRINT_DIGEST]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    outcome = python_explorer(Scenario(seconds=24)).explore(11)

    assert printed("1") == printed("4242") == f"{outcome.digest} {outcome.steps}\n"


@pytest.mark.slow
def test_both_kernels_live_a_seed_the_same_way():
    scenario = Scenario(seconds=24, venues=BOTH)

    python = python_explorer(scenario).explore(5)

    assert Explorer(scenario, fastest_kernel()).explore(5) == python


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_fifty_seeds_of_faults_find_no_book_that_lies():
    outcomes = run_all(Explorer(QUICK, fastest_kernel()), range(50))

    assert all(outcome.checked > 100 for outcome in outcomes)
    assert set().union(*(outcome.faults for outcome in outcomes)) == set(Kind)
    assert sum(outcome.resyncs for outcome in outcomes) > 50


@pytest.mark.slow
def test_books_chained_by_pu_and_on_sockets_of_their_own_do_not_lie_either():
    run_all(Explorer(Scenario(seconds=30, venues=BOTH), fastest_kernel()), range(100, 108))


@pytest.mark.soak
def test_a_thousand_seeds_of_two_symbols_and_two_minutes_find_no_book_that_lies():
    outcomes = run_all(Explorer(Scenario(seconds=120), fastest_kernel()), range(1000))

    assert sum(outcome.resyncs for outcome in outcomes) > 1000
