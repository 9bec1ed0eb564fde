import re
from typing import Any

import pytest

from stevie.domain.contracts.catalog import CONTRACTS, FINGERPRINTS
from stevie.domain.contracts.contract import Contract
from tests.domain.contracts import schemas

EACH = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.name)


def test_the_contracts_are_those_that_were_promised() -> None:
    assert sorted(contract.name for contract in CONTRACTS) == [
        "audit_row",
        "execution_in",
        "execution_out",
        "feature_row",
        "flag_in",
        "flag_out",
        "l2",
        "microstructure",
        "model_meta",
        "ohlcv",
        "router_in",
        "router_out",
    ]


@EACH
def test_the_committed_schema_is_what_the_struct_says(contract: Contract[Any]) -> None:
    run = "run: .venv/bin/python -m tests.domain.contracts.schemas"

    assert schemas.committed(contract) == schemas.text(contract), run


def test_no_schema_is_committed_that_there_is_no_contract_for() -> None:
    assert set(schemas.FOLDER.iterdir()) == {schemas.path(contract) for contract in CONTRACTS}


@EACH
def test_a_shape_does_not_change_without_a_new_version(contract: Contract[Any]) -> None:
    recorded = FINGERPRINTS[f"{contract.name}/{contract.version}"]

    assert contract.fingerprint() == recorded, "give it a new version, and FINGERPRINTS a new line"


def test_versions_count_up_from_one_and_none_is_forgotten() -> None:
    promised = [
        f"{contract.name}/{version}"
        for contract in CONTRACTS
        for version in range(1, contract.version + 1)
    ]

    assert sorted(FINGERPRINTS) == sorted(promised)
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in FINGERPRINTS.values())


@EACH
def test_every_number_of_a_contract_is_bounded(contract: Contract[Any]) -> None:
    for schema in nested(contract.schema()):
        if schema.get("type") in {"integer", "number"}:
            assert {"minimum", "exclusiveMinimum"} & set(schema), schema
            assert "maximum" in schema


@EACH
def test_every_text_and_every_list_of_a_contract_is_bounded(contract: Contract[Any]) -> None:
    for schema in nested(contract.schema()):
        if schema.get("type") == "string":
            assert {"maxLength", "pattern", "enum"} & set(schema), schema
        if schema.get("type") == "array":
            assert "maxItems" in schema, schema
        if schema.get("type") == "object":
            assert schema.get("additionalProperties") is False or "maxProperties" in schema, schema


@EACH
def test_every_document_is_described_and_times_are_told_by_name(contract: Contract[Any]) -> None:
    for schema in nested(contract.schema()):
        if "properties" in schema:
            assert schema["description"].endswith("."), schema["title"]
        for name, each in schema.get("properties", {}).items():
            is_time = any(part.get("format") == "date-time" for part in nested(each))
            assert is_time is (name.endswith("_at") or name in {"at", "as_of"}), name


def nested(schema: Any) -> list[dict[str, Any]]:
    """Every schema within, itself included."""
    if isinstance(schema, list):
        return [found for each in schema for found in nested(each)]
    if not isinstance(schema, dict):
        return []
    parts = [list(schema.get(name, {}).values()) for name in ("properties", "$defs")]
    parts += [value for name, value in schema.items() if name not in {"properties", "$defs"}]
    return [schema, *nested(parts)]
