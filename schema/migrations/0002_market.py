"""Bars and the log of what books were given, each with the index that its reads need."""

from typing import Any

from peewee import (
    BigAutoField,
    BigIntegerField,
    BlobField,
    CompositeKey,
    Database,
    IntegerField,
    Model,
    TextField,
)


class Bars(Model):
    """As of this migration; so are all models here."""

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


MODELS = (Bars, L2Log)
NAMES = ("bars", "l2_log")


def up(_migrator: Any, db: Database) -> None:
    """Make the tables."""
    with db.bind_ctx(MODELS):
        db.create_tables(MODELS, safe=False)


def down(_migrator: Any, db: Database) -> None:
    """Drop the tables, and forget what they weighed."""
    with db.bind_ctx(MODELS):
        db.drop_tables(MODELS, safe=False)
    for name in NAMES:
        db.execute_sql(f"DELETE FROM store_ledger WHERE name = '{name}'")  # noqa: S608 - our names
