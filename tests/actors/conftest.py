from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.actors.world import World


@pytest.fixture
def new_world() -> Iterator[Callable[..., World]]:
    """Builds worlds, and takes their trees down at the end."""
    worlds: list[World] = []

    def build(*arguments: Any, **options: Any) -> World:
        worlds.append(World(*arguments, **options))
        return worlds[-1]

    yield build
    for world in worlds:
        world.system.stop()
