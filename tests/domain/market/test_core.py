import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.core import (
    Code,
    CoreSpec,
    DeltaLevels,
    ReferenceCore,
    Scale,
    SnapshotLevels,
)
from stevie.domain.market.fixed_point import UNITS_MAX, NumberError
from stevie.domain.market.sequencer import DeltaSpan, SequenceRule


def new_core(*bids: int, asks: tuple[int, ...] = (), limit: int = 0) -> ReferenceCore:
    """A core at sequence 10 with these levels."""
    core = ReferenceCore(CoreSpec(native_symbol="BTCUSDT", rule=SequenceRule.SPOT))
    core.load_levels(
        SnapshotLevels(seq=10, bids=array("l", bids), asks=array("l", asks), level_limit=limit), 0
    )
    return core


def apply(
    core: ReferenceCore, first: int, last: int, *bids: int, asks: tuple[int, ...] = ()
) -> int:
    levels = DeltaLevels(
        span=DeltaSpan(first, last), bids=array("l", bids), asks=array("l", asks), event_ns=7
    )
    return core.apply_levels(levels, 1)


def test_a_delta_that_continues_the_snapshot_is_applied() -> None:
    core = new_core(100, 5, 99, 6, asks=(101, 7))

    assert apply(core, 9, 12, 100, 0, 98, 4, 55, 0) == Code.OK

    view = core.view()
    assert core.top(5) == (((99, 6), (98, 4)), ((101, 7),))
    assert (view.first_seq, view.last_seq, view.snapshot_seq, view.event_ns) == (9, 12, 10, 7)
    assert (view.applied, view.level_changes, view.delete_unknown) == (1, 3, 1)
    assert (view.best_bid, view.best_ask, view.bid_levels, view.ask_levels) == (99, 101, 2, 1)


def test_a_gap_changes_nothing() -> None:
    core = new_core(100, 5)
    before = core.view()
    assert apply(core, 12, 12, 100, 0) == Code.GAP
    assert core.view() == before


def test_a_stale_delta_is_counted_and_passed_over() -> None:
    core = new_core(100, 5)
    assert apply(core, 9, 10, 100, 0) == Code.OK
    assert (core.view().stale, core.view().applied, core.top(1)[0]) == (1, 0, ((100, 5),))


def test_a_crossed_book_is_reported_and_never_repaired() -> None:
    core = new_core(100, 5, asks=(101, 5))
    assert apply(core, 11, 11, 102, 1) == Code.CROSSED
    assert core.top(1) == (((102, 1),), ((101, 5),))
    assert core.view().applied == 1


def test_a_pause_comes_exactly_when_asked_for() -> None:
    core = new_core()
    core.pause_at(2)
    assert [apply(core, seq, seq) for seq in (11, 12, 13)] == [Code.OK, Code.PAUSED, Code.OK]


def test_a_side_that_filled_the_limit_has_a_horizon() -> None:
    core = new_core(100, 5, 98, 5, asks=(101, 1), limit=2)
    assert (core.view().bid_floor, core.view().ask_ceiling) == (98, -1)


@pytest.mark.parametrize("bad", [(0, 1), (-5, 1), (1, -1), (UNITS_MAX + 1, 1), (1, UNITS_MAX + 1)])
def test_levels_that_no_book_can_hold_are_refused_before_anything_changes(
    bad: tuple[int, int],
) -> None:
    core = new_core(100, 5)
    with pytest.raises(ValueError, match="expected ticks > 0"):
        apply(core, 11, 11, 100, 0, *bad)
    assert core.top(1)[0] == ((100, 5),)


def test_a_packed_ladder_is_the_top_in_int64_pairs() -> None:
    core = new_core(100, 5, 99, 6, asks=(101, 7))
    assert core.ladder(1) == (struct.pack("<qq", 100, 5), struct.pack("<qq", 101, 7))
    assert core.ladder(9)[0] == struct.pack("<qqqq", 100, 5, 99, 6)


@given(st.integers(0, 9), st.integers(0, 9))
def test_refining_changes_the_units_and_not_the_book(price: int, size: int) -> None:
    core = new_core(100, 5, asks=(101, 7), limit=1)

    core.refine(Scale(price, size))

    assert core.top(1) == (((100 * 10**price, 5 * 10**size),), ((101 * 10**price, 7 * 10**size),))
    assert core.view().bid_floor == 100 * 10**price
    core.refine(Scale(0, 0))
    assert (core.view().price_decimals, core.view().size_decimals) == (price, size)


def test_a_book_that_would_overflow_is_not_refined() -> None:
    core = new_core(UNITS_MAX, 5)
    with pytest.raises(NumberError, match="does not fit"):
        core.refine(Scale(1, 0))
    assert core.top(1)[0] == ((UNITS_MAX, 5),)


def test_a_horizon_that_would_overflow_holds_the_scale_too() -> None:
    core = new_core(UNITS_MAX, 5, limit=1)
    apply(core, 11, 11, UNITS_MAX, 0)
    with pytest.raises(NumberError, match="does not fit"):
        core.refine(Scale(1, 0))


def test_a_scale_out_of_bounds_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match=r"18 decimals, was .*19"):
        Scale(19, 0)


def test_adopting_takes_levels_and_place_and_keeps_windows_and_counts() -> None:
    old, fresher = new_core(100, 5, asks=(103, 1)), new_core(50, 5, asks=(102, 9), limit=1)
    for seq in (11, 12):
        apply(old, seq, seq)
    old.add_trade(3, 40)
    apply(fresher, 11, 14, 101, 8)

    old.adopt(fresher)

    view = old.view()
    assert old.top(2) == (((101, 8), (50, 5)), ((102, 9),))
    assert (view.last_seq, view.bid_floor, view.ask_ceiling) == (14, 50, 102)
    assert (view.applied, view.applied_since_snapshot, view.trades) == (2, 1, 1)
    assert old.features(5).ti_count == 1.0
    assert apply(old, 15, 15) == Code.OK


def test_adopting_leaves_the_other_core_without_levels() -> None:
    old, fresher = new_core(), new_core(50, 5)
    old.adopt(fresher)
    apply(fresher, 11, 11, 60, 1)
    assert old.top(5)[0] == ((50, 5),)


def test_adopting_settles_on_the_finer_units_of_each() -> None:
    old, fresher = new_core(UNITS_MAX, 5), new_core(50, 5)
    old.refine(Scale(0, 2))
    fresher.refine(Scale(3, 0))

    old.adopt(fresher)

    assert old.top(1)[0] == ((50_000, 500),)


def test_what_does_not_fit_is_not_adopted_and_nothing_changes() -> None:
    old, fresher = new_core(7, 5), new_core(UNITS_MAX, 5)
    old.refine(Scale(3, 0))
    with pytest.raises(NumberError, match="does not fit"):
        old.adopt(fresher)
    assert (old.top(1)[0], fresher.top(1)[0]) == (((7000, 5),), ((UNITS_MAX, 5),))
