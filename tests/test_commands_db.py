import json
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from stevie.adapters.store.store import open_store
from stevie.commands_db import EXIT_NO, EXIT_UNREADABLE, EXIT_USAGE, db_app
from tests.adapters.store.rows import OK, audit_rows, bar, tampered, written
from tests.deterministic.quiet import no_logs

Run = Callable[..., Result]

CHAIN = audit_rows(7)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with no_logs():
        yield


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/stevie.db"


@pytest.fixture
def run(url) -> Run:
    app = db_app(lambda: url)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def filled(url):
    store = open_store(url)
    assert written(store.writer, *CHAIN, bar()) == OK
    store.close()


def said(result: Result) -> str:
    return " ".join(result.stderr.split())


def test_an_upgrade_says_what_it_applied_and_another_one_nothing(run):
    first, second = run("upgrade"), run("upgrade")

    assert json.loads(first.stdout)["applied"][:1] == ["0001_record"]
    assert json.loads(second.stdout) == {"applied": [], "reverted": []}
    assert first.exit_code == second.exit_code == 0


def test_a_downgrade_must_be_meant(run, filled, url):
    refused = run("downgrade", "0001_record")
    assert refused.exit_code == EXIT_USAGE
    assert "say --force" in said(refused)

    done = run("downgrade", "0001_record", "--force")

    assert json.loads(done.stdout) == {"applied": [], "reverted": ["0002_market"]}
    store = open_store(url)
    assert store.archive.audit_head() == CHAIN[-1]
    store.close()


def test_a_backup_and_a_restore_say_what_they_hold(run, filled, url, tmp_path):
    made = run("backup", tmp_path / "b.db")
    refused = run("restore", tmp_path / "b.db")
    restored = run("restore", tmp_path / "b.db", "--force")

    document = json.loads(made.stdout)
    assert document["audit_head"] == f"7:{CHAIN[-1].hash}"
    assert document["rows"] == {"audit": 7, "bars": 1, "l2_log": 0, "flags": 0, "quarantine": 0}
    assert json.loads(restored.stdout) == document
    assert refused.exit_code == EXIT_UNREADABLE
    assert "holds 7 rows of audit, 1 rows of bars; --force replaces them" in said(refused)


def test_a_backup_is_taken_while_a_tree_has_the_database_and_a_restore_is_not(run, url, tmp_path):
    store = open_store(url)
    assert written(store.writer, *CHAIN) == OK

    made = run("backup", tmp_path / "b.db")
    refused = run("restore", tmp_path / "b.db", "--force")
    upgrade = run("upgrade")

    assert made.exit_code == 0
    assert refused.exit_code == upgrade.exit_code == EXIT_NO
    assert "is in use by process" in said(refused)
    store.close()


def test_a_file_that_is_no_backup_is_named(run, tmp_path):
    (tmp_path / "b.db").write_text("nonsense")

    result = run("restore", tmp_path / "b.db")

    assert result.exit_code == EXIT_UNREADABLE
    assert "is no backup of Stevie" in said(result)


def test_a_table_is_exported_to_standard_output_or_a_file(run, filled, tmp_path):
    shown = run("export", "audit")
    written_out = run("export", "audit", "--out", tmp_path / "audit.jsonl")

    lines = shown.stdout_bytes.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert (tmp_path / "audit.jsonl").read_bytes() == shown.stdout_bytes
    assert shown.exit_code == written_out.exit_code == 0


def test_an_unknown_table_and_an_unwritable_file_are_refused_in_a_line(run, filled, tmp_path):
    unknown = run("export", "orders")
    unwritable = run("backup", tmp_path / "absent" / "b.db")

    assert unknown.exit_code == unwritable.exit_code == EXIT_NO
    assert "allowed: audit, bars, l2_log, flags, quarantine" in said(unknown)
    assert "Traceback" not in unwritable.output


def test_a_row_that_breaks_its_contract_ends_an_export_and_is_named(run, url):
    store = open_store(url)
    assert written(store.writer, *CHAIN) == OK
    tampered(store, "UPDATE audit SET at_ns = -1 WHERE seq = 3")
    store.close()

    result = run("export", "audit")

    assert result.exit_code == EXIT_NO
    assert "audit [3]:" in said(result)
    assert len(result.stdout_bytes.splitlines()) == 2


def test_a_database_that_does_not_exist_is_not_made_by_a_read(run, tmp_path):
    result = run("export", "audit")

    assert result.exit_code == EXIT_NO
    assert "database gone" in said(result)
    assert not (tmp_path / "stevie.db").exists()
