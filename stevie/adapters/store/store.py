"""Store: a database that is ours alone, its schema up to date, with its writer and its archive."""

from collections.abc import Callable
from pathlib import Path

import structlog

from stevie.adapters.store.archive import SqlArchive
from stevie.adapters.store.engine import CHECKOUT, Claim, Engine, Synchronous, engine_of
from stevie.adapters.store.migrations import Applied, migrate
from stevie.adapters.store.writer import SqlWriter

log = structlog.get_logger()

CLOSE_S = 2.0  # for the last write to end


class Store:
    """An open database. Whoever opened it closes it, after its actors are down."""

    def __init__(self, engine: Engine, claim: Claim, *, on_invalid: Callable[[str], None]) -> None:
        self.engine = engine
        self.writer = SqlWriter(engine)
        self.archive = SqlArchive(engine, on_invalid=on_invalid)
        self.applied = Applied()
        """What opening it changed of its schema."""
        self._claim = claim

    def migrate(self, target: str = "") -> Applied:
        """Change the schema, while nothing is written."""
        applied: Applied = self.writer.call(lambda: migrate(self.engine, target))
        return applied

    def close(self) -> None:
        """End what is under way, then let others have the database."""
        self.archive.close()
        self.writer.close()
        self.writer.drain(CLOSE_S)
        self._claim.release()


def open_store(
    url: str,
    *,
    synchronous: Synchronous = "full",
    root: Path = CHECKOUT,
    on_invalid: Callable[[str], None] = lambda table: None,  # noqa: ARG005 - nobody counts
    target: str = "",
) -> Store:
    """Make the database if need be, claim it, bring its schema up to date; StoreError.

    `target` is the migration to go to, for who wants another than the newest.
    """
    engine = engine_of(url, synchronous=synchronous, root=root)
    engine.create()
    store = Store(engine, engine.claim(), on_invalid=on_invalid)
    try:
        store.writer.open()
        store.applied = store.migrate(target)
    except BaseException:
        store.close()
        raise
    log.info(
        "store_opened",
        url=engine.shown,
        synchronous=synchronous,
        migrations_applied=store.applied.forward,
        migrations_reverted=store.applied.back,
    )
    return store
