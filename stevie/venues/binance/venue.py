"""Binance as a feed sees it: which sockets to open, whose frame it is, what REST answers mean.

Spot follows depth and trades on one combined socket; USD-M has routed paths, `/public` for books
and `/market` for trades, and a stream asked for on the wrong one is accepted and silent.
Source: Binance's public API documents (spot: web-socket-streams, rest-api; USD-M: the same).
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from stevie.domain.market.core import Code, CoreSpec, Scale
from stevie.domain.market.fixed_point import NumberError, read, to_text
from stevie.domain.market.instrument import Instrument, InstrumentKind
from stevie.domain.market.sequencer import SequenceRule
from stevie.ports import ConnectionPlan, FrameRoute, HttpAnswer
from stevie.venues.binance.codec import (
    Delta,
    MalformedError,
    Trade,
    decode_frame,
    decode_snapshot,
)
from stevie.venues.binance.reference import BinanceReferenceCore

K = TypeVar("K")

SNAPSHOT_LEVELS = 1000
_COMBINED = b'{"stream":"'
_SYMBOL = b'"s":"'
# Of a combined frame, the stream's name and no digit of what follows: `"E":` comes at 44 or later.
_HEAD_BYTES = 40
_head_of: Callable[[bytes], bytes] = itemgetter(slice(_HEAD_BYTES))
_TRADES = (b"@tr", b"@ag")  # of @trade and @aggTrade, told apart from @ticker and @avgPrice
_TRADE = b'rade"'  # ends the name of either; in no other frame's beginning
_EVENT_BYTES = 64
_UNFIT = "its numbers do not fit a book"
ROUTES_MAX = 4096  # heads kept: two for each symbol that a venue lists, and then some
BAN_MAX_S = 3 * 86_400.0  # the longest that Binance names
BAN_UNSAID_S = 60.0  # to the next minute at the latest, when the weights begin anew


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where a market is reached."""

    rest: str
    socket: str


SPOT_LIVE = Endpoints(
    rest="https://data-api.binance.vision", socket="wss://data-stream.binance.vision"
)
USDM_LIVE = Endpoints(rest="https://fapi.binance.com", socket="wss://fstream.binance.com")


class _Binance:
    """What the two markets share."""

    def __init__(
        self,
        venue: str,
        endpoints: Endpoints,
        *,
        rule: SequenceRule,
        rest_path: str,
        default_levels: int,
    ) -> None:
        self.venue = venue
        self._default_levels = default_levels
        self.rule = rule
        self._endpoints = endpoints
        self._rest = endpoints.rest + rest_path
        self._by_head: dict[bytes, FrameRoute] = {}
        self._by_name: dict[tuple[bytes, bool], FrameRoute] = {}

    def route(self, frame: bytes) -> FrameRoute:
        """Whose frame this is: by its stream's name, else by its `s`; else what it says."""
        if frame.startswith(_COMBINED):
            end = frame.find(b"@", len(_COMBINED), len(_COMBINED) + 64)
            if end > 0:
                is_trade = frame.startswith(_TRADES, end)
                return self._symbol(frame[len(_COMBINED) : end], is_trade=is_trade)
        start = frame.find(_SYMBOL, 0, 256)
        if start > 0:
            start += len(_SYMBOL)
            is_trade = frame.find(_TRADE, 0, _EVENT_BYTES) > 0
            return self._symbol(frame[start : frame.find(b'"', start)], is_trade=is_trade)
        return FrameRoute("", _control(frame))

    def route_all(self, frames: Sequence[bytes]) -> Sequence[FrameRoute]:
        """The same of each."""
        # PERF: without a line of Python a frame as long as every head is known.
        routes = list(map(self._by_head.get, map(_head_of, frames)))
        if all(routes):
            return cast("list[FrameRoute]", routes)
        return [route or self._learn(frame) for route, frame in zip(routes, frames, strict=True)]

    def _learn(self, frame: bytes) -> FrameRoute:
        """Route a frame whose head is new, and remember the head if it says all by itself."""
        route = self.route(frame)
        if frame.startswith(_COMBINED) and frame.find(b"@", len(_COMBINED), _HEAD_BYTES - 2) > 0:
            _remember(self._by_head, frame[:_HEAD_BYTES], route)
        return route

    def _symbol(self, name: bytes, *, is_trade: bool) -> FrameRoute:
        key = name, is_trade
        route = self._by_name.get(key)
        if route is None:
            route = FrameRoute(name.decode("utf-8", "replace").upper(), is_trade=is_trade)
            _remember(self._by_name, key, route)
        return route

    def explain(self, frame: bytes, scale: Scale) -> str:
        """Why a book that counts in this scale cannot read a frame; "" if it can."""
        try:
            event = decode_frame(frame)
        except MalformedError as error:
            return str(error)
        if not isinstance(event, Delta | Trade):
            return ""
        core = self._core(event.symbol, scale)
        core.apply_frames([frame], [0], 0)
        return _UNFIT if core.view().malformed else ""

    def explain_snapshot(self, body: bytes, scale: Scale) -> str:
        """The same of the body of a REST snapshot."""
        try:
            decode_snapshot(body)
        except MalformedError as error:
            return str(error)
        code = self._core("", scale).load_snapshot(body, 0, 0)
        return _UNFIT if code == Code.MALFORMED else ""

    def _core(self, native_symbol: str, scale: Scale) -> BinanceReferenceCore:
        return BinanceReferenceCore(
            CoreSpec(native_symbol=native_symbol, rule=self.rule, scale=scale)
        )

    def time_url(self) -> str:
        """The REST request of the venue's time."""
        return f"{self._rest}/time"

    def snapshot_url(self, native_symbol: str) -> str:
        """The REST request of a book snapshot."""
        query = urlencode({"symbol": native_symbol, "limit": SNAPSHOT_LEVELS})
        return f"{self._rest}/depth?{query}"

    def snapshot_request(self, url: str) -> tuple[str, int]:
        """The native symbol and the depth that a depth URL asks for, said or by default."""
        query = parse_qs(urlsplit(url).query)
        limit = query.get("limit", [""])[0]
        levels = int(limit) if limit.isdecimal() else self._default_levels
        return query.get("symbol", [""])[0].upper(), levels

    def refusal(self, answer: HttpAnswer) -> str:
        """Why a request was refused: Binance's code and message where it gave them."""
        if answer.status == 200:  # noqa: PLR2004
            return ""
        if answer.status == 0:
            return answer.body.decode("utf-8", "replace")
        try:
            error = msgspec.json.decode(answer.body)
            return f"HTTP {answer.status}: {error['code']} {error['msg']}"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
            return f"HTTP {answer.status}"

    def is_not_listed(self, answer: HttpAnswer) -> bool:
        """Whether a refusal means that the venue has no such symbol."""
        return b"-1121" in answer.body

    def retry_after_s(self, answer: HttpAnswer) -> float:
        """How long Binance wants to be left alone after a 429 or 418; 60 s where it forgot."""
        if answer.status not in {418, 429}:
            return 0.0
        text = answer.headers.get("retry-after", "")
        return min(float(text), BAN_MAX_S) if text.isdecimal() else BAN_UNSAID_S


class BinanceSpot(_Binance):
    """Spot: `U`/`u` chain, trades by `@trade`."""

    def __init__(self, endpoints: Endpoints = SPOT_LIVE) -> None:
        super().__init__(
            "binance", endpoints, rule=SequenceRule.SPOT, rest_path="/api/v3", default_levels=100
        )

    def connections(self, native_symbols: Sequence[str]) -> tuple[ConnectionPlan, ...]:
        """One combined socket."""
        streams = _streams(native_symbols, "depth@100ms", "trade")
        return (ConnectionPlan(url=f"{self._endpoints.socket}/stream?streams={streams}"),)

    def instruments_url(self, native_symbols: Sequence[str]) -> str:
        """exchangeInfo; the whole of it, since one unlisted name would refuse all the others."""
        del native_symbols
        return f"{self._rest}/exchangeInfo?permissions=SPOT"

    def read_instruments(self, body: bytes) -> tuple[Instrument, ...]:
        """The instruments of an exchangeInfo body."""
        return read_instruments(body, self.venue, _is_spot)


class BinanceUsdm(_Binance):
    """USD-M futures: `pu` chain, trades by `@aggTrade` on a socket of its own."""

    def __init__(self, endpoints: Endpoints = USDM_LIVE) -> None:
        super().__init__(
            "binance_usdm",
            endpoints,
            rule=SequenceRule.USDM,
            rest_path="/fapi/v1",
            default_levels=500,
        )

    def connections(self, native_symbols: Sequence[str]) -> tuple[ConnectionPlan, ...]:
        """Books and trades on their two routes."""
        books = _streams(native_symbols, "depth@100ms")
        trades = _streams(native_symbols, "aggTrade")
        socket = self._endpoints.socket
        return (
            ConnectionPlan(url=f"{socket}/public/stream?streams={books}", carries_trades=False),
            ConnectionPlan(url=f"{socket}/market/stream?streams={trades}", carries_books=False),
        )

    def instruments_url(self, native_symbols: Sequence[str]) -> str:
        """exchangeInfo, which always tells everything."""
        del native_symbols
        return f"{self._rest}/exchangeInfo"

    def read_instruments(self, body: bytes) -> tuple[Instrument, ...]:
        """The perpetuals of an exchangeInfo body."""
        return read_instruments(body, self.venue, _is_perpetual)


class _SymbolList(msgspec.Struct):
    """An exchangeInfo body."""

    symbols: list[dict[str, Any]]


def read_instruments(
    body: bytes, venue: str, is_wanted: Callable[[dict[str, Any]], bool]
) -> tuple[Instrument, ...]:
    """The instruments of an exchangeInfo body; entries without usable filters are left out."""
    symbols = msgspec.json.decode(body, type=_SymbolList).symbols
    found = (_instrument(entry, venue) for entry in symbols if is_wanted(entry))
    return tuple(instrument for instrument in found if instrument is not None)


def _is_spot(entry: dict[str, Any]) -> bool:
    return "contractType" not in entry


def _is_perpetual(entry: dict[str, Any]) -> bool:
    return entry.get("contractType") == "PERPETUAL"


def _instrument(entry: dict[str, Any], venue: str) -> Instrument | None:
    is_perpetual = _is_perpetual(entry)
    try:
        # Filters are found by name: the order is not promised.
        filters = {item["filterType"]: item for item in entry["filters"]}
        return Instrument(
            venue=venue,
            symbol=entry["baseAsset"] + entry["quoteAsset"] + ("-PERP" if is_perpetual else ""),
            native=entry["symbol"],
            base=entry["baseAsset"],
            quote=entry["quoteAsset"],
            kind=InstrumentKind.PERPETUAL if is_perpetual else InstrumentKind.SPOT,
            tick_size=_step(filters["PRICE_FILTER"]["tickSize"]),
            lot_size=_step(filters["LOT_SIZE"]["stepSize"]),
            status=entry.get("status", ""),
        )
    except (LookupError, TypeError, NumberError):
        return None


def _step(text: str) -> str:
    """`"0.01000000"` -> `"0.01"`; NumberError if there is none."""
    mantissa, places = read(text)
    if mantissa == 0:
        raise NumberError(f"expected a step > 0, was {text!r}")
    return to_text(mantissa, places)


def _remember(routes: dict[K, FrameRoute], key: K, route: FrameRoute) -> None:
    """Keep a route; made-up keys must neither fill the memory nor keep the real ones out."""
    if len(routes) >= ROUTES_MAX:
        routes.clear()
    routes[key] = route


def _streams(native_symbols: Iterable[str], *names: str) -> str:
    return "/".join(f"{symbol.lower()}@{name}" for symbol in native_symbols for name in names)


def _control(frame: bytes) -> str:
    """What a frame that belongs to no symbol says: ack, error, serverShutdown, or unknown."""
    try:
        said = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "garbage"
    if not isinstance(said, dict):
        return "unknown"
    if "serverShutdown" in frame.decode("utf-8", "replace"):
        return "shutdown"
    if "result" in said:
        return "ack"
    return "error" if "error" in said or "code" in said else "unknown"
