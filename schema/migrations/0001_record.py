"""The audit log, flags, the quarantine, and what the writer needs for itself."""

from typing import Any

from peewee import (
    BigAutoField,
    BigIntegerField,
    BlobField,
    Database,
    IntegerField,
    Model,
    TextField,
)


class Audit(Model):
    """As of this migration; so are all models here."""

    seq = BigAutoField()
    at_ns = BigIntegerField()
    kind = TextField()
    actor = TextField()
    payload = TextField()
    provenance = TextField()
    prev_hash = TextField()
    hash = TextField()


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
    """How many rows a table has and what they weigh."""

    name = TextField(primary_key=True)
    rows = BigIntegerField()
    bytes = BigIntegerField()

    class Meta:
        """Named in full."""

        table_name = "store_ledger"


class StoreMark(Model):
    """The mark of the last write."""

    id = IntegerField(primary_key=True)
    mark = TextField()

    class Meta:
        """Named in full."""

        table_name = "store_mark"


MODELS = (Audit, Flags, Quarantine, StoreLedger, StoreMark)


def up(_migrator: Any, db: Database) -> None:
    """Make the tables."""
    with db.bind_ctx(MODELS):
        db.create_tables(MODELS, safe=False)


def down(_migrator: Any, db: Database) -> None:
    """Drop the tables."""
    with db.bind_ctx(MODELS):
        db.drop_tables(MODELS, safe=False)
