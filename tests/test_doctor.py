"""What doctor finds: nothing there, something foreign there, a simulator there."""

import json

import pytest
from gevent.pywsgi import WSGIServer
from rich.console import Console

from stevie import doctor
from stevie.config import Config, load
from stevie.doctor import Finding
from stevie.venues.simulator.config import ExchangeConfig
from stevie.venues.simulator.server import SimulatedExchange
from tests.e2e.processes import free_ports


def _config(simulator_port: int, **more: str) -> Config:
    (http_port,) = free_ports(1)
    environ = {
        "STEVIE__KERNEL__MODE": "python",
        "STEVIE__HTTP__PORT": str(http_port),
        "STEVIE__SIMULATOR__URL": f"http://127.0.0.1:{simulator_port}",
        **more,
    }
    return load(environ=environ)


def _found(config: Config) -> dict[str, Finding]:
    return {finding.check: finding for finding in doctor.examine(config)}


def _serving(status: str, body: bytes) -> WSGIServer:
    def answer(_environ, start_response):
        start_response(status, [("Content-Length", str(len(body)))])
        return [body]

    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    return server


def test_without_a_simulator_it_says_how_to_start_one():
    (port,) = free_ports(1)

    found = _found(_config(port))

    assert not found["venue binance"].is_ok
    assert "refused" in found["venue binance"].detail
    assert "stevie exchange" in found["venue binance"].advice
    assert found["http port"].is_ok
    assert found["kernel"].is_ok
    assert found["kernel"].detail.startswith("python ")


def test_a_running_simulator_is_reachable_and_its_clock_is_ours():
    exchange = SimulatedExchange(ExchangeConfig(port=0))
    exchange.start()
    try:
        config = _config(exchange.port, STEVIE__VENUES="binance,binance_usdm")
        found = _found(config)
    finally:
        exchange.stop()

    for venue in ("venue binance", "venue binance_usdm"):
        assert found[venue].is_ok, found[venue]
        assert "reachable" in found[venue].detail


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("451 Unavailable", b"", "refuses this region"),
        ("503 Busy", b"", "HTTP 503"),
        ("200 OK", b"<html>", "no venue"),
        ("200 OK", b'{"serverTime":"now"}', "no venue"),
        ("200 OK", b'{"serverTime":1}', "off ours"),
    ],
)
def test_what_answers_but_is_no_sound_venue_is_not_well(status, body, said):
    server = _serving(status, body)
    try:
        finding = _found(_config(server.server_port))["venue binance"]
    finally:
        server.stop()

    assert not finding.is_ok
    assert said in finding.detail


@pytest.mark.parametrize(
    ("status", "is_ok", "said"),
    [("200 OK", True, "by a running Stevie"), ("404 Not Found", False, "not by a Stevie")],
)
def test_a_taken_http_port_is_told(status, is_ok, said):
    server = _serving(status, b"{}")
    try:
        config = _config(1, STEVIE__HTTP__PORT=str(server.server_port))
        finding = _found(config)["http port"]
    finally:
        server.stop()

    assert finding.is_ok is is_ok
    assert said in finding.detail


def test_settings_that_were_set_are_told_with_their_source_and_secrets_hidden():
    config = _config(1, STEVIE__HTTP__ADMIN_TOKEN="hunter2")

    found = _found(config)

    assert "$STEVIE__KERNEL__MODE" in found["kernel.mode"].detail
    assert "hunter2" not in json.dumps([finding._asdict() for finding in found.values()])


def test_what_is_printed_is_printed_as_it_is():
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as printed:
        doctor.print_findings(
            console, [Finding("x", is_ok=False, detail="[/odd] [Errno 111]", advice="[try] this")]
        )

    for text in ("FAIL", "[/odd] [Errno 111]", "[try] this"):
        assert text in printed.get()
