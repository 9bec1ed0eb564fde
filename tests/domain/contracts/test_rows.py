import msgspec
import pytest

from stevie.domain.contracts.rows import ROWS, L2LogRow, QuarantineRow, Row

EACH = pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.table)


def test_every_table_has_a_name_of_its_own() -> None:
    assert len({kind.table for kind in ROWS}) == len(ROWS)


@EACH
def test_a_row_says_when_it_happened(kind: type[Row]) -> None:
    assert any(name.endswith("_ns") for name in kind.__struct_fields__)


@EACH
def test_no_row_holds_a_float_and_every_number_is_bounded(kind: type[Row]) -> None:
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        assert not isinstance(field.type, msgspec.inspect.FloatType)
        if isinstance(field.type, msgspec.inspect.IntType):
            assert field.type.ge is not None, field.name
            assert field.type.le is not None, field.name


@pytest.mark.parametrize("kind", [L2LogRow, QuarantineRow])
def test_a_row_with_a_body_weighs_what_its_body_does(kind: type[Row]) -> None:
    def weight(body: bytes) -> int:
        fields = {"venue": "v", "symbol": "s", "seq": 1, "first_seq": 1, "epoch": 1, "frames": 1}
        fields |= {"kind": "frames", "event_ns": 1, "known_ns": 1, "at_ns": 1, "border": "wire"}
        fields |= {"contract": "c", "reason": "r", "size": 1, "body": body}
        known = {name: fields[name] for name in kind.__struct_fields__}
        return kind(**known).size_bytes()

    assert weight(b"x" * 1000) - weight(b"") == 1000
