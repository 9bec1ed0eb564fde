import json
from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from gevent.socket import socket, socketpair
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from stevie.venues.simulator.binance.session import open_session
from stevie.venues.simulator.connection import QUEUE_BYTES_MAX, UNANSWERED_MAX, Connection
from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.venue import AT_ONCE, NS_PER_MS, NS_PER_S, Latency

PATIENCE_S = 5.0


class Line:
    """A connection over a socket pair, its clock, and a client that reads when it is told to."""

    def __init__(self, latency: Latency, path: str = "/ws") -> None:
        self.now_ns = NS_PER_S
        ours, self.sock = socketpair()
        self.sock.settimeout(PATIENCE_S)
        server, self.client = shaken_hands()
        session = open_session(path, "")
        assert session is not None
        self.connection = Connection(
            sock=ours,
            protocol=server,
            session=session,
            latency=latency,
            rng=dice(1, "line"),
            now_ns=lambda: self.now_ns,
            on_subscriptions=lambda: None,
        )
        self.greenlet = gevent.spawn(self._serve, ours)

    def _serve(self, ours: socket) -> None:
        self.connection.serve()
        ours.close()

    def pass_time(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)
        self.connection.keep_alive()

    def frames(self) -> list[Frame]:
        """Wait for the next bytes and return the frames in them; none at the end."""
        data = self.sock.recv(65_536)
        self.client.receive_data(data) if data else None
        return [it for it in self.client.events_received() if isinstance(it, Frame)]

    def send(self) -> None:
        self.sock.sendall(b"".join(self.client.data_to_send()))

    def ended(self) -> bool:
        self.greenlet.join(PATIENCE_S)
        return self.greenlet.ready()


def shaken_hands() -> tuple[ServerProtocol, ClientProtocol]:
    client, server = ClientProtocol(parse_uri("ws://localhost/ws")), ServerProtocol(max_size=1_000)
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    assert client.state is server.state is State.OPEN
    return server, client


@pytest.fixture
def open_line() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def open_one(latency: Latency = AT_ONCE, path: str = "/ws") -> Line:
        lines.append(Line(latency, path))
        return lines[-1]

    yield open_one
    for line in lines:
        line.sock.close()
        assert line.ended()


@pytest.fixture
def line(open_line) -> Line:
    return open_line()


def test_a_control_message_in_fragments_is_answered(line):
    line.client.send_text(b'{"method":"LIST_', fin=False)
    line.client.send_continuation(b'SUBSCRIPTIONS","id":7}', fin=True)
    line.send()

    (frame,) = line.frames()

    assert json.loads(bytes(frame.data)) == {"result": [], "id": 7}


def test_the_server_pings_and_keeps_a_client_that_answers(line):
    for _ in range(3):
        line.pass_time(20)
        (ping,) = line.frames()
        assert ping.opcode is Opcode.PING
        line.send()  # the pong that the library has ready
        line.client.send_ping(b"here?")
        line.send()
        (pong,) = line.frames()  # so the answer before it was read too
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"here?")

    assert not line.greenlet.ready()


def test_a_client_that_does_not_answer_a_ping_is_dropped_after_a_minute(line):
    line.pass_time(20)
    line.frames()
    line.client.data_to_send()  # the pong is lost
    line.client.send_pong(b"unasked")
    line.send()

    line.pass_time(59)
    assert not line.greenlet.ready()
    line.pass_time(1)

    assert line.ended()
    assert line.connection.close_code == 1006


def test_usdm_pings_every_three_minutes(open_line):
    line = open_line(path="/public/ws")

    line.pass_time(179)
    line.pass_time(1)

    (ping,) = line.frames()
    assert bytes(ping.data) == str(181 * 1_000).encode()


def test_a_client_that_closes_gets_its_code_back(line):
    line.client.send_close(1000)
    line.send()

    (close,) = line.frames()

    assert close.opcode is Opcode.CLOSE
    assert line.client.close_rcvd.code == 1000
    assert line.ended()


def test_a_client_that_does_not_answer_a_close_is_dropped(line):
    line.connection.close(1000, "enough")
    (close,) = line.frames()
    assert close.opcode is Opcode.CLOSE

    line.pass_time(1)
    assert not line.greenlet.ready()
    line.pass_time(1.1)

    assert line.ended()


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda client: client.send_text(b"x" * 2_000), 1009),
        (lambda client: client.send_binary(b"x"), 1003),
        (lambda client: client.send_text(b"\xff\xfe"), 1007),
    ],
    ids=["too large", "binary", "not UTF-8"],
)
def test_input_that_is_no_control_message_ends_the_connection_with_its_code(line, send, code):
    send(line.client)
    line.send()

    while line.client.close_rcvd is None:
        line.frames()

    assert line.client.close_rcvd.code == code


def test_frames_arrive_late_and_in_order(open_line):
    line = open_line(Latency(min_ms=5.0, median_ms=50.0, max_ms=120.0))
    gevent.sleep(0)  # the writer is waiting now
    texts = [str(n) for n in range(50)]
    for text in texts:
        line.connection.offer(text)

    line.now_ns += 120 * NS_PER_MS
    received: list[str] = []
    while len(received) < len(texts):
        received += [bytes(frame.data).decode() for frame in line.frames()]

    assert received == texts


def test_delays_stay_within_their_bounds_and_differ():
    latency, rng = Latency(), dice(3, "delays")

    delays_ms = [latency.sample_ns(rng) / NS_PER_MS for _ in range(5_000)]

    assert min(delays_ms) == 5
    assert 80 < max(delays_ms) <= 120
    assert 13 < sorted(delays_ms)[2_500] < 17


def test_a_client_that_does_not_read_is_dropped_before_memory_grows(line):
    text = "x" * 65_536

    offered_bytes = 0
    while not line.greenlet.ready():
        line.connection.offer(text)
        offered_bytes += len(text)
        gevent.sleep(0)
        assert offered_bytes < 2 * QUEUE_BYTES_MAX


def test_a_client_that_only_sends_is_dropped(line):
    gevent.sleep(0)
    line.connection.offer("x" * QUEUE_BYTES_MAX)  # the writer is stuck in this one
    gevent.sleep(0)

    with suppress(ConnectionError):
        for _ in range(2 * UNANSWERED_MAX):
            line.client.send_ping(b"")
            line.send()

    assert line.ended()
