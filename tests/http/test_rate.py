import pytest

from stevie.http.rate import CLIENTS_MAX, PROBES_PER_S, Limit, burst_of
from tests.http.fakes import Site
from tests.http.gated import FAR, GatedSite

MS = 1_000_000


def test_a_burst_fits_and_then_one_at_a_time():
    limit = Limit(per_s=10, burst=3)

    assert [limit.take(0) for _ in range(4)] == [0, 0, 0, 100 * MS]
    assert limit.take(99 * MS) == MS
    assert [limit.take(100 * MS), limit.take(100 * MS)] == [0, 100 * MS]
    assert [limit.take(9_000 * MS) for _ in range(4)] == [0, 0, 0, 100 * MS]


def test_what_is_refused_takes_no_room():
    limit = Limit(per_s=10, burst=1)
    assert limit.take(0) == 0

    for _ in range(50):
        assert limit.take(50 * MS) == 50 * MS

    assert limit.take(100 * MS) == 0


def test_over_time_it_lets_through_its_rate_whatever_comes():
    limit = Limit(per_s=250, burst=5)

    taken = sum(limit.take(now_ns) == 0 for now_ns in range(0, 4_000 * MS, MS // 2))

    assert taken == 4 * 250 + 5 - 1


def test_looking_takes_nothing():
    limit = Limit(per_s=1, burst=1)

    assert [limit.wait_ns(0), limit.wait_ns(0), limit.take(0)] == [0, 0, 0]
    assert limit.wait_ns(0) == 1000 * MS


def test_keys_have_a_bucket_each():
    limit = Limit(per_s=1, burst=1, keys_max=8)

    assert [limit.take(0, "a"), limit.take(0, "b")] == [0, 0]
    assert limit.take(0, "a") > 0


def test_of_too_many_keys_the_longest_silent_is_forgotten():
    limit = Limit(per_s=0.001, burst=1, keys_max=3)
    for key in ("a", "b", "c", "a", "d"):
        limit.take(0, key)

    assert len(limit) == 3
    assert limit.wait_ns(0, "a") > 0
    assert limit.wait_ns(0, "b") == 0


def test_a_flood_is_answered_with_the_seconds_to_wait():
    site = GatedSite(requests_per_s=0.25)
    assert site.status("GET") == 200

    result = site.ask("GET")

    assert result.status_code == 429
    assert result.headers["Retry-After"] == "4"
    assert result.json == {
        "status": 429,
        "title": "Too many requests",
        "detail": "More requests came than this server answers.",
        "retry_after_s": 4,
    }
    assert site.refused("request_rate") == 1
    site.wait(4)
    assert site.status("GET") == 200


def test_all_clients_and_all_paths_share_the_bound():
    site = GatedSite(requests_per_s=1.0)

    statuses = [site.status("GET", "/gated"), site.status("GET", "/nope", address=FAR)]

    assert statuses == [200, 404]
    assert site.status("GET", "/question") == 429


def test_a_flood_does_not_hide_the_probes_and_they_cannot_be_one():
    site = GatedSite(requests_per_s=1.0)
    while site.status("GET") != 429:
        pass

    answers = [site.status("GET", "/healthz/") for _ in range(burst_of(PROBES_PER_S) + 1)]

    assert answers[:-1] == [200] * burst_of(PROBES_PER_S)
    assert answers[-1] == 429
    assert site.refused("probe_rate") == 1


def test_one_client_cannot_change_things_without_end_and_others_still_can():
    site = GatedSite(changes_per_s=1.0)

    assert [site.status() for _ in range(3)] == [200, 200, 429]
    assert site.status(address="127.0.0.2") == 200
    assert site.status("GET") == 200
    assert site.status("POST", "/question") == 200
    assert site.refused("change_rate") == 1
    assert len(site.lever.pulled) == 5


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("2001:db8:0:7::1", "2001:db8:0:7:ffff::2", True),
        ("2001:db8:0:7::1", "2001:db8:0:8::1", False),
        ("a socket", "another", True),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(first, second, is_one):
    site = GatedSite(token="t", changes_per_s=0.5)

    statuses = [site.status(address=first), site.status(address=second)]

    assert statuses == [401, 429 if is_one else 401]


def test_what_a_header_says_of_the_sender_is_not_believed():
    site = GatedSite(changes_per_s=0.5)
    assert site.status(headers={"X-Forwarded-For": FAR, "Forwarded": f"for={FAR}"}) == 200

    assert site.status(headers={"X-Forwarded-For": "198.51.100.1"}) == 429


def test_addresses_without_end_take_no_memory_without_end():
    limit = Limit(per_s=1, burst=1, keys_max=CLIENTS_MAX)
    for number in range(3 * CLIENTS_MAX):
        limit.take(0, str(number))

    assert len(limit) == CLIENTS_MAX


def test_the_rates_that_nobody_configured_hinder_nobody_at_work():
    site = Site()

    assert {site.get("/api/system/tree").status_code for _ in range(1000)} == {200}
