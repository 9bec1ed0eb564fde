import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from gevent import subprocess
from simulator_books import DocumentedBook, true_top
from simulator_client import WireClient

from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.binance.protocol import without_host
from stevie.venues.simulator.config import ExchangeConfig
from stevie.venues.simulator.server import SimulatedExchange, main_exchange
from stevie.venues.simulator.venue import AT_ONCE

FASTER = 20
ROOT = Path(__file__).parents[3]
ENTRY = (
    "from gevent import monkey; monkey.patch_all(); import sys;"
    "from stevie.venues.simulator.config import ExchangeConfig;"
    "from stevie.venues.simulator.server import main_exchange;"
    "sys.exit(main_exchange(ExchangeConfig(port=0, symbols=('BTCUSDT',))))"
)


@pytest.fixture
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange whose market lives twenty seconds in each of ours."""
    start_ns = time.time_ns()
    exchange = SimulatedExchange(
        ExchangeConfig(port=0, seed=5, symbols=("BTCUSDT",), latency=AT_ONCE),
        now_ns=lambda: start_ns + (time.time_ns() - start_ns) * FASTER,
    )
    exchange.start()
    yield exchange
    exchange.stop()


def get(connection: HTTPConnection, path: str) -> tuple[int, dict, dict]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, dict(response.headers), json.loads(response.read())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("venue", "ws_path", "rest_path"),
    [(SPOT, "/ws", "/api/v3/depth"), (USDM, "/public/ws", "/fapi/v1/depth")],
)
def test_a_client_that_follows_the_documents_holds_the_true_book(
    exchange, venue, ws_path, rest_path
):
    client = WireClient(exchange.port, ws_path)
    rest = HTTPConnection("127.0.0.1", exchange.port)
    client.send({"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1})
    assert client.receive() == '{"result":null,"id":1}'
    buffered = [json.loads(client.receive()) for _ in range(3)]
    _, _, snapshot = get(rest, f"{rest_path}?symbol=BTCUSDT&limit=1000")
    book = DocumentedBook(snapshot, is_spot=venue == SPOT)

    for frame in buffered:
        book.take(frame)
    while book.applied_count < 200:
        book.take(json.loads(client.receive()))
        if book.applied_count % 10 == 0:
            truth = exchange.market.listed(venue, "BTCUSDT")
            assert book.top(20) == true_top(truth, book.last_id, 20)

    client.close()
    rest.close()


def test_rest_keeps_the_connection_and_reports_the_weight(exchange):
    rest = HTTPConnection("127.0.0.1", exchange.port)

    status, headers, _ = get(rest, "/api/v3/depth?symbol=BTCUSDT&limit=5")
    sock = rest.sock
    refused, headers_after, error = get(rest, "/api.binance.com/api/v3/depth?symbol=NOSUCH")

    assert (status, refused) == (200, 400)
    assert headers["Content-Type"].startswith("application/json")
    assert headers["X-MBX-USED-WEIGHT-1M"] == "5"
    assert headers_after["X-MBX-USED-WEIGHT-1M"] == "6"
    assert error == {"code": -1121, "msg": "Invalid symbol."}
    assert rest.sock is sock
    rest.close()


def test_only_get_is_served(exchange):
    rest = HTTPConnection("127.0.0.1", exchange.port)

    rest.request("POST", "/api/v3/order", body="{}")

    assert rest.getresponse().status == 405
    rest.close()


def test_streams_of_the_url_start_without_a_request(exchange):
    raw = WireClient(exchange.port, "/ws/btcusdt@depth@100ms")
    combined = WireClient(exchange.port, "/stream?streams=btcusdt@depth@100ms/btcusdt@trade")

    assert json.loads(raw.receive())["e"] == "depthUpdate"
    frames = [json.loads(combined.receive()) for _ in range(30)]

    assert {tuple(frame) for frame in frames} == {("stream", "data")}
    assert {frame["stream"] for frame in frames} == {"btcusdt@depth@100ms", "btcusdt@trade"}
    raw.close()
    combined.close()


def test_an_ended_subscription_is_silent(exchange):
    client = WireClient(exchange.port, "/ws/btcusdt@depth@100ms/btcusdt@bookTicker")
    client.receive()

    client.ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1})

    assert {json.loads(client.receive()).get("e") for _ in range(20)} == {"depthUpdate"}
    client.close()


def test_a_websocket_is_refused_where_no_stream_is(exchange):
    rest = HTTPConnection("127.0.0.1", exchange.port)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    rest.request("GET", "/nowhere", headers=upgrade)
    assert rest.getresponse().status == 404
    rest.close()
    rest.request("GET", "/ws", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert rest.getresponse().status == 400
    rest.close()


def test_dropped_connections_end_without_a_word(exchange):
    client = WireClient(exchange.port, "/ws/btcusdt@trade")

    exchange.drop_connections()

    while client.receive() is not None:
        pass
    assert client.close_code is None
    client.close()


def test_an_exchange_that_stops_says_that_it_goes_away():
    exchange = SimulatedExchange(ExchangeConfig(port=0, symbols=("BTCUSDT",)))
    exchange.start()
    client = WireClient(exchange.port, "/ws")

    exchange.stop()

    assert client.receive() is None
    assert client.close_code == 1001
    client.close()


def test_a_machine_that_slept_does_not_live_through_the_lost_hours():
    now_ns = [1_789_000_000 * 10**9]
    exchange = SimulatedExchange(ExchangeConfig(symbols=("BTCUSDT",)), now_ns=lambda: now_ns[0])
    book = exchange.market.listed(SPOT, "BTCUSDT").book
    before_id = book.last_update_id

    exchange.advance(now_ns[0] + 8 * 3_600 * 10**9)

    assert exchange.market.now_ns == now_ns[0] + 8 * 3_600 * 10**9
    assert book.last_update_id == before_id


def test_a_broken_market_is_noticed(capsys):
    exchange = SimulatedExchange(ExchangeConfig(port=0, symbols=("BTCUSDT",)))
    exchange._stage = None
    exchange.start()

    assert exchange.failed.wait(5)
    exchange.stop()
    assert "AttributeError" in capsys.readouterr().err


def test_a_port_in_use_is_an_exit_code_and_a_line(exchange, capsys):
    assert main_exchange(ExchangeConfig(port=exchange.port, symbols=("BTCUSDT",))) == 1
    assert "exchange_cannot_listen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v3/ping", "/api/v3/ping"),
        ("/api.binance.com/api/v3/ping", "/api/v3/ping"),
        ("/data-api.binance.vision/api/v3/ping", "/api/v3/ping"),
        ("/fapi.binance.com/fapi/v1/ping", "/fapi/v1/ping"),
        ("/", "/"),
    ],
)
def test_a_venues_host_may_stand_before_its_path(path, expected):
    assert without_host(path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_well_within_a_second_of_a_signal(number):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    listening = process.stdout.readline()
    assert "exchange_listening" in listening
    port = int(listening.partition("127.0.0.1:")[2].split()[0].rstrip("\x1b[0m"))
    client = WireClient(port, "/ws/btcusdt@depth@100ms")
    assert client.receive() is not None

    asked_at_s = time.monotonic()
    process.send_signal(number)
    code = process.wait(timeout=5)

    assert code == 0
    assert time.monotonic() - asked_at_s < 1.0
    while client.receive() is not None:
        pass
    assert client.close_code == 1001
    client.close()
    process.stdout.close()
