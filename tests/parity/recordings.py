"""Real frames that others recorded; absent on most machines, and never part of the product."""

import gzip
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from stevie.domain.market.sequencer import SequenceRule

DATA = Path(
    os.environ.get("STEVIE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
)
RULES = {
    "binance-spot_depth100ms_btcusdt_20240808": SequenceRule.SPOT,
    "binance-spot_depth100ms_10sym_20210417": SequenceRule.SPOT,
    "binance-spot_depth100ms_4sym_20210814_limit5000": SequenceRule.SPOT,
    "binance-usdm_depth100ms_4sym_20210722": SequenceRule.USDM,
}


class Frame(NamedTuple):
    """What arrived: a snapshot where `level_limit` is not 0."""

    symbol: str
    raw: bytes
    at_ns: int
    level_limit: int


@cache
def recording(name: str) -> tuple[Frame, ...]:
    """All of a recording; the test is skipped where it is not there."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recording {path}: set STEVIE_TEST_DATA to where the recordings are")
    with gzip.open(path) as lines:
        return tuple(_frame(json.loads(line)) for line in lines)


def _frame(record: dict[str, str]) -> Frame:
    raw, at_ns = record["raw"].encode(), int(float(record["t"] or 0) * 1e9)
    if record["kind"] != "rest":
        stream = re.search(rb'"stream":"([^@]+)@', raw)
        return Frame(stream[1].decode().upper() if stream else "", raw, at_ns, 0)
    symbol = re.search(r"symbol=(\w+)", record["url"])
    limit = re.search(r"limit=(\d+)", record["url"])
    assert symbol is not None, record["url"]
    return Frame(symbol[1], raw, at_ns, int(limit[1]) if limit else 1000)
