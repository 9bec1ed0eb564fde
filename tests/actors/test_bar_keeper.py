from collections.abc import Callable, Iterator

import msgspec
import pytest

from stevie.actors.bar_counters import BarCounter
from stevie.domain.contracts.rows import BarRow
from stevie.domain.market.bars import TIMEFRAMES
from stevie.messages.bars import TradeFramesReceived, TradesInterrupted
from tests.actors.bars_stage import BARS, SECOND_NS, START_NS, BarsStage, stages
from tests.domain.market.trade_tapes import numbers, row_numbers


@pytest.fixture
def new_stage() -> Iterator[Callable[..., BarsStage]]:
    yield from stages()


@pytest.fixture
def stage(new_stage) -> BarsStage:
    """One symbol; time mostly passes without its market, which takes long to compute."""
    return new_stage(symbols=("BTCUSDT",))


def all_bars(stage: BarsStage) -> dict[tuple[str, str, int], object]:
    return {
        (symbol, timeframe, row.opened_ns): row_numbers(row)
        for symbol in stage.symbols
        for timeframe in TIMEFRAMES
        for row in stage.bars(timeframe, symbol).closed
    }


def test_the_past_of_every_timeframe_is_there_soon_and_is_stored_once(stage):
    stage.wait(30)

    assert len(stage.bars("1m").closed) == 1000
    assert len(stage.bars("15m").closed) > 250  # all that the venue has
    keys = [(row.timeframe, row.opened_ns) for row in stage.rows()]
    assert len(keys) == len(set(keys))
    held = {row for timeframe in TIMEFRAMES for row in stage.bars(timeframe).closed}
    assert held <= set(stage.rows())
    assert all(row.source == "klines" for row in stage.rows())


def test_every_row_keeps_its_contract_and_was_not_known_before_it_was_over(stage):
    stage.wait(30)

    for row in stage.rows():
        assert msgspec.convert(msgspec.to_builtins(row), BarRow) == row
        assert row.known_ns >= max(row.closed_ns, START_NS)


def test_frames_that_are_no_trades_of_ours_do_no_harm(stage):
    foreign = b'{"e":"trade","s":"XYZ","t":1,"p":"1","q":"1","T":1789000000201,"m":true}'
    stage.tell(TradeFramesReceived(frames=(b"{", b"[]", foreign)))

    assert stage.count(BarCounter.TRADES, "binance", "malformed") == 2
    assert stage.runtime.system.directory.view(BARS).incarnation == 1


def test_after_a_restart_bars_are_known_since_they_were_known_before(stage):
    stage.wait(30)
    before = stage.bars("5m").closed
    stage.kill()
    stage.wait(30)

    assert stage.runtime.system.directory.view(BARS).incarnation == 2
    assert stage.bars("5m").closed == before
    keys = [(row.timeframe, row.opened_ns) for row in stage.rows()]
    assert len(keys) == len(set(keys))  # what klines only confirmed was not stored again


def test_a_stored_bar_that_is_wrong_is_corrected_by_klines_after_a_restart(stage):
    stage.wait(30)
    wrong = stage.bars("1m").closed[-5]
    stage.stored.append(msgspec.structs.replace(wrong, trades=99_999, source="trades"))
    stage.kill()
    stage.wait(30)

    corrected = stage.bars("1m").closed[-5]
    assert (corrected.trades, corrected.source) == (wrong.trades, "klines")
    assert corrected.known_ns > wrong.known_ns
    assert corrected in stage.rows()


def test_when_each_symbol_was_last_synchronized_can_be_read(stage):
    assert stage.synced() == {"BTCUSDT": 0}
    stage.wait(30)

    assert START_NS < stage.synced()["BTCUSDT"] <= START_NS + 30 * SECOND_NS


@pytest.mark.slow
def test_bars_of_trades_are_the_klines_of_the_venue(new_stage):
    stage = new_stage()
    stage.run(510)

    for symbol in stage.symbols:
        params = {"symbol": symbol, "interval": "1m", "limit": "7"}
        reply = stage.rest._rest.answer("/api/v3/klines", params, now_ns=stage.market.now_ns)
        *closed, growing = stage.codec.read_klines(reply.body.encode(), "1m")
        state = stage.bars("1m", symbol)
        assert [row_numbers(row) for row in state.closed[-6:]] == list(map(numbers, closed))
        assert {row.source for row in state.closed[-5:]} == {"trades"}
        assert row_numbers(state.growing) == numbers(growing)
        assert stage.bars("5m", symbol).closed[-1].source == "trades"
    assert stage.count(BarCounter.CHANGED, "binance", "1m", "trades") >= 10
    assert stage.count(BarCounter.TRADES, "binance", "counted") > 500
    assert stage.count(BarCounter.TRADES, "binance", "late") == 0


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["killed", "disconnected", "silent"])
def test_after_any_gap_the_bars_are_those_of_an_uninterrupted_run(new_stage, trouble):
    smooth, rough = (new_stage(seed, symbols=("BTCUSDT",)) for seed in (1, 2))
    smooth.run(260)

    rough.run(100)
    if trouble == "disconnected":
        rough.tell(TradesInterrupted(reason="disconnected"))
    if trouble == "killed":
        rough.kill()
    rough.run(75, is_heard=False)
    rough.run(85)

    assert all_bars(rough) == all_bars(smooth)
    assert len(all_bars(smooth)) > 2000


@pytest.mark.slow
def test_the_same_seed_is_the_same_run(new_stage):
    digests = set()
    for _ in range(2):
        stage = new_stage(7, symbols=("BTCUSDT",))
        stage.run(30)
        stage.kill()
        stage.run(10)
        digests.add(stage.runtime.scheduler.digest())

    assert len(digests) == 1
