"""An answer arrives once, to all who wait for it."""

import gevent
import pykka
import pytest

from stevie.runtime.errors import AskTimeout
from stevie.runtime.reply import Reply


def test_all_who_wait_get_the_answer():
    reply = Reply()
    waiting = [gevent.spawn(reply.get) for _ in range(3)]
    gevent.sleep(0)

    reply.set("answer")

    assert [one.get(timeout=2) for one in waiting] == ["answer"] * 3
    assert reply.get() == "answer"


def test_an_exception_is_raised_where_the_answer_is_read():
    reply = Reply()
    try:
        raise ValueError("no")  # noqa: TRY301
    except ValueError:
        reply.set_exception()

    with pytest.raises(ValueError, match="no"):
        reply.get(timeout=0)


def test_a_wait_in_vain_is_a_timeout_in_pykkas_and_in_pythons_words():
    for kind in (AskTimeout, pykka.Timeout, TimeoutError):
        with pytest.raises(kind):
            Reply().get(timeout=0.001)


def test_an_answer_after_the_timeout_can_still_be_read():
    reply = Reply()
    with pytest.raises(AskTimeout):
        reply.get(timeout=0)

    reply.set(1)

    assert reply.get(timeout=0) == 1


def test_a_second_answer_is_a_bug():
    reply = Reply()
    reply.set(1)

    with pytest.raises(AssertionError, match="answered once"):
        reply.set(2)


def test_pykkas_combinations_work():
    reply = Reply()
    doubled = reply.map(lambda value: value * 2)

    reply.set(21)

    assert doubled.get(timeout=1) == 42
