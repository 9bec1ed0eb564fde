"""cryptofeed as a client of bench/wire_server.py."""

import asyncio
from importlib.metadata import version
from typing import Any

import cryptofeed.connection
import uvloop
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges import Binance

from bench.wire_stream import TOP_LEVELS, Marks, address, counted


def main(port: int, seqs: list[int]) -> None:
    marks = Marks(f"cryptofeed {version('cryptofeed')}", seqs)
    _allow_plain_sockets()
    Binance.websocket_endpoints = [WebsocketEndpoint(f"ws://127.0.0.1:{port}")]
    routes = Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}")
    Binance.rest_endpoints = [RestEndpoint(f"http://127.0.0.1:{port}", routes=routes)]

    async def on_book(book: Any, _received_s: float) -> None:
        if marks.is_over(book.sequence_number):
            sides = book.book.bids, book.book.asks
            marks.end(*(counted(side.index(i) for i in range(TOP_LEVELS)) for side in sides))

    handler = FeedHandler(config={"log": {"disabled": True}, "uvloop": False})
    handler.add_feed(
        Binance(symbols=["BTC-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: on_book})
    )
    asyncio.set_event_loop(
        uvloop.new_event_loop()
    )  # it takes the one that is there, and finds none
    handler.run()


def _allow_plain_sockets() -> None:
    """It refuses ws:// at first sight; nothing else in it minds."""
    init = cryptofeed.connection.WSAsyncConn.__init__

    def plain(self: Any, address: str, *args: Any, **options: Any) -> None:
        init(self, address.replace("ws://", "wss://", 1), *args, **options)
        self.address = address

    cryptofeed.connection.WSAsyncConn.__init__ = plain


if __name__ == "__main__":
    main(*address())
