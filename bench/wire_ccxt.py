"""ccxt pro as a client of bench/wire_server.py."""

from urllib.parse import urlsplit

import ccxt.pro
import uvloop

from bench.wire_stream import TOP_LEVELS, Marks, address, counted


async def main(port: int, seqs: list[int]) -> None:
    marks = Marks(f"ccxt pro {ccxt.pro.__version__}", seqs)
    client = ccxt.pro.binance(
        {"options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}}
    )
    urls = client.urls["api"]
    for name, url in urls.items():
        if isinstance(url, str):
            urls[name] = f"http://127.0.0.1:{port}{urlsplit(url).path}"
    urls["ws"]["spot"] = f"ws://127.0.0.1:{port}/ws"
    while not marks.is_over((book := await client.watch_order_book("BTC/USDT"))["nonce"]):
        pass
    sides = book["bids"][:TOP_LEVELS], book["asks"][:TOP_LEVELS]
    marks.end(*(counted((level[0], level[1]) for level in side) for side in sides))


if __name__ == "__main__":
    uvloop.run(main(*address()))
