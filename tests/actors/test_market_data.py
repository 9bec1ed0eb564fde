from collections.abc import Iterator

import pytest

from stevie.actors.market_data import MarketData, UnknownSymbolError
from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.domain.market.core import Scale
from stevie.domain.market.features import Features
from stevie.domain.market.fresh_book import Certificate, FreshBook, pack
from stevie.domain.market.ladder import Level
from stevie.messages.market import BookChanged, FeaturesChanged, MarketState, ReadMarket
from stevie.runtime.supervision import ChildSpec
from stevie.runtime.system import ActorSystem

FEATURES = Features(
    obi=0.5,
    spread_bps=1.0,
    weighted_mid=100.5,
    ofi_time=0.0,
    ofi_count=0.0,
    ti_time=None,
    ti_count=None,
    micro_vol_time=0.0,
    micro_vol_count=0.0,
    trades_per_s=0.0,
    depth_age_ns=1,
    trade_age_ns=-1,
    touched_time=1,
    touched_depth_count=1,
    touched_trade_count=1,
)
CERTIFICATE = Certificate(
    epoch=1,
    snapshot_seq=1,
    first_seq=1,
    last_seq=1,
    applied_count=0,
    heard_ns=0,
    bid_floor_ticks=-1,
    ask_ceiling_ticks=-1,
)


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    """A MarketData by itself."""
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1))
    system.start(ChildSpec(name="market_data", factory=MarketData))
    yield system
    system.stop()


def book_changed(
    venue: str, *, bid: Level, ask: Level, scale: Scale, symbol: str = "BTCUSDT"
) -> BookChanged:
    book = FreshBook(
        venue=venue,
        symbol=symbol,
        scale=scale,
        certificate=CERTIFICATE,
        bids=pack((bid,)),
        asks=pack((ask,)),
    )
    return BookChanged(venue=venue, symbol=symbol, state="LIVE", reason="", book=book)


def features_changed(venue: str) -> FeaturesChanged:
    return FeaturesChanged(
        venue=venue, symbol="BTCUSDT", features=FEATURES, price_decimals=2, window_ns=10, at_ns=7
    )


def ask(system: ActorSystem, symbol: str = "BTCUSDT", depth: int = 10) -> MarketState:
    question = ReadMarket(symbol=symbol, depth=depth)
    state: MarketState = system.directory.ask("market_data", question, timeout_s=5.0)
    return state


def tell(system: ActorSystem, *messages: BookChanged | FeaturesChanged) -> None:
    for message in messages:
        assert system.directory.tell("market_data", message)


def test_two_venues_on_different_scales_make_one_ladder(system: ActorSystem) -> None:
    tell(
        system,
        book_changed("binance", bid=(10_001, 5), ask=(10_003, 5), scale=Scale(2, 0)),
        book_changed("kraken", bid=(1_000, 25), ask=(1_001, 5), scale=Scale(1, 1)),
    )

    state = ask(system)

    assert (state.price_decimals, state.size_decimals) == (2, 1)
    assert state.bids == ((10_001, 50, "binance"), (10_000, 25, "kraken"))
    assert state.asks == ((10_003, 50, "binance"), (10_010, 5, "kraken"))
    assert state.imbalance == (75 - 55) / 130
    assert [reading.venue for reading in state.venues] == ["binance", "kraken"]


def test_the_depth_is_that_of_the_question(system: ActorSystem) -> None:
    tell(
        system,
        book_changed("binance", bid=(100, 5), ask=(103, 5), scale=Scale()),
        book_changed("kraken", bid=(101, 3), ask=(102, 1), scale=Scale()),
    )

    state = ask(system, depth=1)

    assert (state.bids, state.asks) == (((101, 3, "kraken"),), ((102, 1, "kraken"),))
    assert state.imbalance == 0.5


def test_a_book_that_is_not_live_takes_no_part_and_says_why(system: ActorSystem) -> None:
    live = book_changed("binance", bid=(100, 5), ask=(103, 5), scale=Scale())
    tell(system, live, features_changed("binance"))
    assert ask(system).venues[0].features == FEATURES

    gone = BookChanged(venue="binance", symbol="BTCUSDT", state="STALE", reason="silent", book=None)
    tell(system, gone)

    state = ask(system)
    assert (state.bids, state.asks, state.imbalance) == ((), (), None)
    (reading,) = state.venues
    assert (reading.state, reading.reason, reading.features) == ("STALE", "silent", None)


def test_features_are_told_with_their_time_and_scale(system: ActorSystem) -> None:
    tell(system, book_changed("binance", bid=(1, 1), ask=(2, 1), scale=Scale(2, 0)))
    assert ask(system).venues[0].features is None

    tell(system, features_changed("binance"))

    (reading,) = ask(system).venues
    assert (reading.features_at_ns, reading.window_ns, reading.price_decimals) == (7, 10, 2)


def test_an_unknown_symbol_is_refused_and_harms_nobody(system: ActorSystem) -> None:
    tell(system, book_changed("binance", bid=(1, 1), ask=(2, 1), scale=Scale()))

    with pytest.raises(UnknownSymbolError, match="DOGEUSDT"):
        ask(system, "DOGEUSDT")

    assert system.directory.view("market_data").incarnation == 1
    assert ask(system).symbol == "BTCUSDT"


def test_the_newest_state_of_a_book_replaces_the_one_that_waits(system: ActorSystem) -> None:
    for ticks in range(1, 50):
        tell(system, book_changed("binance", bid=(ticks, 1), ask=(99, 1), scale=Scale()))

    assert ask(system).bids == ((49, 1, "binance"),)
    assert system.directory.view("market_data").conflated > 0
