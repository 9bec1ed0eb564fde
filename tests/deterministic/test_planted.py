"""Bugs planted on purpose are found: an exploration that finds nothing would prove nothing."""

from functools import cache

import pytest

from stevie.explore.exploration import Explorer, Outcome, Scenario
from stevie.explore.faults import Kind, read_plan, to_text
from stevie.explore.shrink import shrink
from tests.deterministic import planted
from tests.deterministic.planted import Plant
from tests.deterministic.quiet import python_explorer

SEEDS = range(100)
TRUE = "a LIVE book is true at its sequence"


@cache
def explorer() -> Explorer:
    return python_explorer(Scenario(seconds=30))


def first_failure(plant: Plant) -> Outcome:
    """The first of a hundred seeds that finds the bug; each is clean without it."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for seed in SEEDS:
            outcome = explorer().explore(seed)
            if outcome.failure is not None:
                break
    assert outcome.failure is not None, f"{plant.__name__} is not found in {len(SEEDS)} seeds"
    assert explorer().explore(outcome.seed, outcome.plan).failure is None, "found without the bug"
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "invariants"),
    [
        (planted.resync_skipped, {TRUE, "a FreshBook is true at its sequence"}),
        (planted.gap_message_applied_again, {TRUE}),
        (planted.horizon_ignored, {"the touch of a LIVE book lies within its horizon"}),
        (
            planted.stale_buffer_kept,
            {
                "a new connection begins with an empty buffer",
                "every book is LIVE within 10 s once faults stop",
            },
        ),
        (planted.crossed_book_repaired, {"no LIVE book has applied a message that crossed it"}),
        (planted.wake_up_lost, {"nothing waits for ever"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_planted_bug_is_found_within_a_hundred_seeds(plant: Plant, invariants: set[str]):
    failure = first_failure(plant).failure

    assert failure is not None
    assert failure.invariant in invariants
    assert failure.events


@pytest.mark.slow
def test_a_buffer_kept_over_a_reconnection_is_found_where_it_happens():
    plan = read_plan(
        "drop@3000+400:binance/BTCUSDT*2~0 refuse_snapshot@2900+5000:binance/BTCUSDT*0~503 "
        "disconnect@5000+300:binance*1~1006"
    )
    with pytest.MonkeyPatch.context() as patch:
        planted.stale_buffer_kept(patch)
        failure = explorer().explore(1, plan).failure

    assert failure is not None
    assert failure.invariant == "a new connection begins with an empty buffer"


@pytest.mark.slow
def test_shrinking_finds_the_one_guilty_fault_of_many():
    guilty = "cross@12000+300:binance/ETHUSDT*2~300"
    plan = read_plan(
        "slow@2000+900:binance*0~100 drop@4000+900:binance/BTCUSDT*3~0 skew@5000+4000:binance*0~700"
        " busy@6000+500:feed/binance*0~0 duplicate@8000+900:binance/ETHUSDT*4~90 "
        f"{guilty} garbage@13000+900:binance/BTCUSDT*3~0"
    )
    with pytest.MonkeyPatch.context() as patch:
        planted.crossed_book_repaired(patch)
        whole = explorer().explore(1, plan)
        assert whole.failure is not None

        def fails(candidate):
            failure = explorer().explore(1, candidate).failure
            return failure is not None and failure.invariant == whole.failure.invariant

        smallest, attempts = shrink(plan, fails)

    assert [fault.kind for fault in smallest] == [Kind.CROSS], to_text(smallest)
    assert (smallest[0].count, smallest[0].amount) == (1, 1)
    assert attempts < 40
