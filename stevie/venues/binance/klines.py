"""Binance's bars: klines by REST, and trades as bars need them, spot and USD-M alike.

Strict as `codec.py` is: what is not as documented is malformed. Sources: Binance's public API
documents, rest-api (klines) and web-socket-streams (trade, aggTrade) of both markets.
"""

from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec

from stevie.domain.contracts.rows import Timeframe
from stevie.domain.market.bar_builder import MarketTrade
from stevie.domain.market.bars import MINUTE_NS, TIMEFRAMES, Bar, Number, exact_bar
from stevie.domain.market.fixed_point import NumberError, read
from stevie.venues.binance.codec import MalformedError
from stevie.venues.binance.venue import SPOT_LIVE, USDM_LIVE, Endpoints

NS_PER_MS = 1_000_000
TIMES_MS_MAX = (2**63 - 1) // NS_PER_MS - TIMEFRAMES["1d"] // NS_PER_MS
_COMBINED = b'{"stream":"'
# What a frame of a trade has near its beginning and no other has: the end of its stream's name or
# its type. A symbol in the name of a stream is followed by `@`, and elsewhere comes later.
_TRADE = b'rade"'
_TRADE_BYTES = 64
# Of a combined frame, its stream's name and no digit of what follows (`venue.py` has it too).
_HEAD_BYTES = 40
_KIND_BYTES = 34  # an `@` before this leaves room for the kind of the stream
HEADS_MAX = 4096  # remembered: two for each symbol that a venue lists, and then some
_head_of: Callable[[bytes], bytes] = itemgetter(slice(_HEAD_BYTES))


class _Trade(msgspec.Struct):
    """A trade, or an order's trades at one price; `t` or `a` numbers it."""

    e: Literal["trade", "aggTrade"]
    s: str
    p: str
    q: str
    T: int
    t: int = -1
    a: int = -1
    f: int = 0
    l: int = 0  # noqa: E741 - Binance's name


class _Combined(msgspec.Struct):
    stream: str
    data: _Trade


class _Kline(NamedTuple):
    opened_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed_ms: int
    value: str
    trades: int
    taker_volume: str
    taker_value: str
    ignored: Any


_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_combined = msgspec.json.Decoder(_Combined).decode
_decode_klines = msgspec.json.Decoder(tuple[_Kline, ...]).decode


class BinanceBars:
    """Fulfils BarCodec for one of the two markets."""

    def __init__(self, endpoints: Endpoints, *, rest_path: str) -> None:
        self._url = f"{endpoints.rest}{rest_path}/klines"
        self._by_head: dict[bytes, bool] = {}

    @classmethod
    def spot(cls, endpoints: Endpoints = SPOT_LIVE) -> "BinanceBars":
        """Spot: at most 1,000 klines, weight 2."""
        return cls(endpoints, rest_path="/api/v3")

    @classmethod
    def usdm(cls, endpoints: Endpoints = USDM_LIVE) -> "BinanceBars":
        """USD-M futures: at most 1,500 klines; weight 1 below 100, 2 below 500, 5 up to 1,000."""
        return cls(endpoints, rest_path="/fapi/v1")

    def klines_url(
        self, native_symbol: str, timeframe: Timeframe, *, limit: int, end_ms: int
    ) -> str:
        """The REST request of the newest klines that opened at `end_ms` or before."""
        query = {"symbol": native_symbol, "interval": timeframe, "endTime": end_ms, "limit": limit}
        return f"{self._url}?{urlencode(query)}"

    def read_klines(self, body: bytes, timeframe: Timeframe) -> tuple[Bar, ...]:
        """The klines of an answer, oldest first; MalformedError if they are not as documented."""
        try:
            klines = _decode_klines(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedError(str(error)) from error
        bars = tuple(_bar(kline, TIMEFRAMES[timeframe]) for kline in klines)
        times = [bar.opened_ns for bar in bars]
        if times != sorted(set(times)):
            raise MalformedError("expected klines in the order of their times")
        return bars

    def trades_among(self, frames: Sequence[bytes]) -> tuple[bytes, ...]:
        """Those of these frames that are trades, without reading any."""
        # PERF: most frames are deltas of books; of known heads there is no line of Python a frame.
        known = list(map(self._by_head.get, map(_head_of, frames)))
        if None in known:
            pairs = zip(known, frames, strict=True)
            known = [self._learn(frame) if flag is None else flag for flag, frame in pairs]
        return tuple(compress(frames, known))

    def _learn(self, frame: bytes) -> bool:
        """Look for the mark of a trade, and remember the head if it tells by itself."""
        is_trade = frame.find(_TRADE, 0, _TRADE_BYTES) > 0
        if frame.startswith(_COMBINED) and 0 < frame.find(b"@") < _KIND_BYTES:
            if len(self._by_head) >= HEADS_MAX:
                self._by_head.clear()
            self._by_head[frame[:_HEAD_BYTES]] = is_trade
        return is_trade

    def read_trades(self, frames: Sequence[bytes]) -> tuple[list[MarketTrade], int]:
        """The trades of such frames, and how many frames were malformed."""
        trades, malformed = [], 0
        for frame in frames:
            try:
                trade = self.read_trade(frame)
            except MalformedError:
                malformed += 1
                continue
            if trade is not None:
                trades.append(trade)
        return trades, malformed

    def read_trade(self, frame: bytes) -> MarketTrade | None:
        """A trade; None for what is announced as one and is none; MalformedError."""
        try:
            trade = _decoded(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedError(str(error)) from error
        trade_id, count = _numbered(trade)
        if trade_id < 0 or count < 1 or not 0 < trade.T <= TIMES_MS_MAX:
            raise MalformedError(f"expected a trade with its number and time, was {trade}")
        price, size = _number(trade.p), _number(trade.q)
        if size[0] == 0:
            return None  # the undocumented USD-M @trade announces liquidations with zeros
        if price[0] == 0:
            raise MalformedError("expected p > 0, was 0")
        return MarketTrade(
            trade.s.upper(), trade.e, trade_id, trade.T * NS_PER_MS, price, size, count
        )


def _decoded(frame: bytes) -> _Trade:
    return _decode_combined(frame).data if frame.startswith(_COMBINED) else _decode_trade(frame)


def _numbered(trade: _Trade) -> tuple[int, int]:
    """A trade's number among those of its kind, and how many matches it stands for."""
    return (trade.t, 1) if trade.e == "trade" else (trade.a, trade.l - trade.f + 1)


def _number(text: str) -> Number:
    try:
        return read(text)
    except NumberError as error:
        raise MalformedError(str(error)) from error


def _bar(kline: _Kline, length_ns: int) -> Bar:
    opened_ms, length_ms = kline.opened_ms, length_ns // NS_PER_MS
    if not 0 <= opened_ms <= TIMES_MS_MAX or opened_ms % length_ms:
        raise MalformedError(f"expected a kline of {length_ns // MINUTE_NS} min, was {kline}")
    if kline.closed_ms != opened_ms + length_ms - 1 or kline.trades < 0:
        raise MalformedError(f"expected a kline of {length_ns // MINUTE_NS} min, was {kline}")
    try:
        return exact_bar(
            opened_ns=opened_ms * NS_PER_MS,
            prices=(read(kline.open), read(kline.high), read(kline.low), read(kline.close)),
            volume=read(kline.volume),
            trades=kline.trades,
        )
    except ValueError as error:
        raise MalformedError(str(error)) from error
