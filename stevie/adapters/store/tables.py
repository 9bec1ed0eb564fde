"""The tables, in Peewee's words: what migrations build, queries name, and the writer fills.

A table is a Row (its contract), a model (its columns) and a migration. The columns are the fields
of the Row in their order; a table without a key of its own has an `id` before them, in the order
of writing.
"""

from typing import Any, NamedTuple

from peewee import (
    BigAutoField,
    BigIntegerField,
    BlobField,
    CompositeKey,
    IntegerField,
    Model,
    TextField,
)

from stevie.domain.contracts.rows import AuditRow, BarRow, FlagRow, L2LogRow, QuarantineRow, Row

Values = tuple[Any, ...]
"""A row as a driver takes and gives it: its values in the order of the columns."""


class Audit(Model):
    """One link of the audit chain."""

    seq = BigAutoField()  # given by the auditor; in SQLite this is the row's own number: no index
    at_ns = BigIntegerField()
    kind = TextField()
    actor = TextField()
    payload = TextField()
    provenance = TextField()
    prev_hash = TextField()
    hash = TextField()


class Bars(Model):
    """One OHLCV bar."""

    venue = TextField()
    symbol = TextField()
    timeframe = TextField()
    opened_ns = BigIntegerField()
    closed_ns = BigIntegerField()
    known_ns = BigIntegerField()
    open_ticks = BigIntegerField()
    high_ticks = BigIntegerField()
    low_ticks = BigIntegerField()
    close_ticks = BigIntegerField()
    volume_lots = BigIntegerField()
    trades = BigIntegerField()
    price_decimals = IntegerField()
    size_decimals = IntegerField()
    source = TextField()

    class Meta:
        """Two ways in: one venue's bars, and those of all venues."""

        primary_key = CompositeKey("venue", "symbol", "timeframe", "opened_ns")
        indexes = ((("symbol", "timeframe", "opened_ns"), False),)


class L2Log(Model):
    """What a book was given."""

    id = BigAutoField()
    venue = TextField()
    symbol = TextField()
    seq = BigIntegerField()
    first_seq = BigIntegerField()
    epoch = BigIntegerField()
    kind = TextField()
    event_ns = BigIntegerField()
    known_ns = BigIntegerField()
    frames = BigIntegerField()
    body = BlobField()

    class Meta:
        """Read by range of sequences."""

        table_name = "l2_log"
        indexes = ((("venue", "symbol", "seq"), False),)


class Flags(Model):
    """The value of one flag."""

    name = TextField(primary_key=True)
    value = TextField()
    changed_ns = BigIntegerField()
    audit_seq = BigIntegerField()


class Quarantine(Model):
    """Something that broke its contract."""

    id = BigAutoField()
    at_ns = BigIntegerField()
    border = TextField()
    contract = TextField()
    reason = TextField()
    size = BigIntegerField()
    body = BlobField()


class StoreLedger(Model):
    """How many rows a table has and what they weigh, kept in the transactions that change it."""

    name = TextField(primary_key=True)
    rows = BigIntegerField()
    bytes = BigIntegerField()

    class Meta:
        """Named in full: Peewee would call it storeledger."""

        table_name = "store_ledger"


class StoreMark(Model):
    """One row: the mark of the last write, by which a write of unknown outcome is known."""

    id = IntegerField(primary_key=True)
    mark = TextField()

    class Meta:
        """Named in full."""

        table_name = "store_mark"


class Table(NamedTuple):
    """One table of rows."""

    row: type[Row]
    model: type[Model]
    key: tuple[str, ...]
    """The fields that tell a person which row is meant."""
    newest_by: str = ""
    """For a table with one row a key: the field whose greater value wins."""
    weight_sql: str = ""
    """For a table that is pruned: what `Row.size_bytes` says, in SQL."""

    @property
    def name(self) -> str:
        """Its name in the database."""
        return self.row.table

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that a row fills."""
        return self.row.__struct_fields__

    @property
    def columns_sql(self) -> str:
        """The columns that a row fills, as statements name them."""
        return ", ".join(f'"{field}"' for field in self.fields)

    @property
    def select_sql(self) -> str:
        """All rows, as a row's values, in the order of writing or of the key."""
        has_id = "id" in self.model._meta.fields
        order = "id" if has_id else ", ".join(self.key)
        return f'SELECT {self.columns_sql} FROM "{self.name}" ORDER BY {order}'  # noqa: S608

    def insert_sql(self, placeholder: str) -> str:
        """The statement that writes one row."""
        places = ", ".join(placeholder for _ in self.fields)
        insert = f'INSERT INTO "{self.name}" ({self.columns_sql}) VALUES ({places})'  # noqa: S608
        return insert + self._on_conflict() if self.newest_by else insert

    def _on_conflict(self) -> str:
        """Let the newer row win, whichever comes first."""
        key = ", ".join(f'"{field}"' for field in self.key)
        rest = (field for field in self.fields if field not in self.key)
        updates = ", ".join(f'"{field}" = excluded."{field}"' for field in rest)
        newer = f'excluded."{self.newest_by}" >= "{self.name}"."{self.newest_by}"'
        return f" ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE {newer}"


BAR_KEY = ("venue", "symbol", "timeframe", "opened_ns")
BODY_WEIGHT_SQL = "256 + length(body)"

TABLES: tuple[Table, ...] = (
    Table(AuditRow, Audit, ("seq",)),
    Table(BarRow, Bars, BAR_KEY, newest_by="known_ns"),
    Table(L2LogRow, L2Log, ("venue", "symbol", "seq"), weight_sql=BODY_WEIGHT_SQL),
    Table(FlagRow, Flags, ("name",), newest_by="audit_seq"),
    Table(QuarantineRow, Quarantine, ("at_ns", "border"), weight_sql=BODY_WEIGHT_SQL),
)
BY_ROW: dict[type[Row], Table] = {table.row: table for table in TABLES}
BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}
