"""The processes of a configuration, and what each of them need not import."""

import subprocess
import sys

import pytest

from stevie import launch
from stevie.config import Config, HttpConfig, load
from tests.replay.captures import CHECKOUT


def test_the_processes_agree_on_their_ports_whatever_the_runner_hands_out():
    config = Config(http=HttpConfig(port=6000))

    arguments, environ = launch.process_plan(config, {"PATH": "/bin", "OTHER": "kept"})

    assert arguments[-2:] == ["web", "exchange"]
    assert arguments[0].endswith("/honcho")
    assert environ["STEVIE__HTTP__PORT"] == "6000"
    assert environ["STEVIE__SIMULATOR__URL"].endswith(f":{environ['STEVIE__SIMULATOR__PORT']}")
    assert environ["OTHER"] == "kept"
    assert environ["PATH"].endswith(":/bin")


def test_a_live_market_runs_no_exchange():
    arguments, environ = launch.process_plan(Config(market="live"), {})

    assert arguments[-1] == "web"
    assert environ["STEVIE__MARKET"] == "live"
    assert "STEVIE__SIMULATOR__PORT" not in environ


def test_a_simulator_named_by_url_is_run_by_whoever_named_it():
    config = load(environ={"STEVIE__SIMULATOR__URL": "http://localhost:7000"})

    assert launch.process_plan(config, {})[0][-1] == "web"


def test_a_configured_port_of_the_simulator_is_where_it_is_found():
    config = load(environ={"STEVIE__SIMULATOR__PORT": "7001"})

    _, environ = launch.process_plan(config, {})

    assert environ["STEVIE__SIMULATOR__URL"] == "http://127.0.0.1:7001"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "spared"),
    [
        (
            ("stevie.__main__", "stevie.cli", "stevie.launch"),
            ("gevent", "structlog", "rich.console", "falcon", "pykka", "cppyy", "peewee"),
        ),
        (
            ("stevie.cli", "stevie.logs", "stevie.venues.simulator.server"),
            ("falcon", "pykka", "cppyy", "peewee", "prometheus_client", "urllib3"),
        ),
    ],
    ids=["up", "exchange"],
)
def test_a_process_imports_nothing_that_it_does_not_need(modules, spared):
    program = f"""
import sys
sys.argv = ["stevie", "up"]
for module in {modules!r}:
    __import__(module)
print(*(set({spared!r}) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []
