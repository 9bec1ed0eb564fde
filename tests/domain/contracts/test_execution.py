import pytest

from stevie.domain.contracts.catalog import EXECUTION_IN, EXECUTION_OUT
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule


def has_fills(document: Json) -> bool:
    return bool(document["fills"])


def is_limited(document: Json) -> bool:
    return has_fills(document) and document["limit_price"] is not None


def fill_event_later(document: Json) -> None:
    document["fills"][0]["event_at"] = "9999-12-31T00:00:00.000000Z"


def pay_beyond_the_limit(document: Json) -> None:
    document["limit_price"] = "0.001" if document["side"] == "buy" else "9999999"


def swap_the_band(document: Json) -> None:
    fill = document["fills"][0]
    fill["price_optimistic"], fill["price_pessimistic"] = (
        fill["price_pessimistic"],
        fill["price_optimistic"],
    )


CASES: Cases = {
    "FillDocument.known_after_it_happened": (has_fills, fill_event_later),
    "OrderDocument.limit_price_fits_the_type": (
        lambda d: d["type"] == "limit",
        lambda d: d.update(limit_price=None),
    ),
    "OrderDocument.limit_price_fits_the_type market": (
        lambda d: d["type"] == "market",
        lambda d: d.update(limit_price="1"),
    ),
    "OrderDocument.fills_sum_up": (has_fills, lambda d: d.update(filled_size="0")),
    "OrderDocument.fills_sum_up over": (
        lambda d: has_fills(d) and d["state"] == "working",
        lambda d: d.update(size="0.000000001"),
    ),
    "OrderDocument.filled_is_filled": (
        lambda d: d["state"] == "filled",
        lambda d: d.update(state="working"),
    ),
    "OrderDocument.filled_is_filled early": (
        lambda d: d["state"] == "working",
        lambda d: d.update(state="filled"),
    ),
    "OrderDocument.refusals_have_reasons": (
        lambda d: d["state"] == "blocked",
        lambda d: d.update(reason=None),
    ),
    "OrderDocument.average_lies_between": (has_fills, lambda d: d.update(average_price="9999999")),
    "OrderDocument.average_lies_between none": (
        lambda d: not has_fills(d),
        lambda d: d.update(average_price="1"),
    ),
    "OrderDocument.pessimistic_is_no_better": (has_fills, swap_the_band),
    "OrderDocument.changes_after_acceptance": (
        any_document,
        lambda d: d.update(changed_at="1969-12-31T00:00:00.000000Z"),
    ),
    "OrderDocument.respects_its_limit": (is_limited, pay_beyond_the_limit),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(EXECUTION_OUT, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(EXECUTION_OUT, CASES)


ORDER: Json = {"symbol": "BTCUSDT", "side": "buy", "size": 0.02}


@pytest.mark.parametrize("kind", ["limit", "ioc", "post_only"])
def test_every_order_but_a_market_order_needs_a_limit(kind: str) -> None:
    assert broken_rule(EXECUTION_IN, {**ORDER, "type": kind}) == "limit_price_fits_the_type"
    assert broken_rule(EXECUTION_IN, {**ORDER, "type": kind, "limit_price": 60000.1}) == ""
    assert broken_rule(EXECUTION_IN, ORDER | {"limit_price": "1"}) == "limit_price_fits_the_type"


@pytest.mark.parametrize("field", ["size", "limit_price"])
def test_numbers_that_ticks_and_lots_cannot_hold_are_refused(field: str) -> None:
    order = {**ORDER, "type": "limit", "limit_price": "60000.10", field: "0.0000000000000000001"}

    assert broken_rule(EXECUTION_IN, order) == "numbers_are_exact"


def test_an_order_that_says_no_more_is_a_market_order() -> None:
    request = EXECUTION_IN.read(b'{"symbol":"BTCUSDT","side":"sell","size":"0.5"}')

    assert (request.type, request.limit_price_text, request.client_id) == ("market", None, None)
    assert request.size_text == "0.5"


def test_a_limit_is_read_in_plain_digits() -> None:
    body = b'{"symbol":"BTCUSDT","side":"sell","size":1,"type":"ioc","limit_price":1e-7}'

    assert EXECUTION_IN.read(body).limit_price_text == "0.0000001"
