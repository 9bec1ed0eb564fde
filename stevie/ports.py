"""What the shells need from the outside world; `adapters` and `venues` fulfil it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from stevie.domain.market.core import BookCore, CoreSpec, Scale
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.sequencer import SequenceRule
from stevie.runtime.clock import Clock, Rng, Timer

__all__ = [
    "Clock",
    "Connection",
    "ConnectionListener",
    "ConnectionPlan",
    "Explainer",
    "FrameRoute",
    "HttpAnswer",
    "Kernel",
    "Rng",
    "Timer",
    "Transport",
    "VenueCodec",
]


class Kernel(Protocol):
    """Builds book cores: `native` (C++ through cppyy) or `python` (the reference)."""

    name: str
    source_hash: str  # sha256 of the sources that serve, for provenance

    def new_core(self, spec: CoreSpec) -> BookCore:
        """An empty core."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a GET; status 0 means that none came, and `body` says why in plain words."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionListener(Protocol):
    """Hears what happens on one WebSocket. Called on the transport's greenlet: only tell."""

    def on_open(self) -> None:
        """The handshake is done."""

    def on_frames(self, frames: Sequence[bytes], received_ns: int) -> None:
        """Text frames, whole messages, in order; all that one read brought, by monotonic time."""

    def on_heard(self) -> None:
        """A ping or a pong of the peer came."""

    def on_close(self, code: int, reason: str) -> None:
        """The connection ended, or never came to be; nothing comes after this."""


class Connection(Protocol):
    """One WebSocket, from before its handshake until on_close."""

    def send(self, text: str) -> None:
        """Queue a text message; nothing happens on a closed connection."""

    def ping(self) -> None:
        """Queue a ping."""

    def close(self) -> None:
        """Close; on_close follows."""


class Transport(Protocol):
    """The one way out: WebSockets and GETs. Never blocks its caller."""

    def connect(self, url: str, listener: ConnectionListener) -> Connection:
        """Open a WebSocket."""

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        """GET; the answer comes once, whatever happens."""


class ConnectionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A WebSocket to open, what to say first, and what is on it."""

    url: str
    hello: tuple[str, ...] = ()
    carries_books: bool = True
    carries_trades: bool = True


class FrameRoute(NamedTuple):
    """Where a frame belongs: a native symbol, or "" and what it is about."""

    native_symbol: str
    control: str = ""
    is_trade: bool = False


class Explainer(Protocol):
    """Finds out why what a venue sent cannot be read; pure, and slow."""

    def explain(self, frame: bytes, scale: Scale) -> str:
        """Why a book that counts in this scale cannot read a frame; "" if it can."""

    def explain_snapshot(self, body: bytes, scale: Scale) -> str:
        """The same of the body of a REST snapshot."""


class VenueCodec(Explainer, Protocol):
    """What a feed must know of its venue's protocol; pure."""

    venue: str
    rule: SequenceRule

    def connections(self, native_symbols: Sequence[str]) -> tuple[ConnectionPlan, ...]:
        """The sockets that follow these symbols."""

    def route(self, frame: bytes) -> FrameRoute:
        """Whose frame this is, without reading all of it."""

    def route_all(self, frames: Sequence[bytes]) -> Sequence[FrameRoute]:
        """The same of each; those of one stream are as a rule one object."""

    def time_url(self) -> str:
        """The REST request of the venue's time: the cheapest sign of life."""

    def snapshot_url(self, native_symbol: str) -> str:
        """The REST request of a book snapshot."""

    def snapshot_request(self, url: str) -> tuple[str, int]:
        """The native symbol and the depth that a snapshot URL asks for."""

    def instruments_url(self, native_symbols: Sequence[str]) -> str:
        """The REST request of instrument metadata."""

    def read_instruments(self, body: bytes) -> tuple[Instrument, ...]:
        """The instruments of a metadata body."""

    def refusal(self, answer: HttpAnswer) -> str:
        """Why a request was refused, in the venue's words; "" if it was not."""

    def is_not_listed(self, answer: HttpAnswer) -> bool:
        """Whether a refusal means that the venue has no such symbol."""

    def retry_after_s(self, answer: HttpAnswer) -> float:
        """How long the venue wants to be left alone, 0 if it did not say."""
