import gzip
import json

import pytest

from stevie.domain.market.core import Scale
from stevie.domain.market.instrument import InstrumentKind
from stevie.ports import HttpAnswer
from stevie.venues.binance.venue import BAN_MAX_S, ROUTES_MAX, BinanceSpot, BinanceUsdm
from tests.parity.recordings import DATA, RULES

SPOT, USDM = BinanceSpot(), BinanceUsdm()
TICK = {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}
LOT = {"filterType": "LOT_SIZE", "stepSize": "0.00001000"}


def answer(status: int, body: bytes = b"", **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(url="https://x/", status=status, headers=named, body=body)


def exchange_info(*entries: object) -> bytes:
    return json.dumps({"symbols": entries}).encode()


def entry(**changed: object) -> dict[str, object]:
    plain = {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "TRADING"}
    return {**plain, "filters": [LOT, TICK], **changed}


# -- whose frame ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_every_recorded_frame_is_routed_to_the_symbol_in_its_json(name: str) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recording {path}: set STEVIE_TEST_DATA to where the recordings are")
    codec = USDM if "usdm" in name else SPOT
    routed, frames, symbols = 0, [], []
    with gzip.open(path) as lines:
        for line in map(json.loads, lines):
            if line["kind"] != "ws_in":
                continue
            frame = json.loads(line["raw"])
            data = frame.get("data", frame)
            raw = json.dumps(data, separators=(",", ":")).encode()
            expected = data.get("s", "") if isinstance(data, dict) else ""
            assert codec.route(line["raw"].encode()).native_symbol == expected, line
            assert codec.route(raw).native_symbol == expected, line
            routed += 1
            frames.append(line["raw"].encode())
            symbols.append(expected)
    assert routed > 900
    assert [route.native_symbol for route in codec.route_all(frames)] == symbols


@pytest.mark.parametrize(
    ("frame", "symbol", "control"),
    [
        (b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":1,"b":[],"a":[]}', "BTCUSDT", ""),
        (b'{"stream":"btcusdt@depth@100ms","data":{}}', "BTCUSDT", ""),
        (b'{"stream":"btcusdt@depth5","data":{"lastUpdateId":1}}', "BTCUSDT", ""),
        ('{"stream":"币安usdt@trade","data":{}}'.encode(), "币安USDT", ""),
        (b'{"result":null,"id":1}', "", "ack"),
        (b'{"code":2,"msg":"Invalid request"}', "", "error"),
        (b'{"error":{"code":2,"msg":"x"},"id":1}', "", "error"),
        (b'{"e":"serverShutdown","E":1789000100000}', "", "shutdown"),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', "", "shutdown"),
        (b'{"e":"somethingNew"}', "", "unknown"),
        (b"[1,2]", "", "unknown"),
        (b"", "", "garbage"),
        (b"<html>", "", "garbage"),
        (b"\xff\xfe", "", "garbage"),
        (b'"' + b"\xff" + b'"', "", "garbage"),
        (b"[" * 100_000, "", "garbage"),
    ],
)
def test_a_frame_is_routed_by_what_it_is(frame: bytes, symbol: str, control: str) -> None:
    for codec in (SPOT, USDM):
        is_trade = b"trade" in frame.lower()
        assert codec.route(frame) == (symbol, control, is_trade)
        for _ in range(2):  # new, and once known
            assert codec.route_all((frame, frame)) == [(symbol, control, is_trade)] * 2


def test_frames_whose_heads_agree_but_not_their_symbols_are_told_apart() -> None:
    long = b"x" * 40  # a name that leaves no room in the head for where it ends
    frames = [
        b'{"stream":"%b@depth","data":{}}' % name for name in (long + b"a", long + b"b", b"btc")
    ]

    for _ in range(2):
        natives = [route.native_symbol for route in SPOT.route_all(frames)]
        assert natives == ["X" * 40 + "A", "X" * 40 + "B", "BTC"]


def test_a_flood_of_made_up_symbols_is_routed_and_not_remembered_for_ever() -> None:
    codec = BinanceSpot()

    for number in range(5000):
        frame = b'{"stream":"x%d@depth"}' % number
        assert codec.route(frame).native_symbol == f"X{number}"
        assert codec.route_all((frame,)) == [(f"X{number}", "", False)]

    assert len(codec._by_name) <= ROUTES_MAX
    assert len(codec._by_head) <= ROUTES_MAX


# -- URLs ----------------------------------------------------------------------------------------


def test_spot_follows_books_and_trades_on_one_socket() -> None:
    (plan,) = SPOT.connections(("BTCUSDT", "ETHUSDT"))

    streams = "btcusdt@depth@100ms/btcusdt@trade/ethusdt@depth@100ms/ethusdt@trade"
    assert plan.url == f"wss://data-stream.binance.vision/stream?streams={streams}"
    assert plan.carries_books


def test_usdm_follows_books_and_trades_on_their_two_routes() -> None:
    books, trades = USDM.connections(("BTCUSDT",))

    assert books.url == "wss://fstream.binance.com/public/stream?streams=btcusdt@depth@100ms"
    assert trades.url == "wss://fstream.binance.com/market/stream?streams=btcusdt@aggTrade"
    assert (books.carries_books, trades.carries_books) == (True, False)


@pytest.mark.parametrize("codec", [SPOT, USDM])
def test_a_snapshot_url_says_symbol_and_depth_and_is_read_back(
    codec: BinanceSpot | BinanceUsdm,
) -> None:
    for symbol in ("BTCUSDT", "币安USDT"):
        assert codec.snapshot_request(codec.snapshot_url(symbol)) == (symbol, 1000)


def test_a_snapshot_url_without_a_depth_means_the_documented_default() -> None:
    assert SPOT.snapshot_request("https://x/api/v3/depth?symbol=btcusdt") == ("BTCUSDT", 100)
    assert USDM.snapshot_request("https://x/fapi/v1/depth?symbol=BTCUSDT") == ("BTCUSDT", 500)
    assert SPOT.snapshot_request("https://x/api/v3/depth?limit=x") == ("", 100)


# -- what answers mean ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "refusal"),
    [
        (answer(200, b"{}"), ""),
        (answer(400, b'{"code":-1121,"msg":"Invalid symbol."}'), "HTTP 400: -1121 Invalid symbol."),
        (answer(502, b"<html>Bad Gateway</html>"), "HTTP 502"),
        (answer(403, b"[]"), "HTTP 403"),
        (answer(403, b"\xff"), "HTTP 403"),
        (answer(500, b"[" * 100_000), "HTTP 500"),
        (answer(0, b"no answer within 10 s"), "no answer within 10 s"),
    ],
)
def test_a_refusal_is_told_in_the_venues_words(got: HttpAnswer, refusal: str) -> None:
    assert SPOT.refusal(got) == refusal


def test_an_unlisted_symbol_is_known_by_its_code() -> None:
    assert SPOT.is_not_listed(answer(400, b'{"code":-1121,"msg":"Invalid symbol."}'))
    assert not SPOT.is_not_listed(answer(400, b'{"code":-1100,"msg":"Illegal characters"}'))


@pytest.mark.parametrize(
    ("got", "pause_s"),
    [
        (answer(200), 0.0),
        (answer(500, retry_after="30"), 0.0),
        (answer(429, retry_after="30"), 30.0),
        (answer(418, retry_after="120"), 120.0),
        (answer(429), 60.0),
        (answer(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), 60.0),
        (answer(418, retry_after="9" * 400), BAN_MAX_S),
    ],
)
def test_a_venue_that_wants_a_pause_gets_it(got: HttpAnswer, pause_s: float) -> None:
    assert SPOT.retry_after_s(got) == pause_s


# -- instruments ---------------------------------------------------------------------------------


def test_the_recorded_instrument_list_is_read() -> None:
    path = DATA / "binance-spot_instruments_20211011.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recording {path}: set STEVIE_TEST_DATA to where the recordings are")
    with gzip.open(path) as lines:
        body = json.loads(next(iter(lines)))["raw"].encode()
    listed = {item["symbol"] for item in json.loads(body)["symbols"]}

    instruments = {i.native: i for i in SPOT.read_instruments(body)}

    assert instruments.keys() == listed
    btc = instruments["BTCUSDT"]
    assert (btc.symbol, btc.base, btc.quote, btc.status) == ("BTCUSDT", "BTC", "USDT", "TRADING")
    assert (btc.tick_size, btc.lot_size, btc.kind) == ("0.01", "0.00001", InstrumentKind.SPOT)
    assert btc.scale == Scale(2, 5)
    assert USDM.read_instruments(body) == ()


def test_filters_are_found_by_name_and_steps_lose_their_zeros() -> None:
    (instrument,) = SPOT.read_instruments(exchange_info(entry()))

    assert (instrument.tick_size, instrument.lot_size) == ("0.01", "0.00001")


def test_a_step_of_whole_numbers_keeps_its_zeros() -> None:
    whole = [{**TICK, "tickSize": "100"}, {**LOT, "stepSize": "10.00"}]

    (instrument,) = SPOT.read_instruments(exchange_info(entry(filters=whole)))

    assert (instrument.tick_size, instrument.lot_size) == ("100", "10")


def test_usdm_takes_perpetuals_alone_and_names_them_so() -> None:
    body = exchange_info(
        entry(contractType="PERPETUAL"),
        entry(symbol="BTCUSDT_261225", contractType="CURRENT_QUARTER"),
        entry(symbol="XYZ", contractType="TRADIFI"),
    )

    (instrument,) = USDM.read_instruments(body)

    assert (instrument.symbol, instrument.native) == ("BTCUSDT-PERP", "BTCUSDT")
    assert instrument.kind is InstrumentKind.PERPETUAL
    assert SPOT.read_instruments(body) == ()


@pytest.mark.parametrize(
    "broken",
    [
        entry(filters=[]),
        entry(filters=[TICK]),
        entry(filters=None),
        entry(filters=[{**TICK, "tickSize": "0.00000000"}, LOT]),
        entry(filters=[{**TICK, "tickSize": "abc"}, LOT]),
        entry(filters=[{**TICK, "tickSize": 1}, LOT]),
        entry(filters=[1]),
        {"symbol": "BTCUSDT"},
    ],
)
def test_an_entry_without_usable_steps_is_left_out(broken: dict[str, object]) -> None:
    found = SPOT.read_instruments(exchange_info(broken, entry(symbol="ETHUSDT", baseAsset="ETH")))

    assert [instrument.native for instrument in found] == ["ETHUSDT"]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"symbols":1}', b'{"symbols":[1]}']
)
def test_a_body_that_is_no_instrument_list_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason, it is one kind of error
        SPOT.read_instruments(body)


# -- why it cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"{", "Input data was truncated"),
        (b'{"e":"depthUpdate","U":1,"u":"2"}', "expected u an integer"),
        (b'{"e":"depthUpdate","s":"A","U":1,"u":2,"b":[["1e9","1"]],"a":[]}', "expected"),
        (
            b'{"e":"depthUpdate","s":"A","U":1,"u":2,"b":[["2000000000000000000","1"],'
            b'["0.000000000000000001","1"]],"a":[]}',
            "its numbers do not fit a book",
        ),
        (b'{"e":"depthUpdate","s":"A","U":1,"u":2,"b":[["1","1"]],"a":[]}', ""),
        (b'{"e":"news"}', ""),
    ],
)
def test_why_a_frame_cannot_be_read(frame: bytes, reason: str) -> None:
    found = SPOT.explain(frame, Scale())

    assert found.startswith(reason)
    assert bool(found) is bool(reason)


def test_a_number_that_fits_alone_may_not_fit_the_scale_of_a_book() -> None:
    frame = b'{"e":"trade","s":"A","t":1,"p":"1","q":"9000000000000","m":true}'

    assert SPOT.explain(frame, Scale()) == ""
    assert SPOT.explain(frame, Scale(0, 18)) == "its numbers do not fit a book"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "expected an object"),
        (b'{"lastUpdateId":1,"bids":[["0","1"]],"asks":[]}', "expected a price > 0, was 0"),
        (
            b'{"lastUpdateId":1,"bids":[["2000000000000000000","1"],'
            b'["0.000000000000000001","1"]],"asks":[]}',
            "its numbers do not fit a book",
        ),
        (b'{"lastUpdateId":1,"bids":[["1","1"]],"asks":[]}', ""),
    ],
)
def test_why_a_snapshot_cannot_be_read(body: bytes, reason: str) -> None:
    found = SPOT.explain_snapshot(body, Scale())

    assert found.startswith(reason)
    assert bool(found) is bool(reason)


# -- trades --------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["a", "btcusdt", "1000000babydogeusdt", "x" * 26, "x" * 60])
def test_trades_are_known_by_their_route_and_nothing_else_is_one(symbol: str) -> None:
    for name, is_trade in {
        "trade": True,
        "aggTrade": True,
        "depth@100ms": False,
        "ticker": False,
        "avgPrice": False,
    }.items():
        event = {"depth@100ms": "depthUpdate"}.get(name, name)
        frame = f'{{"stream":"{symbol}@{name}","data":{{"e":"{event}","s":"{symbol.upper()}"}}}}'
        raw = f'{{"e":"{event}","s":"{symbol.upper()}"}}'
        for each in (frame.encode(), raw.encode()):
            routes = SPOT.route_all((each, each))
            assert [route.is_trade for route in routes] == [is_trade] * 2, each
            assert SPOT.route_all((each,)) == routes[:1]
