"""Histories that exploration found, kept: each plan is the smallest that once failed."""

import pytest

from stevie.explore.exploration import Scenario
from stevie.explore.faults import read_plan
from tests.deterministic.quiet import python_explorer

FOUND = {
    # Two deltas that lie far ahead cost four snapshots; they came with the pauses that many
    # refusals before them had earned, half a minute in all.
    "lies_after_refusals": (
        8,
        "refuse_snapshot@11363+4136:binance/ETHUSDT*0~0 alter@14358+186:binance/ETHUSDT*2~1000000",
    ),
    # Four deltas that lie far ahead, each one good for two snapshots with growing pauses between.
    "lies_on_lies": (
        880,
        "alter@11739+238:binance/BTCUSDT*2~1000000 alter@12597+121:binance/BTCUSDT*2~1000000",
    ),
    # The sockets of a killed feed went on to tell its successor everything a second time.
    "sockets_of_a_killed_feed": (
        12,
        "crash@3000+0:feed/binance*0~1 disconnect@6000+3000:binance*4~1006",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_a_history_that_once_failed_does_so_no_more(name: str):
    seed, plan = FOUND[name]

    assert python_explorer(Scenario(seconds=30)).explore(seed, read_plan(plan)).failure is None
