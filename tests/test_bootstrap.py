"""What the composition root makes of a configuration."""

import falcon.testing
import pytest

from stevie import bootstrap
from stevie.config import Config, KernelConfig, SimulatorConfig, load
from stevie.domain.market.instrument import InstrumentKind
from tests.e2e.processes import free_ports
from tests.inject import wait_until

PYTHON = {"STEVIE__KERNEL__MODE": "python", "STEVIE__LOG__LEVEL": "error"}


@pytest.mark.parametrize(
    ("venue", "symbol", "kind"),
    [
        ("binance", "BTCUSDT", InstrumentKind.SPOT),
        ("binance_usdm", "BTCUSDT-PERP", InstrumentKind.PERPETUAL),
    ],
)
def test_a_symbol_is_followed_under_each_venues_name(venue, symbol, kind):
    (instrument,) = bootstrap.instruments(Config(symbols=("BTCUSDT",)), venue)

    assert (instrument.symbol, instrument.native) == (symbol, "BTCUSDT")
    assert (instrument.base, instrument.quote, instrument.kind) == ("BTC", "USDT", kind)


def test_features_are_configured_in_the_units_of_the_domain():
    spec = bootstrap.feature_spec(load(environ={"STEVIE__FEATURES__WINDOW_S": "2.5"}))

    assert spec.window_ns == 2_500_000_000


def test_the_kernel_is_the_one_asked_for():
    assert bootstrap.kernel(Config(kernel=KernelConfig(mode="python"))).name == "python"


def test_the_app_is_made_without_starting_anything_and_ends_what_was_started(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "_instances", [])
    monkeypatch.setattr(bootstrap.logs, "configure", lambda **_: None)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"

    app = bootstrap.wsgi(
        {
            **PYTHON,
            "STEVIE__SIMULATOR__URL": url,
            "STEVIE__STORE__URL": f"sqlite:///{tmp_path}/stevie.db",
        }
    )
    client = falcon.testing.TestClient(app)
    assert client.simulate_get("/healthz", host="localhost").status_code == 503
    assert not bootstrap.root_is_dead()

    bootstrap.start()
    try:
        assert client.simulate_get("/healthz", host="localhost").status_code == 200
        wait_until(
            lambda: "cannot connect" in client.simulate_get("/readyz", host="localhost").text
        )
        book = client.simulate_get("/api/l2/binance/BTCUSDT", host="localhost")
        assert book.status_code == 503
    finally:
        bootstrap.stop(timeout_s=2.0)

    assert not bootstrap.root_is_dead()  # it was asked to


def test_the_simulators_default_address_is_where_the_exchange_listens():
    simulator = SimulatorConfig()

    assert simulator.url == f"http://{simulator.host}:{simulator.port}"
