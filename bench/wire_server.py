"""A small Binance for one client after the other: the snapshot by REST, the stream by WebSocket."""

import json
import socketserver
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from bench.wire_stream import (
    PAUSE_S,
    PHASES,
    STREAM,
    SYMBOL,
    Address,
    Phase,
    depth_frames,
    last_seqs,
    workload,
)

FILTERS = [  # the price first: cryptofeed reads the tick size there
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
]
LISTED = {
    "symbol": SYMBOL,
    "status": "TRADING",
    "baseAsset": "BTC",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT", "MARKET"],
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "filters": FILTERS,
    "permissions": ["SPOT"],
    "permissionSets": [["SPOT"]],
}


class Server(socketserver.ThreadingTCPServer):
    """The answers and frames, made once."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        work = workload()
        self.frames = depth_frames(work)
        self.answers = {
            "/api/v3/depth": work.snapshot,
            "/api/v3/exchangeInfo": json.dumps({"symbols": [LISTED]}).encode(),
        }
        super().__init__(("127.0.0.1", 0), Connection)


class Connection(socketserver.BaseRequestHandler):
    """A GET and its answer, or a WebSocket and its stream."""

    server: Server

    def handle(self) -> None:
        with suppress(OSError):  # a client leaves when it has heard enough
            self._serve()

    def _serve(self) -> None:
        self._protocol = ServerProtocol()
        request = self._next_event()
        assert isinstance(request, Request), request
        url = urlsplit(request.path)
        if "Upgrade" not in request.headers:
            self._answer(self.server.answers.get(url.path, b"{}"))
            return
        self._protocol.send_response(self._protocol.accept(request))
        self._flush()
        is_combined = url.path == "/stream"
        if not is_combined:
            self._on_subscribe()
        for phase, frames in self._phases():
            time.sleep(PAUSE_S)
            self._play(phase, [_on_the_wire(frame, is_combined=is_combined) for frame in frames])
        self.request.recv(1)

    def _next_event(self) -> object:
        while not (events := self._protocol.events_received()):
            data = self.request.recv(65_536)
            if not data:
                raise ConnectionError("the client left")
            self._protocol.receive_data(data)
        return events[0]

    def _answer(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\nConnection: close\r\n\r\n"
        self.request.sendall(head.encode() + body)

    def _on_subscribe(self) -> None:
        """A raw connection says what it wants; what it says is taken to be our one stream."""
        wish = self._next_event()
        assert isinstance(wish, Frame), wish
        answer = {"result": None, "id": json.loads(bytes(wish.data))["id"]}
        self._protocol.send_text(json.dumps(answer).encode())
        self._flush()

    def _flush(self) -> None:
        self.request.sendall(b"".join(self._protocol.data_to_send()))

    def _phases(self) -> Iterator[tuple[Phase, list[bytes]]]:
        begin = 0
        for phase in PHASES:
            yield phase, self.server.frames[begin : begin + phase.frames]
            begin += phase.frames

    def _play(self, phase: Phase, frames: list[bytes]) -> None:
        due_s = time.monotonic()
        for begin in range(0, len(frames), phase.per_write):
            self.request.sendall(b"".join(frames[begin : begin + phase.per_write]))
            due_s += phase.per_write / phase.per_s
            time.sleep(max(0.0, due_s - time.monotonic()))


def _on_the_wire(event: bytes, *, is_combined: bool) -> bytes:
    text = b'{"stream":"%s","data":%s}' % (STREAM.encode(), event) if is_combined else event
    return Frame(Opcode.TEXT, text).serialize(mask=False)


if __name__ == "__main__":
    server = Server()
    print(json.dumps(Address(server.server_address[1], last_seqs(server.frames))), flush=True)
    server.serve_forever()
