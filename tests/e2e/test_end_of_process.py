"""How the processes end: asked to, by the death of the root, by a hub that hangs."""

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.processes import UP_S, Process, Stack, eventually

pytestmark = pytest.mark.slow

INJECTED = "tests/e2e/injected_gunicorn.py"
GONE_S = 4.0  # a second before the process runner kills


@pytest.fixture
def stack(tmp_path) -> Iterator[Stack]:
    made = Stack(tmp_path, PYTHONPATH=".")
    yield made
    made.end()


def _until_live(stack: Stack) -> None:
    def is_live() -> bool:
        return stack.get("/api/l2/binance/BTCUSDT").status == 200

    eventually(is_live, "the book is LIVE", within_s=UP_S)


def _dies_of(stack: Stack, monkeypatch, fault: str) -> Process:
    monkeypatch.setattr(stack, "_settings", {**stack._settings, "STEVIE_TEST_FAULT": fault})
    return stack.start_web(INJECTED)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_time_with_code_0_and_no_orphan(stack, number):
    exchange, web = stack.start_exchange(), stack.start_web()
    _until_live(stack)

    web.send(number)
    exchange.send(number)

    assert web.wait(GONE_S) == 0
    assert exchange.wait(GONE_S) == 0
    assert web.group_is_gone()
    assert exchange.group_is_gone()
    assert "stevie_stopped" in web.said()
    assert "is_clean=True" in web.said()
    assert "Traceback" not in web.said() + exchange.said()


def test_a_signal_ends_it_in_time_while_the_market_is_silent(stack):
    exchange, web = stack.start_exchange(), stack.start_web()
    _until_live(stack)
    exchange.send(signal.SIGSTOP)

    web.send(signal.SIGTERM)

    assert web.wait(GONE_S) == 0
    assert web.group_is_gone()
    assert "is_clean=True" in web.said()


def test_the_death_of_the_root_ends_gunicorn_with_code_3_and_no_respawn(stack, monkeypatch):
    stack.start_exchange()
    web = _dies_of(stack, monkeypatch, "root_dies")

    assert web.wait(UP_S) == 3
    assert web.group_is_gone()
    assert "root_died" in web.said()
    assert web.said().count("Booting worker") == 1


def test_a_hub_that_hangs_ends_gunicorn_with_code_3_and_says_where(stack, monkeypatch):
    web = _dies_of(stack, monkeypatch, "hub_spins")

    assert web.wait(UP_S) == 3
    assert web.group_is_gone()
    assert "the hub has not turned" in web.said()
    assert "_spin" in web.said()
    assert web.said().count("Booting worker") == 1


def test_a_wrong_configuration_ends_gunicorn_with_every_fault_named(tmp_path):
    stack = Stack(tmp_path, STEVIE__SYMBOLS="BTC", STEVIE__KERNEL__MODE="fast")
    web = stack.start_web()
    try:
        assert web.wait(UP_S) != 0
        assert web.said().count("Booting worker") == 1
        assert "kernel.mode" in web.said()
    finally:
        stack.end()
