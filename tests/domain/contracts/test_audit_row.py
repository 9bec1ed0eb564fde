from stevie.domain.contracts.catalog import AUDIT_ROW
from tests.domain.contracts import breaking
from tests.domain.contracts.breaking import (
    Cases,
    Pick,
    any_document,
    assert_breaks,
    assert_complete,
)
from tests.domain.contracts.documents import Edit, Json, broken_rule, edited


def set_input(**fields: object) -> Edit:
    return lambda document: document["provenance"].update(input=fields)


CASES: Cases = {
    "AuditRowDocument.at_is_at_ns": (any_document, lambda d: d.update(at_ns=d["at_ns"] // 2)),
    "AuditRowDocument.holds_no_floats": (
        any_document,
        lambda d: d.update(payload={"deep": [{"er": [1, 0.5]}]}),
    ),
    "InputDocument.names_its_source l2": (any_document, set_input(kind="l2_log", venue="okx")),
    "InputDocument.names_its_source seq": (
        any_document,
        set_input(kind="l2_log", venue="okx", symbol="BTCUSDT", first_seq=4, last_seq=3),
    ),
    "InputDocument.names_its_source capture": (any_document, set_input(kind="capture")),
}


@breaking.each(CASES)
def test_a_broken_rule_is_named(rule: str, is_wanted: Pick, edit: Edit) -> None:
    assert_breaks(AUDIT_ROW, rule, is_wanted, edit)


def test_every_rule_is_tried() -> None:
    assert_complete(AUDIT_ROW, CASES)


def test_a_row_that_rests_on_nothing_says_so_by_saying_nothing() -> None:
    assert broken_rule(AUDIT_ROW, edited(AUDIT_ROW, set_input())) == ""


def test_whole_numbers_of_any_size_are_no_floats() -> None:
    def big(document: Json) -> None:
        document["payload"] = {"seq": 2**70, "held": ["60000.10", None, True]}

    assert broken_rule(AUDIT_ROW, edited(AUDIT_ROW, big)) == ""
