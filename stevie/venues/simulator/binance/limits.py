"""Binance's limits: what requests weigh, who is refused and banned, what a connection may do."""

from collections import OrderedDict, deque
from collections.abc import Mapping

import msgspec

from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.venue import Reply

SPOT_DEPTH_MAX = 5_000
USDM_DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1_000)
CLIENTS_MAX = 1_024  # addresses that are remembered; the longest unseen is forgotten
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
MINUTE_NS = 60 * NS_PER_S

_SPOT_DEPTH_WEIGHTS = {100: 5, 500: 25, 1_000: 50, SPOT_DEPTH_MAX: 250}
_USDM_DEPTH_WEIGHTS = {50: 2, 100: 5, 500: 10, 1_000: 20}
_USDM_KLINE_WEIGHTS = {99: 1, 499: 2, 1_000: 5, 1_500: 10}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one market allows. Tests lower them; no default is other than the documented."""

    weight_per_minute: int
    messages_per_s: int
    ping_every_s: float
    pong_within_s: float
    notice_s: float
    """How long before its end a connection hears of it; the documents do not say."""
    requests_per_5_minutes: int = 300_000
    connects_per_5_minutes: int = 300
    streams: int = 1_024
    life_s: float = 86_400.0
    ignored_429: int = 10
    """How many requests after a 429 earn a ban; the documents do not say."""
    ban_s: float = 120.0
    ban_max_s: float = 3 * 86_400.0


LIMITS = {
    SPOT: Limits(
        weight_per_minute=6_000,
        messages_per_s=5,
        ping_every_s=20.0,
        pong_within_s=60.0,
        notice_s=10.0,
    ),
    USDM: Limits(
        weight_per_minute=2_400,
        messages_per_s=10,
        ping_every_s=180.0,
        pong_within_s=600.0,
        notice_s=0.0,
    ),
}


class Window:
    """A count that begins anew with each span of the clock."""

    def __init__(self, span_ns: int, limit: int) -> None:
        self._span_ns = span_ns
        self._limit = limit
        self._number = 0
        self.count = 0

    def add(self, amount: int, *, now_ns: int) -> bool:
        """Count; say whether it is still within the limit."""
        number = now_ns // self._span_ns
        if number != self._number:
            self._number, self.count = number, 0
        self.count += amount
        return self.count <= self._limit

    def left_s(self, now_ns: int) -> int:
        """Return whole seconds to the next span, at least one."""
        return -(-(self._span_ns - now_ns % self._span_ns) // NS_PER_S)


class Client:
    """What one address has used of one market."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._weight = Window(MINUTE_NS, limits.weight_per_minute)
        self._requests = Window(5 * MINUTE_NS, limits.requests_per_5_minutes)
        self._connects: deque[int] = deque(maxlen=limits.connects_per_5_minutes)
        self._ignored = 0
        self._bans = 0
        self._banned_until_ns = 0

    @property
    def used_weight(self) -> int:
        """Return the weight used in this minute."""
        return self._weight.count

    def request(self, weight: int, *, now_ns: int) -> Reply | None:
        """Count a request; return the refusal if it is one too many."""
        if now_ns < self._banned_until_ns:
            return self._banned(now_ns)
        is_light = self._weight.add(weight, now_ns=now_ns)
        is_rare = self._requests.add(1, now_ns=now_ns)
        if is_light and is_rare:
            self._ignored = 0
            return None
        self._ignored += 1
        if self._ignored > self._limits.ignored_429:
            return self._ban(now_ns)
        return self._too_many(self._requests if is_light else self._weight, now_ns)

    def connect(self, now_ns: int) -> Reply | None:
        """Count an attempt to connect; return the refusal if it is one too many."""
        if now_ns < self._banned_until_ns:
            return self._banned(now_ns)
        times = self._connects
        if len(times) == times.maxlen and now_ns - times[0] < 5 * MINUTE_NS:
            left_s = -(-(times[0] + 5 * MINUTE_NS - now_ns) // NS_PER_S)
            return _refusal(429, "Too many connection attempts.", left_s)
        times.append(now_ns)
        return None

    def _too_many(self, window: Window, now_ns: int) -> Reply:
        if window is self._weight:
            limit = self._limits.weight_per_minute
            text = f"Too much request weight used; current limit is {limit} request weight per 1 "
            text += (
                "MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
            )
        else:
            limit = self._limits.requests_per_5_minutes
            text = f"Too many requests; current limit is {limit} requests per 5 MINUTE."
        return _refusal(429, text, window.left_s(now_ns))

    def _ban(self, now_ns: int) -> Reply:
        ban_s = min(self._limits.ban_s * 2**self._bans, self._limits.ban_max_s)
        self._bans += 1
        self._ignored = 0
        self._banned_until_ns = now_ns + int(ban_s * NS_PER_S)
        return self._banned(now_ns)

    def _banned(self, now_ns: int) -> Reply:
        until_ns = self._banned_until_ns
        text = (
            f"Way too much request weight used; IP banned until {until_ns // NS_PER_MS}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return _refusal(418, text, -(-(until_ns - now_ns) // NS_PER_S))


class Clients:
    """Every address that has been here lately."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: OrderedDict[str, Client] = OrderedDict()  # bounded by CLIENTS_MAX

    def of(self, address: str) -> Client:
        """Return one address's record."""
        client = self._known.pop(address, None) or Client(self._limits)
        self._known[address] = client
        if len(self._known) > CLIENTS_MAX:
            self._known.popitem(last=False)
        return client


def depth_weight(venue: str, limit: int) -> int:
    """Return what a book of so many levels costs."""
    return _up_to(_SPOT_DEPTH_WEIGHTS if venue == SPOT else _USDM_DEPTH_WEIGHTS, limit)


def klines_weight(venue: str, limit: int) -> int:
    """Return what so many klines cost."""
    return 2 if venue == SPOT else _up_to(_USDM_KLINE_WEIGHTS, limit)


def _refusal(status: int, message: str, retry_after_s: int) -> Reply:
    body = msgspec.json.encode({"code": -1003, "msg": message}).decode()
    return Reply(status, body, (("Retry-After", str(retry_after_s)),))


def _up_to(weights: Mapping[int, int], limit: int) -> int:
    return next(
        (weight for most, weight in weights.items() if limit <= most), max(weights.values())
    )
