"""One WebSocket connection: frames leave late, in order, and never pile up without bound."""

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import NamedTuple

import gevent
from gevent.event import Event
from gevent.socket import SHUT_RDWR, socket
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from stevie.venues.simulator.faults import ANY_PACE
from stevie.venues.simulator.venue import NS_PER_MS, NS_PER_S, Latency, Session

QUEUE_BYTES_MAX = 4 * 2**20  # about half a minute of all streams of one symbol
UNANSWERED_MAX = 1_000  # frames of a client that sends but does not read
RECEIVE_BYTES = 65_536
CLOSED_WITHIN_S = 2.0  # for a client to answer our close
LAST_WORDS_S = 0.5  # for what is on its way out when a connection ends
PACE_S = 0.05  # how often a stalled or slow line looks whether it still is


class _Due(NamedTuple):
    """A frame that leaves at a time; after one that is cut the line ends."""

    at_ns: int
    data: bytes
    is_cut: bool


class Connection:
    """A client's socket after the upgrade. The caller's greenlet reads, one of its own writes."""

    def __init__(
        self,
        *,
        sock: socket,
        protocol: ServerProtocol,
        session: Session,
        latency: Latency,
        rng: Random,
        now_ns: Callable[[], int],
        on_subscriptions: Callable[[], None],
        pace: Callable[[], float] = lambda: ANY_PACE,
    ) -> None:
        self.session = session
        self._sock = sock
        self._protocol = protocol
        self._latency = latency
        self._rng = rng
        self._now_ns = now_ns
        self._on_subscriptions = on_subscriptions
        self._pace = pace  # bytes a second: 0 while the line is stalled
        self._queue: deque[_Due] = deque()  # bounded by QUEUE_BYTES_MAX
        self._is_cut = False
        self.queued_bytes = 0
        self._last_due_ns = 0
        self._unanswered = 0
        self._text = bytearray()  # of a message that comes in fragments
        self._wake = Event()
        self._is_over = False
        self._opened_ns = self._pinged_ns = now_ns()
        self._is_told_of_its_end = False
        self._closed_ns: int | None = None
        self._ping_data: bytes | None = None

    def offer(self, text: str, *, is_cut: bool = False) -> None:
        """Send a text frame after a delay. A client that is too slow for its frames is dropped.

        Of a frame that is cut a half is sent, and then the connection ends.
        """
        data = text.encode()
        self.queued_bytes += len(data)
        if self.queued_bytes > QUEUE_BYTES_MAX:
            self.drop()
            return
        due_ns = self._now_ns() + self._latency.sample_ns(self._rng)
        self._last_due_ns = max(self._last_due_ns, due_ns)
        self._queue.append(_Due(self._last_due_ns, data, is_cut))
        if len(self._queue) == 1:
            self._wake.set()

    def serve(self) -> None:
        """Read until the connection ends."""
        writer = gevent.spawn(self._write)
        try:
            self._read()
        except OSError:
            pass  # the client vanished
        finally:
            self._is_over = True
            self._wake.set()
            writer.join(LAST_WORDS_S)
            self.drop()
            writer.join()

    def keep_alive(self) -> None:
        """Ping when it is time, drop who did not answer the last one, end what is too old."""
        self._end_of_life()
        waited_s = (self._now_ns() - self._pinged_ns) / NS_PER_S
        rules = self.session.rules
        if self._ping_data is not None:
            if waited_s >= rules.pong_within_s:
                self.drop()
        elif waited_s >= rules.ping_every_s and self._protocol.state is State.OPEN:
            self._pinged_ns = self._now_ns()
            self._ping_data = str(self._pinged_ns // NS_PER_MS).encode()
            self._protocol.send_ping(self._ping_data)
            self._wake.set()

    def _end_of_life(self) -> None:
        rules, now_ns = self.session.rules, self._now_ns()
        if self._closed_ns is not None:
            if now_ns - self._closed_ns > CLOSED_WITHIN_S * NS_PER_S:
                self.drop()
            return
        left_s = rules.life_s - (now_ns - self._opened_ns) / NS_PER_S
        if left_s <= 0:
            self.close(CloseCode.GOING_AWAY, "connection too old")
        elif left_s <= rules.notice_s and not self._is_told_of_its_end:
            self._is_told_of_its_end = True
            notice = self.session.farewell(now_ns)
            if notice:
                self.offer(notice)

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake."""
        if self._protocol.state is State.OPEN:
            self._queue.clear()
            self.queued_bytes = 0
            self._closed_ns = self._now_ns()
            self._protocol.send_close(code, reason)
            self._wake.set()

    def drop(self) -> None:
        """End the connection without a word, as a network does."""
        self._is_over = True
        with suppress(OSError):  # it may be gone already
            self._sock.shutdown(SHUT_RDWR)
        self._wake.set()

    @property
    def is_ending(self) -> bool:
        """Say whether no frame will reach the client any more."""
        return self._is_over or self._closed_ns is not None

    @property
    def close_code(self) -> int:
        """Return the code that the connection ended with; 1006 if nobody said."""
        told = self._protocol.close_rcvd or self._protocol.close_sent
        return CloseCode.ABNORMAL_CLOSURE if told is None else told.code

    def _read(self) -> None:
        while not self._is_over:
            data = self._sock.recv(RECEIVE_BYTES)
            if not data:
                return
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._on_frame(event)
            self._wake.set()
            if self._protocol.close_expected():
                return

    def _on_frame(self, frame: Frame) -> None:
        self._unanswered += 1
        if self._unanswered > UNANSWERED_MAX:
            self.drop()
        elif frame.opcode is not Opcode.CLOSE and not self.session.admits(self._now_ns()):
            self.close(CloseCode.POLICY_VIOLATION, "Too many requests")
        elif frame.opcode is Opcode.PONG:
            self._on_pong(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._text += frame.data
            if frame.fin:
                self._on_message(self._text)
        elif frame.opcode is Opcode.BINARY:
            self.close(CloseCode.UNSUPPORTED_DATA, "text only")

    def _on_pong(self, data: bytes) -> None:
        # An unsolicited pong is allowed, but does not count as an answer.
        if data == self._ping_data:
            self._ping_data = None

    def _on_message(self, data: bytearray) -> None:
        self._text = bytearray()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "not UTF-8")
            return
        self.offer(self.session.answer(text))
        self._on_subscriptions()

    def _write(self) -> None:
        """Send what is due, sleep until the next is."""
        try:
            while True:
                self._release_due()
                self._flush()
                if self._is_over:
                    return
                self._wake.wait(self._until_due_s())
                self._wake.clear()
        except (OSError, ConnectionClosed):
            self.drop()

    def _release_due(self) -> None:
        now_ns = self._now_ns()
        while self._queue and self._queue[0].at_ns <= now_ns and not self._is_cut:
            due = self._queue.popleft()
            self.queued_bytes -= len(due.data)
            if self._protocol.state is State.OPEN:
                self._protocol.send_text(due.data)
                self._is_cut = due.is_cut

    def _flush(self) -> None:
        self._unanswered = 0
        data = b"".join(self._protocol.data_to_send())
        if self._is_cut:
            data = data[: -len(data) // 2]
        if data:
            self._send(data)
        if self._is_cut:
            self.drop()

    def _send(self, data: bytes) -> None:
        """Send at the pace of the line: at once, byte by byte, or when it flows again."""
        while data and (pace := self._pace()) != ANY_PACE:
            if self._is_over:
                return
            count = math.ceil(pace * PACE_S)
            self._sock.sendall(data[:count])
            data = data[count:]
            gevent.sleep(PACE_S)
        if data:
            self._sock.sendall(data)

    def _until_due_s(self) -> float | None:
        if not self._queue:
            return None
        return max(0.0, (self._queue[0].at_ns - self._now_ns()) / NS_PER_S)
