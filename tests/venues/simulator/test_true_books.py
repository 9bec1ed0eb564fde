"""Whoever follows the simulator by the venue's documents holds its true books: ccxt, and Stevie."""

import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import subprocess
from simulator_stevie import LiveStevie

from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.config import ExchangeConfig
from stevie.venues.simulator.market.book import HistoryTooShortError
from stevie.venues.simulator.server import SimulatedExchange

CLIENT = Path(__file__).with_name("ccxt_client.py")
BASES = ("BTC", "ETH", "SOL")
SYMBOLS = tuple(f"{base}USDT" for base in BASES)
LEVELS = 20
STARTS_WITHIN_S = 30.0  # ccxt takes seconds to import
ALL_FAULTS = (
    "drop:p=0.01; duplicate:p=0.02; reorder:p=0.01; truncate:p=0.005; cut:p=0.0005; cross:p=0.003;"
    "stall:for=2,every=20; slow:for=2,every=25,rate=200; skew:ms=5000; outage:for=1,every=30;"
    "block:for=1,every=30; drop:p=0.1,scope=*/*/rest/*; truncate:p=0.1,scope=*/*/rest/*"
)


@pytest.fixture
def exchange() -> Iterator[SimulatedExchange]:
    made = SimulatedExchange(ExchangeConfig(port=0, seed=21))
    made.start()
    yield made
    made.stop()


def true_top(exchange: SimulatedExchange, row: dict) -> dict[str, list]:
    """The market's top 20 at the sequence of a row, as floats, which is what ccxt holds."""
    view = exchange.true_book(row["venue"], row["symbol"], row["seq"])
    listing = exchange.market.listed(row["venue"], row["symbol"]).listing
    return {
        side: [
            [float(ticks * listing.tick_size), float(lots * listing.lot_size)]
            for ticks, lots in levels[:LEVELS]
        ]
        for side, levels in (("bids", view.bids), ("asks", view.asks))
    }


def compare_ccxt(exchange: SimulatedExchange, seconds: float) -> Counter:
    """Run ccxt for so long; every book that it says it holds must be true. Return the counts."""
    if importlib.util.find_spec("ccxt") is None:
        pytest.skip("ccxt is not installed: it comes with the extra `dev`")
    arguments = [sys.executable, str(CLIENT), str(exchange.port), str(seconds), *BASES]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    compared: Counter = Counter()
    with gevent.Timeout(seconds + STARTS_WITHIN_S), process.stdout:
        for line in process.stdout:
            row = json.loads(line)
            try:
                truth = true_top(exchange, row)
            except HistoryTooShortError:
                compared["forgotten"] += 1
                continue
            assert {side: row[side] for side in truth} == truth, row["how"]
            compared[row["venue"], row["symbol"], row["how"]] += 1
        assert process.wait() == 0
    return compared


def assert_ccxt_is_true(exchange: SimulatedExchange, seconds: float) -> None:
    compared = compare_ccxt(exchange, seconds)

    for venue in (SPOT, USDM):
        for symbol in SYMBOLS:
            assert compared[venue, symbol, "watch"] > 4 * seconds
            assert compared[venue, symbol, "rest"] >= seconds / 3


def assert_stevie_is_true(exchange: SimulatedExchange, seconds: float) -> int:
    stevie = LiveStevie(exchange, symbols=SYMBOLS, venues=(SPOT, USDM))
    until_s = time.monotonic() + seconds
    lives = 0
    while time.monotonic() < until_s:
        lives += stevie.check()
        gevent.sleep(0.02)
    exchange.faults.clear()
    stevie.wait_until_live()
    stevie.check_all()
    stevie.stop()
    return lives


@pytest.mark.slow
def test_ccxt_holds_the_true_top_20_of_spot_and_usdm(exchange):
    assert_ccxt_is_true(exchange, 5.0)


@pytest.mark.soak
def test_ccxt_holds_the_true_top_20_for_a_minute(exchange):
    assert_ccxt_is_true(exchange, 60.0)


@pytest.mark.slow
def test_stevie_holds_the_true_books(exchange):
    assert assert_stevie_is_true(exchange, 5.0) > 200


@pytest.mark.soak
def test_stevie_holds_the_true_books_for_a_minute(exchange):
    assert assert_stevie_is_true(exchange, 60.0) > 2_000


@pytest.mark.slow
def test_with_everything_going_wrong_what_stevie_calls_live_is_true(exchange):
    exchange.faults.set(ALL_FAULTS)

    assert assert_stevie_is_true(exchange, 8.0) > 50


@pytest.mark.soak
def test_with_everything_going_wrong_for_a_minute_what_stevie_calls_live_is_true(exchange):
    exchange.faults.set(ALL_FAULTS)

    assert assert_stevie_is_true(exchange, 60.0) > 500
