"""Migrations: the schema forward and back, all of it or nothing, and never by two at once.

The scripts are playhouse's (`schema/migrations/NNNN_name.py`). Added here: one transaction around
all of them, a checksum of each applied script, and a refusal of a schema that this version does not
know. Whoever calls holds the database's claim.
"""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from peewee import Database, Model, TextField
from playhouse.migrations import Migration, Runner

from stevie.adapters.store.engine import CHECKOUT, Engine, StoreError

DIRECTORY = CHECKOUT / "schema" / "migrations"
REVERT_ALL = "zero"  # the target that leaves no table of ours


class MigrationRefusedError(StoreError):
    """The database's schema is not what these scripts can build on."""


class SchemaChecksum(Model):
    """What an applied script was, so that an edited one is noticed."""

    name = TextField(primary_key=True)
    sha256 = TextField()

    class Meta:
        """Beside playhouse's history."""

        table_name = "schema_checksum"


class Applied(NamedTuple):
    """What a change of the schema did, by name."""

    forward: tuple[str, ...] = ()
    back: tuple[str, ...] = ()


def migrate(engine: Engine, target: str = "", directory: Path = DIRECTORY) -> Applied:
    """Bring the schema to a migration, by its full name; "" is the newest, "zero" none at all."""
    database = engine.database(is_reader=False)
    try:
        database.connect()
        with (
            database.bind_ctx([SchemaChecksum]),
            database.atomic(*filter(None, [engine.migration_lock])),
        ):
            return _Schema(engine, database, directory).move(target)
    except engine.errors as error:
        raise StoreError(f"{engine.shown}: {engine.reason(error)}") from error
    finally:
        database.close()


class _Schema:
    """The scripts and what of them the database has, within one transaction."""

    def __init__(self, engine: Engine, database: Database, directory: Path) -> None:
        self._shown = engine.shown
        self._runner = Runner(database, str(directory))
        database.create_tables([SchemaChecksum])

    def move(self, target: str) -> Applied:
        rows = self._runner.status()
        self._check(rows)
        names = [row.name for row in rows]
        if target not in {"", REVERT_ALL, *names}:
            allowed = ", ".join([REVERT_ALL, *names])
            raise MigrationRefusedError(f"{target!r} is no migration; allowed: {allowed}")
        beyond = [row.name for row in rows if row.applied and self._is_beyond(row.name, target)]
        if beyond:
            return Applied(back=self._back(beyond[0]))
        return Applied(forward=self._forward(target))

    @staticmethod
    def _is_beyond(name: str, target: str) -> bool:
        return target == REVERT_ALL or (target != "" and name > target)

    def _check(self, rows: list[Migration]) -> None:
        """Refuse a schema from the future, and scripts that are not what was applied."""
        known = {row.name: row.sha256 for row in SchemaChecksum.select()}
        for row in rows:
            if row.applied and row.path is None:
                raise MigrationRefusedError(
                    f"{self._shown}: has migration {row.name}, which this version does not know; "
                    "use the newer version that made it, or restore a backup from before"
                )
            if row.applied and known.get(row.name) != _checksum(row.path):
                raise MigrationRefusedError(
                    f"{row.path}: was edited after it was applied to {self._shown}; "
                    "put it back as it was, and write a new migration for the change"
                )

    def _forward(self, target: str) -> tuple[str, ...]:
        if target == REVERT_ALL:
            return ()
        applied = self._runner.up(target or None)
        paths = {row.name: row.path for row in self._runner.migrations()}
        for name in applied:
            SchemaChecksum.create(name=name, sha256=_checksum(paths[name]))
        return tuple(applied)

    def _back(self, target: str) -> tuple[str, ...]:
        reverted = self._runner.down(target)
        SchemaChecksum.delete().where(SchemaChecksum.name.in_(reverted)).execute()
        return tuple(reverted)


def _checksum(path: str) -> str:
    return sha256(Path(path).read_bytes()).hexdigest()
