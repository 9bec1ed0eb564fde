import pytest

from stevie.domain.contracts.catalog import ROUTER_IN, ROUTER_OUT
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule


def has_split(document: Json) -> bool:
    return document["split"] is not None and len(document["split"]["parts"]) > 1


def shift_a_term(document: Json) -> None:
    """By the least that there is."""
    term = document["choice"]["reasons"][0]
    term["score_bps"] = (round(term["score_bps"] * 1e9) + 1) / 1e9


def choose_the_worst(document: Json) -> None:
    document["choice"] = min(document["scores"], key=lambda each: each["score"])


def repeat_a_term(document: Json) -> None:
    choice = document["choice"]
    choice["reasons"].append({"term": "fee", "score_bps": 0})


def exclude_a_scored_one(document: Json) -> None:
    venue = document["scores"][0]["venue"]
    document["excluded"].append({"venue": venue, "reason": "stale", "detail": ""})


CASES: Cases = {
    "ScoreDocument.terms_sum_to_the_score": (any_document, shift_a_term),
    "ScoreDocument.terms_differ": (any_document, repeat_a_term),
    "RouteDocument.choice_is_scored": (
        any_document,
        lambda d: d.update(scores=[d["choice"] | {"venue": "another_one"}]),
    ),
    "RouteDocument.choice_is_the_best": (lambda d: len(d["scores"]) > 1, choose_the_worst),
    "RouteDocument.venues_differ": (any_document, exclude_a_scored_one),
    "RouteDocument.parts_sum_to_the_size": (
        has_split,
        lambda d: d["split"]["parts"][0].update(size="0.000001"),
    ),
    "RouteDocument.parts_sum_to_the_size unscored": (
        has_split,
        lambda d: d["split"]["parts"][0].update(venue="nowhere"),
    ),
    "RouteDocument.flips_to_another": (
        lambda d: d["flips_if"] is not None,
        lambda d: d["flips_if"].update(chosen=d["choice"]["venue"]),
    ),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(ROUTER_OUT, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(ROUTER_OUT, CASES)


@pytest.mark.parametrize("size", ["0.0000000000000000001", 1e-19, "9999999999999999999", 5e-324])
def test_a_size_that_ticks_and_lots_cannot_hold_is_refused(size: object) -> None:
    document = {"symbol": "BTCUSDT", "size": size}

    assert broken_rule(ROUTER_IN, document) == "size_is_exact"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("0.02", "0.02"),
        ('"0.020"', "0.020"),
        ("1", "1.0"),
        ("1e-7", "0.0000001"),
        ("2e3", "2000.0"),
    ],
)
def test_a_size_comes_as_a_number_or_as_text(asked: str, text: str) -> None:
    request = ROUTER_IN.read(f'{{"symbol":"BTCUSDT","size":{asked}}}'.encode())

    assert request.size_text == text
    assert request.side == "buy"
