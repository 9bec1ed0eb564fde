"""A server on a free loopback port that plays a script on each connection, byte for byte."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gevent.server import StreamServer
from gevent.socket import socket
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # and its key: nothing trusts it but tests

Script = Callable[[socket], None]


@contextmanager
def serving(script: Script, *, is_secure: bool = False) -> Iterator[int]:
    """Run the script on every connection; the port."""
    secure: dict[str, Any] = {}
    if is_secure:
        secure["ssl_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure["ssl_context"].load_cert_chain(CERTIFICATE)
    server = StreamServer(("127.0.0.1", 0), lambda sock, _: _play(script, sock), **secure)
    server.start()
    try:
        yield server.server_port
    finally:
        server.stop(timeout=0.1)


def _play(script: Script, sock: socket) -> None:
    try:
        script(sock)
    except OSError:
        pass  # the client left in the middle of the play
    finally:
        sock.close()


class WirePeer:
    """The server's end of one WebSocket after its handshake."""

    def __init__(self, sock: socket) -> None:
        self.sock = sock
        self.protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
        self.received: list[Frame] = []
        while not self._accept():
            pass

    def flush(self) -> None:
        """Send what the protocol has to say."""
        self.sock.sendall(b"".join(self.protocol.data_to_send()))

    def send(self, *texts: str) -> None:
        """Send texts, a frame each, all in one write."""
        for text in texts:
            self.protocol.send_text(text.encode())
        self.flush()

    def read(self) -> bool:
        """Take in what the client sends; False at its end."""
        data = self.sock.recv(65_536)
        if data:
            self.protocol.receive_data(data)
            self.received += [e for e in self.protocol.events_received() if isinstance(e, Frame)]
            self.flush()
        return bool(data)

    def read_to_end(self) -> None:
        """Take in all that the client has to say."""
        while self.read():
            pass

    def _accept(self) -> bool:
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError("the client left before its request was whole")
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Request), event
            self.protocol.send_response(self.protocol.accept(event))
            self.flush()
            return True
        return False
