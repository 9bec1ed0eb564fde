"""GeventTransport: the WebSocket and HTTP clients, each call on a greenlet of its own.

WebSockets are `websockets`' protocol without I/O on a gevent socket, with no greenlet or timer of
its own (docs/adr/0010). Messages are read in runs (docs/adr/0020) and go to the listener in
batches, one for each read of the socket.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import gevent
import structlog
import urllib3
from gevent.lock import BoundedSemaphore
from gevent.queue import Full, Queue
from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.protocol import State
from websockets.uri import parse_uri

from stevie.adapters.websocket import MessageReader
from stevie.ports import Clock, ConnectionListener, HttpAnswer

log = structlog.get_logger()

FRAME_BYTES_MAX = 32 * 2**20  # Coinbase's first frame is 5 MB and grows
BODY_BYTES_MAX = 64 * 2**20  # the largest exchangeInfo is 20 MB
READ_BYTES = 64 * 1024  # PERF: malloc maps larger blocks anew each time, 16 µs a read
YIELD_NS = 2_000_000  # a socket that always has data never yields by itself
SEND_QUEUE_MAX = 64  # what a feed has to say is short
FAREWELL_S = 0.5  # for a peer that does not read to take our close frame
ABNORMAL = 1006


class GeventTransport:
    """Opens WebSockets and GETs; what comes of them is told to the listener or callback."""

    def __init__(
        self,
        clock: Clock,
        *,
        connect_timeout_s: float,
        read_timeout_s: float = 10.0,
        answer_timeout_s: float = 60.0,
    ) -> None:
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        timeout = urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        self._pool = urllib3.PoolManager(num_pools=16, maxsize=4, timeout=timeout, retries=False)

    def connect(self, url: str, listener: ConnectionListener) -> "GeventConnection":
        """Open a WebSocket; the listener hears what becomes of it."""
        connection = GeventConnection(url, listener, self._clock, self._connect_timeout_s)
        gevent.spawn(connection.run)
        return connection

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        """GET; the answer comes once."""
        gevent.spawn(lambda: on_answer(self._answer(url)))

    def close(self) -> None:
        """Close the pooled HTTP connections."""
        self._pool.clear()

    def _answer(self, url: str) -> HttpAnswer:
        """The answer, or why none came, within the time for all of it."""
        request = gevent.spawn(self._request, url)
        # urllib3's time-outs are for each read: a body that comes byte by byte passes them all.
        request.join(self._answer_timeout_s)
        if not request.ready():
            request.kill()
            return _no_answer(url, f"not whole within {self._answer_timeout_s:g} s")
        answer: HttpAnswer = request.get()
        return answer

    def _request(self, url: str) -> HttpAnswer:
        try:
            response = self._pool.request("GET", url, preload_content=False, redirect=False)
            body = response.read(BODY_BYTES_MAX + 1)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return _no_answer(url, str(error))
        if len(body) > BODY_BYTES_MAX:
            response.close()  # its rest must not meet the next request
            return _no_answer(url, f"the body is over {BODY_BYTES_MAX} bytes")
        response.release_conn()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpAnswer(url=url, status=response.status, headers=headers, body=body)


def _no_answer(url: str, why: str) -> HttpAnswer:
    return HttpAnswer(url=url, status=0, headers={}, body=f"no answer: {why}".encode())


class GeventConnection:
    """One WebSocket, from before its handshake to its end."""

    def __init__(
        self, url: str, listener: ConnectionListener, clock: Clock, timeout_s: float
    ) -> None:
        self._url, self._listener, self._clock, self._timeout_s = url, listener, clock, timeout_s
        self._timeout_ns = int(timeout_s * 1e9)
        # No compression is offered: a frame would cost many times as much to read (docs/adr/0020).
        self._protocol = ClientProtocol(parse_uri(url), max_size=FRAME_BYTES_MAX)
        self._reader = MessageReader(self._protocol, FRAME_BYTES_MAX)
        self._socket: socket.socket | None = None
        self._sending = BoundedSemaphore()  # reader and writer send, never into one another
        self._unsent: Queue[Callable[[], None]] = Queue(SEND_QUEUE_MAX)
        self._writer: gevent.Greenlet[..., None] | None = None
        self._is_closing = False

    # -- what the feed asks for; never waits ------------------------------------------------------

    def send(self, text: str) -> None:
        """Queue a text message."""
        self._queue(lambda: self._protocol.send_text(text.encode()))

    def ping(self) -> None:
        """Queue a ping."""
        self._queue(lambda: self._protocol.send_ping(b""))

    def close(self) -> None:
        """Close without waiting for the peer's farewell."""
        self._is_closing = True
        if self._protocol.state is State.OPEN and not self._sending.locked():
            self._queue(self._shut)
        else:
            self._abort()  # no farewell would be understood, or reach a peer that does not read

    def _queue(self, action: Callable[[], None]) -> None:
        try:
            self._unsent.put_nowait(action)
        except Full:
            self._abort()

    def _shut(self) -> None:
        assert self._socket is not None
        self._socket.settimeout(FAREWELL_S)
        self._protocol.send_close(1000, "")
        self._flush()
        self._abort()

    def _abort(self) -> None:
        """End the socket under whoever waits for it."""
        if self._socket is not None:
            with suppress(OSError):  # the peer was first
                self._socket.shutdown(socket.SHUT_RDWR)

    # -- the connection's own greenlets ----------------------------------------------------------

    def run(self) -> None:
        """Connect, read to the end, and say how it ended."""
        code, reason = ABNORMAL, "a bug of ours: see the log"
        try:
            self._socket = self._dial()
            if not self._is_closing:
                self._converse()
            code, reason = self._ending()
        except (OSError, WebSocketException, ValueError) as error:
            code, reason = ABNORMAL, f"{type(error).__name__}: {error}"
        finally:
            if self._writer is not None:
                self._writer.kill(block=False)
            if self._socket is not None:
                self._socket.close()
            self._listener.on_close(code, reason)

    def _converse(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        self._read()

    def _dial(self) -> socket.socket:
        parts = urlsplit(self._url)
        is_secure = parts.scheme == "wss"
        host = parts.hostname or ""
        address = (host, parts.port or (443 if is_secure else 80))
        raw = socket.create_connection(address, timeout=self._timeout_s)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if is_secure:
            return ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        return raw

    def _write(self) -> None:
        """Send what the feed queued."""
        try:
            while True:
                action = self._unsent.get()
                if self._protocol.state is State.OPEN:
                    action()
                    self._flush()
        except OSError:
            self._abort()  # for the reader to say how it ended

    def _flush(self) -> None:
        assert self._socket is not None
        with self._sending:
            for data in self._protocol.data_to_send():
                if data:
                    self._socket.sendall(data)

    def _read(self) -> None:
        """Read until the peer ends it; the time-out is for the handshake alone."""
        assert self._socket is not None
        begun_ns = yielded_ns = self._clock.monotonic_ns()
        while data := self._receive():
            self._hear(data, self._clock.monotonic_ns())
            if self._protocol.writes:
                self._flush()
            if self._protocol.close_expected():
                return  # a farewell, or a breach of the protocol: nothing more to hear
            now_ns = self._clock.monotonic_ns()
            if self._protocol.state is State.CONNECTING and now_ns - begun_ns > self._timeout_ns:
                raise TimeoutError("the handshake takes too long")
            if now_ns - yielded_ns > YIELD_NS:
                gevent.sleep(0)
                yielded_ns = self._clock.monotonic_ns()
        self._protocol.receive_eof()

    def _receive(self) -> bytes:
        """What has come; of a secure socket all records that are there, and not only the next."""
        sock = self._socket
        assert sock is not None
        data = sock.recv(READ_BYTES)
        if self._writer is None or not isinstance(sock, ssl.SSLSocket):
            return data
        records, size, timeout_s = [data], len(data), sock.gettimeout()
        # Nobody else can send in between and meet this time-out: nothing here waits.
        sock.settimeout(0.0)
        with suppress(OSError):  # there is no more for now; an error is told to the next read
            while data and size < READ_BYTES:
                data = sock.recv(READ_BYTES)
                records.append(data)
                size += len(data)
        sock.settimeout(timeout_s)
        return b"".join(records)

    def _hear(self, data: bytes, received_ns: int) -> None:
        """Tell what a read brought; control frames count as a sign of life."""
        controls = self._reader.control_frames
        messages = self._reader.receive(data)
        if self._writer is None:
            self._on_handshake()
        if self._reader.control_frames > controls:
            self._listener.on_heard()
        if messages:
            self._listener.on_frames(messages, received_ns)

    def _on_handshake(self) -> None:
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc
        if self._protocol.state is State.CONNECTING:
            return
        assert self._socket is not None
        self._socket.settimeout(None)  # silence is judged by the feed
        self._writer = gevent.spawn(self._write)
        self._listener.on_open()

    def _ending(self) -> tuple[int, str]:
        received = self._protocol.close_rcvd
        if received is not None:
            return received.code, received.reason
        if self._protocol.handshake_exc is not None:
            return ABNORMAL, str(self._protocol.handshake_exc)
        sent = self._protocol.close_sent
        if sent is not None and not self._is_closing:
            return sent.code, sent.reason  # what we found wrong with the peer
        return ABNORMAL, "the connection ended without a farewell"
