"""The capture's clock and the transport that is fed from it."""

from stevie.adapters.replay import ReplayTransport
from stevie.runtime.deterministic import VirtualClock
from tests.adapters.test_transport import Heard

S = 1_000_000_000


def test_time_stands_still_until_it_is_advanced_and_never_goes_back():
    clock = VirtualClock()

    clock.advance(5 * S)
    clock.advance(3 * S)

    assert clock.wall_ns() == clock.monotonic_ns() == 5 * S


def test_timers_run_in_order_of_their_time_each_at_its_time():
    clock, ran = VirtualClock(), []
    for delay_s in (3.0, 1.0, 2.0, 1.0):
        clock.call_later(delay_s, lambda d=delay_s: ran.append((d, clock.wall_ns())))

    clock.advance(2 * S)
    assert ran == [(1.0, S), (1.0, S), (2.0, 2 * S)]

    clock.advance(10 * S)
    assert ran[3:] == [(3.0, 3 * S)]
    assert clock.next_ns() is None


def test_a_timer_that_arms_the_next_one_runs_on_within_one_advance():
    clock, ran = VirtualClock(), []

    def again():
        ran.append(clock.wall_ns())
        clock.call_later(1.0, again)

    clock.call_later(1.0, again)
    clock.advance(3 * S + 1)

    assert ran == [S, 2 * S, 3 * S]


def test_a_cancelled_timer_does_not_run_and_does_not_count():
    clock, ran = VirtualClock(), []
    timer = clock.call_later(1.0, lambda: ran.append(1))

    timer.cancel()

    assert clock.next_ns() is None
    clock.advance(2 * S)
    assert ran == []


def test_what_became_due_in_skipped_time_runs_once_and_late():
    clock, ran = VirtualClock(), []
    clock.call_later(1.0, lambda: ran.append(clock.wall_ns()))

    clock.skip(100 * S)
    clock.skip(50 * S)
    assert ran == []

    clock.advance(100 * S)
    assert ran == [100 * S]


def _transport():
    return ReplayTransport(lambda url: url.partition("symbol=")[2])


def test_a_get_waits_for_the_next_answer_of_its_symbol():
    transport, answers = _transport(), []
    transport.get("x?symbol=A", answers.append)

    transport.offer("y?symbol=B", b"other")
    assert answers == []

    transport.offer("y?symbol=A", b"first")
    transport.offer("y?symbol=A", b"second")
    assert [(a.status, a.body, a.url) for a in answers] == [(200, b"first", "y?symbol=A")]


def test_the_newest_answer_that_nobody_asked_for_is_kept_for_one_who_does():
    transport, answers = _transport(), []
    transport.offer("y?symbol=A", b"old")
    transport.offer("y?symbol=A", b"new")

    transport.get("x?symbol=A", answers.append)
    transport.get("x?symbol=A", answers.append)

    assert [a.body for a in answers] == [b"new"]


def test_what_no_capture_holds_is_answered_at_once_with_status_0():
    transport, answers = _transport(), []

    transport.get("https://venue/exchangeInfo", answers.append)

    assert [a.status for a in answers] == [0]


def test_its_sockets_are_open_at_once_answer_pings_and_close_silently():
    heard = Heard()
    connection = _transport().connect("wss://x", heard)

    connection.send("hello")
    connection.ping()
    connection.close()

    assert (heard.opens, heard.signs_of_life, heard.ends) == (1, 1, [])
