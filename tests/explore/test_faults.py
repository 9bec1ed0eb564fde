"""Fault plans: drawn from a seed, printed, read back."""

import pytest

from stevie.explore.exploration import Scenario
from stevie.explore.faults import (
    CRASHES_MAX,
    FAULTS_MAX,
    FORMS,
    MS_NS,
    QUIET_MS,
    ActiveFaults,
    Fault,
    Kind,
    PlanError,
    quiet_from_ms,
    read_plan,
    to_text,
)

SCENARIO = Scenario(seconds=60)
DROP = Fault(kind=Kind.DROP, at_ms=100, for_ms=50, target="binance/BTCUSDT", count=2)


def test_a_seed_means_one_plan_and_reads_back_from_its_text():
    plans = [SCENARIO.plan(seed) for seed in range(50)]

    assert plans == [SCENARIO.plan(seed) for seed in range(50)]
    assert [read_plan(to_text(plan)) for plan in plans] == plans
    assert len(set(plans)) == 50


def test_plans_keep_to_their_bounds_and_leave_time_to_recover():
    for seed in range(300):
        plan = SCENARIO.plan(seed)
        assert 1 <= len(plan) <= FAULTS_MAX
        assert sum(fault.kind is Kind.CRASH for fault in plan) <= CRASHES_MAX
        assert all(fault.at_ms + fault.for_ms <= 60_000 - QUIET_MS + 1 for fault in plan)
        assert quiet_from_ms(plan) <= 60_000 - QUIET_MS + 3_000 + 1


def test_a_swarm_uses_every_kind_but_no_seed_all_of_them():
    kinds = [{fault.kind for fault in SCENARIO.plan(seed)} for seed in range(200)]

    assert set().union(*kinds) == set(Kind)
    assert max(map(len, kinds)) < len(Kind) / 2 < len(Kind)
    assert min(map(len, kinds)) == 1


def test_every_target_is_one_that_its_kind_can_hit():
    for seed in range(100):
        for fault in SCENARIO.plan(seed):
            assert fault.target in SCENARIO.targets.of(FORMS[fault.kind].scope)


@pytest.mark.parametrize("text", ["drop", "burn@1+2:binance*0~0", "drop@-1+2:binance*0~0"])
def test_what_is_no_fault_is_refused_with_the_form_that_is(text: str):
    with pytest.raises(PlanError, match="expected KIND@AT_MS"):
        read_plan(text)


def test_a_fault_hits_within_its_time_its_target_and_its_count():
    active = ActiveFaults((DROP,), start_ns=7)

    def hit(at_ms: int, target: str = DROP.target, kind: Kind = Kind.DROP) -> bool:
        return active.hit(kind, target, 7 + at_ms * MS_NS) is not None

    assert not hit(99)
    assert not hit(150)
    assert not hit(100, target="binance/ETHUSDT")
    assert not hit(100, kind=Kind.CROSS)
    assert [hit(100), hit(149), hit(149)] == [True, True, False]
    assert active.counts() == {"drop": 2}


def test_a_plan_is_quiet_once_the_latest_of_its_late_frames_has_come():
    late = Fault(kind=Kind.REORDER, at_ms=90, for_ms=50, target="binance/X", count=1, amount=400)

    assert quiet_from_ms((DROP, late)) == 540
    assert quiet_from_ms(()) == 0
