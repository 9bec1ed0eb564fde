"""What Binance refuses, by the count of one address: requests, bans, connections, messages."""

import json

import msgspec
import pytest

from stevie.venues.simulator.binance.limits import CLIENTS_MAX, LIMITS, Client, Clients, Limits
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.binance.session import open_session
from stevie.venues.simulator.venue import NS_PER_S, Reply

MINUTE_NS = 60 * NS_PER_S
START_NS = 30_000_000 * MINUTE_NS
FEW = msgspec.structs.replace(LIMITS[SPOT], weight_per_minute=100, ignored_429=2)


def ask(client: Client, weight: int, *, at_s: float = 0.0) -> Reply | None:
    return client.request(weight, now_ns=START_NS + int(at_s * NS_PER_S))


def banned(limits: Limits = FEW) -> Client:
    client = Client(limits)
    statuses = [reply and reply.status for _ in range(4) for reply in [ask(client, 60, at_s=10)]]
    assert statuses == [None, 429, 429, 418]
    return client


def test_the_documented_limits_are_the_default():
    spot, usdm = LIMITS[SPOT], LIMITS[USDM]

    assert (spot.weight_per_minute, usdm.weight_per_minute) == (6_000, 2_400)
    assert (spot.messages_per_s, usdm.messages_per_s) == (5, 10)
    assert (spot.ping_every_s, usdm.ping_every_s) == (20, 180)
    assert spot.requests_per_5_minutes == 300_000
    assert spot.connects_per_5_minutes == usdm.connects_per_5_minutes == 300
    assert spot.streams == usdm.streams == 1_024
    assert spot.life_s == usdm.life_s == 24 * 3_600


def test_weight_is_refused_above_the_limit_until_the_next_minute():
    client = Client(FEW)

    assert ask(client, 100, at_s=45.5) is None
    reply = ask(client, 1, at_s=45.5)

    assert reply.status == 429
    assert dict(reply.headers)["Retry-After"] == "15"
    assert json.loads(reply.body)["code"] == -1003
    assert ask(client, 1, at_s=60) is None
    assert client.used_weight == 1


def test_raw_requests_are_counted_over_five_minutes_of_the_clock():
    client = Client(msgspec.structs.replace(FEW, requests_per_5_minutes=2))

    assert [ask(client, 1, at_s=100 * n) for n in range(2)] == [None, None]
    reply = ask(client, 1, at_s=200)
    assert (reply.status, dict(reply.headers)["Retry-After"]) == (429, "100")
    assert ask(client, 1, at_s=300) is None


def test_who_goes_on_after_429_is_banned_and_told_until_when():
    client = banned()

    reply = ask(client, 1, at_s=11)

    assert reply.status == 418
    assert dict(reply.headers)["Retry-After"] == "119"
    until_ms = (START_NS + 130 * NS_PER_S) // 1_000_000
    assert f"IP banned until {until_ms}" in json.loads(reply.body)["msg"]
    assert client.connect(START_NS + 11 * NS_PER_S).status == 418
    assert ask(client, 1, at_s=130) is None


def test_the_next_ban_is_twice_as_long_up_to_three_days():
    client = banned()

    bans = []
    at_s = 130.0
    for _ in range(14):
        while (reply := ask(client, 101, at_s=at_s)).status != 418:
            pass
        bans.append(int(dict(reply.headers)["Retry-After"]))
        at_s += bans[-1]

    assert bans[:3] == [240, 480, 960]
    assert bans[-1] == 3 * 86_400


def test_patience_returns_with_the_first_request_that_is_right():
    client = Client(FEW)
    for minute in range(5):
        assert ask(client, 100, at_s=60 * minute) is None
        assert ask(client, 1, at_s=60 * minute).status == 429
        assert ask(client, 1, at_s=60 * minute).status == 429


def test_connection_attempts_are_counted_over_the_last_five_minutes():
    client = Client(msgspec.structs.replace(FEW, connects_per_5_minutes=2))

    assert client.connect(START_NS) is None
    assert client.connect(START_NS + MINUTE_NS) is None
    assert client.connect(START_NS + 2 * MINUTE_NS).status == 429
    assert client.connect(START_NS + 5 * MINUTE_NS) is None


def test_addresses_are_counted_apart_and_the_longest_unseen_is_forgotten():
    clients = Clients(FEW)
    ask(clients.of("a"), 50)
    assert (clients.of("a").used_weight, clients.of("b").used_weight) == (50, 0)

    for number in range(CLIENTS_MAX):
        clients.of(str(number))

    assert clients.of("a").used_weight == 0


@pytest.mark.parametrize(("path", "allowed"), [("/ws", 5), ("/public/ws", 10)])
def test_so_many_messages_a_second_are_admitted(path, allowed):
    session = open_session(path, "")

    admitted = [session.admits(START_NS + n) for n in range(allowed + 1)]

    assert admitted == [True] * allowed + [False]
    assert session.admits(START_NS + NS_PER_S + allowed)


def test_spot_says_farewell_in_the_form_of_the_connection_and_usdm_does_not():
    raw, combined = open_session("/ws", ""), open_session("/stream", "")
    data = {"e": "serverShutdown", "E": START_NS // 1_000_000}

    assert json.loads(raw.farewell(START_NS)) == data
    assert json.loads(combined.farewell(START_NS)) == {"stream": "!serverShutdown", "data": data}
    assert open_session("/public/ws", "").farewell(START_NS) == ""
