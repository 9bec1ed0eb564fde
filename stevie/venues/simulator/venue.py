"""What the server needs of a venue. The next venue is a folder with these and a line in registry.

The server knows sockets, delays and faults; a venue knows its paths, texts, limits and numbers.
"""

from collections.abc import Container, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple, Protocol

import msgspec

from stevie.venues.simulator.faults import Fault, Kind

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How late frames and answers are: log-normal around the median, cut at both ends."""

    min_ms: float = 5.0
    median_ms: float = 15.0
    max_ms: float = 120.0
    spread: float = 0.6
    """Standard deviation of the logarithm."""

    def sample_ns(self, rng: Random) -> int:
        """Draw one delay."""
        if self.max_ms == 0.0:
            return 0
        late = self.median_ms * rng.lognormvariate(0.0, self.spread)
        return int(min(max(late, self.min_ms), self.max_ms) * NS_PER_MS)


AT_ONCE = Latency(min_ms=0.0, median_ms=0.0, max_ms=0.0)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How one venue is: the rest of its character is the style of its listings."""

    latency: Latency = Latency()
    faults: tuple[Fault, ...] = ()
    """Those that belong to it, such as outages now and then: `outage` with `every` and `for`."""
    style: Mapping[str, float] = {}
    """Changes of its listings' style: lag, noise, spread, depth, rate of trades."""
    limits: Any = None
    """The venue's own kind of limits; None for what it documents."""


class Frame(NamedTuple):
    """One stream's payload: JSON text without an envelope."""

    stream: str
    data: str


class Request(NamedTuple):
    """A GET request, its path without the venue's host name."""

    path: str
    params: Mapping[str, str]
    client: str
    now_ns: int


class Reply(NamedTuple):
    """What a venue answers."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()


class Rules(Protocol):
    """What a venue demands of one connection, and when it ends it."""

    @property
    def ping_every_s(self) -> float:
        """Return the time from one ping to the next."""

    @property
    def pong_within_s(self) -> float:
        """Return how long a client may take to answer."""

    @property
    def life_s(self) -> float:
        """Return the age at which a connection is closed."""

    @property
    def notice_s(self) -> float:
        """Return how long before its end a connection is told of it."""


class Session(Protocol):
    """One connection's side of the protocol."""

    @property
    def venue(self) -> str:
        """Return the venue's id."""

    @property
    def rules(self) -> Rules:
        """Return what holds for the connection."""

    def admits(self, now_ns: int) -> bool:
        """Count an inbound message, pings and pongs too; False if they are too many."""

    def answer(self, text: str) -> str:
        """Answer one message of the client."""

    def heard_streams(self) -> set[str]:
        """Return the streams that this connection really gets."""

    def envelope(self, frame: Frame) -> str:
        """Write a frame as this connection wants it."""

    def farewell(self, now_ns: int) -> str:
        """Write the notice of the connection's end, "" where the venue gives none."""


class Venue(Protocol):
    """One venue's protocol over whatever it serves: a market or a recording."""

    @property
    def name(self) -> str:
        """Return the venue's id."""

    @property
    def latency(self) -> Latency:
        """Return how late it is heard."""

    @property
    def cannot(self) -> Mapping[Kind, str]:
        """Return the faults that this venue cannot show, and why."""

    @property
    def blocked(self) -> Reply:
        """Return the answer to those who may not use the venue where they are."""

    def path(self, path: str) -> str:
        """Return a path without the venue's host before it, "" if it is another venue's."""

    def open_session(self, path: str, query: str) -> Session | None:
        """Return the session that a URL opens, None where this venue serves no stream."""

    def admit(self, client: str, now_ns: int) -> Reply | None:
        """Count an attempt to connect; return the refusal if there are too many."""

    def answer(self, request: Request) -> Reply:
        """Answer a request, or refuse it as the venue would."""

    def frames(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        """Yield what is due now on the wanted streams."""

    def symbol(self, stream: str) -> str:
        """Return the native symbol that a stream is about."""

    def crossed(self, frame: Frame) -> Frame:
        """Return a frame that crosses the book and is right otherwise; the same if it has none."""

    def shifted(self, text: str, ms: int) -> str:
        """Return a text with the venue's own times moved."""
