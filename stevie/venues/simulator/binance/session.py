"""One WebSocket client's side of the protocol: path, subscriptions, control messages."""

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from stevie.venues.simulator.binance.limits import LIMITS, NS_PER_S, Limits
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.venue import Frame

STREAM_NAME_MAX = 100  # characters; the longest real name has about 40
REQUEST_ID_MAX = 36  # characters of a text id

_PUBLIC = re.compile(r"[^@]+@(depth.*|bookTicker|trade|rpiDepth.*)|!bookTicker")
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class RefusedControlError(Exception):
    """A control message is refused, with Binance's own code and words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = msgspec.json.encode({"code": code, "msg": message}).decode()


class Session:
    """What one connection has asked for."""

    def __init__(self, *, venue: str, route: str, is_combined: bool, limits: Limits) -> None:
        self.venue = venue
        self.rules = limits
        self._message_times: deque[int] = deque(maxlen=limits.messages_per_s)
        self.streams: dict[str, None] = {}  # a set that keeps its order
        self._route = route
        self._is_combined = is_combined
        self._methods: dict[str, Callable[[list[Any]], Any]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": lambda _: list(self.streams),
            "SET_PROPERTY": self._set_property,
            "GET_PROPERTY": self._get_property,
        }

    def hears(self, stream: str) -> bool:
        """Say whether this connection gets a stream's frames."""
        return stream in self.streams and self._is_carried(stream)

    def heard_streams(self) -> set[str]:
        """Return the streams that this connection's route really carries."""
        return {stream for stream in self.streams if self._is_carried(stream)}

    def admits(self, now_ns: int) -> bool:
        """Count an inbound message; False if there were too many within a second."""
        times = self._message_times
        is_full = len(times) == times.maxlen and now_ns - times[0] < NS_PER_S
        times.append(now_ns)
        return not is_full

    def farewell(self, now_ns: int) -> str:
        """Write the notice that spot gives of a connection's end."""
        if self.venue != SPOT:
            return ""
        data = f'{{"e":"serverShutdown","E":{now_ns // 1_000_000}}}'
        return self.envelope(Frame("!serverShutdown", data))

    def envelope(self, frame: Frame) -> str:
        """Write a frame as this connection wants it: raw or combined."""
        if self._is_combined:
            return f'{{"stream":"{frame.stream}","data":{frame.data}}}'
        return frame.data

    def add(self, streams: list[str]) -> None:
        """Subscribe to streams; raises RefusedControlError if they are too many."""
        wanted = {**self.streams, **dict.fromkeys(streams)}
        if len(wanted) > self.rules.streams or any(len(name) > STREAM_NAME_MAX for name in streams):
            raise RefusedControlError(2, "Invalid request: too many parameters")
        self.streams = wanted

    def answer(self, text: str) -> str:
        """Answer one control message."""
        try:
            request = _request(text)
            result = self._methods[request["method"]](request.get("params", []))
        except RefusedControlError as refused:
            return refused.body
        return msgspec.json.encode({"result": result, "id": request["id"]}).decode()

    def _is_carried(self, stream: str) -> bool:
        """Say whether the route carries a stream: USD-M takes a wrong one and stays silent."""
        if self.venue == SPOT:
            return True
        return bool(_PUBLIC.fullmatch(stream)) == (self._route == "public")

    def _subscribe(self, params: list[Any]) -> None:
        self.add(_names(params))

    def _unsubscribe(self, params: list[Any]) -> None:
        for name in _names(params):
            self.streams.pop(name, None)

    def _set_property(self, params: list[Any]) -> None:
        if len(params) > 2:  # noqa: PLR2004  a name and a value
            raise RefusedControlError(2, "Invalid request: too many parameters")
        _known_property(params)
        if len(params) < 2 or not isinstance(params[1], bool):  # noqa: PLR2004
            raise RefusedControlError(1, "Invalid value type: expected Boolean")
        self._is_combined = params[1]

    def _get_property(self, params: list[Any]) -> bool:
        _known_property(params)
        return self._is_combined


def open_session(path: str, query: str, *, limits: Mapping[str, Limits] = LIMITS) -> Session | None:
    """Return the session that a URL opens, or None where no stream is served.

    Spot is `/ws/...` and `/stream?streams=...`; USD-M the same behind `/public` or `/market`.
    USD-M without a route needs the host before it, as in `/fstream.binance.com/ws`, since both
    markets share this port; the real venue now gives such a connection the public streams only.
    """
    parts = [part for part in path.split("/") if part]
    venue, route = SPOT, ""
    if parts and parts[0].startswith("fstream"):
        venue, route, parts = USDM, "public", parts[1:]
    elif parts and "stream.binance" in parts[0]:
        parts = parts[1:]
    if parts and parts[0] in ("public", "market"):
        venue, route, parts = USDM, parts[0], parts[1:]
    if not parts or parts[0] not in ("ws", "stream"):
        return None
    is_combined = parts[0] == "stream"
    session = Session(venue=venue, route=route, is_combined=is_combined, limits=limits[venue])
    session.add(_first_streams(parts, query))
    return session


def _first_streams(parts: list[str], query: str) -> list[str]:
    if parts[0] == "ws":
        return parts[1:]
    return [name for text in parse_qs(query).get("streams", []) for name in text.split("/") if name]


def _request(text: str) -> dict[str, Any]:
    """Decode a control message and check its outer form."""
    try:
        request = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        raise RefusedControlError(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict) or "method" not in request:
        raise RefusedControlError(2, "Invalid request: missing field `method`")
    if request["method"] not in _METHODS:
        raise RefusedControlError(
            2,
            f"Invalid request: unknown variant `{request['method']}`, "
            f"expected one of {', '.join(f'`{name}`' for name in _METHODS)}",
        )
    if "id" not in request or not _is_request_id(request["id"]):
        raise RefusedControlError(2, "Invalid request: request ID must be an unsigned integer")
    if not isinstance(request.get("params", []), list):
        raise RefusedControlError(2, "Invalid request: params must be an array")
    return request


def _is_request_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= REQUEST_ID_MAX
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _names(params: list[Any]) -> list[str]:
    if not params:
        raise RefusedControlError(2, "Invalid request: missing field `params`")
    if not all(isinstance(name, str) for name in params):
        raise RefusedControlError(2, "Invalid request: stream name must be a string")
    return params


def _known_property(params: list[Any]) -> None:
    if not params or not isinstance(params[0], str):
        raise RefusedControlError(2, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise RefusedControlError(0, "Unknown property")
