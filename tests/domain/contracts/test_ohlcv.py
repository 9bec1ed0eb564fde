from stevie.domain.contracts.catalog import OHLCV
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule, edited

CASES: Cases = {
    "BarDocument.low_and_high_enclose high": (any_document, lambda d: d.update(high="0.001")),
    "BarDocument.low_and_high_enclose low": (any_document, lambda d: d.update(low="9999999")),
    "BarDocument.closes_after_it_opens": (
        any_document,
        lambda d: d.update(closed_at=d["opened_at"]),
    ),
    "BarDocument.known_once_closed": (any_document, lambda d: d.update(known_at=d["opened_at"])),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(OHLCV, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(OHLCV, CASES)


def test_a_bar_may_be_known_the_moment_it_closes_and_may_not_move() -> None:
    def flat(document: Json) -> None:
        document |= dict.fromkeys(("open", "high", "low", "close"), "60000.10")
        document |= {"known_at": document["closed_at"], "volume": "0.00000", "trades": 0}

    assert broken_rule(OHLCV, edited(OHLCV, flat)) == ""


def test_prices_are_compared_as_numbers() -> None:
    def wide(document: Json) -> None:
        document |= {"low": "9", "open": "10.0", "close": "10.00", "high": "10"}

    assert broken_rule(OHLCV, edited(OHLCV, wide)) == ""
