"""What was acknowledged over HTTP is there after the process is gone, however it went."""

import json
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import CHECKOUT, Process, Stack, eventually

pytestmark = pytest.mark.slow

DRAIN_S = 4.0  # after which the arbiter would kill


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, STEVIE__KERNEL__MODE="python")
    yield stack
    stack.end()


def up(stack: Stack) -> Process:
    web = stack.start_web()
    eventually(lambda: stack.get("/api/flags").status == 200, "the flags are read", within_s=20)
    return web


def set_flag(stack: Stack, *, value: bool) -> dict[str, Any]:
    """Turn a flag and wait for the answer, which says that it is durable."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port}/api/flags",
        data=json.dumps({"name": "l2_log", "value": value}).encode(),
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=5.0) as response:
        document: dict[str, Any] = json.load(response)
    return document


def rows(path: Path) -> list[tuple[int, str, str]]:
    with closing(sqlite3.connect(path / "stevie.db")) as database:
        return database.execute("SELECT seq, kind, payload FROM audit ORDER BY seq").fetchall()


def verified(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "stevie", "audit", "verify"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "STEVIE__STORE__URL": f"sqlite:///{path}/stevie.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_polite_end_comes_within_its_time_and_is_the_last_row(
    stack: Stack, tmp_path: Path
) -> None:
    web = up(stack)
    seq = set_flag(stack, value=False)["audit_seq"]

    web.send(signal.SIGTERM)
    assert web.wait(DRAIN_S + 1.0) == 0

    kept = rows(tmp_path)
    assert kept[seq - 1][1] == "flag_set"
    assert [kind for _, kind, _ in kept[:2]] == ["started", "configured"]
    assert kept[-1][1] == "stopped"
    assert f"{len(kept)} rows are as they were sealed" in verified(tmp_path)


def test_what_was_acknowledged_outlives_a_kill(stack: Stack, tmp_path: Path) -> None:
    value = True
    for _ in range(3):
        web = up(stack)
        value = not value
        seq = set_flag(stack, value=value)["audit_seq"]
        web.end()  # SIGKILL, worker and all

        fact = json.loads(rows(tmp_path)[seq - 1][2])
        assert (fact["name"], fact["to"]) == ("l2_log", value)

    up(stack)
    flags = {each["name"]: each["value"] for each in stack.get("/api/flags").document}
    assert flags["l2_log"] is value
    assert "as they were sealed" in verified(tmp_path)
