from collections.abc import Iterator

import pytest

from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.runtime.system import ActorSystem


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    """A system that carries no tree yet; whatever it carries at the end is stopped."""
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1))
    yield system
    system.stop()
