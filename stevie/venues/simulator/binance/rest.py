"""Binance's REST: a path and its parameters in, status and JSON text out."""

import re
from collections.abc import Callable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, NoReturn

import msgspec

from stevie.venues.simulator.binance.exchange_info import Json, spot_info, usdm_info
from stevie.venues.simulator.binance.frames import Scribe
from stevie.venues.simulator.binance.klines import INTERVALS, NS_PER_MS, kline_array, whole_klines
from stevie.venues.simulator.binance.limits import (
    LIMITS,
    MINUTE_NS,
    SPOT_DEPTH_MAX,
    USDM_DEPTH_LIMITS,
    Limits,
    Window,
    depth_weight,
    klines_weight,
)
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.market.listed import ListedMarket
from stevie.venues.simulator.market.simulation import Market

Params = Mapping[str, str]

PREFIXES = {"/api/v3/": SPOT, "/fapi/v1/": USDM}
COINM_INFO = "/dapi/v1/exchangeInfo"  # nothing is listed there, but ccxt asks when it starts
ROWS_DEFAULT = 500
ROWS_MAX = {SPOT: 1_000, USDM: 1_500}
TRADES_MAX = 1_000
FOR_EVER_MS = 2**53
_DEPTH_DEFAULT = {SPOT: 100, USDM: 500}
_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,20}")


class Answer(NamedTuple):
    """What a request gets, and what it weighs."""

    status: int
    body: str
    weight: int


class Reply(NamedTuple):
    """A venue's answer with the weight used in this minute."""

    status: int
    body: str
    used_weight: int


class RefusedError(Exception):
    """The venue refuses a request, with its own code and words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = msgspec.json.encode({"code": code, "msg": message}).decode()


class Rest:
    """The REST side of both markets."""

    def __init__(self, market: Market) -> None:
        self._desks = {venue: Desk(market, venue) for venue in PREFIXES.values()}
        self._used = {
            venue: Window(MINUTE_NS, LIMITS[venue].weight_per_minute) for venue in self._desks
        }

    def answer(self, path: str, params: Params, *, now_ns: int) -> Reply:
        """Answer a GET request; nobody is refused for its weight."""
        venue = next((it for prefix, it in PREFIXES.items() if path.startswith(prefix)), SPOT)
        status, body, weight = self._desks[venue].answer(path, params)
        self._used[venue].add(weight, now_ns=now_ns)
        return Reply(status, body, self._used[venue].count)


class Desk:
    """The endpoints of one market."""

    def __init__(self, market: Market, venue: str, limits: Limits | None = None) -> None:
        self._market = market
        self._limits = limits or LIMITS[venue]
        self._venue = venue
        self._prefix = next(prefix for prefix, it in PREFIXES.items() if it == venue)
        self._listed = market.of_venue(venue)
        self._scribes = {name: Scribe(it.listing) for name, it in self._listed.items()}
        self._endpoints: dict[str, Callable[[Params], Answer]] = {
            "ping": lambda _: Answer(200, "{}", 1),
            "time": lambda _: Answer(200, f'{{"serverTime":{self._now_ms}}}', 1),
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._trades,
            "aggTrades": self._aggregates,
            "klines": self._klines,
        }

    def answer(self, path: str, params: Params) -> Answer:
        """Answer one request, or refuse it with the venue's code and words."""
        if path == COINM_INFO:
            return Answer(200, '{"symbols":[]}', 1)
        endpoint = self._endpoints.get(path.removeprefix(self._prefix))
        if endpoint is None:
            error = {"code": -5000, "msg": f"Path {path}, Method GET is invalid"}
            return Answer(404, _text(error), 1)
        try:
            return endpoint(params)
        except RefusedError as refused:
            return Answer(refused.status, refused.body, 1)

    @property
    def _now_ms(self) -> int:
        return self._market.now_ns // NS_PER_MS

    def _exchange_info(self, params: Params) -> Answer:
        everything = [it.listing for it in self._listed.values()]
        if self._venue == USDM:
            info = usdm_info(everything, limits=self._limits, now_ms=self._now_ms)
            return Answer(200, _text(info), 1)
        wanted = self._wanted_symbols(params)
        chosen = [listing for listing in everything if wanted is None or listing.symbol in wanted]
        info = spot_info(chosen, limits=self._limits, now_ms=self._now_ms)
        return Answer(200, _text(info), 20)

    def _wanted_symbols(self, params: Params) -> list[str] | None:
        if "symbol" in params and "symbols" in params:
            raise RefusedError(400, -1128, "Combination of optional parameters invalid.")
        if "symbols" not in params:
            return [self._symbol(params).listing.symbol] if "symbol" in params else None
        try:
            wanted = msgspec.json.decode(params["symbols"], type=list[str])
        except msgspec.DecodeError:
            _illegal("symbols", r'\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]')
        if not all(symbol in self._listed for symbol in wanted):
            raise RefusedError(400, -1121, "Invalid symbol.")
        return wanted

    def _depth(self, params: Params) -> Answer:
        listed = self._symbol(params)
        limit = _number(params, "limit", _DEPTH_DEFAULT[self._venue])
        if self._venue == SPOT:
            limit = min(limit, SPOT_DEPTH_MAX)
        if limit == 0 or (self._venue == USDM and limit not in USDM_DEPTH_LIMITS):
            _not_valid("limit")
        scribe = self._scribes[listed.listing.symbol]
        body = scribe.snapshot(listed.book.view(levels=limit), now_ns=self._market.now_ns)
        return Answer(200, body, depth_weight(self._venue, limit))

    def _trades(self, params: Params) -> Answer:
        listed = self._symbol(params)
        limit = min(_number(params, "limit", ROWS_DEFAULT), TRADES_MAX)
        recent = list(listed.trades)[-limit:] if limit else _not_valid("limit")
        body = self._scribes[listed.listing.symbol].recent_trades(recent)
        return Answer(200, body, 25 if self._venue == SPOT else 5)

    def _aggregates(self, params: Params) -> Answer:
        listed = self._symbol(params)
        limit = min(_number(params, "limit", ROWS_DEFAULT), TRADES_MAX)
        first_id = _number(params, "fromId", 0)
        start_ns, end_ns = _times_ns(params)
        recent = [
            trade
            for trade in listed.trades
            if trade.aggregate_id >= first_id and start_ns <= trade.at_ns <= end_ns
        ]
        fills = [tuple(it) for _, it in groupby(recent, key=attrgetter("aggregate_id"))]
        is_forward = "fromId" in params or "startTime" in params
        chosen = fills[:limit] if is_forward else fills[-limit:]
        body = self._scribes[listed.listing.symbol].recent_aggregates(chosen)
        return Answer(200, body, 4 if self._venue == SPOT else 20)

    def _klines(self, params: Params) -> Answer:
        listed = self._symbol(params)
        interval = _mandatory(params, "interval")
        if interval not in INTERVALS:
            raise RefusedError(400, -1120, "Invalid interval.")
        if params.get("timeZone", "0") not in ("0", "0:00", "00:00"):
            _not_valid("timeZone")
        limit = min(_number(params, "limit", ROWS_DEFAULT), ROWS_MAX[self._venue])
        if limit == 0:
            _not_valid("limit")
        start_ns, end_ns = _times_ns(params)
        known = whole_klines(listed.bars, interval)
        bars = [it for it in known if start_ns <= it.open_ns <= end_ns]
        bars = bars[:limit] if "startTime" in params else bars[-limit:]
        numerals = self._scribes[listed.listing.symbol].numerals
        body = ",".join([kline_array(bar, interval, numerals) for bar in bars])
        return Answer(200, f"[{body}]", klines_weight(self._venue, limit))

    def _symbol(self, params: Params) -> ListedMarket:
        symbol = _mandatory(params, "symbol")
        if not _SYMBOL.fullmatch(symbol):
            _illegal("symbol", "^[A-Z0-9-_.]{1,20}$")
        if symbol not in self._listed:
            raise RefusedError(400, -1121, "Invalid symbol.")
        return self._listed[symbol]


def _mandatory(params: Params, name: str) -> str:
    if not params.get(name):
        raise RefusedError(
            400,
            -1102,
            f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
        )
    return params[name]


def _number(params: Params, name: str, default: int) -> int:
    text = params.get(name, str(default))
    if not _NUMBER.fullmatch(text):
        _illegal(name, "^[0-9]{1,20}$")
    return int(text)


def _times_ns(params: Params) -> tuple[int, int]:
    """Return the span of time asked for."""
    start_ms, end_ms = _number(params, "startTime", 0), _number(params, "endTime", FOR_EVER_MS)
    return start_ms * NS_PER_MS, end_ms * NS_PER_MS


def _illegal(name: str, legal: str) -> NoReturn:
    raise RefusedError(
        400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def _not_valid(name: str) -> NoReturn:
    raise RefusedError(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def _text(document: Json) -> str:
    return msgspec.json.encode(document).decode()
