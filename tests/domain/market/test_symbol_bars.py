from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market.bar_builder import MarketTrade
from stevie.domain.market.bars import BASE, MINUTE_NS, TIMEFRAMES, Bar, opened, rolled_up
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.symbol_bars import KLINES_PAGE, NS_PER_MS, SymbolBars
from tests.domain.market.trade_tapes import (
    SECOND_NS,
    START_NS,
    Ohlcv,
    grouped,
    minute_klines,
    numbers,
    row_numbers,
    tapes,
    trade,
)

BTC = Instrument(venue="binance", symbol="BTCUSDT", native="BTCUSDT", base="BTC", quote="USDT")
LISTED_NS = START_NS - 30 * MINUTE_NS  # when the symbol began to be traded
PAST = [trade(900 + n, 60.0 * (n - 30) + 1, str(100 + n % 7)) for n in range(30)]


class Venue:
    """A venue that answers for klines from the trades that there were."""

    def __init__(self, trades: Sequence[MarketTrade]) -> None:
        self.trades = sorted(trades)
        self.asked: list[tuple[Timeframe, int]] = []

    def klines(self, timeframe: Timeframe, limit: int, end_ms: int, now_ns: int) -> list[Bar]:
        self.asked.append((timeframe, limit))
        happened = [each for each in self.trades if each.at_ns <= now_ns]
        minutes = minute_klines(happened, LISTED_NS, now_ns + 1)
        spans: dict[int, list[Bar]] = {}
        for minute in minutes:
            spans.setdefault(opened(minute.opened_ns, timeframe), []).append(minute)
        bars = [rolled_up(parts, at) for at, parts in spans.items()]
        return [bar for bar in bars if bar.opened_ns <= end_ms * NS_PER_MS][-limit:]


class Keeping:
    """One symbol's bars from second 10 on, and the venue beside them."""

    def __init__(self, trades: Sequence[MarketTrade], *, started_s: float = 10.0) -> None:
        self.venue = Venue([*PAST, *trades])
        self.bars = SymbolBars(BTC, started_ns=START_NS + round(started_s * SECOND_NS))
        self.changes: list[BarRow] = []

    def hear(self, *trades: MarketTrade) -> None:
        for each in trades:
            self.bars.add(each, each.at_ns)

    def settle(self, at_s: float) -> None:
        self.bars.settle(START_NS + round(at_s * SECOND_NS))
        self.changes += self.bars.take_changes()

    def fill(self, at_s: float) -> None:
        """Ask until nothing is missing, or nothing comes of it."""
        now_ns = START_NS + round(at_s * SECOND_NS)
        for timeframe in TIMEFRAMES:
            while (ask := self.bars.next_ask(timeframe)) is not None:
                klines = self.venue.klines(timeframe, ask.limit, ask.end_ms, now_ns)
                if not self.bars.on_klines(timeframe, klines, ask.limit, now_ns):
                    break
        self.changes += self.bars.take_changes()

    def held(self, timeframe: Timeframe = BASE) -> dict[int, Ohlcv]:
        return {row.opened_ns: row_numbers(row) for row in self.bars.closed(timeframe, 1000)}

    def minutes(self) -> list[int]:
        return [(at - START_NS) // MINUTE_NS for at in self.held()]


def expected(trades: Sequence[MarketTrade], timeframe: Timeframe, end_s: float) -> dict[int, Ohlcv]:
    """Every bar since the listing that is over, by the venue's own trades."""
    now_ns = START_NS + round(end_s * SECOND_NS)
    klines = Venue([*PAST, *trades]).klines(timeframe, 10_000, now_ns // NS_PER_MS, now_ns)
    return {
        bar.opened_ns: numbers(bar)
        for bar in klines
        if bar.opened_ns + TIMEFRAMES[timeframe] <= now_ns
    }


@settings(max_examples=40, deadline=None)
@given(tapes(minutes=12), st.data())
def test_gaps_and_restarts_filled_from_klines_leave_the_bars_of_an_uninterrupted_run(tape, data):
    end_s = 12 * 60 + 3.0
    from_s, to_s = sorted(data.draw(st.tuples(*[st.integers(0, 12 * 60)] * 2)))
    restarted = data.draw(st.booleans())
    before = [each for each in tape if each.at_ns < START_NS + from_s * SECOND_NS]
    after = [each for each in tape if each.at_ns >= START_NS + to_s * SECOND_NS]

    keeping = Keeping(tape)
    keeping.hear(*before)
    keeping.settle(from_s)
    if restarted:
        keeping = Keeping(tape, started_s=to_s)
    keeping.bars.on_gap()
    keeping.settle(to_s)
    keeping.hear(*after)
    keeping.settle(end_s)
    keeping.fill(end_s)

    for timeframe in TIMEFRAMES:
        assert keeping.held(timeframe) == expected(tape, timeframe, end_s - 3)


@settings(max_examples=40, deadline=None)
@given(tapes(minutes=20))
def test_roll_ups_are_what_their_trades_come_to(tape):
    keeping = Keeping(tape)
    keeping.fill(10)
    keeping.hear(*tape)
    keeping.settle(20 * 60 + 3)
    keeping.fill(20 * 60 + 3)

    for timeframe in ("5m", "15m"):
        assert keeping.held(timeframe) == expected(tape, timeframe, 20 * 60)


@settings(max_examples=40, deadline=None)
@given(tapes())
def test_a_bar_is_told_once_and_again_only_when_it_changed(tape):
    keeping = Keeping(tape)
    keeping.fill(10)
    for each in tape:
        keeping.hear(each)
        keeping.settle((each.at_ns - START_NS) / SECOND_NS)
    keeping.settle(243)
    keeping.fill(243)

    told: dict[tuple[str, int], list[Ohlcv]] = {}
    for row in keeping.changes:
        told.setdefault((row.timeframe, row.opened_ns), []).append(row_numbers(row))
    assert all(a != b for tellings in told.values() for a, b in pairwise(tellings))
    assert {at for frame, at in told if frame == BASE} == set(keeping.held())


def test_the_past_is_asked_for_in_pages_newest_first():
    keeping = Keeping([])
    asks = [keeping.bars.next_ask(timeframe) for timeframe in TIMEFRAMES]

    assert [ask.limit for ask in asks if ask] == [KLINES_PAGE] * len(TIMEFRAMES)
    assert asks[0] is not None
    assert asks[0].end_ms * NS_PER_MS == START_NS  # of the bar under way, which proves the others
    keeping.fill(20)
    assert keeping.minutes() == list(range(-30, 0))


def test_the_kline_that_may_not_be_over_is_never_believed():
    keeping = Keeping([trade(1000, 5)])
    klines = keeping.venue.klines(
        "1m", 10, (START_NS + MINUTE_NS) // NS_PER_MS, START_NS + MINUTE_NS
    )
    assert klines[-1].opened_ns == START_NS + MINUTE_NS

    assert keeping.bars.on_klines("1m", klines[:-1], 10, START_NS)
    assert keeping.minutes()[-1] == -1


def test_an_answer_that_tells_nothing_of_what_is_missing_says_so():
    keeping = Keeping([])
    keeping.fill(20)
    keeping.hear(trade(1000, 30))
    keeping.settle(63)
    ask = keeping.bars.next_ask("1m")
    assert ask is not None
    too_early = keeping.venue.klines("1m", ask.limit, ask.end_ms, START_NS + 59 * SECOND_NS)

    assert not keeping.bars.on_klines("1m", too_early, ask.limit, START_NS + 63 * SECOND_NS)
    assert not keeping.bars.on_klines("1m", [], ask.limit, START_NS + 63 * SECOND_NS)
    assert keeping.bars.is_missing("1m")


def test_minutes_that_a_venue_has_no_klines_of_stay_absent_and_are_not_asked_for_again():
    keeping = Keeping([])
    now_ns = START_NS + 20 * SECOND_NS
    klines = keeping.venue.klines("1m", 99, START_NS // NS_PER_MS, now_ns)
    halted = [bar for bar in klines if bar.opened_ns != START_NS - 3 * MINUTE_NS]
    keeping.bars.on_klines("1m", halted, 99, now_ns)

    assert -3 not in keeping.minutes()
    assert not keeping.bars.is_missing("1m")
    assert (
        keeping.bars.next_ask("5m") is not None
    )  # the venue's own: the sum of its minutes is not known


def test_a_torn_minute_is_absent_until_klines_tell_it():
    tape = [trade(1000, 15), trade(1001, 70), trade(1003, 80), trade(1004, 130)]
    keeping = Keeping([*tape, trade(1002, 75)])
    keeping.fill(10)
    keeping.hear(*tape)
    keeping.settle(183)
    assert keeping.minutes()[-1] == 2
    assert 1 not in keeping.minutes()

    keeping.fill(183)
    assert keeping.minutes()[-3:] == [0, 1, 2]
    assert (
        keeping.held()[START_NS + MINUTE_NS]
        == grouped([*tape, trade(1002, 75)])[START_NS + MINUTE_NS]
    )


def test_a_bar_that_missed_a_late_trade_is_corrected_and_known_since_then():
    tape = [trade(1000 + n, 1 + 20 * n) for n in range(16)]  # through minute 5
    late = trade(1016, 299, "555")
    keeping = Keeping([*tape, late, trade(1017, 305)])
    keeping.fill(10)
    keeping.hear(*tape[:15])
    keeping.settle(304)
    first = {row.timeframe: row for row in keeping.bars.closed("5m", 1)}["5m"]
    assert (first.high_ticks, first.opened_ns) != (555, START_NS)

    keeping.hear(tape[15], late)
    keeping.settle(305)
    keeping.fill(320)
    second = keeping.bars.closed("5m", 1)[0]
    assert row_numbers(second)[1] == 555
    assert second.known_ns == START_NS + 320 * SECOND_NS
    assert keeping.bars.closed("1m", 1)[0].known_ns == second.known_ns


def test_a_whole_bar_is_not_changed_by_klines():
    keeping = Keeping([trade(1000, 5), trade(1001, 70), trade(1002, 130)])
    keeping.hear(trade(1000, 5), trade(1001, 70), trade(1002, 130))
    keeping.settle(183)
    rows = keeping.bars.closed("1m", 5)
    keeping.fill(183)

    assert set(rows) <= set(keeping.bars.closed("1m", 1000))
    assert rows[0].source == "trades"


def test_at_most_so_many_bars_are_kept():
    bars = SymbolBars(BTC, started_ns=START_NS, kept_max=10)
    bars.add(trade(1, 1), START_NS)
    bars.settle(START_NS + 40 * MINUTE_NS)

    kept = [(row.opened_ns - START_NS) // MINUTE_NS for row in bars.closed("1m", 1000)]
    assert kept == list(range(29, 39))
    ask = bars.next_ask("1m")
    assert ask is None or ask.limit <= 12


def test_the_bar_under_way_is_shown_in_every_timeframe():
    keeping = Keeping([])
    keeping.fill(10)
    keeping.hear(trade(1000, 15), trade(1001, 70, "101"), trade(1002, 80, "7"))
    assert keeping.bars.growing("1m", START_NS + 80 * SECOND_NS) is not None
    assert keeping.bars.growing("5m", START_NS + 80 * SECOND_NS) is None  # minute 0 was torn

    keeping.venue = Venue([*PAST, trade(1000, 15), trade(1001, 70, "101"), trade(1002, 80, "7")])
    keeping.settle(63)
    keeping.fill(80)
    growing = keeping.bars.growing("1h", START_NS + 80 * SECOND_NS)
    assert growing is not None
    assert row_numbers(growing) == (100, 101, 7, 7, 3, 3)
    assert growing.known_ns < growing.closed_ns


def test_prices_are_written_with_as_many_decimals_as_were_ever_needed():
    keeping = Keeping([])
    keeping.fill(10)
    keeping.hear(trade(1000, 15), trade(1001, 65, "100.25", "0.001"))
    keeping.settle(123)

    row = keeping.bars.closed("1m", 1)[0]
    assert (row.price_decimals, row.size_decimals) == (2, 5)  # sizes: as the lot of the instrument


def test_when_bars_were_last_synchronized_is_known():
    keeping = Keeping([])
    assert keeping.bars.synced_ns == 0
    keeping.fill(10)
    assert keeping.bars.synced_ns == START_NS + 10 * SECOND_NS
    keeping.hear(trade(1000, 15), trade(1001, 65))
    keeping.settle(123)
    assert keeping.bars.synced_ns == START_NS + 123 * SECOND_NS


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_the_newest_bars_come_oldest_first(limit):
    keeping = Keeping([])
    keeping.fill(10)
    times = [row.opened_ns for row in keeping.bars.closed("1m", limit)]

    assert times == sorted(times)
    assert times[-1] == START_NS - MINUTE_NS
    assert len(times) == min(limit, 30)
