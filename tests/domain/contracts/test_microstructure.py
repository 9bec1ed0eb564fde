from stevie.domain.contracts.catalog import MICROSTRUCTURE
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule, edited


def break_a_venue(document: Json) -> None:
    """One that is not the reference."""
    figures = reference(document)
    null = {"valid": True, "age_ms": 1.0, "gap_touched": False}
    validity = figures["validity"] | {"obi": null}
    document["venues"]["another"] = figures | {"obi": None, "validity": validity}


def break_a_count_window(document: Json) -> None:
    window = document["count_window"]
    window["ti"] = None
    window["validity"]["ti"] |= {"valid": True, "gap_touched": False}


def touch_a_valid_one(document: Json) -> None:
    document["validity"]["ofi"] |= {"valid": True, "gap_touched": True}


def shuffle_the_bids(document: Json) -> None:
    document["consolidated"]["bids"] = [["9", "1", "okx"], ["10", "1", "okx"]]


def shuffle_the_asks(document: Json) -> None:
    document["consolidated"]["asks"] = [["10", "1", "okx"], ["9", "1", "okx"]]


def reference(document: Json) -> Json:
    return document["venues"][document["reference_venue"]]


CASES: Cases = {
    "Validity.no_gap_is_valid": (any_document, touch_a_valid_one),
    "CountWindowDocument.only_figures_are_valid": (any_document, break_a_count_window),
    "ConsolidatedDocument.best_first bids": (any_document, shuffle_the_bids),
    "ConsolidatedDocument.best_first asks": (any_document, shuffle_the_asks),
    "VenueDocument.all_figures_or_none": (any_document, lambda d: reference(d).pop("ti")),
    "VenueDocument.live_books_have_figures": (
        any_document,
        lambda d: reference(d).update(state="STALE"),
    ),
    "VenueDocument.only_figures_are_valid": (any_document, break_a_venue),
    "MicrostructureDocument.shows_its_reference": (
        any_document,
        lambda d: reference(d).update(trades_per_s=d["trades_per_s"] / 2 + 1),
    ),
    "MicrostructureDocument.shows_its_reference unknown": (
        any_document,
        lambda d: d.update(reference_venue="nowhere"),
    ),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(MICROSTRUCTURE, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(MICROSTRUCTURE, CASES)


def test_venues_may_cross_each_other_and_share_a_price() -> None:
    def cross(document: Json) -> None:
        bids, asks = [["11", "1", "okx"], ["11", "2", "kraken"]], [["10", "1", "bybit"]]
        document["consolidated"] |= {"bids": bids, "asks": asks}

    assert broken_rule(MICROSTRUCTURE, edited(MICROSTRUCTURE, cross)) == ""
