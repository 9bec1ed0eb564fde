"""A plain WebSocket client over gevent's socket, for tests of the simulator's server."""

import json
from collections import deque

from gevent.socket import create_connection, socket
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

PATIENCE_S = 5.0


class WireClient:
    """Sends and receives texts; `close_code` is known once `receive` gave None."""

    def __init__(self, port: int, path: str) -> None:
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}{path}"), max_size=2**24)
        self.sock: socket = create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._texts: deque[str] = deque()
        self.protocol.send_request(self.protocol.connect())
        self.flush()
        self._read()

    @property
    def close_code(self) -> int | None:
        return self.protocol.close_rcvd.code if self.protocol.close_rcvd else None

    def send(self, message: object) -> None:
        self.protocol.send_text(json.dumps(message).encode())
        self.flush()

    def ask(self, message: object) -> dict:
        """Send a control message and return its answer, passing over frames of data."""
        self.send(message)
        while True:
            answer = json.loads(self.receive())
            if "result" in answer or "code" in answer:
                return answer

    def receive(self) -> str | None:
        """Return the next text, or None at the end of the connection."""
        while not self._texts:
            if not self._read():
                return None
        return self._texts.popleft()

    def close(self) -> None:
        self.sock.close()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.sock.sendall(data)

    def _read(self) -> bool:
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            return False
        if not data:
            return False
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._texts.append(bytes(event.data).decode())
        self.flush()
        return True
