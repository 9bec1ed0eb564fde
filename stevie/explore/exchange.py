"""Exchange: one venue without a socket: it plays a tape into the actors' transport, with faults.

Everything takes its time: a handshake, a frame, a request's way there and back. What one socket
carries comes in order, as TCP brings it; only a REORDER or DUPLICATE fault breaks that.
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, urlsplit

from stevie.explore.faults import MS_NS, RETRY_AFTER_MS, ActiveFaults, Fault, Kind
from stevie.explore.tape import START_NS, Moment, Tape, Truth
from stevie.ports import ConnectionListener, HttpAnswer
from stevie.runtime.clock import Rng
from stevie.runtime.deterministic import VirtualClock
from stevie.venues.simulator.binance.session import open_session
from stevie.venues.simulator.venue import Frame

LATENCY_MS = (4.0, 90.0)  # of a socket or a request, drawn once; each frame adds up to half of it
HANDSHAKES = 3  # ways there and back before a socket is open
GARBAGE_BYTES_MAX = 400
FAR_AHEAD = 100_000_000  # a shift beyond this moves the last update id alone
ABNORMAL = 1006
SEEN_MAX = 4096  # lies and crossings of one plan: twelve faults of six frames, on every socket

_IDS = re.compile(rb'"U":(\d+),"u":(\d+)')
_EVENT_MS = re.compile(rb'"E":(\d+)')


class Exchange:
    """A `Transport` whose other end is a tape."""

    def __init__(
        self, tape: Tape, venue: str, *, clock: VirtualClock, rng: Rng, faults: ActiveFaults
    ) -> None:
        self.clock, self.faults, self.venue = clock, faults, venue
        self.lies: set[tuple[str, int]] = set()
        """(symbol, u) of frames whose numbers lie: where a book stands there, nobody can know."""
        self.crossings: dict[str, dict[int, str]] = {}
        """By symbol and u, the bids of frames that cross the book: no LIVE book has one in it."""
        self._tape, self._rng = tape, rng
        self._truths = {
            symbol: Truth(listing) for (at, symbol), listing in tape.listings.items() if at == venue
        }
        self._sockets: list[Socket] = []
        self._opened = self._asked = 0
        self._play(iter(tape.moments[venue]).__next__)

    def connect(self, url: str, listener: ConnectionListener) -> "Socket":
        """Open a WebSocket, if the venue takes it."""
        self._opened += 1
        socket = Socket(self, url, listener, self._rng.fork(f"socket/{self._opened}"))
        self._sockets.append(socket)
        return socket

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        """Answer what holds when the request arrives, once its answer has come back."""
        self._asked += 1
        rng = self._rng.fork(f"request/{self._asked}")
        there_s, back_s = rng.uniform(*LATENCY_MS) / 1e3, rng.uniform(*LATENCY_MS) / 1e3

        def arrive() -> None:
            answer = self._answer(url)
            self.clock.call_later(back_s, lambda: on_answer(answer))

        self.clock.call_later(there_s, arrive)

    def disconnect(self, code: int) -> None:
        """End every socket."""
        for socket in tuple(self._sockets):
            socket.end(code, "going away" if code != ABNORMAL else "")

    def forget(self, socket: "Socket") -> None:
        """Play no more to a socket that ended."""
        if socket in self._sockets:
            self._sockets.remove(socket)

    def cross(self, symbol: str, update_id: int, ticks_above: int) -> None:
        """Have the frame of this update bid above the best ask of then."""
        listing, view = self._tape.listings[self.venue, symbol], self._truths[symbol].view
        best_ask, _ = view(update_id, 1).asks[0]
        price = listing.scribe.numerals.price(best_ask + ticks_above)
        self.crossings.setdefault(symbol, {}).setdefault(update_id, price)

    # -- frames ---------------------------------------------------------------------------------

    def _play(self, next_moment: Callable[[], Moment]) -> None:
        try:
            moment = next_moment()
        except StopIteration:
            return

        def publish() -> None:
            for socket in tuple(self._sockets):
                socket.offer(moment.frames)
            self._play(next_moment)

        self.clock.call_at(moment.at_ns, publish)

    # -- REST -----------------------------------------------------------------------------------

    def _answer(self, url: str) -> HttpAnswer:
        parts = urlsplit(url)
        if not parts.path.endswith("/depth"):
            return HttpAnswer(
                url=url, status=200, headers={}, body=self._tape.exchange_info[self.venue]
            )
        query = parse_qs(parts.query)
        symbol, limit = query["symbol"][0], int(query["limit"][0])
        now_ns, target = self.clock.wall_ns(), f"{self.venue}/{symbol}"
        refusal = self.faults.hit(Kind.REFUSE_SNAPSHOT, target, now_ns)
        if refusal is not None:
            return _refused(url, refusal.amount)
        stale = self.faults.hit(Kind.STALE_SNAPSHOT, target, now_ns)
        of_ns = now_ns - stale.amount * MS_NS if stale is not None else now_ns
        listing = self._tape.listings[self.venue, symbol]
        view = self._truths[symbol].view(listing.last_id(of_ns), limit)
        body = listing.scribe.snapshot(view, now_ns=now_ns).encode()
        return HttpAnswer(url=url, status=200, headers={}, body=body)


def _refused(url: str, status: int) -> HttpAnswer:
    if status == 0:
        return HttpAnswer(url=url, status=0, headers={}, body=b"timed out")
    is_limit = status == 429  # noqa: PLR2004
    headers = {"retry-after": str(RETRY_AFTER_MS // 1000)} if is_limit else {}
    return HttpAnswer(url=url, status=status, headers=headers, body=b"<html>busy</html>")


class Socket:
    """One WebSocket, from its handshake until it ends."""

    def __init__(
        self, exchange: Exchange, url: str, listener: ConnectionListener, rng: Rng
    ) -> None:
        parts = urlsplit(url)
        session = open_session(parts.path, parts.query)
        assert session is not None, url
        self._session, self._exchange, self._listener, self._rng = session, exchange, listener, rng
        self._clock, self._faults = exchange.clock, exchange.faults
        self._latency_ns = int(rng.uniform(*LATENCY_MS) * MS_NS)
        self._last_due_ns = 0
        self._is_open = self._is_over = False
        self._at(self._due_ns(HANDSHAKES * self._latency_ns), self._open)

    # What the actors do with it.

    def send(self, text: str) -> None:
        """Take a control message; the tape's streams are fixed by the URL."""
        self._session.answer(text)

    def ping(self) -> None:
        """Answer with a pong, unless the way is stalled until then."""
        if self._is_open:
            self._at(self._due_ns(2 * self._latency_ns), self._pong)

    def close(self) -> None:
        """End it from this side."""
        self.end(1000, "closed by us")

    # What the venue does with it.

    def offer(self, frames: Sequence[Frame]) -> None:
        """Send those frames that it carries."""
        if not self._is_open:
            return
        sent: list[bytes] = []
        for frame in frames:
            if self._session.hears(frame.stream):
                sent += self._troubled(frame, self._session.envelope(frame).encode())
        if sent:
            self._at(self._due_ns(self._way_ns()), lambda: self._deliver(sent))

    def end(self, code: int, reason: str) -> None:
        """End it; whoever listens hears so."""
        if self._is_over:
            return
        self._is_open, self._is_over = False, True
        self._exchange.forget(self)
        self._clock.call_later(0.0, lambda: self._listener.on_close(code, reason))

    def _open(self) -> None:
        if self._is_over:
            return
        cut = self._faults.hit(Kind.DISCONNECT, self._exchange.venue, self._clock.monotonic_ns())
        if cut is not None and cut.count == 0:
            self.end(ABNORMAL, "connection refused")
            return
        self._is_open = True
        self._listener.on_open()

    def _pong(self) -> None:
        if self._is_open:
            self._listener.on_heard()

    def _deliver(self, frames: Sequence[bytes]) -> None:
        if self._is_open:
            self._listener.on_frames(frames, self._clock.monotonic_ns())

    # Time on the way.

    def _at(self, due_ns: int, callback: Callable[[], None]) -> None:
        self._clock.call_at(due_ns, callback)

    def _way_ns(self) -> int:
        now_ns = self._clock.monotonic_ns()
        slow = self._faults.hit(Kind.SLOW, self._exchange.venue, now_ns)
        slow_ns = slow.amount * MS_NS if slow is not None else 0
        return int(self._latency_ns * (1.0 + self._rng.random() / 2)) + slow_ns

    def _due_ns(self, way_ns: int) -> int:
        """When what is sent now arrives: after all before it, and not while the way is stalled."""
        due_ns = max(self._clock.monotonic_ns() + way_ns, self._last_due_ns + 1)
        while stall := self._faults.hit(Kind.STALL, self._exchange.venue, due_ns):
            due_ns = START_NS + (stall.at_ms + stall.for_ms) * MS_NS + 1
        self._last_due_ns = max(self._last_due_ns + 1, due_ns)
        return self._last_due_ns

    # What goes wrong with a frame.

    def _troubled(self, frame: Frame, raw: bytes) -> list[bytes]:
        """What of a frame goes out now, in order."""
        now_ns, venue = self._clock.monotonic_ns(), self._exchange.venue
        if (skew := self._faults.hit(Kind.SKEW, venue, now_ns)) is not None:
            raw = _EVENT_MS.sub(lambda m: b'"E":%d' % (int(m[1]) + skew.amount), raw, count=1)
        name, _, kind = frame.stream.partition("@")
        if not kind.startswith("depth"):
            return [raw]
        symbol = name.upper()

        def hit(kind: Kind) -> Fault | None:
            return self._faults.hit(kind, f"{venue}/{symbol}", now_ns)

        if hit(Kind.DROP):
            return []
        if hit(Kind.TRUNCATE):
            return [raw[: self._rng.randrange(1, len(raw))]]
        return self._misplaced(self._falsified(raw, symbol, hit), hit)

    def _falsified(self, raw: bytes, symbol: str, hit: Callable[[Kind], Fault | None]) -> bytes:
        if altered := hit(Kind.ALTER):
            return self._altered(raw, symbol, altered.amount)
        last = int(_ids(raw)[2])
        if crossing := hit(Kind.CROSS):
            self._exchange.cross(symbol, last, crossing.amount)
        # Crossed at the source: it is so on every socket.
        price = self._exchange.crossings.get(symbol, {}).get(last)
        return _with_bid(raw, price) if price is not None else raw

    def _misplaced(self, raw: bytes, hit: Callable[[Kind], Fault | None]) -> list[bytes]:
        if twice := hit(Kind.DUPLICATE):
            self._send_late(raw, twice.amount)
        if late := hit(Kind.REORDER):
            self._send_late(raw, late.amount)
            return []
        return [raw, self._garbage()] if hit(Kind.GARBAGE) else [raw]

    def _send_late(self, raw: bytes, delay_ms: int) -> None:
        due_ns = self._clock.monotonic_ns() + self._way_ns() + delay_ms * MS_NS
        self._at(due_ns, lambda: self._deliver([raw]))

    def _garbage(self) -> bytes:
        count = self._rng.randrange(0, GARBAGE_BYTES_MAX)
        return bytes(self._rng.randrange(0, 256) for _ in range(count))

    def _altered(self, raw: bytes, symbol: str, shift: int) -> bytes:
        """Shift its update ids; a shift far ahead moves the last one alone."""
        ids = _ids(raw)
        first, last = int(ids[1]), int(ids[2]) + shift
        first += shift if shift < FAR_AHEAD else 0
        self._exchange.lies.add((symbol, last))
        assert len(self._exchange.lies) < SEEN_MAX
        return raw[: ids.start()] + b'"U":%d,"u":%d' % (first, last) + raw[ids.end() :]


def _ids(raw: bytes) -> re.Match[bytes]:
    ids = _IDS.search(raw)
    assert ids is not None, raw[:100]
    return ids


def _with_bid(raw: bytes, price: str) -> bytes:
    """Add a bid, last of all: a level that is said twice counts as it is said last."""
    raw = raw.replace(b'],"a":[', b',["%s","1.00000"]],"a":[' % price.encode(), 1)
    return raw.replace(b'"b":[,', b'"b":[', 1)
