"""ccxt in a process of its own: python ccxt_client.py PORT SECONDS SYMBOL...

Prints a JSON line for each book it holds: where, how (rest or watch), sequence, top 20 a side.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlparse

from ccxt import pro

LEVELS = 20
REST_EVERY_S = 1.0
MARKETS = {"binance": ("spot", "{}/USDT"), "binance_usdm": ("linear", "{}/USDT:USDT")}


def client(port: int, venue: str):
    kind, _ = MARKETS[venue]
    made = pro.binance(
        {"options": {"defaultType": "spot", "fetchMarkets": {"types": [kind]}}, "timeout": 5_000}
    )
    for key, url in made.urls["api"].items():
        if isinstance(url, str):
            made.urls["api"][key] = f"http://127.0.0.1:{port}{urlparse(url).path}"
    for name in made.urls["api"]["ws"]:  # ccxt itself puts /public before the path of linear
        made.urls["api"]["ws"][name] = f"ws://127.0.0.1:{port}/ws"
    return made


def say(venue: str, base: str, how: str, book) -> None:
    top = {side: [list(level[:2]) for level in book[side][:LEVELS]] for side in ("bids", "asks")}
    row = {"venue": venue, "symbol": f"{base}USDT", "how": how, "seq": book["nonce"], **top}
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


async def watch(exchange, venue: str, base: str, until_s: float) -> None:
    symbol = MARKETS[venue][1].format(base)
    while time.monotonic() < until_s:
        say(venue, base, "watch", await exchange.watch_order_book(symbol))


async def fetch(exchange, venue: str, base: str, until_s: float) -> None:
    symbol = MARKETS[venue][1].format(base)
    while time.monotonic() < until_s:
        say(venue, base, "rest", await exchange.fetch_order_book(symbol, LEVELS))
        await asyncio.sleep(REST_EVERY_S)


async def main(port: int, seconds: float, bases: list[str]) -> None:
    exchanges = {venue: client(port, venue) for venue in MARKETS}
    try:
        for exchange in exchanges.values():
            await exchange.load_markets()
        until_s = time.monotonic() + seconds
        await asyncio.gather(
            *(
                follow(exchange, venue, base, until_s)
                for venue, exchange in exchanges.items()
                for base in bases
                for follow in (watch, fetch)
            )
        )
    finally:
        for exchange in exchanges.values():
            await exchange.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
