import pytest

from stevie.domain.contracts.catalog import FLAG_IN, FLAG_OUT
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import Cases, Pick, assert_breaks, assert_complete
from tests.domain.contracts.documents import BAD_SHAPE, GOOD, Edit, Json, verdict


def was_set(document: Json) -> bool:
    return document["changed_at"] is not None


def was_never_set(document: Json) -> bool:
    return not was_set(document)


CASES: Cases = {
    "FlagDocument.change_is_told": (was_set, lambda d: d.update(audit_seq=None)),
    "FlagDocument.change_is_told the other way": (was_never_set, lambda d: d.update(audit_seq=7)),
    "FlagDocument.default_holds_until_changed": (
        was_never_set,
        lambda d: d.update(value=not d["default"]),
    ),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(FLAG_OUT, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(FLAG_OUT, CASES)


@pytest.mark.parametrize("value", [0, 1, "true", "on", None, [], 1.0])
def test_only_true_and_false_are_asked_for(value: Json) -> None:
    assert verdict(FLAG_IN, {"name": "l2_log", "value": value}) == BAD_SHAPE
    assert verdict(FLAG_IN, {"name": "l2_log", "value": True}) == GOOD
