"""Edge: all that the HTTP edge takes from the system, and how it asks."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from stevie.domain.market.instrument import SymbolTable
from stevie.http.access import Token
from stevie.http.rate import CHANGES_PER_S, REQUESTS_PER_S
from stevie.ports_record import Archive
from stevie.runtime.clock import Clock
from stevie.runtime.counters import Counters
from stevie.runtime.directory import ActorView
from stevie.runtime.errors import ActorCrashed, ActorDeadError, AskTimeout, MailboxFull
from stevie.runtime.message import Message

ASK_TIMEOUT_S = 1.0  # an actor answers in milliseconds; a second means that it is down
GATHER_TIMEOUT_S = 0.5  # for all answers of a probe or a scrape together
ROOT = "root"
MARKET_DATA = "market_data"
STORE = "store"
AUDITOR = "auditor"

NO_ANSWER = (ActorCrashed, ActorDeadError, AskTimeout, MailboxFull)


class Awaited(Protocol):
    """An answer on its way."""

    def get(self, *, timeout: float | None = None) -> Any:
        """Wait for it."""


class Asks(Protocol):
    """The side of the directory that the edge needs."""

    def ask(self, name: str, message: Message, *, timeout_s: float) -> Any:
        """Send and wait for the answer."""

    def request(self, name: str, message: Message) -> Awaited:
        """Send, and return where the answer will be."""

    def tree(self) -> tuple[ActorView, ...]:
        """Return a row for each actor."""


class KernelFact(msgspec.Struct, frozen=True, kw_only=True):
    """Which kernel serves; the hash is of its sources."""

    name: str
    source_hash: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes need; `tables` holds the followed instruments by venue, in order."""

    directory: Asks
    clock: Clock
    tables: Mapping[str, SymbolTable]
    kernel: KernelFact
    counters: Counters
    version: str
    profile: str
    started_at_ns: int
    started_monotonic_ns: int
    hub_lag_s: Callable[[], float]
    archive: Archive
    token: Token = Token()
    allowed_hosts: tuple[str, ...] = ()
    body_bytes_max: int = 2**20
    requests_per_s: float = REQUESTS_PER_S
    changes_per_s: float = CHANGES_PER_S

    def uptime_s(self) -> float:
        """Seconds since the start."""
        return (self.clock.monotonic_ns() - self.started_monotonic_ns) / 1e9

    def ask(self, name: str, message: Message) -> Any:
        """Ask one actor; what it may raise is in `problems.ErrorTable`."""
        return self.directory.ask(name, message, timeout_s=ASK_TIMEOUT_S)

    def gather(self, questions: Mapping[str, Message]) -> dict[str, Any]:
        """Ask many actors at once; by name the answer, or the NO_ANSWER that came instead."""
        deadline_ns = self.clock.monotonic_ns() + int(GATHER_TIMEOUT_S * 1e9)
        awaited = {name: self._request(name, message) for name, message in questions.items()}
        return {name: self._answer(each, deadline_ns) for name, each in awaited.items()}

    def _request(self, name: str, message: Message) -> Awaited | Exception:
        try:
            return self.directory.request(name, message)
        except NO_ANSWER as error:
            return error

    def _answer(self, awaited: Awaited | Exception, deadline_ns: int) -> Any:
        if isinstance(awaited, Exception):
            return awaited
        left_s = max(0.0, (deadline_ns - self.clock.monotonic_ns()) / 1e9)
        try:
            return awaited.get(timeout=left_s)
        except NO_ANSWER as error:
            return error


def book_name(venue: str, symbol: str) -> str:
    """The actor that keeps a book."""
    return f"book/{venue}/{symbol}"


def feed_name(venue: str) -> str:
    """The actor that is connected to a venue."""
    return f"feed/{venue}"


def bars_name(venue: str) -> str:
    """The actor that keeps a venue's bars."""
    return f"bars/{venue}"
