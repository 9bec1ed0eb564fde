"""The store's border: no value crosses it, in either direction, that breaks its row's contract.

A batch is converted by one call into C: 0.3 us a value. Only when that call finds a fault is it
looked for row by row.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_type_hints

import msgspec

from stevie.adapters.store.tables import BY_ROW, TABLES, Table, Values
from stevie.domain.contracts.rows import AuditRow, Row
from stevie.domain.operations.chain import Head
from stevie.ports_record import RowInvalidError

R = TypeVar("R", bound=Row)

NATIVE = (bytes,)  # as drivers have them: a text is no base64 of them
CHUNK_ROWS = 64  # converted in one go: a tenth of a millisecond, during which the hub cannot run


def _values_type(table: Table) -> Any:
    hints = get_type_hints(table.row, include_extras=True)
    return list[tuple[tuple(hints[field] for field in table.fields)]]  # type: ignore[misc]


VALUES_TYPES: dict[type[Row], Any] = {table.row: _values_type(table) for table in TABLES}


def values_of(rows: Sequence[Row]) -> list[Values]:
    """The values of rows of one table, in the order of the columns; RowInvalidError."""
    values = [msgspec.structs.astuple(row) for row in rows]
    try:
        checked: list[Values] = msgspec.convert(
            values, VALUES_TYPES[type(rows[0])], builtin_types=NATIVE
        )
    except msgspec.ValidationError:
        for row in values:
            row_of(type(rows[0]), row)
        raise
    return checked


def row_of(kind: type[R], values: Values) -> R:
    """The row that a database gave; RowInvalidError."""
    table = BY_ROW[kind]
    named = dict(zip(table.fields, values, strict=True))
    try:
        return msgspec.convert(named, kind, builtin_types=NATIVE)
    except msgspec.ValidationError as error:
        key = ", ".join(str(named[field]) for field in table.key)
        raise RowInvalidError(table.name, key, str(error)) from None


def next_head(head: Head, row: AuditRow) -> Head:
    """Where the log ends with this row; RowInvalidError if it does not follow."""
    if (row.seq, row.prev_hash) != (head.seq + 1, head.hash):
        raise RowInvalidError(AuditRow.table, str(row.seq), f"does not follow row {head}")
    return Head(row.seq, row.hash)


def chunks(values: Sequence[Values]) -> Iterator[Sequence[Values]]:
    """The same in small portions."""
    for start in range(0, len(values), CHUNK_ROWS):
        yield values[start : start + CHUNK_ROWS]
