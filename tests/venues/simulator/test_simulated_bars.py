"""The simulator's klines are what its own trades come to: told twice, once by either way."""

import json
from functools import cache

import pytest
from simulator_books import SECOND_NS, START_NS

from stevie.domain.market.bars import MINUTE_NS, TIMEFRAMES, opened
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.symbol_bars import SymbolBars
from stevie.venues.binance.klines import BinanceBars
from stevie.venues.simulator.binance.listings import SPOT, USDM, listings, numbering
from stevie.venues.simulator.binance.publisher import Publisher
from stevie.venues.simulator.binance.rest import Rest
from stevie.venues.simulator.market.simulation import Market
from tests.domain.market.trade_tapes import numbers, row_numbers

pytestmark = pytest.mark.slow  # minutes of a market, once for each venue

CODECS = {SPOT: BinanceBars.spot(), USDM: BinanceBars.usdm()}
STREAMS = {SPOT: "btcusdt@trade", USDM: "btcusdt@aggTrade"}
PATHS = {SPOT: "/api/v3/klines", USDM: "/fapi/v1/klines"}
RUN_S = 7 * 60
INSTRUMENT = Instrument(venue=SPOT, symbol="BTCUSDT", native="BTCUSDT", base="BTC", quote="USDT")


class Run:
    """Some minutes of a market, and the bars built from what it sent."""

    def __init__(self, venue: str) -> None:
        self.codec = CODECS[venue]
        market = Market(listings(("BTCUSDT",)), seed=4, start_ns=START_NS, numbering=numbering(4))
        self.rest, self.path = Rest(market), PATHS[venue]
        publisher = Publisher(market.of_venue(venue), venue=venue)
        self.bars = SymbolBars(INSTRUMENT, started_ns=START_NS)
        self.trades = 0
        for now_ns in market.advance(START_NS + RUN_S * SECOND_NS):
            for frame in publisher.step(now_ns, {STREAMS[venue]}):
                text = f'{{"stream":"{frame.stream}","data":{frame.data}}}'.encode()
                for each in self.codec.trades_among([text]):
                    trade = self.codec.read_trade(each)
                    assert trade is not None
                    self.bars.add(trade, now_ns)
                    self.trades += trade.matches
        self.now_ns = market.now_ns
        self.bars.settle(self.now_ns)

    def klines(self, **params: object) -> list[list]:
        texts = {name: str(value) for name, value in params.items()}
        reply = self.rest.answer(self.path, {"symbol": "BTCUSDT", **texts}, now_ns=self.now_ns)
        assert reply.status == 200, reply
        return json.loads(reply.body)


@cache
def run_of(venue: str) -> Run:
    return Run(venue)


@pytest.mark.parametrize("venue", [SPOT, USDM])
def test_klines_are_the_bars_of_the_trades_that_were_streamed(venue):
    run = run_of(venue)
    built = {row.opened_ns: row for row in run.bars.closed("1m", 100)}
    body = json.dumps(run.klines(interval="1m", limit=20)).encode()
    klines = {bar.opened_ns: bar for bar in run.codec.read_klines(body, "1m")}

    assert len(built) >= 5
    assert run.trades > 500
    assert {at: row_numbers(row) for at, row in built.items()} == {
        at: numbers(klines[at]) for at in built
    }
    assert {row.source for row in built.values()} == {"trades"}


@pytest.mark.parametrize("venue", [SPOT, USDM])
def test_every_timeframe_can_be_filled_and_agrees_with_its_minutes(venue):
    run = run_of(venue)
    for timeframe in TIMEFRAMES:
        for _ in range(30):
            ask = run.bars.next_ask(timeframe)
            if ask is None:
                break
            told = run.klines(interval=timeframe, limit=ask.limit, endTime=ask.end_ms)
            bars = run.codec.read_klines(json.dumps(told).encode(), timeframe)
            assert run.bars.on_klines(timeframe, bars, ask.limit, run.now_ns)

    by_minute = {row.opened_ns: row for row in run.bars.closed("1m", 1000)}
    assert len(by_minute) == 1000
    for row in run.bars.closed("1h", 16):
        parts = [by_minute.get(at) for at in range(row.opened_ns, row.closed_ns, MINUTE_NS)]
        if None not in parts:
            assert row.volume_lots == sum(part.volume_lots for part in parts)
            assert row.trades == sum(part.trades for part in parts)
            assert (row.open_ticks, row.close_ticks) == (
                parts[0].open_ticks,
                parts[-1].close_ticks,
            )
            assert row.high_ticks == max(part.high_ticks for part in parts)


def test_the_last_kline_is_the_one_under_way():
    run = run_of(SPOT)
    for timeframe, length_ns in TIMEFRAMES.items():
        last = run.klines(interval=timeframe, limit=1)[0]
        assert last[0] * 1_000_000 == opened(run.now_ns, timeframe)
        assert (last[6] + 1) * 1_000_000 == last[0] * 1_000_000 + length_ns


def test_a_kline_whose_beginning_is_forgotten_is_not_told():
    run = run_of(SPOT)
    minutes = run.klines(interval="1m", limit=1000, endTime=run.klines(interval="1d")[0][0])

    assert minutes  # of the day before the oldest one, which is therefore whole
    days = run.klines(interval="1d")
    assert 2 <= len(days) <= 3


@pytest.mark.parametrize("venue", [SPOT, USDM])
def test_no_klines_cannot_be_asked_for(venue):
    run = run_of(venue)
    params = {"symbol": "BTCUSDT", "interval": "1m", "limit": "0"}
    reply = run.rest.answer(PATHS[venue], params, now_ns=run.now_ns)

    assert (reply.status, json.loads(reply.body)["code"]) == (400, -1130)
