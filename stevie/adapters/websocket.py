"""MessageReader: whole messages from the bytes of a WebSocket, plain frames in runs. No I/O.

Nearly every frame of a market data stream is a message by itself: final, not compressed, not
masked. Runs of these are cut out of what a read brought. The handshake and every other frame go
through the protocol of `websockets`, one by one and in order (docs/adr/0020).
"""

from codecs import utf_8_decode
from collections.abc import Iterable

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

# First bytes of a frame: FIN (0x80), three reserved bits and the opcode.
_TEXT, _BINARY = 0x81, 0x82
_PLAIN = frozenset({_TEXT, _BINARY})
_KNOWN = _PLAIN | {0x00, 0x01, 0x02, 0x80, 0x88, 0x89, 0x8A}  # fragments and control frames too
# Second bytes: a size up to 125, the number of bytes that tell it, or above them the bit for masks.
_SIZE_MAX, _SIZE_OF_2, _SIZE_OF_8 = 125, 126, 127
_SIZE_BYTES = {_SIZE_OF_2: 2, _SIZE_OF_8: 8}
_HEADER_BYTES_MIN, _HEADER_BYTES_MAX = 2, 10
PLAIN_BYTES_MAX = 2**16 - 1  # what two bytes of size can tell


class MessageReader:
    """Reads what a server sends, from its answer to the handshake on."""

    def __init__(self, protocol: ClientProtocol, message_bytes_max: int) -> None:
        assert message_bytes_max >= PLAIN_BYTES_MAX, message_bytes_max
        self._protocol, self._message_bytes_max = protocol, message_bytes_max
        self._kept = bytearray()  # the beginning of a frame, of message_bytes_max at the most
        self._wanted = 0  # its bytes, as far as they tell
        self._knows_frames = True  # False after what is no frame: the protocol has the word
        self._parts: list[bytes] = []
        self._is_text = False
        self.control_frames = 0

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that these bytes complete."""
        if self._kept:
            if len(self._kept) + len(data) < self._wanted:
                self._kept += data
                return []
            data = b"".join((self._kept, data))
            self._kept = bytearray()
        messages: list[bytes] = []
        position = self._shake_hands(data)
        while position < len(data):
            position = self._read_run(data, position, messages)
            if position < len(data):
                position = self._read_frame(data, position, messages)
        return messages

    def _shake_hands(self, data: bytes) -> int:
        """Pass on the answer to the handshake; where frames begin."""
        protocol, position = self._protocol, 0
        # Line by line, since the protocol does not tell how much of its input was the answer.
        while protocol.state is State.CONNECTING and position < len(data):
            end = data.find(b"\n", position) + 1 or len(data)
            if protocol.handshake_exc is not None:
                end = len(data)  # refused: the rest is the protocol's to throw away
            protocol.receive_data(data[position:end])
            position = end
        return position

    def _read_run(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Cut out plain frames up to what is none, or not whole; where that begins."""
        if not self._is_between_messages():
            return position
        data_end = len(data)
        # PERF: at 400 ns a frame, half of it for the copy, a call for each would be felt.
        while position + 4 <= data_end:
            head, size, start = data[position], data[position + 1], position + 2
            if size == _SIZE_OF_2:
                size = data[start] << 8 | data[start + 1]
                start += 2
            elif size > _SIZE_MAX:
                break
            end = start + size
            if head not in _PLAIN or end > data_end:
                break
            message, position = data[start:end], end
            if not message.isascii() and head == _TEXT and not self._is_utf8(message):
                break
            messages.append(message)
        return position

    def _is_between_messages(self) -> bool:
        protocol = self._protocol
        is_sound = self._knows_frames and protocol.state is State.OPEN
        return is_sound and protocol.current_size is None

    def _read_frame(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Pass one frame to the protocol, or keep its beginning; where the next one begins."""
        end = self._end_of_frame(data, position)
        if end > len(data):
            self._kept += data[position:]
            self._wanted = end - position
            return len(data)
        self._protocol.receive_data(data[position:end])
        self._collect(self._protocol.events_received(), messages)
        return end

    def _end_of_frame(self, data: bytes, position: int) -> int:
        """Where a frame ends, as far as its header tells; all of the data if it is no frame."""
        header = data[position : position + _HEADER_BYTES_MAX]
        if self._knows_frames and len(header) < _HEADER_BYTES_MIN:
            return position + _HEADER_BYTES_MIN
        if not self._knows_frames or header[0] not in _KNOWN or header[1] > _SIZE_OF_8:
            self._knows_frames = False
            return len(data)
        payload = _HEADER_BYTES_MIN + _SIZE_BYTES.get(header[1], 0)
        if len(header) < payload:
            return position + payload
        size = int.from_bytes(header[2:payload]) if payload > _HEADER_BYTES_MIN else header[1]
        self._knows_frames = size <= self._message_bytes_max - (self._protocol.current_size or 0)
        return position + payload + size if self._knows_frames else len(data)

    def _collect(self, events: Iterable[Event], messages: list[bytes]) -> None:
        """Join fragments, count control frames."""
        for event in events:
            if isinstance(event, Frame) and event.opcode in {Opcode.PING, Opcode.PONG}:
                self.control_frames += 1
            elif isinstance(event, Frame) and event.opcode is not Opcode.CLOSE:
                self._add_part(event, messages)

    def _add_part(self, frame: Frame, messages: list[bytes]) -> None:
        if not self._parts:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if frame.fin:
            message, self._parts = b"".join(self._parts), []
            if not self._is_text or self._is_utf8(message):
                messages.append(message)

    def _is_utf8(self, text: bytes) -> bool:
        """Whether a text is one; the protocol fails the connection if not."""
        try:
            utf_8_decode(text, "strict", True)  # noqa: FBT003 - final, by position only
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at position {error.start}"
            self._protocol.fail(CloseCode.INVALID_DATA, reason)
            return False
        return True
