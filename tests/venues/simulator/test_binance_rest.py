import itertools
import json

import pytest
from simulator_books import SECOND_NS, START_NS

from stevie.venues.simulator.binance.listings import SPOT, USDM, listings, numbering
from stevie.venues.simulator.binance.rest import Reply, Rest
from stevie.venues.simulator.market.simulation import Market


@pytest.fixture(scope="module")
def market() -> Market:
    market = Market(listings(), seed=4, start_ns=START_NS, numbering=numbering(4))
    for _ in market.advance(START_NS + 10 * SECOND_NS):
        pass
    return market


@pytest.fixture
def rest(market: Market) -> Rest:
    return Rest(market)


def get(rest: Rest, path: str, **params: str) -> Reply:
    return rest.answer(path, params, now_ns=START_NS)


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/api/v3/depth", {"symbol": "NOSUCH"}, 400, -1121),
        ("/fapi/v1/depth", {"symbol": "NOSUCH"}, 400, -1121),
        ("/api/v3/depth", {"symbol": "btcusdt"}, 400, -1100),
        ("/api/v3/depth", {}, 400, -1102),
        ("/api/v3/depth", {"symbol": ""}, 400, -1102),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "many"}, 400, -1100),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "-5"}, 400, -1100),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "0"}, 400, -1130),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "7"}, 400, -1130),
        ("/api/v3/klines", {"symbol": "BTCUSDT"}, 400, -1102),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, 400, -1120),
        ("/api/v3/exchangeInfo", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, 400, -1128),
        ("/api/v3/exchangeInfo", {"symbols": "BTCUSDT"}, 400, -1100),
        ("/api/v3/exchangeInfo", {"symbols": '["NOSUCH"]'}, 400, -1121),
        ("/api/v3/account", {}, 404, -5000),
        ("/fapi/v1/account", {}, 404, -5000),
        ("/", {}, 404, -5000),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_venues_code(rest, path, params, status, code):
    reply = get(rest, path, **params)

    assert (reply.status, json.loads(reply.body)["code"]) == (status, code)
    assert json.loads(reply.body)["msg"]


@pytest.mark.parametrize(
    ("path", "limit", "levels"),
    [
        ("/api/v3/depth", None, 100),
        ("/api/v3/depth", "7", 7),
        ("/api/v3/depth", "1000", 1_000),
        ("/fapi/v1/depth", None, 500),
        ("/fapi/v1/depth", "5", 5),
        ("/fapi/v1/depth", "1000", 1_000),
    ],
)
def test_a_snapshot_has_as_many_levels_as_asked_for(rest, path, limit, levels):
    params = {"symbol": "ETHUSDT"} | ({"limit": limit} if limit else {})

    book = json.loads(get(rest, path, **params).body)

    assert len(book["bids"]) == len(book["asks"]) == levels


def test_a_limit_beyond_the_most_gets_the_whole_book(rest, market):
    book = json.loads(get(rest, "/api/v3/depth", symbol="BTCUSDT", limit="99999").body)

    assert len(book["bids"]) == len(market.listed(SPOT, "BTCUSDT").book.bids)


def test_a_snapshot_names_the_last_update_of_its_symbol(rest, market):
    for path, venue in (("/api/v3/depth", SPOT), ("/fapi/v1/depth", USDM)):
        book = json.loads(get(rest, path, symbol="SOLUSDT", limit="5").body)
        assert book["lastUpdateId"] == market.listed(venue, "SOLUSDT").book.last_update_id
    assert list(book) == ["lastUpdateId", "E", "T", "bids", "asks"]
    assert book["bids"][0][0].count("0") >= 2  # four decimals, the last two without meaning


@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("/api/v3/ping", {}, 1),
        ("/api/v3/exchangeInfo", {}, 20),
        ("/api/v3/depth", {"symbol": "BTCUSDT"}, 5),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "101"}, 25),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "1000"}, 50),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "1001"}, 250),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
        ("/api/v3/trades", {"symbol": "BTCUSDT"}, 25),
        ("/api/v3/aggTrades", {"symbol": "BTCUSDT"}, 4),
        ("/api/v3/depth", {"symbol": "NOSUCH"}, 1),
        ("/fapi/v1/exchangeInfo", {}, 1),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "50"}, 2),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT"}, 10),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "1000"}, 20),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "99"}, 1),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "1500"}, 10),
    ],
)
def test_a_request_weighs_what_the_documents_say(rest, path, params, weight):
    assert get(rest, path, **params).used_weight == weight


def test_used_weight_adds_up_within_a_minute_and_by_market(rest):
    get(rest, "/api/v3/ping")
    assert get(rest, "/api/v3/time").used_weight == 2
    assert get(rest, "/fapi/v1/ping").used_weight == 1

    later = rest.answer("/api/v3/ping", {}, now_ns=START_NS + 60 * SECOND_NS)
    assert later.used_weight == 1


def test_metadata_names_steps_that_prices_and_sizes_keep(rest):
    info = json.loads(get(rest, "/api/v3/exchangeInfo", symbols='["BTCUSDT","SOLUSDT"]').body)

    assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "SOLUSDT"]
    filters = {it["filterType"]: it for it in info["symbols"][0]["filters"]}
    assert next(iter(filters)) == "PRICE_FILTER"
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert {"MARKET_LOT_SIZE", "NOTIONAL"} < set(filters)


def test_usdm_metadata_is_always_everything(rest):
    info = json.loads(get(rest, "/fapi/v1/exchangeInfo", symbol="BTCUSDT").body)

    ticks = {it["symbol"]: it["filters"][0]["tickSize"] for it in info["symbols"]}
    assert ticks == {"BTCUSDT": "0.10", "ETHUSDT": "0.01", "SOLUSDT": "0.0100"}
    assert {it["contractType"] for it in info["symbols"]} == {"PERPETUAL"}


@pytest.mark.parametrize(
    ("interval", "length_ms"), [("1m", 60_000), ("5m", 300_000), ("1h", 3_600_000)]
)
def test_klines_follow_one_another_without_a_hole(rest, interval, length_ms):
    body = get(rest, "/api/v3/klines", symbol="BTCUSDT", interval=interval, limit="50").body
    rows = json.loads(body)

    assert len(rows) == 50
    assert all(row[0] % length_ms == 0 and row[6] == row[0] + length_ms - 1 for row in rows)
    assert all(b[0] - a[0] == length_ms for a, b in itertools.pairwise(rows))
    assert all(float(row[3]) <= float(row[1]) <= float(row[2]) for row in rows)
    assert rows[-1][0] <= START_NS // 10**6 + 10_000


def test_klines_can_be_asked_for_by_time(rest):
    start_ms = START_NS // 10**6 // 60_000 * 60_000 - 10 * 60_000

    body = get(
        rest,
        "/fapi/v1/klines",
        symbol="BTCUSDT",
        interval="1m",
        startTime=str(start_ms),
        endTime=str(start_ms + 3 * 60_000),
    ).body

    assert [row[0] - start_ms for row in json.loads(body)] == [0, 60_000, 120_000, 180_000]


def test_a_week_begins_on_monday_and_a_month_on_its_first(rest):
    weeks = json.loads(get(rest, "/api/v3/klines", symbol="BTCUSDT", interval="1w").body)
    months = json.loads(get(rest, "/api/v3/klines", symbol="BTCUSDT", interval="1M").body)

    assert weeks[-1][0] == 1_788_739_200_000  # 2026-09-07
    assert months[-1][0] == 1_788_220_800_000  # 2026-09-01
    assert months[-1][6] == 1_790_812_799_999  # the last millisecond of September


def test_recent_trades_are_the_markets_newest(rest, market):
    rows = json.loads(get(rest, "/api/v3/trades", symbol="BTCUSDT", limit="3").body)

    assert [row["id"] for row in rows] == [
        trade.trade_id for trade in list(market.listed(SPOT, "BTCUSDT").trades)[-3:]
    ]


def test_aggregate_trades_can_be_read_on_from_an_id(rest):
    rows = json.loads(get(rest, "/api/v3/aggTrades", symbol="BTCUSDT").body)

    onwards = get(rest, "/api/v3/aggTrades", symbol="BTCUSDT", fromId=str(rows[3]["a"]), limit="2")

    assert json.loads(onwards.body) == rows[3:5]


def test_coin_margined_futures_are_an_empty_list(rest):
    assert get(rest, "/dapi/v1/exchangeInfo").body == '{"symbols":[]}'
