from contextlib import closing

import pytest

from stevie.adapters.store.tables import BY_NAME, BY_ROW, TABLES, StoreLedger, StoreMark
from stevie.domain.contracts.rows import ROWS
from tests.adapters.store.rows import OK, l2, quarantined, written


def test_every_row_of_the_contracts_has_its_table():
    assert set(BY_ROW) == set(ROWS)
    assert set(BY_NAME) == {row.table for row in ROWS}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_columns_of_a_table_are_the_fields_of_its_row_in_their_order(table):
    columns = [name for name in table.model._meta.columns if name != "id"]

    assert columns == list(table.fields)
    assert table.model._meta.table_name == table.name
    assert set(table.key) <= set(table.fields)


def test_migrations_make_what_the_models_say(store):
    """The scripts hold frozen copies of the models, which must not drift from them."""
    database = store.engine.database(is_reader=True)
    models = [*(table.model for table in TABLES), StoreLedger, StoreMark]
    with closing(database), database.bind_ctx(models):
        database.connect()
        for model in models:
            name = model._meta.table_name
            columns = {column.name: column for column in database.get_columns(name)}
            assert list(columns) == list(model._meta.columns)
            assert not any(column.null for column in columns.values()), name
            keys = {column for column, found in columns.items() if found.primary_key}
            assert keys == {field.name for field in model._meta.get_primary_keys()}
            indices = {tuple(i.columns) for i in database.get_indexes(name)}
            assert {fields for fields, _ in model._meta.indexes} <= indices


@pytest.mark.parametrize("row", [l2(10, body=b"x" * 777), quarantined(size=77)])
def test_the_database_weighs_a_row_as_the_row_does(store, row):
    table = BY_ROW[type(row)]
    assert written(store.writer, row) == OK
    sql = f"SELECT {table.weight_sql} FROM {table.name}"

    with closing(store.engine.snapshot()) as connection:
        assert connection.execute(sql).fetchone() == (row.size_bytes(),)


def test_a_table_with_one_row_a_key_lets_the_newer_one_win():
    assert 'excluded."known_ns" >= "bars"."known_ns"' in BY_NAME["bars"].insert_sql("?")
    assert "CONFLICT" not in BY_NAME["audit"].insert_sql("?")
