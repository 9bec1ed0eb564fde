"""The schemas and the structs say the same: jsonschema, which knows no msgspec, is the witness."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from stevie.domain.contracts.catalog import CONTRACTS
from stevie.domain.contracts.contract import Contract
from tests.domain.contracts.documents import (
    BAD_SHAPE,
    BROKEN_RULE,
    GOOD,
    Json,
    good,
    mutated,
    paths,
    verdict,
    with_one_missing,
    with_strangers,
)
from tests.domain.contracts.schemas import committed

EACH = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.name)
GOOD_COUNT = 25
BAD_COUNT = 40
MANY = 300
REPLACED = 1500


def witness(contract: Contract[Any]) -> Draft202012Validator:
    """Judges by the committed file alone."""
    return Draft202012Validator(json.loads(committed(contract)))


@EACH
def test_a_schema_is_valid_json_schema(contract: Contract[Any]) -> None:
    Draft202012Validator.check_schema(contract.schema())


@EACH
def test_good_documents_are_good_to_both(contract: Contract[Any]) -> None:
    judge = witness(contract)
    for seed in range(GOOD_COUNT):
        document = good(contract, Random(seed))

        assert verdict(contract, document) == GOOD, (seed, document)
        assert judge.is_valid(document), (seed, document)


@EACH
def test_both_agree_on_documents_with_one_thing_wrong(contract: Contract[Any]) -> None:
    assert_agreement(contract, [_mutated(contract, seed) for seed in range(BAD_COUNT)])


@pytest.mark.slow
@EACH
def test_both_agree_on_many_documents_with_one_thing_wrong(contract: Contract[Any]) -> None:
    assert_agreement(contract, [_mutated(contract, seed) for seed in range(MANY)])


@pytest.mark.slow
@EACH
def test_both_agree_on_every_value_replaced_by_others_of_every_kind(
    contract: Contract[Any],
) -> None:
    rng = Random(contract.name)
    document = max((good(contract, rng) for _ in range(20)), key=lambda each: len(str(each)))
    each_count = 2 * REPLACED // len(list(paths(document)))
    made = list(with_strangers(document, rng, each_count))

    assert_agreement(contract, rng.sample(made, min(REPLACED, len(made))))


def _mutated(contract: Contract[Any], seed: int) -> Json:
    rng = Random(f"{contract.name} {seed}")
    return mutated(good(contract, rng), rng)


def assert_agreement(contract: Contract[Any], documents: Sequence[Json]) -> None:
    judge, found = witness(contract), dict.fromkeys((GOOD, BAD_SHAPE, BROKEN_RULE), 0)
    for document in documents:
        said = verdict(contract, document)
        found[said] += 1

        if said != BROKEN_RULE:  # that, JSON Schema cannot say
            assert judge.is_valid(document) is (said == GOOD), (said, document)

    assert found[BAD_SHAPE] > len(documents) // 3


@EACH
def test_every_field_that_is_required_is_missed(contract: Contract[Any]) -> None:
    judge, document = witness(contract), good(contract, Random(0))
    for name in contract.schema()["required"]:
        without = {key: value for key, value in document.items() if key != name}

        assert verdict(contract, without) == BAD_SHAPE, name
        assert not judge.is_valid(without), name


@EACH
def test_both_agree_on_what_may_be_missing_within(contract: Contract[Any]) -> None:
    document = max((good(contract, Random(seed)) for seed in range(9)), key=lambda d: len(str(d)))

    assert_agreement(contract, list(with_one_missing(document)))


def test_what_stevie_writes_has_no_optional_fields_but_those_that_say_so() -> None:
    optional = {
        contract.name: sorted(set(contract.schema()["properties"]) - set(_required(contract)))
        for contract in CONTRACTS
    }

    assert {name: fields for name, fields in optional.items() if fields} == {
        "router_in": ["side"],
        "execution_in": ["client_id", "limit_price", "type"],
    }


def _required(contract: Contract[Any]) -> list[str]:
    required: list[str] = contract.schema()["required"]
    return required


def test_no_contract_that_a_caller_writes_has_integers_for_1_0_divides_the_readers() -> None:
    # JSON Schema takes 1.0 for an integer, msgspec does not: of what we write it makes no
    # difference, since we write integers without a fraction; a caller must not be left to guess.
    asked = [contract for contract in CONTRACTS if contract.direction == "in"]

    assert len(asked) == 3
    assert not any('"integer"' in committed(contract) for contract in asked)


@pytest.mark.parametrize("text", ["1.0", "1e0", "10E-1"])
def test_an_integer_is_written_without_a_fraction(text: str) -> None:
    contract = next(each for each in CONTRACTS if each.name == "feature_row")
    document = json.dumps({**good(contract, Random(1)), "seq": 1})
    contract.read(document.encode())

    with pytest.raises(msgspec.ValidationError, match="seq"):
        contract.read(document.replace('"seq": 1,', f'"seq": {text},').encode())
