"""A venue's actors with everything around them played by the test: time, sockets and REST."""

from collections.abc import Callable
from typing import Any

import gevent

from stevie.actors.root import VenueSetup, root_spec
from stevie.actors.venue_book import BookSettings
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.rng import SeededRng
from stevie.domain.market.book import BookState
from stevie.domain.market.instrument import Instrument
from stevie.messages.market import BookRead, FeedState, ReadBook, ReadFeed
from stevie.ports import ConnectionListener, HttpAnswer, VenueCodec
from stevie.runtime.counters import Counter, Counters
from stevie.runtime.deterministic import VirtualClock
from stevie.runtime.message import Message
from stevie.runtime.system import ActorSystem
from stevie.venues.binance.venue import BinanceSpot
from tests.domain.market.depth_chains import START_NS, Truth, kernel_named

ASK_S = 5.0
SECOND_NS = 1_000_000_000
STEP_S = 0.1


class FakeSocket:
    """A WebSocket whose other end is the test."""

    def __init__(self, url: str, listener: ConnectionListener) -> None:
        self.url, self._listener = url, listener
        self.sent: list[str] = []
        self.ping_count = 0
        self.is_closed = False

    def send(self, text: str) -> None:
        self.sent.append(text)

    def ping(self) -> None:
        self.ping_count += 1

    def close(self) -> None:
        self.is_closed = True
        self._listener.on_close(1000, "by us")

    def open(self) -> None:
        self._listener.on_open()

    def bring(self, *frames: bytes, at_ns: int = START_NS) -> None:
        self._listener.on_frames(frames, at_ns)

    def pong(self) -> None:
        self._listener.on_heard()

    def drop(self, code: int = 1006, reason: str = "abnormal") -> None:
        self._listener.on_close(code, reason)


class FakeRequest:
    """A GET that waits for its answer."""

    def __init__(self, url: str, at_ns: int, on_answer: Callable[[HttpAnswer], None]) -> None:
        self.url, self.at_ns, self._on_answer = url, at_ns, on_answer

    def answer(self, body: bytes, *, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._on_answer(HttpAnswer(url=self.url, status=status, headers=named, body=body))


class FakeTransport:
    """Keeps what was opened and asked for, in order."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.sockets: list[FakeSocket] = []
        self.requests: list[FakeRequest] = []  # those not taken by the test yet

    def connect(self, url: str, listener: ConnectionListener) -> FakeSocket:
        self.sockets.append(FakeSocket(url, listener))
        return self.sockets[-1]

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        self.requests.append(FakeRequest(url, self._clock.monotonic_ns(), on_answer))


class World:
    """One venue's tree, its outside, and hands to move both."""

    def __init__(
        self,
        codec: VenueCodec | None = None,
        *natives: str,
        feed: FeedSettings | None = None,
        book: BookSettings | None = None,
        kernel: str = "python",
    ) -> None:
        self.codec = codec or BinanceSpot()
        self.clock = VirtualClock()
        self.clock.advance(START_NS)
        self.counters = Counters()
        self.transport = FakeTransport(self.clock)
        self.system = ActorSystem(clock=self.clock, rng=SeededRng(7), counters=self.counters)
        setup = VenueSetup(
            codec=self.codec,
            transport=self.transport,
            instruments=tuple(map(self._instrument, natives or ("BTCUSDT",))),
            kernel=kernel_named(kernel),
            feed=feed or FeedSettings(),
            book=book or BookSettings(),
        )
        self.system.start(root_spec([setup]))
        self.settle()

    def _instrument(self, native: str) -> Instrument:
        suffix = "-PERP" if self.codec.venue.endswith("usdm") else ""
        return Instrument(
            venue=self.codec.venue,
            symbol=native + suffix,
            native=native,
            base=native[:-4],
            quote=native[-4:],
            tick_size="0.00000001",
            lot_size="0.00000001",
        )

    # -- time -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let every actor work off its mailbox."""
        for _ in range(1000):
            gevent.sleep(0)
            if not any(row.mailbox_depth for row in self.system.directory.tree()):
                return
        raise AssertionError("the actors do not come to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass from timer to timer, each with its consequences."""
        to_ns = self.clock.monotonic_ns() + round(seconds * SECOND_NS)
        while (due_ns := self.clock.next_ns()) is not None and due_ns <= to_ns:
            self.clock.advance(due_ns)
            self.settle()
        self.clock.advance(to_ns)
        self.settle()

    def advance_until(self, condition: Callable[[], object], *, within_s: float = 120.0) -> None:
        """Let time pass until the condition holds."""
        for _ in range(round(within_s / STEP_S)):
            if condition():
                return
            self.advance(STEP_S)
        raise AssertionError(f"not within {within_s} s of the world's time")

    # -- the outside ----------------------------------------------------------------------------

    @property
    def sockets(self) -> list[FakeSocket]:
        return self.transport.sockets

    @property
    def socket(self) -> FakeSocket:
        """The newest one."""
        return self.sockets[-1]

    def open(self) -> FakeSocket:
        self.socket.open()
        self.settle()
        return self.socket

    def bring(self, *frames: bytes) -> None:
        """Frames on the newest socket, now."""
        self.socket.bring(*frames, at_ns=self.clock.wall_ns())
        self.settle()

    def snapshots_asked(self) -> list[FakeRequest]:
        return [request for request in self.transport.requests if "/depth" in request.url]

    def take_request(self, part: str = "/depth") -> FakeRequest:
        """The oldest request that waits, waited for."""
        self.advance_until(lambda: any(part in r.url for r in self.transport.requests))
        request = next(r for r in self.transport.requests if part in r.url)
        self.transport.requests.remove(request)
        return request

    def answer(self, body: bytes, *, status: int = 200, **headers: str) -> FakeRequest:
        """Answer the oldest snapshot request."""
        request = self.take_request()
        request.answer(body, status=status, **headers)
        self.settle()
        return request

    def go_live(self, truth: Truth, *frames: bytes) -> None:
        """Open the newest socket, bring frames, answer with the truth."""
        self.open()
        self.bring(*frames)
        self.answer(truth.body())
        assert self.book().state == BookState.LIVE, self.book()

    # -- the actors -----------------------------------------------------------------------------

    def tell(self, name: str, message: Message) -> None:
        assert self.system.directory.tell(name, message)
        self.settle()

    def ask(self, name: str, message: Message) -> Any:
        return self.system.directory.ask(name, message, timeout_s=ASK_S)

    def book(self, symbol: str = "", depth: int = 20) -> BookRead:
        name = self._book_name(symbol)
        read: BookRead = self.ask(name, ReadBook(depth=depth))
        return read

    def standing(self, symbol: str = "") -> tuple[str, str]:
        read = self.book(symbol)
        return str(read.state), str(read.reason)

    def feed(self) -> FeedState:
        state: FeedState = self.ask(f"feed/{self.codec.venue}", ReadFeed())
        return state

    def incarnation(self, name: str) -> int:
        return self.system.directory.view(name).incarnation

    def count(self, counter: Counter, *labels: str) -> int:
        return self.counters.value(counter, *labels)

    def _book_name(self, symbol: str) -> str:
        names = [row.name for row in self.system.directory.tree() if row.name.startswith("book/")]
        return next(name for name in names if name.split("/")[-1].startswith(symbol))
