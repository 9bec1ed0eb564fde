import msgspec

from stevie.domain.contracts.catalog import FEATURE_ROW
from stevie.domain.contracts.feature_row import FeatureRowDocument, FeatureValues
from stevie.domain.market.core import CoreSpec, ReferenceCore
from stevie.domain.market.features import Features
from stevie.domain.market.sequencer import SequenceRule
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, good_where

CASES: Cases = {
    "FeatureRowDocument.known_after_it_happened": (
        any_document,
        lambda d: d.update(known_at="1969-12-31T23:59:59.999999Z"),
    ),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(FEATURE_ROW, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(FEATURE_ROW, CASES)


def row(event_at: str, known_at: str, seq: int = 1) -> FeatureRowDocument:
    document: Json = good_where(FEATURE_ROW, any_document)
    document |= {"event_at": event_at, "known_at": known_at, "seq": seq}
    return msgspec.convert(document, FeatureRowDocument)


NOON, LATER, LATEST = (f"2024-11-23T12:00:0{second}.000000Z" for second in range(3))


def test_a_row_serves_no_decision_made_before_it_was_known() -> None:
    late = row(NOON, LATEST)

    assert not late.is_known(LATER)
    assert late.is_known(LATEST)


def test_the_latest_event_counts_then_the_latest_known_then_the_highest_sequence() -> None:
    known = [(NOON, LATEST, 9), (LATER, LATER, 1), (LATER, LATEST, 1), (LATER, LATEST, 2)]
    rows = [row(*each) for each in known]
    mixed = [rows[2], rows[0], rows[3], rows[1]]

    assert sorted(mixed, key=FeatureRowDocument.recency) == rows


def test_a_row_has_the_features_by_their_own_names_and_in_their_order() -> None:
    assert FeatureValues.__struct_fields__ == Features._fields


def test_what_an_empty_book_gives_is_a_row() -> None:
    features = ReferenceCore(CoreSpec(native_symbol="X", rule=SequenceRule.SPOT)).features(10**9)

    assert msgspec.convert(features._asdict(), FeatureValues).depth_age_ns == -1
