"""The listening socket, and pywsgi's handler with a way out for upgrades and for resets.

Choice: gevent's pywsgi reads HTTP (keep-alive, every method, limits on headers), and after an
upgrade the sans-I/O `ServerProtocol` of websockets drives the same socket. Both are dependencies
already; `ServerProtocol` alone would be faster, but serves GET only and closes after each answer.
"""

import struct
from collections.abc import Callable
from contextlib import suppress

from gevent.pywsgi import WSGIHandler
from gevent.socket import (
    AF_INET,
    AF_INET6,
    SHUT_RD,
    SO_LINGER,
    SO_REUSEADDR,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)
from websockets.datastructures import Headers
from websockets.http11 import Request

BACKLOG = 1_000


def listener(host: str, port: int) -> socket:
    """Return a listening socket. Made here, since gevent leaks its own when the port is taken."""
    sock = socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM)
    try:
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def handler_class(
    *, is_reset: Callable[[str], bool], upgrade: Callable[[WSGIHandler], None]
) -> type[WSGIHandler]:
    """Return pywsgi's handler with its two ways out. `is_reset` is asked with each path."""

    class Handler(WSGIHandler):
        def run_application(self) -> None:
            assert self.environ is not None, "the request is read by now"
            is_upgrade = self.environ.get("HTTP_UPGRADE", "").lower() == "websocket"
            if is_reset(self.environ["PATH_INFO"]):
                self.close_connection = True
                reset(self.socket)
            elif is_upgrade and self.command == "GET":
                self.close_connection = True
                upgrade(self)
            else:
                super().run_application()

    return Handler


def reset(sock: socket) -> None:
    """Make the end of a connection a reset, as of a host that is not there."""
    with suppress(OSError):  # it may be gone already
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(SHUT_RD)


def request_of(handler: WSGIHandler) -> Request:
    """Return the request that pywsgi has read, as websockets wants it."""
    headers = Headers()
    for name, value in handler.headers.items():
        headers[name] = value
    return Request(path="/", headers=headers)  # the path is judged elsewhere
