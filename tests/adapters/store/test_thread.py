import os
import threading
import time

import gevent
import pytest
from gevent.monkey import get_original

from stevie.adapters.store.thread import Failed, JobThread
from tests.inject import wait_until

get_ident = get_original("_thread", "get_ident")
blocking_sleep = get_original("time", "sleep")


@pytest.fixture
def thread():
    thread = JobThread(jobs_max=4, at_end=lambda: None)
    yield thread
    thread.close()
    assert thread.drain(5.0)


def test_jobs_run_in_order_on_one_thread_that_is_not_the_hubs(thread):
    seen = []
    for number in range(4):
        thread.submit(lambda number=number: (number, get_ident()), seen.append)

    assert thread.drain(5.0)
    assert [number for number, _ in seen] == [0, 1, 2, 3]
    assert len({ident for _, ident in seen}) == 1
    assert get_ident() not in {ident for _, ident in seen}


def test_outcomes_are_told_on_the_hub(thread):
    told_on = []
    thread.submit(lambda: None, lambda _: told_on.append((get_ident(), gevent.getcurrent())))

    assert thread.drain(5.0)
    assert told_on == [(get_ident(), gevent.get_hub())]


def test_a_job_that_raises_ends_in_its_error_and_the_next_one_runs(thread):
    outcomes = []
    thread.submit(lambda: 1 // 0, outcomes.append)
    thread.submit(lambda: 7, outcomes.append)

    assert thread.drain(5.0)
    assert isinstance(outcomes[0], Failed)
    assert isinstance(outcomes[0].error, ZeroDivisionError)
    assert outcomes[1] == 7


def test_a_call_returns_or_raises_what_the_job_did(thread):
    assert thread.call(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 // 0)


def test_the_hub_turns_while_a_job_takes_its_time(thread):
    turns = []
    turning = gevent.spawn(lambda: [turns.append(gevent.sleep(0.005)) for _ in range(1000)])

    thread.call(lambda: blocking_sleep(0.2))

    turning.kill()
    assert len(turns) > 15


def test_more_jobs_than_its_bound_are_a_bug_of_the_caller(thread):
    gate = threading.Event()
    thread.submit(lambda: blocking_sleep(0.05), lambda _: gate.set())
    for _ in range(3):
        thread.submit(lambda: None, lambda _: None)

    with pytest.raises(AssertionError, match="4 jobs wait"):
        thread.submit(lambda: None, lambda _: None)

    assert gate.wait(5.0)


def test_a_drain_that_takes_too_long_says_so(thread):
    thread.submit(lambda: blocking_sleep(0.2), lambda _: None)

    assert not thread.drain(0.01)
    assert thread.drain(5.0)


def test_a_close_comes_after_the_jobs_and_before_those_submitted_later():
    journal = []
    thread = JobThread(jobs_max=8, at_end=lambda: journal.append("end"))
    thread.submit(lambda: journal.append("first"), lambda _: None)
    thread.close()
    thread.close()
    thread.submit(lambda: journal.append("second"), lambda _: None)
    assert thread.drain(5.0)
    assert journal == ["first", "end", "second"]

    thread.close()

    assert thread.drain(5.0)
    assert journal == ["first", "end", "second", "end"]


def test_closing_what_never_ran_is_harmless():
    thread = JobThread(jobs_max=1, at_end=lambda: pytest.fail("nothing to end"))
    thread.close()

    assert thread.drain(0)


def test_a_thread_made_before_a_fork_is_refused_after_it(thread, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)

    with pytest.raises(AssertionError, match="made before a fork"):
        thread.submit(lambda: None, lambda _: None)


def test_a_greenlet_killed_while_it_waits_leaves_the_thread_at_work(thread):
    done = []
    waiting = gevent.spawn(thread.call, lambda: done.append(blocking_sleep(0.05)))
    gevent.sleep(0)
    waiting.kill()

    wait_until(lambda: done)
    assert thread.call(time.monotonic) > 0
