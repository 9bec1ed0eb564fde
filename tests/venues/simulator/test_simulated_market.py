import hashlib
import itertools
import random
import statistics

import pytest
from simulator_books import SECOND_NS, START_NS

from stevie.venues.simulator.binance.listings import (
    SPOT,
    USDM,
    UnknownSymbolError,
    listings,
    numbering,
)
from stevie.venues.simulator.market.book import BookSide, HistoryTooShortError, TrueBook
from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.market.efficient import (
    PRESSURE_TIME_S,
    REGIMES,
    Asset,
    EfficientPrice,
)
from stevie.venues.simulator.market.listing import STEP_NS, STEPS_PER_S
from stevie.venues.simulator.market.simulation import Market


def a_market(seed: int = 1, symbols: tuple[str, ...] = ("BTCUSDT",), alpha: bool = True) -> Market:
    return Market(
        listings(symbols), seed=seed, start_ns=START_NS, alpha=alpha, numbering=numbering(seed)
    )


def run(market: Market, seconds: float) -> None:
    for _ in market.advance(market.now_ns + int(seconds * SECOND_NS)):
        pass


def digest(market: Market) -> str:
    """Return a hash over all that happened in each listing."""
    seen = hashlib.sha256()
    for venue in (SPOT, USDM):
        for listed in market.of_venue(venue).values():
            last = listed.book.last_update_id
            seen.update(repr((listed.book.as_of(last), list(listed.trades))).encode())
    return seen.hexdigest()


def test_the_same_seed_is_the_same_market_whatever_the_steps_of_the_clock():
    at_once, in_pieces = a_market(), a_market()
    rng = random.Random(5)

    run(at_once, 6)
    to_ns = START_NS
    while to_ns < START_NS + 6 * SECOND_NS:
        to_ns = min(to_ns + rng.randrange(400_000_000), START_NS + 6 * SECOND_NS)
        for _ in in_pieces.advance(to_ns):
            pass

    assert digest(at_once) == digest(in_pieces)


def test_another_seed_is_another_market():
    one, other = a_market(seed=1), a_market(seed=2)

    run(one, 1)
    run(other, 1)

    assert digest(one) != digest(other)


def test_a_further_symbol_does_not_disturb_the_others():
    alone, among_others = a_market(), a_market(symbols=("ETHUSDT", "BTCUSDT"))

    run(alone, 3)
    run(among_others, 3)

    one, other = alone.listed(SPOT, "BTCUSDT"), among_others.listed(SPOT, "BTCUSDT")
    assert one.book.view() == other.book.view()
    assert list(one.trades) == list(other.trades)


def test_the_book_is_not_crossed_after_any_single_change():
    market = a_market(symbols=("BTCUSDT",))
    books = [it.book for venue in (SPOT, USDM) for it in market.of_venue(venue).values()]
    starts = [book.last_update_id for book in books]
    copies = [copy_of(book) for book in books]

    run(market, 20)

    for book, start, (bids, asks) in zip(books, starts, copies, strict=True):
        changes = book.changes_after(start)
        assert len(changes) > 1_000
        for change in changes:
            (bids if change.is_bid else asks).put(change.ticks, change.lots)
            assert bids.best_ticks < asks.best_ticks, change


def copy_of(book: TrueBook) -> tuple[BookSide, BookSide]:
    bids, asks = BookSide(is_bid=True), BookSide(is_bid=False)
    for ticks, lots in book.bids.from_best():
        bids.put(ticks, lots)
    for ticks, lots in book.asks.from_best():
        asks.put(ticks, lots)
    return bids, asks


def test_the_past_of_a_book_can_be_asked_for():
    market = a_market()
    book = market.listed(SPOT, "BTCUSDT").book

    views = [
        book.view()
        for now_ns in market.advance(START_NS + 2 * SECOND_NS)
        if now_ns % (SECOND_NS // 5) == 0
    ]

    assert [book.as_of(view.update_id) for view in views] == views


def test_a_past_that_is_forgotten_and_a_future_are_refused():
    book = TrueBook(next_update_id=iter(range(100, 10**6)).__next__)
    for lots in range(1, 20_000):
        book.put(is_bid=True, ticks=10, lots=lots)

    for update_id in (100, book.last_update_id + 1):
        with pytest.raises(HistoryTooShortError, match=str(update_id)):
            book.as_of(update_id)


@pytest.mark.slow
def test_every_book_is_deeper_than_a_snapshot_of_a_thousand_levels():
    market = a_market(symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"))

    for now_ns in market.advance(START_NS + 60 * SECOND_NS):
        if now_ns % (10 * SECOND_NS) == 0:
            books = [it.book for venue in (SPOT, USDM) for it in market.of_venue(venue).values()]
            assert min(min(len(book.bids), len(book.asks)) for book in books) > 1_500


def test_the_touch_travels_through_its_first_levels():
    # A snapshot's horizon is only a danger if the price moves; here a basis point a second.
    market = a_market()
    listed = market.listed(SPOT, "BTCUSDT")
    touches = set()

    for _ in market.advance(START_NS + 10 * SECOND_NS):
        touches.add(listed.book.bids.best_ticks)

    assert len(touches) > 20
    assert max(touches) - min(touches) > 300  # three dollars


def test_a_trade_consumes_the_side_that_its_maker_stood_on():
    market = a_market()
    listed = market.listed(SPOT, "BTCUSDT")
    before_id, seen = listed.book.last_update_id, 0

    for _ in market.advance(START_NS + 30 * SECOND_NS):
        changes, before_id = listed.book.changes_after(before_id), listed.book.last_update_id
        taken = {}
        for trade in listed.trades_of_step:
            key = (trade.buyer_is_maker, trade.ticks)
            taken[key] = taken.get(key, 0) + trade.lots
        for (buyer_is_maker, ticks), lots in taken.items():
            last = [c for c in changes if (c.is_bid, c.ticks) == (buyer_is_maker, ticks)][-1]
            assert last.lots_before - last.lots == lots
            seen += 1

    assert seen > 60


def test_trade_ids_and_update_ids_only_rise():
    market = a_market()
    listed = market.listed(USDM, "BTCUSDT")

    run(market, 20)

    trade_ids = [trade.trade_id for trade in listed.trades]
    assert trade_ids == list(range(trade_ids[0], trade_ids[0] + len(trade_ids)))
    ids = [
        change.update_id for change in listed.book.changes_after(listed.book.last_update_id - 999)
    ]
    assert ids == sorted(set(ids))


def test_a_market_that_starts_again_does_not_repeat_old_ids():
    first = a_market()
    run(first, 1)
    second = Market(
        listings(("BTCUSDT",)),
        seed=1,
        start_ns=START_NS + 2 * SECOND_NS,
        numbering=numbering(1),
    )

    for venue in (SPOT, USDM):
        last_id = first.listed(venue, "BTCUSDT").book.last_update_id
        with pytest.raises(HistoryTooShortError, match=f"{last_id} is older"):
            second.listed(venue, "BTCUSDT").book.as_of(last_id)


def test_sizes_cluster_at_round_prices():
    book = a_market().listed(SPOT, "BTCUSDT").book

    levels = [*book.bids.from_best(), *book.asks.from_best()]
    at_round = statistics.mean(lots for ticks, lots in levels if ticks % 1_000 == 0)
    elsewhere = statistics.mean(lots for ticks, lots in levels if ticks % 1_000)

    assert at_round > 2 * elsewhere


def test_the_perpetual_stays_near_the_spot_price():
    market = a_market()
    spot, perpetual = (market.listed(venue, "BTCUSDT").book for venue in (SPOT, USDM))

    for _ in market.advance(START_NS + 30 * SECOND_NS):
        ratio = perpetual.bids.best_ticks / 10 / (spot.bids.best_ticks / 100)
        assert abs(ratio - 1) < 20e-4


def test_bars_add_up_to_the_trades():
    market = a_market()
    listed = market.listed(SPOT, "BTCUSDT")

    run(market, 65)

    bars = [
        bar for bar in listed.bars.minutes() if bar.open_ns >= START_NS - START_NS % (60 * 10**9)
    ]
    assert len(bars) == 2
    assert sum(bar.lots for bar in bars) == sum(trade.lots for trade in listed.trades)
    assert sum(bar.trades for bar in bars) == len(listed.trades)
    assert bars[-1].close_ticks == listed.trades[-1].ticks


def test_the_invented_past_ends_where_the_market_began():
    listed = a_market().listed(SPOT, "BTCUSDT")
    began_at_ticks = listed.book.bids.best_ticks

    *past, current = listed.bars.minutes()

    assert past[-1].close_ticks == current.open_ticks == began_at_ticks
    assert all(a.close_ticks == b.open_ticks for a, b in itertools.pairwise(past))
    assert all(bar.low_ticks <= bar.open_ticks <= bar.high_ticks for bar in past)


def test_time_that_is_skipped_leaves_the_book_alone():
    market = a_market()
    run(market, 1)
    before = market.listed(SPOT, "BTCUSDT").book.view()

    market.skip(START_NS + 3_600 * SECOND_NS)

    assert market.now_ns == START_NS + 3_600 * SECOND_NS
    assert market.listed(SPOT, "BTCUSDT").book.view() == before


def test_time_before_the_next_step_moves_nothing():
    market = a_market()

    assert list(market.advance(START_NS + STEP_NS - 1)) == []
    assert list(market.advance(START_NS + STEP_NS)) == [START_NS + STEP_NS]


def test_an_unknown_symbol_is_refused_with_what_is_allowed():
    with pytest.raises(UnknownSymbolError, match="'DOGEUSDT', allowed: BTCUSDT, ETHUSDT, SOLUSDT"):
        listings(("DOGEUSDT",))


def test_regimes_follow_one_another():
    price = an_efficient_price(alpha=True)
    names = set()

    for _ in range(600 * STEPS_PER_S):
        price.step()
        names.add(price.regime.name)

    assert names == {regime.name for regime in REGIMES}


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "least", "most"), [(True, 0.05, 0.2), (False, -0.05, 0.05)])
def test_pressure_tells_a_little_of_the_next_move_only_with_alpha(alpha, least, most):
    price = an_efficient_price(alpha=alpha)
    pressures, returns = [], []

    for _ in range(2_500):
        pressures.append(price.pressure)
        before = price.price()
        for _ in range(int(PRESSURE_TIME_S * STEPS_PER_S)):
            price.step()
        returns.append((price.price() / before - 1) / price.regime.volatility)

    assert least < statistics.correlation(pressures, returns) < most


def an_efficient_price(*, alpha: bool) -> EfficientPrice:
    asset = Asset(name="BTC", start_price=60_000.0, volatility_bps=0.8)
    return EfficientPrice(asset, rng=dice(11, "asset"), alpha=alpha)
