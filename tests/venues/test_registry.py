import gzip
import json

import pytest

from stevie.venues.registry import VENUES, simulated, venue_of
from tests.parity.recordings import DATA


@pytest.mark.parametrize(
    ("url", "venue"),
    [
        ("wss://stream.binance.com:9443/stream?streams=btcusdt@depth", "binance"),
        ("wss://data-stream.binance.vision/ws/btcusdt@depth", "binance"),
        ("https://api.binance.com/api/v3/depth?symbol=BTCUSDT", "binance"),
        ("https://testnet.binance.vision/api/v3/depth", "binance"),
        ("wss://fstream.binance.com/public/stream?streams=btcusdt@depth", "binance_usdm"),
        ("https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT", "binance_usdm"),
        ("https://demo-fapi.binance.com/fapi/v1/depth", "binance_usdm"),
        ("wss://fstream.binancefuture.com/ws/btcusdt@depth", "binance_usdm"),
        ("http://127.0.0.1:5001/api/v3/depth?symbol=BTCUSDT", "binance"),
        ("ws://127.0.0.1:5001/stream?streams=btcusdt@depth", "binance"),
        ("ws://localhost:5001/ws/btcusdt@depth", "binance"),
        ("http://exchange:5001/fapi/v1/depth?symbol=BTCUSDT", "binance_usdm"),
        ("ws://localhost:5001/market/stream?streams=btcusdt@aggTrade", "binance_usdm"),
        ("wss://ws.okx.com:8443/ws/v5/public", ""),
        ("wss://www.deribit.com/ws/api/v2", ""),
        ("https://api.coinbase.com/api/v3/brokerage/market/products", ""),
        ("https://example.com/", ""),
        ("", ""),
    ],
)
def test_a_url_tells_its_venue(url: str, venue: str) -> None:
    assert venue_of(url) == venue


def test_every_recording_is_of_the_venue_in_its_name() -> None:
    files = sorted(DATA.glob("*.jsonl.gz"))
    if not files:
        pytest.skip(f"no recordings in {DATA}: set STEVIE_TEST_DATA to where they are")
    for path in files:
        with gzip.open(path) as lines:
            venue = venue_of(json.loads(next(iter(lines)))["url"])
        prefix = {"binance": "binance-spot", "binance_usdm": "binance-usdm"}.get(venue, "")
        assert path.name.startswith(prefix), (path.name, venue)
        assert bool(prefix) == path.name.startswith("binance"), (path.name, venue)


@pytest.mark.parametrize("name", VENUES)
def test_every_venue_can_be_simulated_and_its_urls_are_told_apart(name: str) -> None:
    codec = VENUES[name].codec(simulated("http://127.0.0.1:5001"))

    assert codec.venue == name
    assert venue_of(codec.snapshot_url("BTCUSDT")) == name
    assert venue_of(codec.time_url()) == name
    assert venue_of(codec.instruments_url(["BTCUSDT"])) == name
    assert {venue_of(plan.url) for plan in codec.connections(["BTCUSDT"])} == {name}
    assert all(plan.url.startswith("ws://127.0.0.1:5001/") for plan in codec.connections(["A"]))


@pytest.mark.parametrize("name", VENUES)
def test_every_venue_is_reached_over_tls_when_live(name: str) -> None:
    live = VENUES[name].live

    assert live.rest.startswith("https://")
    assert live.socket.startswith("wss://")
