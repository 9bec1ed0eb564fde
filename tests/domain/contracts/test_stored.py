import pytest

from stevie.domain.contracts.contract import ContractBreach
from stevie.domain.contracts.rows import AuditRow, FlagRow, QuarantineRow
from stevie.domain.contracts.stored import fetched, kept

FLAG = {"name": "demo", "value": "true", "changed_ns": 5, "audit_seq": 9}


def test_a_row_that_keeps_its_contract_is_kept_as_it_is() -> None:
    row = FlagRow(name="demo", value="true", changed_ns=5, audit_seq=9)

    assert kept(row) is row
    assert fetched(FlagRow, FLAG) == row


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("name", ""), ("name", "x" * 65), ("name", None), ("value", True)),
        *(("changed_ns", -1), ("changed_ns", 2**63), ("changed_ns", 5.5), ("audit_seq", 0)),
    ],
)
def test_a_column_that_breaks_the_contract_is_named_both_ways(column: str, value: object) -> None:
    columns = {**FLAG, column: value}

    with pytest.raises(ContractBreach, match=rf"^table flags: .*{column}"):
        fetched(FlagRow, columns)
    with pytest.raises(ContractBreach, match=rf"^table flags: .*{column}"):
        kept(FlagRow(**columns))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"more": 1}, {"name": ...}])
def test_columns_are_all_there_and_no_others(change: dict[str, object]) -> None:
    changed = {**FLAG, **change}
    columns = {name: value for name, value in changed.items() if value is not ...}

    with pytest.raises(ContractBreach):
        fetched(FlagRow, columns)


def test_bodies_stay_bytes() -> None:
    columns = {"at_ns": 1, "border": "wire", "contract": "c", "reason": "r", "size": 1}

    assert fetched(QuarantineRow, {**columns, "body": b"\xff"}).body == b"\xff"


def test_a_hash_is_a_hash() -> None:
    row = AuditRow(
        seq=1,
        at_ns=1,
        kind="started",
        actor="root",
        payload="{}",
        provenance="{}",
        prev_hash="0" * 64,
        hash="F" * 64,
    )

    with pytest.raises(ContractBreach) as caught:
        kept(row)
    assert caught.value.path == "$.hash"
