from stevie.domain.contracts.catalog import MODEL_META
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule, edited, good_where


def is_trained(document: Json) -> bool:
    return document["training"] is not None


def end_at_start(document: Json) -> None:
    document["training"]["train_to_at"] = document["training"]["train_from_at"]


def know_too_early(document: Json) -> None:
    document["training"]["known_at"] = document["training"]["train_from_at"]


CASES: Cases = {
    "TrainingDocument.window_is_not_empty": (is_trained, end_at_start),
    "TrainingDocument.known_after_it_happened": (is_trained, know_too_early),
    "ModelDocument.aliases_differ": (
        any_document,
        lambda d: d.update(aliases=["active", "shadow", "active"]),
    ),
    "ModelDocument.parents_are_others": (any_document, lambda d: d.update(parents=[d["id"]])),
    "ModelDocument.parents_are_others twice": (
        any_document,
        lambda d: d.update(parents=["p", "p"]),
    ),
    "ModelDocument.created_from_what_was_known": (
        is_trained,
        lambda d: d.update(created_at=d["training"]["train_from_at"]),
    ),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(MODEL_META, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(MODEL_META, CASES)


def test_a_model_that_was_not_fitted_has_no_training() -> None:
    assert good_where(MODEL_META, lambda d: not is_trained(d))
    assert broken_rule(MODEL_META, edited(MODEL_META, lambda d: d.update(training=None))) == ""
