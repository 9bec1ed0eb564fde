"""`stevie audit` on a real file, which is changed behind its back."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from stevie.adapters.store.store import open_store
from stevie.commands_audit import audit_app
from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.chain import GENESIS
from stevie.domain.operations.verify import RawRow
from tests.domain.operations.logs import sealed
from tests.inject import wait_until

Audit = Callable[..., Result]


def fill(url: str, rows: list[AuditRow]) -> None:
    """A database with these rows, written by the real writer."""
    outcomes = []
    store = open_store(url)
    try:
        if rows:
            store.writer.write(rows, mark="1", on_done=outcomes.append)
            wait_until(lambda: outcomes, "the rows are written")
            assert outcomes[0].reason == ""
    finally:
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def audit(path: Path) -> Audit:
    """Runs `stevie audit ...` on the database at `path`."""

    def run(*arguments: str) -> Result:
        # Four slashes: an absolute file.
        return CliRunner().invoke(audit_app(lambda: f"sqlite:///{path}"), arguments)

    return run


@pytest.fixture
def rows(path: Path) -> list[AuditRow]:
    rows = sealed(20)
    fill(f"sqlite:///{path}", rows)
    return rows


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def test_a_sound_log_is_exit_0_and_says_what_it_does_not_prove(audit, rows):
    done = audit("verify")

    assert done.exit_code == 0
    assert f"20 rows are as they were sealed, up to 20:{rows[-1].hash}" in done.stdout
    assert "cannot be seen" in done.stdout
    assert "--head" in done.stdout


def test_the_head_that_is_printed_is_the_head_that_is_taken(audit, rows):
    head = audit("head")
    done = audit("verify", "--head", head.stdout.strip())

    assert (head.exit_code, head.stdout) == (0, f"20:{rows[-1].hash}\n")
    assert done.exit_code == 0
    assert "cannot be seen" not in done.stdout
    assert audit("verify", "--head", rows[4].hash).exit_code == 0


def test_rows_cut_off_are_found_against_a_head_alone(audit, rows, path):
    head = audit("head").stdout.strip()
    change(path, "DELETE FROM audit WHERE seq > 17")

    assert audit("verify").exit_code == 0
    done = audit("verify", "--head", head)

    assert done.exit_code == 1
    assert done.stdout.startswith("row 18 is truncated")
    assert "as they were sealed: 17" in done.stdout


@pytest.mark.parametrize("column", RawRow._fields[1:])
def test_an_edit_of_any_column_is_exit_1_and_names_the_row(audit, rows, path, column):
    text = f"CAST({column} AS TEXT)"
    flipped = (
        f"{column} + 1" if column == "at_ns" else f"replace({text}, substr({text}, 3, 1), '~')"
    )
    change(path, f"UPDATE audit SET {column} = {flipped} WHERE seq = 12")

    done = audit("verify")

    assert done.exit_code == 1
    assert done.stdout.startswith("row 12 is altered")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM audit WHERE seq = 5", "row 5 is removed"),
        ("DELETE FROM audit WHERE seq <= 3", "row 1 is removed"),
        ("UPDATE audit SET seq = 99 WHERE seq = 7", "row 7 is altered: its seq says 99"),
        ("UPDATE audit SET seq = -4 WHERE seq = 7", "row 7 is altered: its seq says -4"),
        ("UPDATE audit SET payload = CAST(X'FFFE' AS TEXT) WHERE seq = 8", "row 8 is altered"),
        ("UPDATE audit SET at_ns = 1.5 WHERE seq = 9", "row 9 is altered"),
    ],
)
def test_what_is_done_to_rows_is_named(audit, rows, path, sql, said):
    change(path, sql)

    done = audit("verify")

    assert done.exit_code == 1
    assert done.stdout.startswith(said)


def test_a_program_gets_json(audit, rows, path):
    sound = json.loads(audit("verify", "--json", "--head", rows[3].hash).stdout)
    change(path, "DELETE FROM audit WHERE seq = 5")
    broken = audit("verify", "--json")

    assert sound == {
        "is_sound": True,
        "rows": 20,
        "head": f"20:{rows[-1].hash}",
        "is_checked_against_head": True,
        "finding": None,
    }
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["finding"] == {
        "flaw": "removed",
        "seq": 5,
        "detail": "it is missing before row 6.",
    }


def test_an_empty_log_has_the_head_of_none(audit, path):
    fill(f"sqlite:///{path}", [])

    head = audit("head").stdout.strip()

    assert head == str(GENESIS)
    assert audit("verify", "--head", head).exit_code == 0


def test_what_is_no_head_is_wrong_use(audit, rows):
    done = audit("verify", "--head", "12:abc")

    assert done.exit_code == 2
    assert "expected SEQ:HASH" in done.stderr


def test_a_database_that_cannot_be_read_is_exit_4_with_why(audit, path):
    assert audit("verify").exit_code == 4
    path.write_bytes(b"no database, but quite a lot of other text" * 100)

    for command in ("verify", "head"):
        done = audit(command)
        assert done.exit_code == 4
        assert str(path) in done.stderr
        assert "database damaged" in done.stderr


def test_a_head_whose_hash_is_none_is_not_printed(audit, rows, path):
    change(path, "UPDATE audit SET hash = 'x' WHERE seq = 20")

    done = audit("head")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "audit verify" in done.stderr


def test_a_wrong_url_is_wrong_use():
    done = CliRunner().invoke(audit_app(lambda: "mysql://root@db/x"), ["head"])

    assert done.exit_code == 2
    assert "allowed" in done.stderr
