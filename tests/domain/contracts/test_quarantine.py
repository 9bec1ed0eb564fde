import json

import msgspec
import pytest

from stevie.domain.contracts.quarantine import (
    BODY_BYTES_MAX,
    FRAMES_EXPLAINED_MAX,
    Malformed,
    malformed_among,
    quarantined,
)
from stevie.domain.contracts.stored import kept
from stevie.domain.market.core import CoreSpec, FrameKind
from stevie.domain.market.sequencer import SequenceRule
from stevie.venues.binance.codec import MalformedError, decode_frame
from stevie.venues.binance.reference import BinanceReferenceCore

# -- the row ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, BODY_BYTES_MAX, BODY_BYTES_MAX + 1, 10**6])
def test_the_row_has_the_size_of_all_and_the_beginning(size: int) -> None:
    body = bytes(index % 251 for index in range(size))

    row = quarantined("wire", "binance.frame", "why", body, at_ns=7)

    assert kept(row) is row
    assert (row.at_ns, row.border, row.contract, row.reason) == (7, "wire", "binance.frame", "why")
    assert row.size == size
    assert row.body == body[:BODY_BYTES_MAX]


def test_a_reason_of_any_length_fits_the_row() -> None:
    row = quarantined("http", "c" * 200, "é" * 10**5, b"", at_ns=0)

    assert kept(row).reason == "é" * 512


# -- which frames of a batch -----------------------------------------------------------------------


def delta(seq: int, *, price: str = "60000.10", size: str = "1", **fields: object) -> bytes:
    event = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": seq, "u": seq, "b": [[price, size]]}
    return json.dumps(event | {"a": []} | fields).encode()


SPEC = CoreSpec(native_symbol="BTCUSDT", rule=SequenceRule.SPOT)


def explain(frame: bytes) -> str:
    """As the reference reads it: the codec's reason, or that its numbers fit no book."""
    try:
        decode_frame(frame)
    except MalformedError as error:
        return str(error)
    core = BinanceReferenceCore(SPEC)
    core.apply_frames([frame], [0], 0)
    return "its numbers do not fit a book" if core.view().malformed else ""


def findings(frames: list[bytes]) -> tuple[tuple[Malformed, ...], int]:
    """As an actor would: apply, and ask about what was counted."""
    core = BinanceReferenceCore(SPEC)
    core.load_snapshot(b'{"lastUpdateId":1,"bids":[],"asks":[]}', 0, 0)
    core.apply_frames(frames, [0] * len(frames), 0)
    return malformed_among(frames, core.view().malformed, scan=core.scan, explain=explain)


def test_nothing_is_found_among_good_frames() -> None:
    assert findings([delta(2), b'{"e":"news"}', b"[]", delta(3)]) == ((), 0)


def test_malformed_frames_are_found_in_order_with_the_reason_of_the_reference() -> None:
    bad = [b"{", delta(3, u="3"), delta(3, b=None), delta(3, price="-1")]

    found, unexplained_count = findings([delta(2), bad[0], delta(3), *bad[1:], delta(4)])

    assert [each.frame for each in found] == bad
    assert [each.reason for each in found] == [
        "Input data was truncated",
        "expected u an integer from 0 to 9223372036854775807, was '3'",
        "expected a list of levels, was None",
        "expected an unsigned decimal number, was '-1'",
    ]
    assert unexplained_count == 0


def test_a_frame_whose_numbers_do_not_fit_together_is_found_though_it_can_be_read() -> None:
    unfit = delta(3, b=[["2000000000000000000", "1"], ["0.000000000000000001", "1"]])
    scanned = BinanceReferenceCore(SPEC).scan(unfit)
    assert scanned[0] == FrameKind.DELTA

    found, unexplained_count = findings([delta(2), b"{", unfit])

    assert [each.frame for each in found] == [b"{", unfit]
    assert found[1].reason == "its numbers do not fit a book"
    assert unexplained_count == 0


def test_a_flood_is_explained_in_part_and_counted_in_full() -> None:
    found, unexplained_count = findings([b"{"] * 1000)

    assert len(found) == FRAMES_EXPLAINED_MAX
    assert unexplained_count == 1000 - FRAMES_EXPLAINED_MAX


def test_what_nobody_can_explain_is_still_counted() -> None:
    frames = [delta(2)]
    scan = BinanceReferenceCore(SPEC).scan

    assert malformed_among(frames, 1, scan=scan, explain=explain) == ((), 1)


def test_readable_frames_are_not_explained_when_the_count_is_met() -> None:
    asked: list[bytes] = []

    def listen(frame: bytes) -> str:
        asked.append(frame)
        return "why"

    scan = BinanceReferenceCore(SPEC).scan
    malformed_among([delta(2), b"{", delta(3)], 1, scan=scan, explain=listen)

    assert asked == [b"{"]


def test_a_finding_becomes_a_row() -> None:
    (found,), _ = findings([b'{"e":"depthUpdate"}'])

    row = quarantined("wire", "binance.frame", found.reason, found.frame, at_ns=1)

    assert msgspec.structs.asdict(kept(row))["body"] == b'{"e":"depthUpdate"}'
    assert row.reason.startswith("expected U an integer")
