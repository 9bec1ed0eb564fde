import pytest

from stevie.adapters.store.engine import StoreLockedError
from stevie.adapters.store.migrations import MigrationRefusedError
from stevie.adapters.store.store import open_store
from tests.adapters.store.rows import OK, audit_rows, head, written


def test_what_was_written_is_there_when_the_store_is_opened_again(url):
    rows = audit_rows(3)
    store = open_store(url)
    assert written(store.writer, *rows) == OK
    store.close()

    again = open_store(url)

    assert again.archive.audit_rows(1, 9) == rows
    assert written(again.writer, *audit_rows(1, after=head(rows))) == OK
    again.close()


def test_one_tree_a_database(url, store):
    with pytest.raises(StoreLockedError, match="is in use by"):
        open_store(url)

    assert written(store.writer, *audit_rows(1)) == OK  # the first one does not notice


def test_a_store_that_cannot_be_brought_up_to_date_is_free_for_another_version(url):
    open_store(url).close()
    with pytest.raises(MigrationRefusedError):
        open_store(url, target="0000_nonsense")

    open_store(url).close()


def test_a_relative_file_and_its_folder_are_made(tmp_path):
    store = open_store("sqlite:///var/deep/stevie.db", root=tmp_path)

    assert (tmp_path / "var" / "deep" / "stevie.db").exists()
    store.close()


def test_closing_writes_what_is_under_way(url):
    store, outcomes, rows = open_store(url), [], audit_rows(300)
    store.writer.write(rows, mark="m", on_done=outcomes.append)
    store.close()

    assert [each.reason for each in outcomes] == [""]
    again = open_store(url)
    assert again.archive.audit_head() == rows[-1]
    again.close()
