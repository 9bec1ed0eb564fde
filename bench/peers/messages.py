"""Binance's messages for the peers that decode with msgspec: the quickest way to numbers in Python.

With `strict=False` the floats come straight from the strings.
"""

import msgspec

Levels = list[tuple[float, float]]


class Depth(msgspec.Struct, tag_field="e", tag="depthUpdate", gc=False):
    """A depth frame."""

    u: int
    b: Levels
    a: Levels


class Trade(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """A trade; `m` if the aggressor sold."""

    q: float
    m: bool


class Snapshot(msgspec.Struct, gc=False, rename={"last_seq": "lastUpdateId"}):
    """The body of GET depth."""

    last_seq: int
    bids: Levels
    asks: Levels


DECODE = msgspec.json.Decoder(Depth | Trade, strict=False).decode
DECODE_SNAPSHOT = msgspec.json.Decoder(Snapshot, strict=False).decode
