"""Binance from a recording: the recorded frames and snapshots under the venue's own paths."""

from collections.abc import Callable, Container, Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from gevent.event import Event

from stevie.capture import TimedLine
from stevie.venues.simulator.binance.exchange_info import spot_info, usdm_info
from stevie.venues.simulator.binance.limits import Limits, depth_weight
from stevie.venues.simulator.binance.listings import SPOT
from stevie.venues.simulator.binance.protocol import BinanceProtocol
from stevie.venues.simulator.binance.rest import PREFIXES, Answer
from stevie.venues.simulator.faults import Kind
from stevie.venues.simulator.market.listing import Listing, Style
from stevie.venues.simulator.venue import AT_ONCE, Frame, Latency, Reply, Request

SYMBOLS_MAX = 4_096
STREAMS_MAX = 4 * SYMBOLS_MAX
WAIT_S = 5.0  # clients give up on an answer after ten seconds
SPOT_DECIMALS = 8
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BIDR", "BRL", "EUR", "GBP", "RUB", "TRY")
QUOTES_AFTER = ("USD", "DAI", "BTC", "ETH", "BNB")  # tried after those that end like them

_UNQUOTED = Style(half_spread_bps=0.0, noise_bps=0.0, lag_ms=0)
_TAGS = {"depthUpdate": "depth", "bookTicker": "bookTicker", "": "bookTicker"}
_NO_MARKET = "a recording has no market behind it"


class _Combined(msgspec.Struct):
    stream: str
    data: msgspec.Raw


class _Payload(msgspec.Struct, rename={"event": "e", "symbol": "s"}):
    symbol: str
    event: str = ""
    b: Any = None
    a: Any = None


class _Depth(msgspec.Struct):
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Symbol:
    """What is known of a recorded symbol."""

    def __init__(self) -> None:
        self.price_decimals = self.size_decimals = 0
        self.body: bytes | None = None
        self.was_asked = False
        self.changed = Event()

    def learn(self, levels: Iterable[tuple[str, str]]) -> None:
        for price, size in levels:
            self.price_decimals = max(self.price_decimals, _decimals(price))
            self.size_decimals = max(self.size_decimals, _decimals(size))


class ReplayedBinance(BinanceProtocol):
    """Serves a recording's frames, its snapshots, and lists what it holds."""

    cannot = {  # noqa: RUF012  read only
        **BinanceProtocol.cannot,
        Kind.CROSS: _NO_MARKET,
    }

    def __init__(
        self, name: str, *, latency: Latency = AT_ONCE, limits: Limits | None = None
    ) -> None:
        super().__init__(name, limits=limits, latency=latency)
        self._symbols: dict[str, _Symbol] = {}
        self._streams: dict[str, None] = {}  # as subscribed to, in order
        self._endpoints: dict[str, Callable[[Request], Answer]] = {
            "ping": lambda _: Answer(200, "{}", 1),
            "time": lambda it: Answer(200, f'{{"serverTime":{it.now_ns // 1_000_000}}}', 1),
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
        }

    # -- the recording -----------------------------------------------------------------------------

    def learn(self, line: TimedLine) -> None:
        """Take note of symbols, steps and streams."""
        if line.kind == "rest":
            symbol = _depth_symbol(line.url)
            if symbol:
                depth = msgspec.json.decode(line.raw, type=_Depth)
                self._symbol_of(symbol).learn([*depth.bids, *depth.asks])
            return
        self._learn_streams(_streams_of(line))
        frame = self.frame(line) if line.kind == "ws_in" else None
        if frame is not None and "@depth" in frame.stream:
            payload = msgspec.json.decode(frame.data, type=_Payload)
            self._symbol_of(payload.symbol).learn([*(payload.b or ()), *(payload.a or ())])

    def has_books(self) -> bool:
        """Say whether there is a symbol to serve."""
        return bool(self._symbols)

    def frame(self, line: TimedLine) -> Frame | None:
        """Return a frame without its envelope; None for acks and the like."""
        try:
            if line.raw.startswith(b'{"stream":'):
                combined = msgspec.json.decode(line.raw, type=_Combined)
                return Frame(combined.stream, bytes(combined.data).decode())
            payload = msgspec.json.decode(line.raw, type=_Payload)
        except msgspec.MsgspecError:
            return None
        return Frame(self._stream(payload), line.raw.decode())

    def is_missed(self, line: TimedLine, wanted: Container[str]) -> bool:
        """Say whether a followed book's snapshot has not been asked for."""
        symbol = _depth_symbol(line.url)
        if symbol not in self._symbols or self._symbols[symbol].was_asked:
            return False
        name = symbol.lower()
        return any(it in wanted for it in self._streams if it.startswith(f"{name}@depth"))

    def publish(self, line: TimedLine) -> None:
        """Let a recorded snapshot be the answer from now on."""
        symbol = self._symbols.get(_depth_symbol(line.url))
        if symbol is not None:
            symbol.body = line.raw
            symbol.changed.set()

    def rewind(self) -> None:
        """Forget the snapshots."""
        for symbol in self._symbols.values():
            symbol.body, symbol.was_asked = None, False
            symbol.changed.clear()

    # -- the venue ---------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Answer a request; a snapshot that is not recorded yet is waited for."""
        prefix = next(prefix for prefix, venue in PREFIXES.items() if venue == self.name)
        endpoint = self._endpoints.get(request.path.removeprefix(prefix))
        if endpoint is None:
            text = '{"code":-5000,"msg":"Not in the recording"}'
            return self.weighed(request, Answer(404, text, 1))
        return self.weighed(request, endpoint(request))

    def frames(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:  # noqa: ARG002
        """Yield nothing: the playback brings the frames."""
        return iter(())

    def crossed(self, frame: Frame) -> Frame:
        """Return the frame as it is: see `cannot`."""
        return frame

    def _exchange_info(self, request: Request) -> Answer:
        listings = [self._listing(name, it) for name, it in self._symbols.items()]
        now_ms = request.now_ns // 1_000_000
        if self.name == SPOT:
            info, weight = spot_info(listings, limits=self.limits, now_ms=now_ms), 20
        else:
            info, weight = usdm_info(listings, limits=self.limits, now_ms=now_ms), 1
        return Answer(200, msgspec.json.encode(info).decode(), weight)

    def _depth(self, request: Request) -> Answer:
        symbol = self._symbols.get(request.params.get("symbol", ""))
        if symbol is None:
            return Answer(400, '{"code":-1121,"msg":"Invalid symbol."}', 1)
        limit = int(it) if (it := request.params.get("limit", "")).isdecimal() else 500
        symbol.was_asked = True
        symbol.changed.wait(WAIT_S)
        if symbol.body is None:
            return Answer(503, '{"code":-1008,"msg":"The snapshot comes later."}', 1)
        return Answer(200, _cut(symbol.body, limit), depth_weight(self.name, limit))

    def _listing(self, name: str, symbol: _Symbol) -> Listing:
        quote = next(
            (it for it in (*QUOTES, *QUOTES_AFTER) if name.endswith(it) and name != it), ""
        )
        return Listing(
            venue=self.name,
            symbol=name,
            base=name.removesuffix(quote),
            quote=quote,
            tick_size=self._step(symbol.price_decimals),
            lot_size=self._step(symbol.size_decimals),
            style=_UNQUOTED,
        )

    def _step(self, decimals: int) -> Decimal:
        written = SPOT_DECIMALS if self.name == SPOT else decimals
        return Decimal(10) ** -decimals + Decimal(0).scaleb(-written)

    def _symbol_of(self, name: str) -> _Symbol:
        if name not in self._symbols and len(self._symbols) < SYMBOLS_MAX:
            self._symbols[name] = _Symbol()
        return self._symbols.get(name) or _Symbol()

    def _learn_streams(self, streams: Iterable[str]) -> None:
        if len(self._streams) < STREAMS_MAX:
            self._streams.update(dict.fromkeys(streams))

    def _stream(self, payload: _Payload) -> str:
        """Find the stream of a frame without an envelope among those that were subscribed to."""
        head = f"{payload.symbol.lower()}@{_TAGS.get(payload.event, payload.event)}"
        return next((it for it in self._streams if it.startswith(head)), head)


def _depth_symbol(url: str) -> str:
    parts = urlsplit(url)
    if not parts.path.endswith("/depth"):
        return ""
    return parse_qs(parts.query).get("symbol", [""])[0].upper()


def _streams_of(line: TimedLine) -> list[str]:
    """Return the streams that a URL, a subscription or an envelope names."""
    if line.kind == "ws_out":
        try:
            params = msgspec.json.decode(line.raw).get("params") or []
        except (msgspec.MsgspecError, AttributeError):
            return []
        return [it for it in params if isinstance(it, str)]
    if line.raw.startswith(b'{"stream":"'):
        return [line.raw[11 : line.raw.find(b'"', 11)].decode()]
    parts = urlsplit(line.url)
    named = parts.path.partition("/ws/")[2] or parse_qs(parts.query).get("streams", [""])[0]
    return [it for it in named.split("/") if it]


def _decimals(text: str) -> int:
    return len(text.rstrip("0").partition(".")[2])


def _cut(body: bytes, limit: int) -> str:
    """Return a snapshot with no more levels than were asked for."""
    document = msgspec.json.decode(body)
    if max(len(document["bids"]), len(document["asks"])) <= limit:
        return body.decode()
    document["bids"], document["asks"] = document["bids"][:limit], document["asks"][:limit]
    return msgspec.json.encode(document).decode()
