from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.market.bar_builder import (
    AHEAD_NS_MAX,
    IDS_AHEAD_MAX,
    LATENESS_NS,
    MINUTES_MAX,
    BarBuilder,
    MarketTrade,
)
from stevie.domain.market.bars import MINUTE_NS, Bar
from stevie.domain.market.core import Scale
from tests.domain.market.trade_tapes import (
    SECOND_NS,
    START_NS,
    grouped,
    minute_klines,
    numbers,
    tapes,
    trade,
)

FIRST = trade(999, -30.0)  # of the minute before all others, which is not seen whole
LATER_NS = START_NS + 3600 * SECOND_NS


class Building:
    """A builder, and all that came of it."""

    def __init__(self, *trades: MarketTrade) -> None:
        self.builder = BarBuilder(started_ns=START_NS - MINUTE_NS, scale=Scale())
        self.bars: list[Bar] = []
        self.torn: list[int] = []
        self.take(FIRST, *trades)

    def take(self, *trades: MarketTrade) -> None:
        for each in trades:
            self.builder.add(each, LATER_NS)
        self._drain()

    def tick(self, at_s: float) -> None:
        self.builder.tick(START_NS + round(at_s * SECOND_NS))
        self._drain()

    def _drain(self) -> None:
        drained = self.builder.drain()
        self.bars += drained.bars
        self.torn += [(at - START_NS) // MINUTE_NS for at in drained.torn_ns]

    @property
    def closed(self) -> list[int]:
        return [(bar.opened_ns - START_NS) // MINUTE_NS for bar in self.bars]

    def fate(self, name: str) -> int:
        return self.builder.fates[name]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[MarketTrade], list[MarketTrade]]:
    """A tape, and the same as it may arrive: late by less than the allowance, some of it twice."""
    tape = draw(tapes())
    again = draw(st.lists(st.sampled_from(tape), max_size=10))
    arrivals = [(each.at_ns + draw(st.integers(0, LATENESS_NS - 1)), each) for each in tape + again]
    return tape, [each for _, each in sorted(arrivals, key=lambda arrival: arrival[0])]


@settings(max_examples=60, deadline=None)
@given(deliveries())
def test_bars_are_what_grouping_the_trades_comes_to_in_any_allowed_order(case):
    tape, arrived = case
    building = Building(*arrived)
    building.tick(4 * 60 + 3)

    reckoned = grouped(tape)
    traded = {bar.opened_ns: numbers(bar) for bar in building.bars if bar.trades}
    assert traded == reckoned
    assert building.fate("repeated") == len(arrived) - len(tape)
    assert building.fate("late") == 0


@settings(max_examples=60, deadline=None)
@given(tapes())
def test_every_minute_is_closed_once_in_order_whatever_is_traded(tape):
    building = Building(*tape)
    building.tick(4 * 60 + 3)

    told = sorted(building.closed + building.torn)
    assert told == [-1, 0, 1, 2, 3]
    assert building.closed == sorted(building.closed)


@settings(max_examples=60, deadline=None)
@given(tapes(), st.data())
def test_a_minute_that_a_trade_is_missing_from_is_never_given_as_a_bar(tape, data):
    lost = data.draw(st.sets(st.sampled_from(tape), max_size=5))
    building = Building(*(each for each in tape if each not in lost), trade(1000 + len(tape), 270))
    building.tick(5 * 60 + 3)

    whole = [FIRST, *tape, trade(1000 + len(tape), 270)]
    klines = minute_klines(whole, START_NS - MINUTE_NS, START_NS + 5 * MINUTE_NS)
    told = {bar.opened_ns: numbers(bar) for bar in klines}
    assert {bar.opened_ns: numbers(bar) for bar in building.bars}.items() <= told.items()
    minutes_lost = {(each.at_ns - START_NS) // MINUTE_NS for each in lost}
    assert minutes_lost <= set(building.torn)


def test_a_minute_is_closed_by_a_later_trade_or_by_the_clock_after_the_allowance():
    building = Building(trade(1000, 10), trade(1001, 62.9))
    assert building.closed == []
    building.take(trade(1002, 63))
    assert building.closed == [0]

    building.tick(122.9)
    assert building.closed == [0]
    building.tick(123)
    assert building.closed == [0, 1]


def test_a_trade_within_the_allowance_counts_in_its_own_minute():
    building = Building(trade(1001, 61), trade(1000, 59.9, "105", "2"))
    building.tick(63)

    assert numbers(building.bars[0])[-2:] == (2, 1)


def test_the_first_and_the_last_price_go_by_time_and_number_not_by_arrival():
    building = Building(
        trade(1002, 20, "3"), trade(1001, 20, "2"), trade(1000, 5, "1"), trade(1003, 20, "4")
    )
    building.tick(63)

    assert [int(price) for price in numbers(building.bars[0])[:4]] == [1, 4, 1, 4]


def test_a_trade_that_is_too_late_tears_its_minute():
    building = Building(trade(1000, 10))
    building.tick(64)
    building.take(trade(1001, 59))
    assert (building.closed, building.torn, building.fate("late")) == ([0], [-1, 0], 1)


def test_minutes_wait_for_a_missing_trade_as_long_as_it_may_come():
    building = Building(trade(1000, 10), trade(1002, 130))
    building.tick(132.9)
    assert (building.closed, building.torn) == ([], [-1])

    building.take(trade(1001, 70))
    building.tick(132.9)
    assert building.closed == [0, 1]

    building = Building(trade(1000, 10), trade(1002, 130))
    building.tick(133)
    assert building.torn == [-1, 0, 1]


def test_a_quiet_minute_is_flat_at_the_last_price_that_there_was():
    building = Building(trade(1000, 10, "105.5"))
    building.tick(123)
    assert numbers(building.bars[1]) == (*[numbers(building.bars[0])[3]] * 4, 0, 0)

    building.take(trade(1002, 130, "7"))
    building.tick(303)
    assert building.torn == [-1, 0, 1, 2]  # of the missing one
    assert building.closed == [0, 1, 3, 4]
    assert numbers(building.bars[-1])[3] == 7


def test_a_quiet_minute_is_torn_if_the_last_price_may_have_been_missed():
    building = Building(trade(1000, 10))
    building.tick(63)
    building.take(trade(1001, 59))  # too late for its minute
    building.tick(123)

    assert building.torn == [-1, 0, 1]


def test_nothing_is_known_after_a_gap_until_a_trade_follows_on():
    building = Building(trade(1000, 10))
    building.builder.on_gap()
    building.tick(63)
    assert (building.closed, building.torn) == ([], [-1, 0])


def test_a_gap_in_which_nothing_was_missed_tears_nothing():
    building = Building(trade(1000, 10))
    building.builder.on_gap()
    building.take(trade(1001, 50))
    building.tick(123)

    assert (building.closed, building.torn) == ([0, 1], [-1])


def test_a_trade_missed_in_silence_tears_bars_that_were_closed_already():
    building = Building(trade(1000, 10))
    building.tick(183)
    assert building.closed == [0, 1, 2]

    building.take(trade(1005, 190))
    building.tick(243)
    assert building.torn == [-1, 0, 1, 2, 3]


def test_the_kind_of_trade_that_comes_first_is_believed():
    building = Building(trade(1000, 10), trade(7, 10, kind="aggTrade"), trade(1001, 11))
    building.tick(63)

    assert building.bars[0].trades == 2
    assert building.fate("other_kind") == 1


def test_an_order_counts_for_the_matches_that_it_stands_for():
    building = Building(trade(1000, 10, matches=3))
    building.tick(63)

    assert building.bars[0].trades == 3


def test_numbers_that_begin_anew_are_followed_and_tear_what_lies_between():
    building = Building(trade(1000, 10), trade(5, 70), trade(6, 75), trade(7, 130))
    building.tick(183)

    assert building.torn == [-1, 0, 1]
    assert building.closed == [2]


def test_a_trade_far_ahead_of_our_clock_closes_nothing():
    building = Building(trade(1000, 10))
    ahead = trade(1001, 10)._replace(at_ns=LATER_NS + AHEAD_NS_MAX + 1)
    building.take(ahead)

    assert (building.closed, building.fate("ahead")) == ([], 1)


def test_a_trade_that_does_not_fit_tears_its_minute():
    building = Building(trade(1000, 10, "2000000000000000000"), trade(1001, 11, "0.1"))
    building.tick(63)

    assert (building.closed, building.fate("unfit")) == ([], 1)
    assert building.torn == [-1, 0]


def test_one_absurdly_fine_price_spoils_no_minute_but_its_own():
    absurd = trade(1000, 10, "0.000000000000000001")
    building = Building(absurd, trade(1001, 20, "60000"), trade(1002, 70, "60000"))
    building.tick(123)

    assert (building.closed, building.torn) == ([1], [-1, 0])


def test_a_hole_is_given_up_before_it_costs_much_memory():
    building = Building(*(trade(1001 + n, 10) for n in range(IDS_AHEAD_MAX + 2)))
    building.take(trade(1000, 10))

    assert building.fate("repeated") == 1
    building.tick(63)
    assert building.closed == []


def test_after_a_long_sleep_only_the_newest_minutes_are_told():
    building = Building(trade(1000, 10))
    building.tick(3 * MINUTES_MAX * 60)

    assert len(building.closed) + len(building.torn) <= MINUTES_MAX + 1
    assert max(building.torn) == 3 * MINUTES_MAX - 2


def test_the_minute_under_way_is_shown_only_if_nothing_of_it_was_missed():
    building = Building()
    assert building.builder.growing() is None
    building.take(trade(1000, 10, "7"))
    growing = building.builder.growing()
    assert growing is not None
    assert numbers(growing)[0] == 7

    building.take(trade(1002, 11))
    assert building.builder.growing() is None
