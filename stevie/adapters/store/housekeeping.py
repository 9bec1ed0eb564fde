"""Keeping house: how large each table is, and the removal of what is over its limit.

Sizes come from a ledger that each transaction keeps up, so they are exact and cost nothing. What is
too much goes from the old end, a little at a time: the writer is never away for long.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stevie.adapters.store.engine import Connection, Engine
from stevie.adapters.store.tables import BY_NAME, TABLES, Table
from stevie.domain.contracts.rows import Row
from stevie.ports_record import HouseReport, TableLimit, TableMeasure

CHUNK_ROWS = 200  # removed in one go at most: some milliseconds
CHUNK_BYTES = 4 * 2**20  # the same for tables with bodies, whose pages must all be read to be freed


class Weight(NamedTuple):
    """So many rows of so many bytes."""

    rows: int
    bytes: int


NOTHING = Weight(0, 0)
ROW_BYTES = 256  # what a row without a body weighs, see Row.size_bytes


def enter(cursor: Any, placeholder: str, changes: Mapping[str, Weight]) -> None:
    """Add to the ledger of each table."""
    sql = (
        "INSERT INTO store_ledger (name, rows, bytes) VALUES "  # noqa: S608 - placeholders
        f"({placeholder}, {placeholder}, {placeholder}) ON CONFLICT (name) DO UPDATE SET "
        "rows = store_ledger.rows + excluded.rows, bytes = store_ledger.bytes + excluded.bytes"
    )
    for name, change in changes.items():
        cursor.execute(sql, (name, change.rows, change.bytes))


def arrivals(batches: Mapping[type[Row], Sequence[Row]]) -> dict[str, Weight]:
    """What new rows add to the ledger; tables with one row a key are not in it."""
    return {
        kind.table: Weight(len(rows), sum(row.size_bytes() for row in rows))
        for kind, rows in batches.items()
        if not BY_NAME[kind.table].newest_by
    }


def prune(cursor: Any, placeholder: str, limits: Sequence[TableLimit]) -> tuple[int, bool]:
    """Remove a little from each table that is over its limit; the rows gone, and if more must."""
    ledger = _ledger(cursor)
    pruned_rows, has_more = 0, False
    for limit in limits:
        before = ledger.get(limit.table, NOTHING)
        excess = _excess(before, limit)
        if excess == NOTHING:
            continue
        gone = _remove_oldest(cursor, placeholder, BY_NAME[limit.table], excess)
        enter(cursor, placeholder, {limit.table: Weight(-gone.rows, -gone.bytes)})
        pruned_rows += gone.rows
        after = Weight(before.rows - gone.rows, before.bytes - gone.bytes)
        has_more = has_more or (gone.rows > 0 and _excess(after, limit) != NOTHING)
    return pruned_rows, has_more


def count_up(
    engine: Engine, connection: Connection, *, pruned_rows: int, has_more: bool
) -> HouseReport:
    """Measure every table."""
    ledger = _ledger(connection.cursor())
    return HouseReport(
        database_bytes=engine.database_bytes(connection),
        tables=tuple(_measure(engine, connection, table, ledger) for table in TABLES),
        pruned_rows=pruned_rows,
        has_more=has_more,
    )


def _measure(
    engine: Engine, connection: Connection, table: Table, ledger: Mapping[str, Weight]
) -> TableMeasure:
    if not table.newest_by:
        return TableMeasure(table.name, *ledger.get(table.name, NOTHING))
    rows = engine.keyed_rows(connection, table.name)
    return TableMeasure(table.name, rows, rows * ROW_BYTES)


def _ledger(cursor: Any) -> dict[str, Weight]:
    rows = cursor.execute("SELECT name, rows, bytes FROM store_ledger").fetchall()
    return {name: Weight(rows, size_bytes) for name, rows, size_bytes in rows}


def _excess(weight: Weight, limit: TableLimit) -> Weight:
    """How much a table is over its limit, in rows and in bytes."""
    rows = max(0, weight.rows - limit.rows_max) if limit.rows_max else 0
    size_bytes = max(0, weight.bytes - limit.bytes_max) if limit.bytes_max else 0
    return Weight(rows, size_bytes)


def _remove_oldest(cursor: Any, placeholder: str, table: Table, excess: Weight) -> Weight:
    """Remove rows from the old end until the excess is gone, or enough for one go."""
    assert table.weight_sql, f"{table.name} is kept for ever"
    oldest = cursor.execute(
        f"SELECT id, {table.weight_sql} FROM {table.name} ORDER BY id LIMIT {CHUNK_ROWS}"  # noqa: S608
    ).fetchall()
    gone, last_id = NOTHING, None
    for row_id, size_bytes in oldest:
        is_enough = gone.rows >= excess.rows and gone.bytes >= excess.bytes
        if is_enough or gone.bytes >= CHUNK_BYTES:
            break
        gone, last_id = Weight(gone.rows + 1, gone.bytes + size_bytes), row_id
    if last_id is not None:
        sql = f"DELETE FROM {table.name} WHERE id <= {placeholder}"  # noqa: S608
        cursor.execute(sql, (last_id,))
    return gone
