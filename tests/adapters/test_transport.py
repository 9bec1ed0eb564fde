"""GeventTransport against real sockets: what the listener hears, and that nothing is left."""

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import gevent
import pytest
from gevent.event import Event
from websockets.frames import CloseCode, Opcode
from websockets.server import ServerProtocol

from stevie.adapters import transport as transport_module
from stevie.adapters.clock import LiveClock
from stevie.adapters.transport import GeventTransport
from stevie.ports import HttpAnswer
from tests.adapters.wire_server import CERTIFICATE, WirePeer, serving
from tests.inject import wait_until

MB = 2**20


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, ...]] = []
        self.received_ns: list[int] = []
        self.opens = self.signs_of_life = 0
        self.ends: list[tuple[int, str]] = []

    def on_open(self) -> None:
        assert not self.ends
        self.opens += 1

    def on_frames(self, frames: Sequence[bytes], received_ns: int) -> None:
        assert not self.ends
        self.batches.append(tuple(frames))
        self.received_ns.append(received_ns)

    def on_heard(self) -> None:
        self.signs_of_life += 1

    def on_close(self, code: int, reason: str) -> None:
        self.ends.append((code, reason))

    @property
    def frames(self) -> list[bytes]:
        return [frame for batch in self.batches for frame in batch]

    def wait_for_end(self) -> tuple[int, str]:
        wait_until(lambda: self.ends, "the connection ends")
        gevent.sleep(0)
        assert len(self.ends) == 1, "told more than once"
        return self.ends[0]


def _greenlets() -> int:
    return sum(isinstance(o, gevent.Greenlet) and not o.dead for o in gc.get_objects())


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def transport() -> Iterator[GeventTransport]:
    """A transport with short time-outs; the test fails if it leaves a greenlet or a socket."""
    gevent.get_hub().resolver  # noqa: B018 - made once, kept for ever
    before = _greenlets(), _descriptors()
    made = GeventTransport(
        LiveClock(), connect_timeout_s=0.2, read_timeout_s=0.2, answer_timeout_s=0.5
    )
    yield made
    made.close()
    wait_until(
        lambda: _greenlets() <= before[0] and _descriptors() <= before[1],
        f"all of {before} greenlets and descriptors is as before",
    )


def _url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/stream?streams=a"


def _play(transport: GeventTransport, script) -> Heard:
    """Connect to a server that plays this script, and listen to the end."""
    heard = Heard()
    with serving(script) as port:
        transport.connect(_url(port), heard)
        heard.wait_for_end()
    return heard


# -- WebSocket: what comes ------------------------------------------------------------------------


def test_messages_come_in_order_and_those_of_one_write_as_one_batch(transport):
    def script(sock):
        peer = WirePeer(sock)
        peer.send("a", "b", "c")
        gevent.sleep(0.02)
        peer.send("d")
        peer.protocol.send_close(1000, "done")
        peer.flush()

    before_ns = time.monotonic_ns()
    heard = _play(transport, script)

    assert heard.opens == 1
    assert [batch for batch in heard.batches if batch] == [(b"a", b"b", b"c"), (b"d",)]
    assert before_ns <= heard.received_ns[0] < heard.received_ns[1] <= time.monotonic_ns()
    assert heard.ends == [(1000, "done")]


def test_frames_that_come_with_the_handshakes_answer_are_heard_after_it(transport):
    def script(sock):
        peer = WirePeer.__new__(WirePeer)
        peer.sock = sock
        peer.protocol = ServerProtocol()
        peer.protocol.receive_data(sock.recv(65_536))
        request = peer.protocol.events_received()[0]
        peer.protocol.send_response(peer.protocol.accept(request))
        peer.protocol.send_text(b"at once")
        peer.flush()

    heard = _play(transport, script)

    assert (heard.opens, heard.frames) == (1, [b"at once"])


def test_a_fragmented_message_is_joined_and_a_ping_may_come_between_its_parts(transport):
    def script(sock):
        peer = WirePeer(sock)
        peer.protocol.send_text(b'{"half":', fin=False)
        peer.flush()
        peer.protocol.send_ping(b"now")
        peer.protocol.send_continuation(b'"', fin=False)
        peer.protocol.send_continuation(b'whole"}', fin=True)
        peer.send("next")

    heard = _play(transport, script)

    assert heard.frames == [b'{"half":"whole"}', b"next"]
    assert heard.signs_of_life == 1


def test_a_frame_of_5_mb_comes_whole(transport):
    text = "0123456789" * (MB // 2)

    def script(sock):
        WirePeer(sock).send(text, "after")

    heard = _play(transport, script)

    assert heard.frames == [text.encode(), b"after"]


def test_a_message_beyond_the_limit_ends_the_connection_as_too_big(transport, monkeypatch):
    monkeypatch.setattr(transport_module, "FRAME_BYTES_MAX", 70_000)

    def script(sock):
        peer = WirePeer(sock)
        peer.protocol.send_text(b"x" * 40_000, fin=False)
        peer.protocol.send_continuation(b"x" * 40_000, fin=True)
        peer.flush()
        peer.read_to_end()

    heard = _play(transport, script)

    assert heard.ends[0][0] == CloseCode.MESSAGE_TOO_BIG
    assert heard.frames == []


def test_a_ping_is_answered_and_counts_as_heard(transport):
    pongs = []

    def script(sock):
        peer = WirePeer(sock)
        peer.protocol.send_ping(b"1234")
        peer.flush()
        peer.read()
        pongs.extend(peer.received)

    heard = _play(transport, script)

    assert [(frame.opcode, bytes(frame.data)) for frame in pongs] == [(Opcode.PONG, b"1234")]
    assert heard.signs_of_life == 1


def test_our_ping_brings_a_pong_which_counts_as_heard(transport):
    with serving(lambda sock: WirePeer(sock).read_to_end()) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        wait_until(lambda: heard.opens)

        connection.ping()

        wait_until(lambda: heard.signs_of_life == 1)
        connection.close()
        heard.wait_for_end()


def test_what_we_send_arrives_in_order_even_if_said_before_the_handshake_is_done(transport):
    received = []

    def script(sock):
        peer = WirePeer(sock)
        while len(peer.received) < 3:
            peer.read()
        received.extend(bytes(frame.data) for frame in peer.received)

    with serving(script) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        for text in ("one", "two", "three"):
            connection.send(text)
        heard.wait_for_end()

    assert received == [b"one", b"two", b"three"]


# -- WebSocket: how it ends -----------------------------------------------------------------------


@pytest.mark.parametrize("code", [1001, 1008, 1011, 4000])
def test_the_servers_code_and_reason_are_told(transport, code):
    def script(sock):
        peer = WirePeer(sock)
        peer.protocol.send_close(code, "because")
        peer.flush()
        peer.read_to_end()

    assert _play(transport, script).ends == [(code, "because")]


def test_a_close_without_a_code_is_told_as_1005(transport):
    def script(sock):
        peer = WirePeer(sock)
        sock.sendall(bytes([0x88, 0x00]))
        peer.read_to_end()

    assert _play(transport, script).ends == [(1005, "")]


def test_a_connection_cut_without_a_word_is_told_as_1006(transport):
    assert _play(transport, WirePeer).ends == [
        (1006, "the connection ended without a farewell"),
    ]


def test_bytes_that_are_no_frame_end_the_connection_as_a_protocol_error(transport):
    def script(sock):
        peer = WirePeer(sock)
        peer.send("good")
        sock.sendall(b"\xff\xff\xff\xff garbage")
        peer.read_to_end()

    heard = _play(transport, script)

    assert heard.frames == [b"good"]
    assert heard.ends[0][0] == CloseCode.PROTOCOL_ERROR


def test_a_refused_connection_is_told_with_its_reason(transport):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    heard = Heard()

    transport.connect(_url(port), heard)

    code, reason = heard.wait_for_end()
    assert (code, heard.opens) == (1006, 0)
    assert "refused" in reason


def test_a_host_that_does_not_exist_is_told_with_its_reason(transport):
    heard = Heard()

    transport.connect("ws://no-such-host.invalid/ws", heard)

    assert heard.wait_for_end()[0] == 1006
    assert heard.opens == 0


def test_a_refused_handshake_is_told_with_its_status(transport):
    def script(sock):
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 451 Unavailable\r\nContent-Length: 2\r\n\r\nno")

    heard = _play(transport, script)

    assert heard.opens == 0
    assert heard.ends[0][0] == 1006
    assert "451" in heard.ends[0][1]


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x00" * 100, b"\r\n\r\n", b"x" * 100_000]
)
def test_garbage_instead_of_a_handshake_is_no_connection(transport, garbage):
    def script(sock):
        sock.recv(65_536)
        sock.sendall(garbage)
        sock.recv(1)

    heard = _play(transport, script)

    assert (heard.opens, heard.ends[0][0]) == (0, 1006)
    assert heard.ends[0][1] != ""


def test_a_server_that_accepts_and_says_nothing_is_given_up(transport):
    heard = _play(transport, lambda sock: sock.recv(1) and sock.recv(100_000) and sock.recv(1))

    assert (heard.opens, heard.ends[0][0]) == (0, 1006)
    assert "timed out" in heard.ends[0][1]


@pytest.mark.slow
def test_a_handshake_that_drips_is_given_up_as_well(transport):
    def script(sock):
        sock.recv(65_536)
        for byte in b"HTTP/1.1 101 Switching Protocols" * 4:
            sock.sendall(bytes([byte]))
            gevent.sleep(0.02)

    heard = _play(transport, script)

    assert (heard.opens, heard.ends[0][0]) == (0, 1006)
    assert "too long" in heard.ends[0][1]


def test_an_open_connection_may_be_silent_for_longer_than_the_connect_timeout(transport):
    def script(sock):
        peer = WirePeer(sock)
        gevent.sleep(0.3)
        peer.send("late")

    assert _play(transport, script).frames == [b"late"]


# -- WebSocket: close() from our side -------------------------------------------------------------


def test_close_says_farewell_and_does_not_wait_for_the_answer(transport):
    said = []

    def script(sock):
        peer = WirePeer(sock)
        peer.read_to_end()
        said.append(peer.protocol.close_rcvd.code)

    with serving(script) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        wait_until(lambda: heard.opens)

        connection.close()

        heard.wait_for_end()
        wait_until(lambda: said == [1000])


def test_close_before_the_dial_ends_the_attempt(transport):
    with serving(WirePeer) as port:
        heard = Heard()

        transport.connect(_url(port), heard).close()

        assert heard.wait_for_end()[0] == 1006
        assert heard.opens == 0


def test_close_during_the_handshake_ends_the_attempt(transport):
    arrived, leave = Event(), Event()

    def script(sock):
        sock.recv(65_536)
        arrived.set()
        leave.wait(1.0)

    with serving(script) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        arrived.wait(1.0)

        connection.close()

        assert heard.wait_for_end()[0] == 1006
        assert heard.opens == 0
        leave.set()


def test_close_after_the_end_and_close_twice_are_harmless(transport):
    with serving(WirePeer) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        heard.wait_for_end()

        connection.close()
        connection.close()
        connection.send("to nobody")
        connection.ping()

        heard.wait_for_end()


@pytest.mark.slow
def test_close_ends_a_connection_whose_peer_sends_pings_and_never_reads(transport):
    def script(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer = WirePeer(sock)
        ping = bytes([0x89, 125]) + b"p" * 125
        while True:
            sock.sendall(ping * 1000)
            gevent.sleep(0)
            assert peer

    with serving(script) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        _wait_for_quiet(lambda: heard.signs_of_life)

        connection.close()

        heard.wait_for_end()


@pytest.mark.slow
def test_a_peer_that_never_reads_ends_the_connection_once_the_queue_is_full(transport):
    leave = Event()
    text = os.urandom(MB).hex()  # that does not compress to nothing

    def script(sock):
        assert WirePeer(sock)
        leave.wait(5.0)

    with serving(script) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        wait_until(lambda: heard.opens)

        while not heard.ends:
            connection.send(text)
            gevent.sleep(0)

        assert heard.wait_for_end()[0] == 1006
        leave.set()


def _wait_for_quiet(count) -> None:
    """Wait until a count that grew does not grow any more."""
    seen = [-1]

    def stands_still():
        before, seen[0] = seen[0], count()
        gevent.sleep(0.02)
        return before == seen[0] > 0

    wait_until(stands_still)


def test_a_listener_that_breaks_still_hears_the_end(transport, monkeypatch):
    printed = []
    monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda *what: printed.append(what))

    class Broken(Heard):
        def on_open(self) -> None:
            raise LookupError("a bug")

    with serving(WirePeer) as port:
        heard = Broken()
        transport.connect(_url(port), heard)

        assert heard.wait_for_end()[0] == 1006
        wait_until(lambda: printed)


# -- WebSocket: on the hub ------------------------------------------------------------------------


@pytest.mark.slow
def test_an_idle_connection_costs_no_cpu(transport):
    with serving(lambda sock: WirePeer(sock).read_to_end()) as port:
        heard = Heard()
        connection = transport.connect(_url(port), heard)
        wait_until(lambda: heard.opens)
        before_s = time.process_time()

        gevent.sleep(0.5)

        assert time.process_time() - before_s < 0.1
        connection.close()
        heard.wait_for_end()


BLASTER = """
import socket, sys
from websockets.server import ServerProtocol
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sock, _ = server.accept()
protocol = ServerProtocol()
protocol.receive_data(sock.recv(65536))
protocol.send_response(protocol.accept(protocol.events_received()[0]))
sock.sendall(b"".join(protocol.data_to_send()))
protocol.send_text(b"x" * 500)
frames = b"".join(protocol.data_to_send()) * 500
try:
    while True:
        sock.sendall(frames)
except OSError:
    pass
"""


@pytest.mark.slow
def test_others_run_while_a_stream_never_pauses(transport):
    with subprocess.Popen(
        [sys.executable, "-c", BLASTER], stdout=subprocess.PIPE, text=True
    ) as blaster:
        heard = Heard()
        turns = [time.monotonic()]
        connection = transport.connect(_url(int(blaster.stdout.readline())), heard)
        wait_until(lambda: heard.batches)
        while time.monotonic() - turns[0] < 1.0:
            gevent.sleep(0)
            turns.append(time.monotonic())

        connection.close()
        heard.wait_for_end()

    waits = sorted(b - a for a, b in pairwise(turns))
    assert len(heard.frames) > 5_000
    assert len(turns) > 20
    assert waits[len(waits) // 2] < 0.05


# -- TLS ------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_refused(transport):
    heard = Heard()
    answers: list[HttpAnswer] = []
    with serving(WirePeer, is_secure=True) as port:
        transport.connect(f"wss://localhost:{port}/ws", heard)
        transport.get(f"https://localhost:{port}/", answers.append)
        code, reason = heard.wait_for_end()
        wait_until(lambda: answers)

    assert (code, heard.opens) == (1006, 0)
    assert "certificate verify failed" in reason
    assert answers[0].status == 0
    assert b"certificate verify failed" in answers[0].body


def test_a_certificate_of_another_host_is_refused(transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    heard = Heard()
    with serving(WirePeer, is_secure=True) as port:
        transport.connect(f"wss://127.0.0.2:{port}/ws", heard)
        heard.wait_for_end()

    assert heard.opens == 0


def test_a_trusted_certificate_carries_frames_and_answers(transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    heard = Heard()
    with serving(lambda sock: WirePeer(sock).send("a", "b"), is_secure=True) as port:
        transport.connect(f"wss://localhost:{port}/ws", heard)
        heard.wait_for_end()

    assert heard.frames == [b"a", b"b"]
    assert _got(transport, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", scheme="https") == (
        200,
        b"ok",
    )


def test_records_that_came_together_are_one_batch(transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    texts = [str(number) for number in range(20)]

    def script(sock):
        peer = WirePeer(sock)
        for text in texts:
            peer.send(text)

    heard = Heard()
    with serving(script, is_secure=True) as port:
        transport.connect(f"wss://localhost:{port}/ws", heard)
        heard.wait_for_end()

    assert heard.batches == [tuple(text.encode() for text in texts)]


def test_a_secure_connection_that_was_read_empty_is_still_open(transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    received = []

    def script(sock):
        peer = WirePeer(sock)
        peer.send("first")
        while not peer.received:
            peer.read()
        received.extend(bytes(frame.data) for frame in peer.received)
        peer.send("0123456789" * MB, "last")

    heard = Heard()
    with serving(script, is_secure=True) as port:
        connection = transport.connect(f"wss://localhost:{port}/ws", heard)
        wait_until(lambda: heard.batches)
        connection.send("ready")
        heard.wait_for_end()

    assert received == [b"ready"]
    assert [len(frame) for frame in heard.frames] == [5, 10 * MB, 4]


def test_a_text_that_is_none_ends_the_connection_as_invalid(transport):
    def script(sock):
        peer = WirePeer(sock)
        peer.send("good")
        sock.sendall(b"\x81\x02\xc3\x28")
        peer.read_to_end()

    heard = _play(transport, script)

    assert heard.frames == [b"good"]
    assert heard.ends[0][0] == CloseCode.INVALID_DATA


def test_close_ends_a_secure_connection_too(transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(lambda sock: WirePeer(sock).read_to_end(), is_secure=True) as port:
        heard = Heard()
        connection = transport.connect(f"wss://localhost:{port}/ws", heard)
        wait_until(lambda: heard.opens)

        connection.close()

        heard.wait_for_end()


# -- GET ------------------------------------------------------------------------------------------


def _get(transport: GeventTransport, script, *, scheme: str = "http") -> HttpAnswer:
    answers: list[HttpAnswer] = []
    with serving(script, is_secure=scheme == "https") as port:
        transport.get(f"{scheme}://localhost:{port}/api/v3/depth?symbol=A", answers.append)
        wait_until(lambda: answers, "the answer comes")
        gevent.sleep(0)
        assert len(answers) == 1
        transport.close()
    return answers[0]


def _got(transport: GeventTransport, raw: bytes, *, scheme: str = "http") -> tuple[int, bytes]:
    answer = _get(transport, lambda sock: sock.recv(65_536) and sock.sendall(raw), scheme=scheme)
    return answer.status, answer.body


def test_a_get_brings_status_body_and_lower_case_headers(transport):
    head = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nX-MBX-USED-WEIGHT-1M: 99\r\n"
    raw = head + b"Content-Length: 2\r\n\r\n{}"

    answer = _get(transport, lambda sock: sock.recv(65_536) and sock.sendall(raw))

    assert (answer.status, answer.body) == (429, b"{}")
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-mbx-used-weight-1m"] == "99"
    assert answer.url.endswith("/api/v3/depth?symbol=A")


def test_a_connection_is_used_again_and_a_dead_one_is_replaced(transport):
    connections = []

    def script(sock):
        connections.append(sock)
        for _ in range(2):
            sock.recv(65_536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with serving(script) as port:
        answers: list[HttpAnswer] = []
        for count in range(1, 4):
            transport.get(f"http://127.0.0.1:{port}/", answers.append)
            wait_until(lambda: len(answers) == count)  # noqa: B023 - waited for in the loop
            gevent.sleep(0.01)
        transport.close()

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len(connections) == 2


def test_no_server_is_an_answer_of_status_0(transport):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answers: list[HttpAnswer] = []

    transport.get(f"http://127.0.0.1:{port}/", answers.append)

    wait_until(lambda: answers)
    assert answers[0].status == 0
    assert b"refused" in answers[0].body


def test_a_redirect_is_told_and_not_followed(transport):
    raw = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"

    assert _got(transport, raw) == (302, b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"not HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_a_broken_answer_is_an_answer_of_status_0(transport, raw):
    status, body = _got(transport, raw)

    assert status == 0
    assert body.startswith(b"no answer: ")


def test_a_url_that_is_none_is_an_answer_of_status_0(transport):
    answers: list[HttpAnswer] = []

    for url in ("http://", "http://[bad", "http://" + "a" * 100 + ".invalid/", "gopher://x/"):
        transport.get(url, answers.append)

    wait_until(lambda: len(answers) == 4)
    assert {answer.status for answer in answers} == {0}


def test_a_server_that_never_answers_is_given_up(transport):
    answer = _get(transport, lambda sock: sock.recv(65_536) and sock.recv(1))

    assert answer.status == 0
    assert b"timed out" in answer.body


@pytest.mark.slow
def test_a_body_that_drips_for_ever_is_given_up(transport):
    def script(sock):
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            sock.sendall(b"x")
            gevent.sleep(0.02)

    answer = _get(transport, script)

    assert answer.status == 0
    assert b"not whole within 0.5 s" in answer.body


def test_a_body_beyond_the_limit_is_refused_and_its_rest_does_not_meet_the_next_request(
    transport, monkeypatch
):
    monkeypatch.setattr(transport_module, "BODY_BYTES_MAX", 1000)
    bodies = iter([b"x" * 5000, b"ok"])

    def script(sock):
        while sock.recv(65_536):
            body = next(bodies)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with serving(script) as port:
        answers: list[HttpAnswer] = []
        for count in (1, 2):
            transport.get(f"http://127.0.0.1:{port}/", answers.append)
            wait_until(lambda: len(answers) == count)  # noqa: B023 - waited for in the loop
        transport.close()

    assert [answer.status for answer in answers] == [0, 200]
    assert b"over 1000 bytes" in answers[0].body
    assert answers[1].body == b"ok"
