"""kill -9 of a process that writes: what it acknowledged is there, and whole."""

import random
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

from stevie.adapters.store.backup import backup, examine
from stevie.adapters.store.engine import Engine, engine_of
from tests.e2e.processes import CHECKOUT
from tests.postgres import new_cluster

UP_S = 30.0
GROUP = 3


class Life:
    """One life of the writing process: how far it had come when it was killed."""

    def __init__(self, url: str, delay_s: float) -> None:
        command = [sys.executable, "-m", "tests.e2e.store_writing", url]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=CHECKOUT, text=True, **pipes) as process:
            try:
                assert process.stdout is not None
                with gevent.Timeout(UP_S):
                    first = process.stdout.readline()
                gevent.sleep(delay_s)
            finally:
                process.kill()
            rest, complaints = process.communicate()
        assert first.startswith("up "), complaints
        self.found_seq = int(first.split()[1])
        # The last line may be cut off: what was not said to the end was not acknowledged.
        whole = rest[: rest.rfind("\n") + 1].splitlines()
        self.acknowledged = {int(seq): text for _, seq, text in map(str.split, whole)}


def check(engine: Engine, acknowledged: dict[int, str], tmp_path: Path) -> None:
    """Every acknowledged row, every group whole, and the chain as it was sealed."""
    summary = examine(engine)  # which verifies the chain
    assert summary.head.seq >= max(acknowledged, default=0)
    assert summary.rows["audit"] == summary.rows["bars"] == summary.head.seq
    assert summary.head.seq % GROUP == 0
    backup(engine, tmp_path / "copy.db", is_forced=True)
    assert examine(engine_of(f"sqlite:///{tmp_path}/copy.db")) == summary


def kill_again_and_again(url: str, times: int, tmp_path: Path) -> None:
    chance, acknowledged = random.Random(f"kill/{times}"), {}
    engine = engine_of(url)
    for _ in range(times):
        life = Life(url, delay_s=chance.uniform(0.0, 0.25))
        assert life.found_seq >= max(acknowledged, default=0)
        acknowledged.update(life.acknowledged)
        check(engine, acknowledged, tmp_path)
    assert len(acknowledged) > times  # it was killed at work, not before


@pytest.mark.slow
def test_ten_kills_lose_nothing_that_was_acknowledged(tmp_path):
    kill_again_and_again(f"sqlite:///{tmp_path}/stevie.db", 10, tmp_path)


@pytest.mark.soak
def test_a_hundred_kills_on_sqlite_lose_nothing_that_was_acknowledged(tmp_path):
    kill_again_and_again(f"sqlite:///{tmp_path}/stevie.db", 100, tmp_path)


@pytest.mark.soak
def test_twenty_kills_on_postgresql_lose_nothing_that_was_acknowledged(tmp_path):
    cluster = new_cluster()
    try:
        kill_again_and_again(cluster.new_url(), 20, tmp_path)
    finally:
        cluster.remove()
