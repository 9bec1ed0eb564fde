import json
from typing import Any

import pytest

from stevie.venues.binance.codec import (
    NESTING_MAX,
    Delta,
    MalformedError,
    Other,
    Snapshot,
    Trade,
    decode_frame,
    decode_snapshot,
)

DELTA: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1723161255208,
    "s": "BTCUSDT",
    "U": 50093239189,
    "u": 50093239202,
    "b": [["61737.63000000", "0.00000000"]],
    "a": [["61837.64000000", "1.54698000"], ["61839", "2"]],
}
TRADE: dict[str, Any] = {
    "e": "trade",
    "s": "BTCUSDT",
    "t": 3735683259,
    "p": "61837.63000000",
    "q": "0.02000000",
    "m": True,
}


ODD_SEQS: tuple[Any, ...] = (None, -1, 1.0, "1", True, 2**63)
ODD_LEVELS: tuple[Any, ...] = (
    *(None, {}, "x", [1], [[]], [["1"]], [["1", 2]], [["0", "1"]]),
    *([["1", "-1"]], [["1e5", "1"]], [["9" * 30, "1"]]),
)


def raw(event: object) -> bytes:
    return json.dumps(event).encode()


def test_a_spot_delta_is_read_whole() -> None:
    assert decode_frame(raw(DELTA)) == Delta(
        symbol="BTCUSDT",
        first_seq=50093239189,
        last_seq=50093239202,
        previous_seq=-1,
        event_ns=1723161255208_000_000,
        bids=((6173763, 2, 0, 0),),
        asks=((6183764, 2, 154698, 5), (61839, 0, 2, 0)),
    )


def test_a_usdm_delta_names_the_one_before_it() -> None:
    event = decode_frame(raw(DELTA | {"pu": 50093239100}))
    assert isinstance(event, Delta)
    assert event.previous_seq == 50093239100


def test_a_combined_frame_is_its_data() -> None:
    assert decode_frame(raw({"stream": "x", "data": DELTA})) == decode_frame(raw(DELTA))


def test_a_trade_tells_which_side_was_the_aggressor() -> None:
    assert decode_frame(raw(TRADE)) == Trade("BTCUSDT", "trade", 3735683259, (2, 2), True)
    assert decode_frame(raw({**TRADE, "e": "aggTrade", "a": 7, "m": False})) == Trade(
        "BTCUSDT", "aggTrade", 7, (2, 2), False
    )


@pytest.mark.parametrize(
    "value",
    [
        [],
        1,
        None,
        "e",
        {},
        {"result": None, "id": 1},
        {"e": "kline", "k": {}},
        {"e": 1},
        {"data": [DELTA]},
        {"data": {"data": DELTA}},
        {**TRADE, "q": "0", "p": "0"},
    ],
)
def test_a_well_formed_frame_of_another_kind_is_passed_over(value: object) -> None:
    assert decode_frame(raw(value)) == Other()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("U", odd) for odd in ODD_SEQS],
        ("U", 50093239203),
        *[("u", odd) for odd in ODD_SEQS],
        *[("pu", odd) for odd in ODD_SEQS],
        *[("E", odd) for odd in ODD_SEQS],
        ("E", 2**63 - 1),
        ("s", None),
        ("s", 1),
        *[("b", odd) for odd in ODD_LEVELS],
        *[("a", odd) for odd in ODD_LEVELS],
    ],
)
def test_a_delta_with_a_wrong_field_is_malformed_and_the_error_says_what_was_expected(
    field: str, value: object
) -> None:
    with pytest.raises(MalformedError, match="expected"):
        decode_frame(raw({**DELTA, field: value}))


@pytest.mark.parametrize("field", ["U", "u", "s", "b", "a"])
def test_a_delta_without_a_required_field_is_malformed(field: str) -> None:
    with pytest.raises(MalformedError, match="expected"):
        decode_frame(raw({key: value for key, value in DELTA.items() if key != field}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("s", None), ("t", None), ("t", -1), ("p", 1), ("p", "0"), ("q", "x"), ("m", 1), ("m", None)],
)
def test_a_trade_with_a_wrong_field_is_malformed(field: str, value: object) -> None:
    with pytest.raises(MalformedError, match="expected"):
        decode_frame(raw({**TRADE, field: value}))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"{}x", b"\xef\xbb\xbf{}", b'{"a":1,}', b"01", b'"\xff"', b'"\\ud800"', b"1e999"],
)
def test_what_is_not_strict_json_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_frame(text)


def test_nesting_is_bounded_by_us_and_not_by_the_stack_of_the_moment() -> None:
    assert decode_frame(b"[" * NESTING_MAX + b"]" * NESTING_MAX) == Other()
    for depth in (NESTING_MAX + 1, 100_000):
        with pytest.raises(MalformedError):
            decode_frame(b"[" * depth + b"]" * depth)


def test_a_text_of_brackets_is_not_deep() -> None:
    assert decode_frame(raw("[{" * 1000)) == Other()


def test_a_snapshot_is_read_whole() -> None:
    body = {"lastUpdateId": 7, "bids": [["1.50", "2"]], "asks": [], "E": 1}
    assert decode_snapshot(raw(body)) == Snapshot(7, ((15, 1, 2, 0),), ())


@pytest.mark.parametrize(
    "body", [[], {}, {"lastUpdateId": 7, "bids": []}, {"code": -1121, "msg": "Invalid symbol."}]
)
def test_what_is_no_snapshot_is_malformed(body: object) -> None:
    with pytest.raises(MalformedError, match="expected"):
        decode_snapshot(raw(body))
