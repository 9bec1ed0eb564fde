"""MessageReader against the protocol of `websockets` alone: the same bytes, cut anywhere."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from stevie.adapters.websocket import MessageReader

MESSAGE_BYTES_MAX = 70_000  # above what two bytes of size can say
TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
PING, PONG, CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE


class Ending(NamedTuple):
    """All that a listener, or the server, can tell of a reading."""

    messages: list[bytes]
    control_frames: int
    received_close: int | None
    sent_close: int | None
    state: State
    said: bytes


def _shaken() -> tuple[ClientProtocol, bytes]:
    """A client that waits for the answer to its handshake, and the answer."""
    client = ClientProtocol(parse_uri("ws://localhost/"), max_size=MESSAGE_BYTES_MAX)
    client.send_request(client.connect())
    server = ServerProtocol()
    server.receive_data(b"".join(client.data_to_send()))
    request = server.events_received()[0]
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    return client, b"".join(server.data_to_send())


def _ending(client: ClientProtocol, messages: list[bytes], control_frames: int) -> Ending:
    received, sent = client.close_rcvd, client.close_sent
    said = b"".join(client.data_to_send())
    return Ending(
        messages,
        control_frames,
        received.code if received else None,
        sent.code if sent else None,
        client.state,
        # Masks are drawn anew for each frame: how much was said is what can be compared.
        b"." * len(said),
    )


def _read(client: ClientProtocol, pieces: Iterable[bytes]) -> Ending:
    """By our reader."""
    reader = MessageReader(client, MESSAGE_BYTES_MAX)
    messages = [message for piece in pieces for message in reader.receive(piece)]
    client.receive_eof()
    return _ending(client, messages, reader.control_frames)


def _expected(client: ClientProtocol, stream: bytes) -> Ending:
    """By the protocol alone, fragments joined; not UTF-8 is an error as RFC 6455 8.1 wants it."""
    messages: list[bytes] = []
    parts: list[Frame] = []
    control_frames = 0
    for byte in stream:  # one by one, so that the end for bad UTF-8 comes just after its frame
        client.receive_data(bytes([byte]))
        frames = [event for event in client.events_received() if isinstance(event, Frame)]
        control_frames += sum(frame.opcode in {PING, PONG} for frame in frames)
        parts += [frame for frame in frames if frame.opcode in {TEXT, BINARY, CONT}]
        if parts and parts[-1].fin:
            messages += _joined(client, parts)
            parts = []
    client.receive_eof()
    return _ending(client, messages, control_frames)


def _joined(client: ClientProtocol, parts: list[Frame]) -> list[bytes]:
    message = b"".join(bytes(part.data) for part in parts)
    try:
        if parts[0].opcode is TEXT:
            message.decode()
    except UnicodeDecodeError as error:
        client.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        return []
    return [message]


def _frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


# -- what a server may send, and what it may not --------------------------------------------------

texts = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.integers(0, 300).map(lambda size: b"x" * size),
    st.sampled_from([b"", b"{}", "\u20ac".encode() * 50]),
)
plain = st.builds(_frame, st.sampled_from([TEXT, TEXT, TEXT, BINARY]), texts)
controls = st.builds(_frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
fragments = st.builds(_frame, st.sampled_from([TEXT, BINARY, CONT, CONT]), texts, fin=st.booleans())
closes = st.sampled_from(
    [
        _frame(CLOSE, b""),
        _frame(CLOSE, b"\x03\xe8bye"),
        _frame(CLOSE, b"\x03"),
        _frame(CLOSE, b"\x03\xed"),  # 1005 must not be sent
        _frame(CLOSE, b"\x03\xe8\xff"),
    ]
)
hostile = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.builds(_frame, st.just(TEXT), st.sampled_from([b"\xff", b"ok\xc3", b"\xed\xa0\x80"])),
    st.builds(
        lambda bit, frame: bytes([frame[0] | bit]) + frame[1:],
        st.sampled_from([0x10, 0x20, 0x40]),
        plain,
    ),
    st.builds(lambda data: Frame(TEXT, data).serialize(mask=True), texts),
    st.builds(lambda opcode: bytes([0x80 | opcode, 0]), st.integers(0, 15)),
    st.sampled_from(
        [
            b"\x09\x00",  # a control frame in fragments
            b"\x89\x7e\x00\x7e" + b"p" * 126,  # one that is too long
            b"\x81\x7e\x00\x01x",  # a size told in more bytes than it needs
            b"\x81\x7f" + (1).to_bytes(8) + b"x",
            b"\x81\x7f" + (MESSAGE_BYTES_MAX + 1).to_bytes(8),
            b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x01\x7f" + (MESSAGE_BYTES_MAX - 200).to_bytes(8),
        ]
    ),
)
streams = st.lists(
    st.one_of(plain, plain, plain, controls, fragments, hostile, closes), max_size=12
).map(b"".join)
orderly = st.lists(st.one_of(plain, plain, controls), max_size=20).map(b"".join)


@st.composite
def cuts(draw, data: bytes) -> list[bytes]:
    """The same bytes as reads might bring them."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=8))
    ends = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a < b]


@given(st.data())
def test_whatever_comes_is_read_as_the_protocol_alone_reads_it(data):
    stream = data.draw(streams)
    ours, answer = _shaken()
    theirs, their_answer = _shaken()
    pieces = data.draw(cuts(answer + stream))

    assert _read(ours, pieces) == _expected(theirs, their_answer + stream)


@given(st.data())
def test_orderly_frames_are_all_heard_however_they_are_cut(data):
    stream = data.draw(orderly)
    client, answer = _shaken()
    pieces = data.draw(cuts(answer + stream))
    whole, whole_answer = _shaken()

    ending = _read(client, pieces)

    assert ending == _read(whole, [whole_answer + stream])
    assert ending.sent_close is None


def test_a_stream_is_read_alike_in_single_bytes_and_as_a_whole():
    stream = b"".join(
        [
            _frame(TEXT, b"a" * 125),
            _frame(TEXT, b"b" * 126),
            _frame(BINARY, b"\xff\x00"),
            _frame(TEXT, b'{"half":', fin=False),
            _frame(PING, b"now"),
            _frame(CONT, b'"whole"}'),
            _frame(TEXT, b"c" * 65_535),
            _frame(TEXT, b"d" * 65_536),
            _frame(TEXT, b""),
            _frame(CLOSE, b"\x03\xe8"),
            _frame(TEXT, b"after the farewell"),
        ]
    )
    client, answer = _shaken()
    drip, drip_answer = _shaken()

    ending = _read(client, [answer + stream])

    assert [len(message) for message in ending.messages] == [125, 126, 2, 16, 65_535, 65_536, 0]
    assert (ending.control_frames, ending.received_close) == (1, 1000)
    assert _read(drip, (bytes([byte]) for byte in drip_answer + stream)) == ending


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(TEXT, b"x").serialize(mask=True), CloseCode.PROTOCOL_ERROR),
        (b"\xc1\x01x", CloseCode.PROTOCOL_ERROR),
        (b"\xa1\x01x", CloseCode.PROTOCOL_ERROR),
        (b"\x83\x01x", CloseCode.PROTOCOL_ERROR),
        (b"\x09\x01x", CloseCode.PROTOCOL_ERROR),
        (b"\x80\x01x", CloseCode.PROTOCOL_ERROR),
        (b"\x01\x01x\x81\x01y", CloseCode.PROTOCOL_ERROR),
        (b"\x81\x7f" + (MESSAGE_BYTES_MAX + 1).to_bytes(8), CloseCode.MESSAGE_TOO_BIG),
        (b"\x81\x01\xff", CloseCode.INVALID_DATA),
        (b"\x01\x01\xc3\x80\x01x", CloseCode.INVALID_DATA),
    ],
)
def test_a_breach_ends_the_reading_and_nothing_after_it_is_a_message(frame, code):
    client, answer = _shaken()

    ending = _read(client, [answer + _frame(TEXT, b"good") + frame + _frame(TEXT, b"late")])

    assert ending.messages == [b"good"]
    assert (ending.sent_close, ending.received_close) == (code, None)


def test_a_character_may_be_cut_by_fragments():
    client, answer = _shaken()
    euro = "\u20ac".encode()

    ending = _read(client, [answer + _frame(TEXT, euro[:1], fin=False) + _frame(CONT, euro[1:])])

    assert ending.messages == [euro]


@pytest.mark.parametrize(
    ("beginning", "code"),
    [
        (b"\x82\x7f" + (2**40).to_bytes(8), CloseCode.MESSAGE_TOO_BIG),
        (b"\x89\x7f" + (2**40).to_bytes(8), CloseCode.MESSAGE_TOO_BIG),
        (b"\x01\x01x\x80\x7f" + MESSAGE_BYTES_MAX.to_bytes(8), CloseCode.MESSAGE_TOO_BIG),
        (b"\x81\xfe", CloseCode.PROTOCOL_ERROR),
        (b"\x83\x7e", CloseCode.PROTOCOL_ERROR),
    ],
)
def test_a_frame_that_cannot_be_taken_is_refused_before_it_has_come(beginning, code):
    client, answer = _shaken()
    reader = MessageReader(client, MESSAGE_BYTES_MAX)

    reader.receive(answer + beginning)

    assert client.close_sent is not None
    assert client.close_sent.code == code


def test_a_refused_handshake_brings_no_messages():
    client, _ = _shaken()
    reader = MessageReader(client, MESSAGE_BYTES_MAX)
    refusal = b"HTTP/1.1 451 No\r\nContent-Length: 2\r\n\r\nno" + _frame(TEXT, b"x")

    assert reader.receive(refusal) == []
    assert "451" in str(client.handshake_exc)
