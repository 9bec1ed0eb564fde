"""The watchdog ends a process whose hub is frozen, and measures one that is late."""

import subprocess
import sys
import time

import gevent
import pytest

from stevie.runtime.watchdog import EXIT_CODE, Watchdog
from tests.inject import wait_until

SPINNING = """
from gevent import monkey
monkey.patch_all()
import gevent
from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.runtime.actor import StevieActor
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from stevie.runtime.watchdog import Watchdog

class Spinner(StevieActor):
    def starting(self):
        self.after(0.01, Spin())
    def handle(self, message):
        spin_for_ever()

class Spin(__import__("stevie.runtime.message", fromlist=["Message"]).Message, frozen=True):
    pass

def spin_for_ever():
    while True:
        pass

Watchdog(limit_s=0.3).start()
system = ActorSystem(clock=LiveClock(), rng=SeededRng(1))
system.start(supervise("root", Plan(children=(ChildSpec(name="the/spinner", factory=Spinner),))))
gevent.sleep(30)
"""


@pytest.fixture
def watchdog():
    watchdog = Watchdog(limit_s=5, tick_s=0.002)
    watchdog.start()
    yield watchdog
    watchdog.stop()


@pytest.mark.slow
def test_a_spinning_actor_ends_the_process_with_its_name_and_its_stack():
    ended = subprocess.run(
        [sys.executable, "-c", SPINNING], capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode == EXIT_CODE == 3
    assert "the hub has not turned for" in ended.stderr
    assert "it runs Spinner the/spinner" in ended.stderr
    assert "in spin_for_ever" in ended.stderr


def test_a_hub_that_turns_is_left_alone_and_its_lag_is_known(watchdog):
    until_s = time.monotonic() + 0.03
    while time.monotonic() < until_s:
        pass  # the hub cannot turn meanwhile
    wait_until(lambda: watchdog.lag_max_s > 0)

    assert watchdog.take_lag_max_s() >= 0.02
    assert watchdog.lag_max_s == 0.0


def test_a_hub_that_waits_for_nothing_long_still_ticks(watchdog):
    ticked_at_s = watchdog._ticked_at_s

    gevent.sleep(0.02)

    assert watchdog._ticked_at_s > ticked_at_s


def test_stopping_twice_is_harmless(watchdog):
    watchdog.stop()
    watchdog.stop()
