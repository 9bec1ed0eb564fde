import json

from stevie.config import explain, load
from stevie.domain.operations.entries import configured, started, stopped
from stevie.domain.operations.provenance import config_hash

SETTINGS = explain(load(environ={"STEVIE__HTTP__ADMIN_TOKEN": "hunter2"}))


def test_a_start_tells_what_began():
    entry = started(
        at_ns=7,
        version="0.1.0",
        kernel="native",
        profile="dev",
        market="simulated",
        pid=42,
        venues=("binance",),
        symbols=["BTCUSDT", "ETHUSDT"],
    )

    assert (entry.at_ns, entry.kind, entry.actor) == (7, "started", "stevie")
    assert json.loads(entry.payload) == {
        "version": "0.1.0",
        "kernel": "native",
        "profile": "dev",
        "market": "simulated",
        "pid": 42,
        "venues": ["binance"],
        "symbols": ["BTCUSDT", "ETHUSDT"],
    }


def test_a_configuration_is_told_key_by_key_and_no_secret_with_it():
    entry = configured(at_ns=7, settings=SETTINGS)

    facts = json.loads(entry.payload)
    assert entry.kind == "configured"
    assert facts["config_hash"] == config_hash(SETTINGS)
    assert facts["config"]["profile"] == "dev"
    assert facts["config"].keys() == {key for key, _, _ in SETTINGS}
    assert facts["config"]["http.admin_token"] == "***"
    assert b"hunter2" not in entry.payload


def test_an_end_tells_why():
    entry = stopped(at_ns=9, reason="SIGTERM")

    assert (entry.kind, entry.payload) == ("stopped", b'{"reason":"SIGTERM"}')
