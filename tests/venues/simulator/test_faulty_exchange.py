"""Limits and faults as a client on a real socket sees them, and what Stevie makes of them."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, IncompleteRead

import msgspec
import pytest
from simulator_client import WireClient
from simulator_stevie import LiveStevie

from stevie.domain.market.book import BookState
from stevie.venues.simulator.binance.limits import LIMITS
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.config import ExchangeConfig
from stevie.venues.simulator.faults import Fault, Kind
from stevie.venues.simulator.server import SimulatedExchange
from stevie.venues.simulator.venue import AT_ONCE, NS_PER_S, Profile
from tests.inject import wait_until

pytestmark = pytest.mark.slow

DEPTH = "/ws/btcusdt@depth@100ms"
SNAPSHOT = "/api/v3/depth?symbol=BTCUSDT&limit=5"
BOOK = "book/binance/BTCUSDT"
SEED = 11
MINUTE_NS = 60 * NS_PER_S


@pytest.fixture
def opened() -> Iterator[Callable[..., SimulatedExchange]]:
    """Start exchanges, with limits of spot other than the documented ones."""
    exchanges: list[SimulatedExchange] = []

    def open_one(
        *, profile: dict | None = None, truth: bool = False, now_ns=time.time_ns, **limits
    ) -> SimulatedExchange:
        spot = Profile(
            latency=AT_ONCE,
            limits=msgspec.structs.replace(LIMITS[SPOT], **limits),
            **(profile or {}),
        )
        exchange = SimulatedExchange(
            ExchangeConfig(
                port=0,
                seed=SEED,
                symbols=("BTCUSDT",),
                truth=truth,
                profiles={SPOT: spot, USDM: Profile(latency=AT_ONCE)},
            ),
            now_ns=now_ns,
        )
        exchange.start()
        exchanges.append(exchange)
        return exchange

    yield open_one
    for exchange in exchanges:
        exchange.stop()


@pytest.fixture
def exchange(opened) -> SimulatedExchange:
    return opened()


class Answer(msgspec.Struct):
    status: int
    headers: dict
    body: bytes


def get(exchange: SimulatedExchange, path: str, *, timeout_s: float = 5.0) -> Answer:
    connection = HTTPConnection("127.0.0.1", exchange.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def events(client: WireClient, count: int) -> list[dict]:
    return [json.loads(client.receive()) for _ in range(count)]


def read_to_the_end(client: WireClient) -> list[str]:
    texts = []
    while (text := client.receive()) is not None:
        texts.append(text)
    client.close()
    return texts


# -- limits --------------------------------------------------------------------------------------


def test_too_much_weight_is_429_and_then_a_ban_over_http_and_for_websockets(opened):
    exchange = opened(weight_per_minute=12, ignored_429=1)

    answers = [get(exchange, SNAPSHOT) for _ in range(4)]

    assert [it.status for it in answers] == [200, 200, 429, 418]
    assert [it.headers["X-MBX-USED-WEIGHT-1M"] for it in answers[:3]] == ["5", "10", "15"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert answers[3].headers["Retry-After"] == "120"
    assert b"banned until" in answers[3].body
    assert get(exchange, "/fapi/v1/ping").status == 200
    client = WireClient(exchange.port, "/ws")
    assert "418" in str(client.protocol.handshake_exc)
    client.close()


def test_too_many_connections_in_five_minutes_are_refused(opened):
    exchange = opened(connects_per_5_minutes=2)

    clients = [WireClient(exchange.port, "/ws") for _ in range(3)]

    assert [it.protocol.handshake_exc is None for it in clients] == [True, True, False]
    assert "429" in str(clients[2].protocol.handshake_exc)
    for client in clients:
        client.close()


def test_more_streams_than_a_connection_may_have_are_refused(opened):
    exchange = opened(streams=2)
    client = WireClient(exchange.port, DEPTH)

    names = [f"btcusdt@kline_{n}m" for n in range(2)]
    answer = client.ask({"method": "SUBSCRIBE", "params": names, "id": 1})

    assert answer["code"] == 2
    client.close()


def test_a_client_that_talks_too_much_is_disconnected(exchange):
    client = WireClient(exchange.port, "/ws")

    for number in range(6):
        client.send({"method": "LIST_SUBSCRIPTIONS", "id": number})

    read_to_the_end(client)
    assert client.close_code == 1008


def test_an_old_connection_is_told_and_then_closed_and_a_new_one_is_welcome(opened):
    exchange = opened(life_s=0.8, notice_s=0.4)
    client = WireClient(exchange.port, "/stream")

    (notice,) = read_to_the_end(client)

    assert json.loads(notice)["data"]["e"] == "serverShutdown"
    assert client.close_code == 1001
    again = WireClient(exchange.port, DEPTH)
    assert again.receive() is not None
    again.close()


def test_a_client_that_answers_no_ping_is_dropped(opened):
    exchange = opened(ping_every_s=0.2, pong_within_s=0.2)
    client = WireClient(exchange.port, "/ws")
    client.flush = lambda: None  # its pongs never leave

    read_to_the_end(client)

    assert client.close_code is None


# -- faults --------------------------------------------------------------------------------------


def test_a_dropped_frame_is_a_gap_in_the_numbers(exchange):
    exchange.faults.set("drop:p=0.4,scope=binance/BTCUSDT/*@depth@100ms")
    client = WireClient(exchange.port, DEPTH)

    frames = events(client, 8)

    gaps = sum(b["U"] != a["u"] + 1 for a, b in itertools.pairwise(frames))
    assert 0 < gaps <= exchange.faults.counts[Kind.DROP]
    client.close()


def test_a_duplicated_frame_comes_twice(exchange):
    exchange.faults.set("duplicate")
    client = WireClient(exchange.port, DEPTH)

    first, second, third = events(client, 3)

    assert first == second != third
    client.close()


def test_reordered_frames_have_numbers_that_go_back(exchange):
    exchange.faults.set("reorder:p=0.4")
    client = WireClient(exchange.port, DEPTH)

    lasts = [it["u"] for it in events(client, 10)]

    assert lasts != sorted(lasts)
    client.close()


def test_a_truncated_frame_is_whole_for_the_protocol_and_no_json(exchange):
    exchange.faults.set("truncate")
    client = WireClient(exchange.port, DEPTH)

    text = client.receive()

    assert text.startswith('{"e":"depthUpdate"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    client.close()


def test_a_cut_connection_ends_in_the_middle_of_a_frame(exchange):
    exchange.faults.set("cut")
    client = WireClient(exchange.port, DEPTH)

    assert read_to_the_end(client) == []
    client.protocol.receive_eof()

    assert client.close_code is None
    assert client.protocol.parser_exc is not None


@pytest.mark.parametrize("path", [DEPTH, "/public/ws/btcusdt@depth@100ms"])
def test_a_crossed_frame_has_a_bid_above_the_best_ask_and_is_right_otherwise(exchange, path):
    exchange.faults.set("cross:p=0.5")
    client = WireClient(exchange.port, path)
    key = "pu" if "public" in path else None

    frames = events(client, 8)

    assert exchange.faults.counts[Kind.CROSS] > 0
    venue = USDM if key else SPOT
    crossed = 0
    for before, frame in itertools.pairwise(frames):
        assert frame[key or "U"] == before["u"] + (0 if key else 1)
        view = exchange.true_book(venue, "BTCUSDT", frame["u"])
        tick = exchange.market.listed(venue, "BTCUSDT").listing.tick_size
        if frame["b"]:
            crossed += float(frame["b"][0][0]) > float(view.asks[0][0] * tick)
    assert crossed > 0
    client.close()


def test_a_stalled_socket_stays_open_and_its_frames_come_later(exchange):
    client = WireClient(exchange.port, DEPTH)
    last_id = events(client, 1)[0]["u"]
    exchange.faults.set("stall:for=0.6")
    began_s = time.monotonic()

    while time.monotonic() - began_s < 0.3:
        for frame in events(client, 1):  # those that were under way
            assert frame["U"] == last_id + 1
            last_id = frame["u"]
    assert time.monotonic() - began_s > 0.5
    (frame,) = events(client, 1)

    assert frame["U"] == last_id + 1
    client.close()


def test_a_slow_line_lets_bytes_trickle(exchange):
    exchange.faults.set("slow:rate=400")
    client = WireClient(exchange.port, DEPTH)
    sizes = []
    began_s = time.monotonic()

    while time.monotonic() - began_s < 0.5:
        sizes.append(len(client.sock.recv(65_536)))

    assert max(sizes[1:]) <= 40
    client.close()


def test_a_wrong_clock_moves_the_venues_times_and_nothing_else(exchange):
    exchange.faults.set("skew:ms=90000")
    client = WireClient(exchange.port, DEPTH)

    (frame,) = events(client, 1)
    told_ms = json.loads(get(exchange, "/api/v3/time").body)["serverTime"]

    for ms in (frame["E"], told_ms):
        assert 85_000 < ms - time.time() * 1_000 < 91_000
    client.close()


def test_a_blocked_client_gets_451_for_requests_and_for_websockets(exchange):
    exchange.faults.set("block:scope=binance")

    answer = get(exchange, SNAPSHOT)
    client = WireClient(exchange.port, DEPTH)

    assert answer.status == 451
    assert b"restricted location" in answer.body
    assert "451" in str(client.protocol.handshake_exc)
    assert get(exchange, "/fapi/v1/ping").status == 200
    client.close()


def test_answers_are_cut_short_or_do_not_come(exchange):
    exchange.faults.set("truncate:scope=binance/*/rest/*")
    with pytest.raises(IncompleteRead):
        get(exchange, SNAPSHOT)

    exchange.faults.set("drop:scope=binance/*/rest/*")
    with pytest.raises(HTTPException):
        get(exchange, SNAPSHOT)

    exchange.faults.set("stall:scope=binance/*/rest/*")
    with pytest.raises(TimeoutError):
        get(exchange, SNAPSHOT, timeout_s=0.2)

    exchange.faults.set("slow:rate=2000,scope=binance/*/rest/*")
    began_s = time.monotonic()
    assert json.loads(get(exchange, SNAPSHOT).body)["lastUpdateId"]
    assert time.monotonic() - began_s > 0.05


def test_an_outage_ends_connections_and_resets_new_ones_of_its_venue_alone(exchange):
    client = WireClient(exchange.port, DEPTH)
    other = WireClient(exchange.port, "/public/ws/btcusdt@depth@100ms")

    exchange.faults.set("outage:scope=binance")

    read_to_the_end(client)
    assert client.close_code is None
    with pytest.raises((ConnectionError, HTTPException)):
        get(exchange, SNAPSHOT)
    assert get(exchange, "/fapi/v1/ping").status == 200
    assert events(other, 3)
    exchange.faults.clear()
    assert get(exchange, SNAPSHOT).status == 200
    other.close()


def test_an_outage_of_the_profile_comes_by_itself(opened):
    exchange = opened(profile={"faults": (Fault(kind=Kind.OUTAGE, at_s=0.3, for_s=60.0),)})
    client = WireClient(exchange.port, DEPTH)

    read_to_the_end(client)

    assert exchange.faults.counts == {Kind.OUTAGE: 1}


def test_a_profile_changes_the_style_of_a_venues_listings(opened):
    exchange = opened(profile={"style": {"levels_per_side": 50}})

    assert len(exchange.true_book(SPOT, "BTCUSDT").bids) == 50
    assert len(exchange.true_book(USDM, "BTCUSDT").bids) == 2_000


# -- the truth -----------------------------------------------------------------------------------


def test_the_truth_is_told_at_a_sequence_number_where_it_was_asked_for(opened):
    exchange = opened(truth=True)
    client = WireClient(exchange.port, DEPTH)
    seq = events(client, 1)[0]["u"]

    then = json.loads(get(exchange, f"/truth/binance/BTCUSDT?seq={seq}").body)
    now = json.loads(get(exchange, "/truth/binance/BTCUSDT").body)

    listing = exchange.market.listed(SPOT, "BTCUSDT").listing
    ticks, lots = exchange.true_book(SPOT, "BTCUSDT", seq).bids[0]
    assert then["seq"] == seq <= now["seq"]
    assert then["bids"][0] == [f"{ticks * listing.tick_size:f}", f"{lots * listing.lot_size:f}"]
    assert get(exchange, "/truth/binance/NOSUCH").status == 404
    assert get(exchange, "/truth/binance/BTCUSDT?seq=1").status == 410
    client.close()


def test_the_truth_is_not_told_by_default(exchange):
    assert get(exchange, "/truth/binance/BTCUSDT").status == 404


# -- Stevie --------------------------------------------------------------------------------------

SYNCING = (BookState.SYNCING, ("gap", "stale_snapshot", "waiting_for_snapshot"))
AWAY = (BookState.STALE, ("disconnected",))
EXPECTED = {
    "drop:p=0.2": SYNCING,
    "reorder:p=0.2": SYNCING,
    "truncate:p=0.2": SYNCING,
    "cross:p=0.2": (BookState.QUARANTINED, ("crossed",)),
    "cut:p=0.05": AWAY,
    "outage:for=1": AWAY,
    "stall:for=3": (BookState.STALE, ("silent",)),
    "slow:for=3,rate=20": (BookState.STALE, ("silent",)),
    "block;cut:p=0.1": AWAY,
}


@pytest.fixture
def stevie(exchange) -> Iterator[LiveStevie]:
    made = LiveStevie(exchange, venues=(SPOT, USDM))
    made.wait_until_live()
    yield made
    made.stop()


@pytest.mark.parametrize("plan", EXPECTED)
def test_stevie_says_what_is_wrong_and_is_live_and_true_again_by_itself(stevie, exchange, plan):
    stevie.check_all()
    exchange.faults.set(plan)

    stevie.wait_until_seen(*EXPECTED[plan])

    exchange.faults.clear()
    stevie.wait_until_live()
    stevie.check_all()
    assert exchange.faults.counts


@pytest.mark.parametrize("plan", ["duplicate:p=0.3", "skew:ms=90000", "skew:ms=-90000"])
def test_what_harms_no_book_leaves_stevie_live_and_true(stevie, exchange, plan):
    exchange.faults.set(plan)
    epochs = {name: stevie.read(name).certificate.epoch for name in stevie.books}
    resyncs = {name: stevie.read(name).counts.resyncs for name in stevie.books}

    for _ in range(5):
        stevie.check_all()
        last = {name: stevie.read(name).view.last_seq for name in stevie.books}
        wait_until(lambda last=last: all(stevie.read(n).view.last_seq > last[n] for n in last))

    assert exchange.faults.counts
    assert epochs == {name: stevie.read(name).certificate.epoch for name in stevie.books}
    assert resyncs == {name: stevie.read(name).counts.resyncs for name in stevie.books}


def test_stevie_moves_to_a_new_socket_when_the_venue_says_that_it_ends_one(opened):
    exchange = opened(life_s=3.0, notice_s=2.0)
    stevie = LiveStevie(exchange)
    stevie.wait_until_live()
    before = exchange.connections_opened

    wait_until(lambda: exchange.connections_opened > before, within_s=5.0)
    stevie.check_all()
    assert stevie.read(BOOK).counts.resyncs == 0
    stevie.stop()


def test_stevie_that_is_over_the_weight_waits_and_is_live_in_the_next_minute(opened):
    begun_ns = time.time_ns()
    end_of_minute_ns = begun_ns - begun_ns % MINUTE_NS + 57 * NS_PER_S
    exchange = opened(
        weight_per_minute=100, now_ns=lambda: end_of_minute_ns + time.time_ns() - begun_ns
    )
    for _ in range(5):
        assert get(exchange, "/api/v3/exchangeInfo").status == 200
    stevie = LiveStevie(exchange)

    wait_until(lambda: stevie.read(BOOK).reason == "waiting_for_snapshot")
    assert get(exchange, "/api/v3/ping").status == 429
    stevie.wait_until_live()

    stevie.check_all()
    assert time.time_ns() - begun_ns > 3 * NS_PER_S
    stevie.stop()
