"""Rate: how often the edge may be asked. What is too much is answered 429, with seconds to wait.

All requests together have one bound; the probes have one of their own, so that a flood does not
make Stevie look dead to those who watch it.
"""

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import ceil

import falcon

from stevie.http.problems import Problem
from stevie.runtime.clock import Clock
from stevie.runtime.counters import Counter, Counters

REQUESTS_PER_S = 1000.0  # half of what one core answers: the other half is the actors'
CHANGES_PER_S = 100.0  # of one client: no hand is faster, and a script may be
PROBES_PER_S = 100.0  # a readiness probe asks every book
BURST_S = 2  # a bucket holds so many seconds' worth
CLIENTS_MAX = 4096  # remembered by one limit, half a megabyte; the longest silent is forgotten
NETWORK_BITS = 64  # of an IPv6 address: whoever has one address of such a network has them all

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
SECOND_NS = 1_000_000_000


class EdgeCounter:
    """Counts of what the edge turned away before any route saw it."""

    REFUSED = Counter(
        "stevie_http_refused_total",
        "Requests that were turned away by a rate bound or for want of the token, by the reason.",
        labels=("reason",),
    )


class Limit:
    """So many a second for each key, and a burst of so many: a leaky bucket.

    The state of a key is one time: when all that it took will have leaked away.
    """

    def __init__(self, *, per_s: float, burst: int, keys_max: int = 1) -> None:
        assert per_s > 0, per_s
        assert burst > 0, burst
        self._one_ns = max(1, round(SECOND_NS / per_s))
        self._room_ns = self._one_ns * burst
        self._keys_max = keys_max
        self._empty_ns: OrderedDict[str, int] = OrderedDict()  # the longest silent first

    def __len__(self) -> int:
        return len(self._empty_ns)

    def wait_ns(self, now_ns: int, key: str = "") -> int:
        """How long until one more fits; 0 if it does."""
        level_ns = max(0, self._empty_ns.get(key, now_ns) - now_ns)
        return max(0, level_ns + self._one_ns - self._room_ns)

    def take(self, now_ns: int, key: str = "") -> int:
        """Take one if it fits; how long to wait if it does not."""
        wait_ns = self.wait_ns(now_ns, key)
        taken_ns = self._one_ns if wait_ns == 0 else 0
        self._empty_ns[key] = max(now_ns, self._empty_ns.get(key, now_ns)) + taken_ns
        self._empty_ns.move_to_end(key)
        if len(self._empty_ns) > self._keys_max:
            self._empty_ns.popitem(last=False)
        return wait_ns


def burst_of(per_s: float) -> int:
    """What may come at once at this rate."""
    return max(1, round(per_s * BURST_S))


class RateGate:
    """Falcon middleware that bounds all requests together, whoever sends them."""

    def __init__(
        self, *, clock: Clock, counters: Counters, requests_per_s: float = REQUESTS_PER_S
    ) -> None:
        self._now_ns = clock.monotonic_ns
        self._counters = counters
        self._requests = Limit(per_s=requests_per_s, burst=burst_of(requests_per_s))
        self._probes = Limit(per_s=PROBES_PER_S, burst=burst_of(PROBES_PER_S))

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """429 for a request too many."""
        is_probe = req.path in PROBES
        limit = self._probes if is_probe else self._requests
        if wait_ns := limit.take(self._now_ns()):
            self._counters.add(EdgeCounter.REFUSED, "probe_rate" if is_probe else "request_rate")
            raise too_many("More requests came than this server answers", wait_ns)


def too_many(what: str, wait_ns: int) -> Problem:
    """429: come back later."""
    wait_s = ceil(wait_ns / SECOND_NS)
    return Problem(
        429,
        "Too many requests",
        f"{what}.",
        facts={"retry_after_s": wait_s},
        headers={"Retry-After": str(wait_s)},
    )


def address(req: falcon.Request) -> IPv4Address | IPv6Address | None:
    """Who sent it, as the socket tells; headers that tell of others are not believed."""
    try:
        found = ip_address(req.remote_addr)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def client(req: falcon.Request) -> str:
    """What the bounds of one client go by."""
    found = address(req)
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found), NETWORK_BITS), strict=False))
    return str(found)
