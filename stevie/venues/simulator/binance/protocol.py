"""What a simulated market and a recording of Binance have in common: paths, limits, texts."""

import re
from collections.abc import Mapping

from stevie.venues.simulator.binance.limits import LIMITS, Clients, Limits
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.binance.rest import COINM_INFO, Answer
from stevie.venues.simulator.binance.session import RefusedControlError, Session, open_session
from stevie.venues.simulator.faults import Kind
from stevie.venues.simulator.venue import Frame, Latency, Reply, Request

_PATHS = {SPOT: ("/api/", COINM_INFO), USDM: ("/fapi/",)}
_TIMES = re.compile(r'"(E|serverTime)":([0-9]{13})')
_BLOCKED = Reply(
    451,
    '{"code":0,"msg":"Service unavailable from a restricted location according to '
    "'b. Eligibility' in https://www.binance.com/en/terms.\"}",
)
_NO_CHECKSUM = {Kind.CHECKSUM: "Binance publishes none"}


class BinanceProtocol:
    """One of Binance's markets, but for what it serves."""

    cannot: Mapping[Kind, str] = _NO_CHECKSUM
    blocked = _BLOCKED

    def __init__(self, name: str, *, limits: Limits | None, latency: Latency) -> None:
        self.name = name
        self.latency = latency
        self.limits = limits or LIMITS[name]
        self._clients = Clients(self.limits)

    def path(self, path: str) -> str:
        """Return a REST path without the host before it, "" if it is not this market's."""
        bare = without_host(path)
        return bare if bare.startswith(_PATHS[self.name]) else ""

    def open_session(self, path: str, query: str) -> Session | None:
        """Return the session that a URL opens, None where this market serves no stream."""
        try:
            session = open_session(path, query, limits={**LIMITS, self.name: self.limits})
        except RefusedControlError:
            return None
        return session if session is not None and session.venue == self.name else None

    def admit(self, client: str, now_ns: int) -> Reply | None:
        """Count an attempt to connect; return the refusal if there are too many."""
        return self._clients.of(client).connect(now_ns)

    def weighed(self, request: Request, answer: Answer) -> Reply:
        """Return an answer with the weight used so far, or the refusal of one request too many."""
        client = self._clients.of(request.client)
        refusal = client.request(answer.weight, now_ns=request.now_ns)
        reply = refusal or Reply(answer.status, answer.body)
        used = ("X-MBX-USED-WEIGHT-1M", str(client.used_weight))
        return reply._replace(headers=(*reply.headers, used))

    def symbol(self, stream: str) -> str:
        """Return the symbol before the `@`, "" for a stream of the whole market."""
        name, at, _ = stream.partition("@")
        return name.upper() if at else ""

    def shifted(self, text: str, ms: int) -> str:
        """Return a text with its event and server times moved."""
        return _TIMES.sub(lambda found: f'"{found[1]}":{int(found[2]) + ms}', text)


def with_best_bid(frame: Frame, *, price: str, size: str) -> Frame:
    """Return a diff frame with one more bid before the others; any other frame as it is."""
    key = '"b":['
    if not frame.data.startswith('{"e":"depthUpdate"') or key not in frame.data:
        return frame
    head, _, tail = frame.data.partition(key)
    comma = "" if tail.startswith("]") else ","
    return frame._replace(data=f'{head}{key}["{price}","{size}"]{comma}{tail}')


def without_host(path: str) -> str:
    """Return a path without a venue's host name before it: `/api.binance.com/api/v3/ping`."""
    first, _, rest = path.removeprefix("/").partition("/")
    return f"/{rest}" if "binance." in first else path
