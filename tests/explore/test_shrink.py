"""Shrinking, on plans that are judged by a rule instead of a run."""

from stevie.explore.faults import Fault, Kind, Plan
from stevie.explore.shrink import shrink


def drop(at_ms: int, **more: int) -> Fault:
    values = {"for_ms": 1600, "count": 6} | more
    return Fault(kind=Kind.DROP, at_ms=at_ms, target="binance/BTCUSDT", **values)


PLAN = tuple(drop(at_ms) for at_ms in range(0, 12_000, 1_000))


def has(plan: Plan, *moments: int) -> bool:
    return set(moments) <= {fault.at_ms for fault in plan}


def test_the_one_guilty_fault_is_left_and_made_mild():
    smallest, attempts = shrink(PLAN, lambda plan: has(plan, 7_000))

    assert smallest == (drop(7_000, for_ms=100, count=1),)
    assert attempts < 20


def test_two_that_need_each_other_are_both_left():
    smallest, _ = shrink(PLAN, lambda plan: has(plan, 1_000, 11_000))

    assert [fault.at_ms for fault in smallest] == [1_000, 11_000]


def test_a_fault_is_made_no_milder_than_still_fails():
    def fails(plan: Plan) -> bool:
        return any(fault.count >= 3 and fault.for_ms >= 400 for fault in plan)

    smallest, _ = shrink(PLAN, fails)

    assert [(fault.count, fault.for_ms) for fault in smallest] == [(3, 400)]


def test_a_failure_that_needs_no_fault_shrinks_to_none():
    assert shrink(PLAN, lambda _: True) == ((), 1)


def test_the_attempts_are_bounded_and_the_smallest_so_far_is_kept():
    smallest, attempts = shrink(PLAN, lambda plan: has(plan, 7_000), attempts_max=4)

    assert attempts == 4
    assert has(smallest, 7_000)
    assert len(smallest) < len(PLAN)
