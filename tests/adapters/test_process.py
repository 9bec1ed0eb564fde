"""How old this process is, by the system's own account."""

import subprocess
import sys
import time

import pytest

from stevie.adapters import process


def test_a_process_grows_older():
    before_ms, began_s = process.age_ms(), time.monotonic()
    while time.monotonic() - began_s < 0.03:
        pass

    assert 20 <= process.age_ms() - before_ms <= 5_000


@pytest.mark.slow
def test_a_new_process_is_young_though_its_parent_is_old():
    program = "from stevie.adapters.process import age_ms; print(age_ms())"
    began_s = time.monotonic()

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    took_ms = (time.monotonic() - began_s) * 1000
    assert 0 <= int(done.stdout) <= took_ms + 20  # the system counts in hundredths


def test_without_proc_the_age_counts_from_the_first_import(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "STAT", tmp_path / "none")

    assert process.age_ms() >= 0
