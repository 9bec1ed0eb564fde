from stevie.domain.market.core import CoreView
from stevie.domain.market.horizon import Horizon, is_past

NOTHING = CoreView(*([0] * len(CoreView._fields)))


def view(*, bid: int, ask: int, floor: int, ceiling: int, decimals: int = 2) -> CoreView:
    return NOTHING._replace(
        best_bid=bid, best_ask=ask, bid_floor=floor, ask_ceiling=ceiling, price_decimals=decimals
    )


def test_a_horizon_is_near_once_most_of_the_way_is_used_up() -> None:
    horizon = Horizon(used_max=0.75)
    horizon.note(view(bid=1000, ask=1001, floor=900, ceiling=1101))

    assert not horizon.is_near(view(bid=926, ask=927, floor=900, ceiling=1101))
    assert horizon.is_near(view(bid=924, ask=925, floor=900, ceiling=1101))
    assert horizon.is_near(view(bid=1075, ask=1077, floor=900, ceiling=1101))


def test_a_refined_tick_does_not_move_the_horizon() -> None:
    horizon = Horizon(used_max=0.75)
    horizon.note(view(bid=1000, ask=1001, floor=900, ceiling=1101))
    refined = view(bid=10_000, ask=10_010, floor=9_000, ceiling=11_010, decimals=3)

    assert not horizon.is_near(refined)


def test_a_touch_beyond_the_last_level_or_an_emptied_side_is_past_the_horizon() -> None:
    assert not is_past(view(bid=900, ask=901, floor=900, ceiling=1101))
    assert is_past(view(bid=899, ask=901, floor=900, ceiling=1101))
    assert is_past(view(bid=1101, ask=1102, floor=900, ceiling=1101))
    assert is_past(view(bid=-1, ask=1000, floor=900, ceiling=1101))
    assert is_past(view(bid=1000, ask=-1, floor=900, ceiling=1101))


def test_a_side_that_the_snapshot_gave_whole_has_no_horizon() -> None:
    whole = view(bid=10, ask=20, floor=-1, ceiling=-1)
    horizon = Horizon(used_max=0.75)
    horizon.note(whole)

    assert not is_past(view(bid=1, ask=2, floor=-1, ceiling=-1))
    assert not horizon.is_near(view(bid=1, ask=2, floor=-1, ceiling=-1))
