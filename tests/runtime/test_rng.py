"""Chance that depends on the seed and the names, not on who draws first."""

import subprocess
import sys

from stevie.adapters.rng import SeededRng


def test_the_same_seed_and_name_give_the_same_stream_whoever_drew_before():
    one, other = SeededRng(7), SeededRng(7)
    other.random()

    assert one.fork("a").random() == other.fork("a").random()


def test_other_names_and_other_seeds_give_other_streams():
    streams = [SeededRng(7).fork("a"), SeededRng(7).fork("b"), SeededRng(8).fork("a")]

    assert len({rng.random() for rng in streams}) == 3


def test_a_stream_does_not_depend_on_the_processs_hash_seed():
    code = "from stevie.adapters.rng import SeededRng; print(SeededRng(7).fork('a').random())"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert float(ended.stdout) == SeededRng(7).fork("a").random()
