import json
from decimal import Decimal

import msgspec
import pytest

from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.audit import (
    ACTOR_LENGTH_MAX,
    KIND_LENGTH_MAX,
    PAYLOAD_BYTES_MAX,
    AuditEntry,
    AuditKind,
    canonical,
    payload,
)


def test_a_payload_is_json_with_its_keys_in_order():
    encoded = payload(
        zone="Zürich", levels=((1, 2), [3]), at=None, is_on=True, more={"b": 1, "a": 2}
    )

    assert encoded.decode() == (
        '{"at":null,"is_on":true,"levels":[[1,2],[3]],"more":{"a":2,"b":1},"zone":"Zürich"}'
    )


def test_the_order_in_which_fields_are_named_changes_nothing():
    assert payload(a=1, b={"x": 1, "y": 2}) == payload(b={"y": 2, "x": 1}, a=1)


def test_large_integers_are_kept_exactly():
    assert json.loads(payload(at_ns=2**63 - 1, low=-(2**63)))["at_ns"] == 2**63 - 1


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"price": 1.5}, r"payload\.price:"),
        ({"price": 2.0}, r"payload\.price:"),
        ({"price": float("nan")}, r"payload\.price:"),
        ({"book": {"bids": [(1, 2), (3, 0.5)]}}, r"payload\.book\.bids\[1\]\[1\]:"),
        ({"price": Decimal("1.5")}, r"payload\.price:"),
        ({"body": b"raw"}, r"payload\.body:"),
        ({"names": {"a"}}, r"payload\.names:"),
        ({"book": {1: 2}}, r"payload\.book:"),
    ],
)
def test_a_value_without_canonical_bytes_is_named_by_its_path(fields, path):
    with pytest.raises(TypeError, match=path):
        payload(**fields)


def test_anything_canonical_is_named_as_its_author_calls_it():
    with pytest.raises(TypeError, match=r"provenance\.input"):
        canonical({"input": 0.1}, "provenance")


def test_a_payload_has_a_bound_and_names_its_fields_when_it_is_passed():
    assert len(payload(a="x" * (PAYLOAD_BYTES_MAX - 8))) == PAYLOAD_BYTES_MAX

    with pytest.raises(ValueError, match=r"65537 bytes \(a\)"):
        payload(a="x" * (PAYLOAD_BYTES_MAX - 7))


def entry(**fields):
    defaults = {"at_ns": 1, "kind": AuditKind.STARTED, "actor": "stevie", "payload": b"{}"}
    return AuditEntry(**{**defaults, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"at_ns": -1},
        {"at_ns": 2**63},
        {"kind": ""},
        {"kind": "k" * (KIND_LENGTH_MAX + 1)},
        {"actor": ""},
        {"actor": "a" * (ACTOR_LENGTH_MAX + 1)},
        {"actor": "\ud800"},
        {"payload": b" " * (PAYLOAD_BYTES_MAX + 1)},
        {"model": "m" * 200},
    ],
)
def test_an_entry_that_would_break_the_contract_of_its_row_fails_at_its_author(fields):
    with pytest.raises(AssertionError):
        entry(**fields)


def test_the_bounds_of_an_entry_are_those_of_the_contract():
    row = {"seq": 1, "at_ns": 2**63 - 1, "kind": "k" * KIND_LENGTH_MAX, "provenance": "{}"}
    row |= {"actor": "a" * ACTOR_LENGTH_MAX, "payload": " " * PAYLOAD_BYTES_MAX}
    row |= {"prev_hash": "0" * 64, "hash": "1" * 64}

    assert msgspec.convert(row, AuditRow).kind == "k" * KIND_LENGTH_MAX
    for longer in ("kind", "actor", "payload"):
        with pytest.raises(msgspec.ValidationError, match=longer):
            msgspec.convert({**row, longer: row[longer] + "x"}, AuditRow)


@pytest.mark.parametrize("kind", AuditKind)
def test_every_kind_has_a_sentence_and_is_its_own_text(kind):
    assert kind == kind.value == str(kind)
    assert kind.sentence.endswith(".")
    assert AuditKind(kind.value) is kind


def test_an_entry_weighs_more_the_more_it_tells():
    assert entry(payload=b" " * 100).size_bytes() == entry().size_bytes() + 98
