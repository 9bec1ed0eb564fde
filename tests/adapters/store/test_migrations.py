import re
import shutil
from contextlib import closing

import pytest

from stevie.adapters.store.engine import StoreError, engine_of
from stevie.adapters.store.migrations import DIRECTORY, MigrationRefusedError, migrate
from tests.adapters.store.rows import OK, bar, l2, one_of_each, written

NAMES = tuple(sorted(path.stem for path in DIRECTORY.glob("[0-9]*.py")))


@pytest.fixture
def engine(url):
    engine = engine_of(url)
    engine.create()
    return engine


@pytest.fixture
def scripts(tmp_path):
    """The migrations, to be changed by a test."""
    shutil.copytree(DIRECTORY, tmp_path / "migrations", ignore=shutil.ignore_patterns("__*"))
    return tmp_path / "migrations"


def tables(engine):
    with closing(engine.snapshot()) as connection:
        return {name for (name,) in connection.execute(engine.tables_sql).fetchall()}


def test_migrations_are_numbered_without_a_gap():
    assert [int(name[:4]) for name in NAMES] == list(range(1, len(NAMES) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) for name in NAMES)


def test_the_schema_goes_up_down_and_up_on_a_filled_database(url, opened):
    store = opened(url)
    assert written(store.writer, *one_of_each()) == OK

    down = [store.migrate(name) for name in reversed(NAMES[:-1])]
    assert store.archive.audit_head() is not None  # the first migration's rows are still there
    bottom = store.migrate("zero")
    up = store.migrate()

    assert [name for each in (*down, bottom) for name in each.back] == list(reversed(NAMES))
    assert up.forward == NAMES
    assert store.archive.audit_head() is None
    assert written(store.writer, *one_of_each()) == OK
    assert store.archive.bars("binance", "BTCUSDT", "1m", 5) == (bar(),)


def test_a_migration_back_leaves_the_other_tables_as_they_were(url, opened):
    store = opened(url)
    rows = one_of_each()
    assert written(store.writer, *rows) == OK

    store.migrate("0001_record")
    store.migrate()

    assert store.archive.audit_head() == rows[0]
    assert store.archive.bars("binance", "BTCUSDT", "1m", 5) == ()
    assert written(store.writer, l2(10)) == OK


def test_opening_an_up_to_date_database_changes_nothing(url, opened):
    opened(url).close()

    again = opened(url)

    assert again.applied == ((), ())


def test_a_database_from_the_future_is_refused_and_left_alone(engine, scripts):
    (scripts / "0099_wonders.py").write_text("def up(migrator, db):\n    pass\n")
    migrate(engine, directory=scripts)
    before = tables(engine)

    with pytest.raises(MigrationRefusedError, match=r"has migration 0099_wonders, which this vers"):
        migrate(engine)

    assert tables(engine) == before


def test_a_script_that_was_edited_after_it_was_applied_is_refused(engine, scripts):
    migrate(engine, directory=scripts)
    with (scripts / "0001_record.py").open("a") as script:
        script.write("\n# one more column\n")

    with pytest.raises(MigrationRefusedError, match=r"0001_record\.py: was edited after it was "):
        migrate(engine, directory=scripts)


def test_a_migration_that_fails_halfway_leaves_nothing_of_itself_or_of_those_before(
    engine, scripts
):
    (scripts / "0099_bad.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE half (a INTEGER)')\n"
        "    db.execute_sql('SELECT nonsense FROM nowhere')\n"
    )

    with pytest.raises(StoreError, match="nowhere"):
        migrate(engine, directory=scripts)

    assert "audit" not in tables(engine)
    assert "half" not in tables(engine)
    assert migrate(engine).forward == NAMES


def test_an_unknown_target_is_refused_with_what_is_allowed(engine):
    with pytest.raises(MigrationRefusedError, match=f"allowed: zero, {', '.join(NAMES)}"):
        migrate(engine, "0001")
