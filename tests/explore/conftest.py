from collections.abc import Iterator

import pytest

from stevie.explore.exploration import Explorer, Scenario
from stevie.explore.tape import Tape, TapeKey
from tests.deterministic.quiet import no_logs, python_explorer

BOTH = ("binance", "binance_usdm")


@pytest.fixture(scope="session")
def tape() -> Tape:
    """Ten seconds of one symbol at both venues."""
    return Tape(TapeKey(1, 10, ("BTCUSDT",), BOTH))


@pytest.fixture(scope="session")
def explorer() -> Explorer:
    return python_explorer(Scenario(seconds=24, symbols=("BTCUSDT",)))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with no_logs():
        yield
