"""The live clock's timers, and chance that only depends on seed and name."""

import time

import gevent

from stevie.adapters.clock import LiveClock
from tests.inject import wait_until


def test_a_timer_fires_once_and_not_before_its_time():
    clock = LiveClock()
    fired_at_ns = []
    began_ns = clock.monotonic_ns()

    clock.call_later(0.005, lambda: fired_at_ns.append(clock.monotonic_ns()))
    wait_until(lambda: fired_at_ns)
    gevent.sleep(0.01)

    assert len(fired_at_ns) == 1
    assert fired_at_ns[0] - began_ns >= 4_900_000


def test_a_timer_armed_late_in_a_long_turn_does_not_fire_early():
    clock = LiveClock()
    gevent.sleep(0)
    until_ns = clock.monotonic_ns() + 30_000_000
    while clock.monotonic_ns() < until_ns:
        pass
    fired_at_ns = []

    clock.call_later(0.02, lambda: fired_at_ns.append(clock.monotonic_ns()))
    wait_until(lambda: fired_at_ns)

    assert fired_at_ns[0] - until_ns >= 19_000_000


def test_a_cancelled_timer_does_not_fire_and_may_be_cancelled_again():
    fired = []
    timer = LiveClock().call_later(0.001, lambda: fired.append(1))

    timer.cancel()
    timer.cancel()
    gevent.sleep(0.005)

    assert fired == []


def test_a_timer_may_be_cancelled_after_it_fired():
    fired = []
    timer = LiveClock().call_later(0, lambda: fired.append(1))
    wait_until(lambda: fired)

    timer.cancel()

    assert fired == [1]


def test_wall_time_is_the_machines():
    assert abs(LiveClock().wall_ns() - time.time_ns()) < 1_000_000_000
