from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.ladder import Ladder, Level, Side

CHANGES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=60)
SIGNS = st.sampled_from((+1, -1))


def best_first(levels: dict[int, int], sign: int) -> tuple[Level, ...]:
    return tuple(sorted(levels.items(), key=lambda level: -sign * level[0]))


@given(SIGNS, CHANGES)
def test_a_side_equals_a_dictionary_after_any_changes(sign: int, changes: list[Level]) -> None:
    side, model = Side(sign), dict[int, int]()

    for ticks, lots in changes:
        was_there = ticks in model
        assert side.set(ticks, lots) is (bool(lots) or was_there)
        model.pop(ticks, None)
        model |= {ticks: lots} if lots else {}

    ordered = best_first(model, sign)
    assert len(side) == len(model)
    assert [side.top(count) for count in range(5)] == [ordered[:count] for count in range(5)]
    assert side.top(1000) == ordered
    assert side.touch() == (ordered[0] if ordered else None)
    assert side.lots_max() == max(model.values(), default=0)
    assert side.ticks_max() == max(model, default=0)


@given(SIGNS, CHANGES, CHANGES)
def test_replacing_forgets_what_was_and_keeps_the_later_of_a_price(
    sign: int, before: list[Level], levels: list[Level]
) -> None:
    side = Side(sign)
    side.replace(before)

    side.replace(levels)

    assert side.top(1000) == best_first({t: lots for t, lots in levels if lots}, sign)


@given(SIGNS, CHANGES, st.sampled_from((1, 10, 1000)), st.sampled_from((1, 10)))
def test_finer_units_change_the_count_and_not_the_book(
    sign: int, levels: list[Level], price_factor: int, size_factor: int
) -> None:
    side = Side(sign)
    side.replace(levels)
    before = side.top(1000)

    side.multiply(price_factor, size_factor)

    assert side.top(1000) == tuple((t * price_factor, lots * size_factor) for t, lots in before)


def test_crossed_is_a_bid_above_an_ask_and_locked_is_legal() -> None:
    ladder = Ladder()
    assert not ladder.is_crossed()
    ladder.bids.set(10, 1)
    assert not ladder.is_crossed()
    ladder.asks.set(10, 1)
    assert not ladder.is_crossed()
    ladder.bids.set(11, 1)
    assert ladder.is_crossed()
