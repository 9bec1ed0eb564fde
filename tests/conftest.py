from gevent import monkey

monkey.patch_all()
# ruff: noqa: E402 - nothing may be imported before the line above

import time
from collections.abc import Iterator

import gevent
import pytest
from pykka import ActorRegistry

CLEAN_UP_S = 5.0  # for actors that a test left behind to die of their kills


@pytest.fixture(autouse=True)
def _no_actor_outlives_its_test() -> Iterator[None]:
    """Fail a test that leaves actors behind, and end them for the sake of the next one."""
    yield
    left = [str(ref) for ref in ActorRegistry.get_all()]
    if left:
        _end_all()
        pytest.fail(f"left alive: {left}")


def _end_all() -> None:
    deadline_s = time.monotonic() + CLEAN_UP_S
    for ref in reversed(ActorRegistry.get_all()):
        actor = ref._actor_weakref()
        if actor is not None:
            actor.kill("left behind by a test")
    while ActorRegistry.get_all() and time.monotonic() < deadline_s:
        gevent.sleep(0.001)
