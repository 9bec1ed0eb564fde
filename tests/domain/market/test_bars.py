from itertools import groupby

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.contracts.rows import BarRow
from stevie.domain.market.bars import (
    BASE,
    CHILDREN,
    MINUTE_NS,
    PARENTS,
    TIMEFRAMES,
    Bar,
    KnownBar,
    bar_row,
    believed,
    exact_bar,
    flat_bar,
    known_bar,
    opened,
    rolled_up,
)
from stevie.domain.market.core import Scale
from stevie.domain.market.fixed_point import UNITS_MAX, NumberError
from tests.domain.market.trade_tapes import START_NS, exact_kline, grouped, numbers, tapes


def bar(close: int = 105, **changed: object) -> Bar:
    values = {
        "opened_ns": START_NS,
        "open_ticks": 100,
        "high_ticks": 110,
        "low_ticks": 90,
        "close_ticks": close,
        "volume_lots": 7,
        "trades": 3,
        "scale": Scale(1, 2),
    }
    return Bar(**{**values, **changed})


def known(close: int = 105, *, source: str = "klines", is_seen: bool = False) -> KnownBar:
    return KnownBar(bar(close), 1, source, is_seen)


SEEN = {"source": "trades", "is_seen": True}


def test_timeframes_nest_in_one_another():
    assert next(iter(TIMEFRAMES)) == BASE
    assert all(TIMEFRAMES[up] % TIMEFRAMES[down] == 0 for down, up in PARENTS.items())
    assert {up: down for down, up in PARENTS.items()} == CHILDREN


def test_a_bar_begins_on_the_clock_and_a_day_at_midnight():
    at_ns = START_NS + 13 * 60 * MINUTE_NS + 7 * MINUTE_NS + 5

    assert [(opened(at_ns, it) - START_NS) // MINUTE_NS for it in TIMEFRAMES] == [
        13 * 60 + 7,
        13 * 60 + 5,
        13 * 60,
        13 * 60,
        12 * 60,
        0,
    ]


def test_a_bar_in_finer_units_is_the_same_bar():
    finer = bar().at(Scale(3, 2))

    assert (finer.open_ticks, finer.volume_lots, finer.scale) == (10_000, 7, Scale(3, 2))
    assert finer.is_same(bar())
    assert bar().is_same(finer)
    assert not finer.is_same(bar(close=104))
    assert finer.at(Scale(0, 0)) is finer


def test_numbers_that_do_not_fit_are_refused_and_never_wrap():
    with pytest.raises(NumberError):
        bar(close=105, high_ticks=UNITS_MAX).at(Scale(2, 2))
    with pytest.raises(NumberError):
        rolled_up([bar(volume_lots=UNITS_MAX), bar()], START_NS)


def test_a_bar_of_written_numbers_counts_as_finely_as_they_are_written():
    made = exact_bar(
        opened_ns=0, prices=((1005, 1), (102, 0), (9975, 2), (100, 0)), volume=(5, 3), trades=4
    )

    assert (made.open_ticks, made.high_ticks, made.low_ticks, made.close_ticks) == (
        10050,
        10200,
        9975,
        10000,
    )
    assert made.scale == Scale(2, 3)


@pytest.mark.parametrize(
    "prices",
    [
        ((100, 0), (99, 0), (98, 0), (98, 0)),  # open above high
        ((100, 0), (101, 0), (98, 0), (97, 0)),  # close below low
        ((0, 0), (101, 0), (0, 0), (100, 0)),  # no price is zero
    ],
)
def test_a_bar_that_contradicts_itself_is_refused(prices):
    with pytest.raises(ValueError, match="expected 0 < low"):
        exact_bar(opened_ns=0, prices=prices, volume=(1, 0), trades=1)


def test_a_minute_without_trades_is_flat_at_the_last_close():
    flat = flat_bar(bar(), START_NS + MINUTE_NS)

    assert (flat.open_ticks, flat.high_ticks, flat.low_ticks, flat.close_ticks) == (105,) * 4
    assert (flat.volume_lots, flat.trades, flat.opened_ns) == (0, 0, START_NS + MINUTE_NS)


@settings(max_examples=60, deadline=None)
@given(tape=tapes(minutes=15), minutes=st.sampled_from([5, 15]))
def test_a_roll_up_is_what_its_trades_come_to(tape, minutes):
    length_ns = minutes * MINUTE_NS
    parts = [exact_kline(minute_ns, told) for minute_ns, told in grouped(tape).items()]
    for span, group in groupby(parts, key=lambda part: part.opened_ns // length_ns):
        own = [each for each in tape if each.at_ns // length_ns == span]
        # Moved into one minute, the trades are grouped as one bar.
        squeezed = [each._replace(at_ns=START_NS, trade_id=n) for n, each in enumerate(own)]

        assert numbers(rolled_up(list(group), 0)) == grouped(squeezed)[START_NS]


@pytest.mark.parametrize(
    ("held", "told", "winner"),
    [
        (None, known(), "told"),
        (known(), known(104), "told"),  # the venue corrected itself
        (known(), known(104, **SEEN), "told"),
        (known(104, **SEEN), known(), "held"),
        (known(104, source="trades"), known(), "told"),  # not seen whole after all
        (known(104, **SEEN), known(**SEEN), "told"),
    ],
)
def test_trades_seen_whole_count_more_than_klines_and_klines_more_than_a_part(held, told, winner):
    assert believed(held, told) == {"held": held, "told": told}[winner]


def test_a_telling_that_changes_nothing_leaves_the_bar_known_since_when_it_was():
    finer = KnownBar(bar().at(Scale(4, 4)), 99, "trades", is_seen=True)

    kept = believed(known(), finer)

    assert (kept.known_ns, kept.source, kept.bar) == (1, "klines", bar())
    assert kept.is_seen  # and klines will not change it any more


def test_a_row_says_all_of_a_bar_and_keeps_its_contract():
    row = bar_row(known(), venue="binance", symbol="BTCUSDT", timeframe="5m")

    assert (row.opened_ns, row.closed_ns) == (START_NS, START_NS + 5 * MINUTE_NS)
    assert (row.open_ticks, row.close_ticks, row.price_decimals, row.size_decimals) == (
        100,
        105,
        1,
        2,
    )
    assert msgspec.convert(msgspec.to_builtins(row), BarRow) == row
    assert known_bar(row) == known()
