from stevie.domain.contracts.catalog import L2
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule, good_where


def has_levels(document: Json) -> bool:
    return len(document["bids"]) > 2 < len(document["asks"])


def is_locked(document: Json) -> bool:
    both = document["bids"], document["asks"]
    return all(both) and both[0][0][0] == both[1][0][0]


def set_horizon(side: str, price: str) -> Edit:
    return lambda document: document["certificate"]["horizon"].update({side: price})


CASES: Cases = {
    "L2Document.bids_fall": (has_levels, lambda d: d["bids"].reverse()),
    "L2Document.bids_fall twice": (has_levels, lambda d: d["bids"].insert(0, d["bids"][0])),
    "L2Document.asks_rise": (has_levels, lambda d: d["asks"].reverse()),
    "L2Document.asks_rise by_text": (
        has_levels,
        lambda d: d.update(asks=[["10", "1"], ["9", "1"]], bids=[]),
    ),
    "L2Document.never_crossed": (
        has_levels,
        lambda d: d.update(bids=[["10.02", "1"]], asks=[["10.010", "1"]]),
    ),
    "L2Document.within_the_horizon bid": (has_levels, set_horizon("bid_floor", "9999999")),
    "L2Document.within_the_horizon ask": (has_levels, set_horizon("ask_ceiling", "0.001")),
    "L2Document.counts_what_is_shown": (
        has_levels,
        lambda d: d["depth_available"].update(asks=d["depth_available"]["asks"] + 1),
    ),
    "L2Document.seq_is_certified": (any_document, lambda d: d.update(seq=abs(d["seq"] - 1))),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(L2, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(L2, CASES)


def test_a_locked_book_is_legal() -> None:
    document = good_where(L2, is_locked)

    assert broken_rule(L2, document) == ""


def test_one_side_may_be_empty() -> None:
    document = good_where(L2, lambda d: not d["bids"] and d["asks"])

    assert broken_rule(L2, document) == ""
