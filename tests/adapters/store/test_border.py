from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.adapters.store.border import CHUNK_ROWS, chunks, row_of, values_of
from stevie.domain.contracts.rows import ROWS
from stevie.ports_record import RowInvalidError
from tests.adapters.store.rows import audit_rows, bar, l2, one_of_each


@pytest.mark.parametrize("row", one_of_each(), ids=lambda row: row.table)
def test_a_row_that_keeps_its_contract_crosses_unchanged(row):
    (values,) = values_of([row])

    assert row_of(type(row), values) == row


def wrong(row, **changed):
    return type(row)(**{**msgspec.structs.asdict(row), **changed})


BROKEN = [
    (wrong(bar(), open_ticks=0), "open_ticks"),
    (wrong(bar(), timeframe="2m"), "timeframe"),
    (wrong(bar(), known_ns=2**63), "known_ns"),
    (wrong(bar(), close_ticks=1.5), "close_ticks"),
    (wrong(bar(), trades=True), "trades"),
    (wrong(l2(1, first_seq=0), body="text"), "body"),
    (wrong(audit_rows(1)[0], hash="0" * 63), "hash"),
    (wrong(audit_rows(1)[0], kind=""), "kind"),
    (wrong(audit_rows(1)[0], payload=None), "payload"),
]


@pytest.mark.parametrize(("row", "field"), BROKEN)
def test_a_row_that_breaks_its_contract_is_refused_both_ways_by_table_key_and_field(row, field):
    sound = next(each for each in one_of_each() if type(each) is type(row))

    for crossing in (
        lambda: values_of([sound, row]),
        lambda: row_of(type(row), msgspec.structs.astuple(row)),
    ):
        with pytest.raises(RowInvalidError) as caught:
            crossing()
        assert caught.value.table == row.table
        assert f"$.{field}" in caught.value.detail
        assert str(getattr(row, row.__struct_fields__[0])) in caught.value.key


@given(st.sampled_from(ROWS), st.data())
def test_what_goes_in_comes_out_and_what_does_not_go_in_does_not_come_out(kind, data):
    """The two directions convert in different ways: they must agree on every value."""
    sound = next(row for row in one_of_each() if type(row) is kind)
    field = data.draw(st.sampled_from(list(get_type_hints(kind))[1:]))
    value = data.draw(
        st.one_of(
            st.integers(), st.text(max_size=70), st.binary(max_size=5), st.none(), st.floats()
        )
    )
    row = wrong(sound, **{field: value})

    try:
        (values,) = values_of([row])
    except RowInvalidError:
        with pytest.raises(RowInvalidError):
            row_of(kind, msgspec.structs.astuple(row))
    else:
        assert row_of(kind, values) == row


def test_rows_are_converted_in_portions_that_the_hub_does_not_notice():
    values = [msgspec.structs.astuple(row) for row in audit_rows(150)]

    portions = list(chunks(values))

    assert [value for portion in portions for value in portion] == values
    assert max(map(len, portions)) == CHUNK_ROWS
