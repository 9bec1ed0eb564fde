"""Shrinking: from a plan that fails to the smallest one found that fails the same way.

First faults are left out (delta debugging: halves, quarters, single ones), then those that remain
are made milder: fewer frames, shorter, smaller. Every attempt is a whole run of the same seed.
"""

from collections.abc import Callable, Iterator

import msgspec

from stevie.explore.faults import FORMS, Fault, Plan

ATTEMPTS_MAX = 200  # runs; each takes about a second
FOR_MS_MIN = 100  # a depth frame's period: shorter hits nothing

Fails = Callable[[Plan], bool]


class _SpentError(Exception):
    """All attempts are used up."""


class _Attempts:
    """Counts the runs, and keeps the smallest plan that failed."""

    def __init__(self, plan: Plan, fails: Fails, attempts_max: int) -> None:
        self.smallest = plan
        self.count = 0
        self._fails, self._attempts_max = fails, attempts_max

    def __call__(self, plan: Plan) -> bool:
        if self.count >= self._attempts_max:
            raise _SpentError
        self.count += 1
        is_failing = self._fails(plan)
        if is_failing:
            self.smallest = plan
        return is_failing


def shrink(plan: Plan, fails: Fails, *, attempts_max: int = ATTEMPTS_MAX) -> tuple[Plan, int]:
    """The smallest plan found that still fails, and how many runs that took."""
    attempts = _Attempts(plan, fails, attempts_max)
    try:
        if not attempts(()):  # a failure that needs no fault is the shortest story
            _leave_out(plan, attempts)
            _soften(attempts)
    except _SpentError:
        pass
    return attempts.smallest, attempts.count


def _leave_out(plan: Plan, fails: Fails) -> None:
    """Delta debugging on the faults (Zeller's ddmin, complements only)."""
    parts = 2
    while len(plan) > 1:
        size = -(-len(plan) // parts)
        without = (plan[:start] + plan[start + size :] for start in range(0, len(plan), size))
        smaller = next((candidate for candidate in without if fails(candidate)), None)
        if smaller is not None:
            plan, parts = smaller, max(2, parts - 1)
        elif size == 1:
            return
        else:
            parts = min(len(plan), parts * 2)


def _soften(attempts: _Attempts) -> None:
    """Make each fault milder for as long as the plan still fails."""
    index = 0
    while index < len(attempts.smallest):
        plan = attempts.smallest
        candidates = (
            (*plan[:index], milder, *plan[index + 1 :]) for milder in _milder(plan[index])
        )
        if not any(map(attempts, candidates)):
            index += 1


def _milder(fault: Fault) -> Iterator[Fault]:
    if fault.count > 1:
        yield msgspec.structs.replace(fault, count=1)
        yield msgspec.structs.replace(fault, count=fault.count // 2)
    if fault.for_ms // 2 >= FOR_MS_MIN:
        yield msgspec.structs.replace(fault, for_ms=fault.for_ms // 2)
    mildest = min(FORMS[fault.kind].amount, key=abs)
    if abs(mildest) < abs(fault.amount):
        yield msgspec.structs.replace(fault, amount=mildest)
