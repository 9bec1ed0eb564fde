"""Small captures made by a test, and where the recordings of real venues are."""

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDINGS = Path(os.environ.get("STEVIE_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
BINANCE = (
    "binance-spot_depth100ms_10sym_20210417",
    "binance-spot_depth100ms_4sym_20210814_limit5000",
    "binance-spot_depth100ms_btcusdt_20240808",
    "binance-usdm_depth100ms_4sym_20210722",
)
START_S = 1_700_000_000.0
REST = "https://api.binance.com/api/v3/depth?symbol={symbol}&limit=1000"
SOCKET = "wss://stream.binance.com:9443/stream?streams=a"


def recording(name: str, *, ending: str = ".jsonl.gz") -> Path:
    """A recording by name; the test is skipped where the recordings are absent."""
    path = RECORDINGS / (name + ending)
    if not path.exists():
        pytest.skip(f"no recordings in {RECORDINGS}: set STEVIE_TEST_DATA")
    return path


def delta(first: int, last: int, *, symbol: str = "ABC", bids=(), asks=(), **more) -> dict:
    """A spot diff frame as a capture line."""
    event = {"e": "depthUpdate", "E": 1, "s": symbol, "U": first, "u": last, **more}
    return ws({**event, "b": list(bids), "a": list(asks)})


def ws(event: dict, *, url: str = SOCKET) -> dict:
    """A frame as a capture line."""
    return {"kind": "ws_in", "url": url, "raw": json.dumps(event, separators=(",", ":"))}


def snapshot(seq: int, *, symbol: str = "ABC", bids=(("9.5", "1"),), asks=(("10.5", "2"),)) -> dict:
    """A REST answer as a capture line."""
    body = {"lastUpdateId": seq, "bids": list(bids), "asks": list(asks)}
    return {"kind": "rest", "url": REST.format(symbol=symbol), "raw": json.dumps(body)}


def texts(lines: Iterable[dict], *, step_s: float = 0.1) -> list[str]:
    """The lines of a capture, a tenth of a second apart unless they have a time."""
    return [json.dumps({"t": START_S + index * step_s, **line}) for index, line in enumerate(lines)]


def write(path: Path, lines: Iterable[dict | str]) -> Path:
    """Write a capture, gzip'd if its name says so; a text is written as it is."""
    rows = [line if isinstance(line, str) else texts([line])[0] for line in lines]
    data = "".join(row + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
