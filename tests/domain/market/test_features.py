import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.features import (
    RETURN_SCALE,
    WINDOW_ENTRIES_MAX,
    Features,
    FeatureSpec,
    FeatureState,
    Window,
    imbalance,
    order_flow,
    spread_bps,
    squared_return,
    weighted_mid,
)

SPEC = FeatureSpec(obi_levels=2, window_ns=1000, window_events=3)
BID, ASK = (100, 30), (102, 10)
EVENTS = st.lists(st.tuples(st.integers(0, 400), st.integers(-(2**61), 2**61)), max_size=40)


@given(EVENTS, st.integers(0, 3000))
def test_windows_equal_their_recomputation_from_all_events(
    events: list[tuple[int, int]], wait_ns: int
) -> None:
    window, now_ns, seen = Window(SPEC), 0, []

    for pause_ns, value in events:
        now_ns += pause_ns
        window.roll_update(now_ns, value)
        seen.append((now_ns, value))
    now_ns += wait_ns
    window.expire(now_ns)

    recent = [value for at_ns, value in seen if at_ns > now_ns - SPEC.window_ns]
    last = [value for _, value in seen[-SPEC.window_events :]]
    assert (window.time_sum, window.time_size) == (sum(recent), sum(map(abs, recent)))
    assert (window.count_sum, window.count_size) == (sum(last), sum(map(abs, last)))
    assert len(window) == len(recent)


def test_time_never_runs_back_within_a_window() -> None:
    window = Window(SPEC)
    window.roll_update(5000, 1)
    window.roll_update(10, 2)
    assert (window.time_sum, window.newest_ns) == (3, 5000)


def test_a_window_of_time_is_bounded() -> None:
    window = Window(SPEC)
    for _ in range(WINDOW_ENTRIES_MAX + 5):
        window.roll_update(1, 1)
    assert (len(window), window.time_sum) == (WINDOW_ENTRIES_MAX, WINDOW_ENTRIES_MAX)


@pytest.mark.parametrize(
    ("after", "flow"),
    [
        ((100, 5, 102, 7), 0),
        ((100, 8, 102, 7), +3),  # the bid grew
        ((101, 4, 102, 7), +4),  # a better bid
        ((99, 9, 102, 7), -5),  # the bid is gone
        ((100, 5, 102, 9), -2),  # the ask grew
        ((100, 5, 101, 3), -3),  # a better ask
        ((100, 5, 103, 1), +7),  # the ask is gone
    ],
)
def test_order_flow_is_that_of_cont_kukanov_and_stoikov(
    after: tuple[int, int, int, int], flow: int
) -> None:
    assert order_flow((100, 5, 102, 7), after) == flow


@given(st.integers(1, 2**40), st.integers(0, 2**20), st.integers(1, 2**40), st.integers(1, 2**40))
def test_the_weighted_mid_lies_within_the_spread(
    bid: int, spread: int, bid_lots: int, ask_lots: int
) -> None:
    assert bid <= weighted_mid((bid, bid_lots), (bid + spread, ask_lots)) <= bid + spread


def test_a_heavy_bid_pulls_the_weighted_mid_towards_the_ask() -> None:
    assert weighted_mid(BID, ASK) == 101.5


def test_a_squared_return_is_capped_at_one() -> None:
    assert squared_return(1.0, 1.0) == 0
    assert squared_return(1.0, 1e9) == RETURN_SCALE
    assert squared_return(100.0, 101.0) / RETURN_SCALE == pytest.approx(math.log(1.01) ** 2)


def test_imbalance_and_spread_are_undefined_where_there_is_nothing_to_compare() -> None:
    assert imbalance((BID,), (ASK,)) == 0.5
    assert imbalance((BID,), ()) == 1.0
    assert imbalance((), ()) is None
    assert spread_bps((BID,), (ASK,)) == pytest.approx(2 / 101 * 10_000)
    assert spread_bps((BID,), ()) is None


def read(state: FeatureState, now_ns: int) -> Features:
    return state.read(now_ns, (BID,), (ASK,), 1)


def test_before_the_first_event_nothing_is_claimed() -> None:
    features = read(FeatureState(SPEC), 10)
    assert (features.ti_time, features.ti_count) == (None, None)
    assert (features.depth_age_ns, features.trade_age_ns) == (-1, -1)
    assert (features.touched_depth_count, features.touched_trade_count) == (1, 1)


def test_trade_imbalance_is_signed_over_absolute_aggressor_volume() -> None:
    state = FeatureState(SPEC)
    for at_ns, lots in ((1, 30), (2, -10), (3, -20), (4, 50)):
        state.on_trade(at_ns, lots)

    features = read(state, 10)

    assert features.ti_time == 50 / 110
    assert features.ti_count == 20 / 80
    assert features.trades_per_s == 4 / 1e-6
    assert features.trade_age_ns == 6


def test_order_flow_comes_in_base_units_and_leaves_with_its_window() -> None:
    state = FeatureState(SPEC)
    state.on_delta(100, (100, 30), (102, 10))
    state.on_delta(200, (100, 45), (102, 10))

    assert read(state, 200).ofi_time == 1.5
    assert (read(state, 1200).ofi_time, read(state, 1200).ofi_count) == (0.0, 1.5)


def test_nothing_is_compared_across_a_break_and_the_windows_say_so() -> None:
    state = FeatureState(SPEC)
    for index in range(5):
        state.on_delta(index, (100, 30 + index), ASK)
        state.on_trade(index, 1)
    before = read(state, 5000)
    assert (before.touched_depth_count, before.touched_trade_count) == (0, 0)

    state.on_break(5000)
    state.on_delta(5000, (200, 1), (201, 1))
    after = read(state, 5000)

    assert after.ofi_count == before.ofi_count
    assert (after.touched_time, after.touched_depth_count, after.touched_trade_count) == (1, 1, 1)
    assert read(state, 6000).touched_time == 0


def test_a_one_sided_moment_is_not_compared_across_either() -> None:
    state = FeatureState(SPEC)
    state.on_delta(1, BID, ASK)
    state.on_delta(2, BID, None)
    state.on_delta(3, (150, 9), ASK)
    assert read(state, 3).ofi_count == 0.0


def test_after_a_change_of_units_sums_in_the_old_ones_are_gone() -> None:
    state = FeatureState(SPEC)
    state.on_delta(1, BID, ASK)
    state.on_delta(2, (100, 90), ASK)
    state.on_trade(2, 5)
    state.on_rescale()
    features = read(state, 3)
    assert (features.ofi_time, features.ofi_count, features.ti_count) == (0.0, 0.0, None)


@pytest.mark.parametrize(
    "limits", [{"obi_levels": 0}, {"window_ns": 0}, {"window_events": 0}, {"window_events": 8193}]
)
def test_a_spec_out_of_bounds_is_refused_with_its_value(limits: dict[str, int]) -> None:
    ((name, value),) = limits.items()
    with pytest.raises(ValueError, match=f"expected {name} .*, was {value}"):
        FeatureSpec(**limits)
