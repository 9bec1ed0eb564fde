import msgspec
import pytest

from stevie.domain.market.bars import MINUTE_NS
from stevie.domain.market.core import Scale
from stevie.venues.binance.codec import MalformedError
from stevie.venues.binance.klines import HEADS_MAX, BinanceBars

OPEN_MS = 1_788_999_960_000
KLINE = [
    OPEN_MS,
    "63990.00000000",
    "64010.00000000",
    "63985.50000000",
    "64000.20000000",
    "12.34500000",
    OPEN_MS + 59_999,
    "790012.34500000",
    1523,
    "6.10000000",
    "390400.00000000",
    "0",
]
TRADE = (
    b'{"e":"trade","E":1789000000202,"s":"BTCUSDT","t":5100200302,"p":"64000.20000000",'
    b'"q":"0.75000000","T":1789000000201,"m":false,"M":true}'
)
AGGREGATE = (
    b'{"e":"aggTrade","E":1789000000262,"a":2900300400,"s":"BTCUSDT","p":"64010.20","q":"0.150",'
    b'"nq":"0.150","f":6600100200,"l":6600100201,"T":1789000000240,"m":false,"st":1}'
)
DELTA = (
    b'{"e":"depthUpdate","E":1789000000200,"s":"TRADEUSDT","U":90210000098,"u":90210000104,'
    b'"b":[["64000.10000000","0.45000000"]],"a":[]}'
)
SPOT = BinanceBars.spot()


def combined(stream: str, frame: bytes) -> bytes:
    return b'{"stream":"%s","data":%s}' % (stream.encode(), frame)


def body(*klines: list[object]) -> bytes:
    return msgspec.json.encode(klines or [KLINE])


def changed(index: int, value: object) -> bytes:
    return body([*KLINE[:index], value, *KLINE[index + 1 :]])


# -- klines ----------------------------------------------------------------------------------------


def test_a_request_names_its_last_kline_and_how_many():
    url = SPOT.klines_url("BTCUSDT", "15m", limit=99, end_ms=OPEN_MS)

    assert url == (
        "https://data-api.binance.vision/api/v3/klines"
        f"?symbol=BTCUSDT&interval=15m&endTime={OPEN_MS}&limit=99"
    )
    usdm = BinanceBars.usdm().klines_url("BTCUSDT", "1d", limit=1, end_ms=0)
    assert usdm.startswith("https://fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&interval=1d&")


def test_a_kline_is_read_exactly():
    (bar,) = SPOT.read_klines(body(), "1m")

    assert bar.opened_ns == OPEN_MS * 1_000_000
    assert (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks) == (
        639900,
        640100,
        639855,
        640002,
    )
    assert (bar.volume_lots, bar.trades, bar.scale) == (12345, 1523, Scale(1, 3))


def test_no_klines_are_no_bars():
    assert SPOT.read_klines(b"[]", "1m") == ()


@pytest.mark.parametrize(
    "bytes_",
    [
        b"",
        b"{",
        b"\xff",
        b'{"code":-1121,"msg":"Invalid symbol."}',
        b"[[]]",
        body(KLINE[:-1]),
        body([*KLINE, 1]),
        changed(0, str(OPEN_MS)),
        changed(0, OPEN_MS + 1),
        changed(0, -60_000),
        changed(1, 63990.0),
        changed(1, "-1"),
        changed(1, "1e5"),
        changed(1, "70000"),
        changed(2, "63000"),
        changed(3, "0"),
        changed(4, "NaN"),
        changed(5, "99999999999999999999"),
        changed(6, OPEN_MS + 60_000),
        changed(8, -1),
        changed(8, 1.5),
        body(KLINE, KLINE),
        b"[" * 10_000,
    ],
)
def test_klines_that_are_not_as_documented_are_malformed(bytes_):
    with pytest.raises(MalformedError):
        SPOT.read_klines(bytes_, "1m")


def test_klines_out_of_order_are_malformed():
    earlier = [OPEN_MS - 60_000, *KLINE[1:6], OPEN_MS - 1, *KLINE[7:]]
    assert len(SPOT.read_klines(body(earlier, KLINE), "1m")) == 2

    with pytest.raises(MalformedError, match="order"):
        SPOT.read_klines(body(KLINE, earlier), "1m")


def test_klines_of_another_timeframe_are_malformed():
    with pytest.raises(MalformedError, match="5 min"):
        SPOT.read_klines(body(), "5m")


# -- trades ----------------------------------------------------------------------------------------


def test_a_trade_is_read_with_its_price_number_and_the_venues_time():
    trade = SPOT.read_trade(TRADE)

    assert trade is not None
    assert (trade.symbol, trade.kind, trade.trade_id, trade.matches) == (
        "BTCUSDT",
        "trade",
        5100200302,
        1,
    )
    assert (trade.price, trade.size) == ((640002, 1), (75, 2))
    assert trade.at_ns == 1_789_000_000_201_000_000
    assert trade == SPOT.read_trade(combined("btcusdt@trade", TRADE))


def test_an_order_stands_for_its_matches():
    trade = SPOT.read_trade(combined("btcusdt@aggTrade", AGGREGATE))

    assert trade is not None
    assert (trade.kind, trade.trade_id, trade.matches) == ("aggTrade", 2900300400, 2)
    assert trade.at_ns % MINUTE_NS == 1_789_000_000_240_000_000 % MINUTE_NS


def test_a_liquidation_announced_with_zeros_is_no_trade():
    assert SPOT.read_trade(TRADE.replace(b"0.75000000", b"0.00")) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"t":5100200302,', b""),
        (b'"t":5100200302', b'"t":"5100200302"'),
        (b'"t":5100200302', b'"t":-7'),
        (b'"T":1789000000201', b'"T":0'),
        (b'"T":1789000000201', b'"T":17890000002010000'),
        (b'"p":"64000.20000000"', b'"p":64000.2'),
        (b'"p":"64000.20000000"', b'"p":"0.0"'),
        (b'"p":"64000.20000000"', b'"p":"-1"'),
        (b'"q":"0.75000000"', b'"q":"x"'),
        (b'"e":"trade"', b'"e":"kline"'),
        (b'"s":"BTCUSDT",', b""),
        (b"}", b""),
    ],
)
def test_a_trade_that_is_not_as_documented_is_malformed(old, new):
    assert old in TRADE
    with pytest.raises(MalformedError):
        SPOT.read_trade(TRADE.replace(old, new))


def test_an_order_of_less_than_one_match_is_malformed():
    with pytest.raises(MalformedError):
        SPOT.read_trade(AGGREGATE.replace(b'"l":6600100201', b'"l":6600100199'))


def test_trades_are_told_from_all_other_frames_without_reading_them():
    trades = [
        TRADE,
        AGGREGATE,
        combined("btcusdt@trade", TRADE),
        combined("btcusdt@aggTrade", AGGREGATE),
        combined("abcdefghijklmnopqrst@aggTrade", AGGREGATE),
    ]
    others = [
        DELTA,
        combined("tradeusdt@depth@100ms", DELTA),
        b'{"result":null,"id":1}',
        b'{"e":"serverShutdown","E":1789000100000}',
        b"",
    ]
    mixed = [frame for pair in zip(trades, others, strict=True) for frame in pair]

    for _ in ("heads are new", "heads are known"):
        assert SPOT.trades_among(mixed) == tuple(trades)
        assert SPOT.trades_among(others) == ()


def test_what_is_remembered_of_frames_is_bounded():
    codec = BinanceBars.spot()
    for number in range(HEADS_MAX + 10):
        assert codec.trades_among([combined(f"s{number}@trade", TRADE)])

    assert len(codec._by_head) <= HEADS_MAX


def test_of_a_batch_the_trades_are_read_and_the_malformed_frames_counted():
    liquidation = TRADE.replace(b"0.75000000", b"0.00")
    trades, malformed = SPOT.read_trades((TRADE, b"{", liquidation, AGGREGATE, b"[]"))

    assert [trade.trade_id for trade in trades] == [5100200302, 2900300400]
    assert malformed == 2
