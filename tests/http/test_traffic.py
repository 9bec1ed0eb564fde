from stevie.http.traffic import BUCKETS_S, Durations
from tests.http.fakes import Site
from tests.http.scrape import samples, value


def test_requests_are_counted_by_template_and_unknown_paths_as_one():
    site = Site()
    site.get("/api/l2/binance/BTCUSDT")
    site.get("/api/l2/binance/ETH-USDT")
    for path in ("/a", "/b", "/c"):
        site.get(path)

    count = "stevie_http_requests_total"
    route = "/api/l2/{venue}/{symbol}"
    assert value(site, count, route=route, method="GET", status="200") == 2
    assert value(site, count, route="unmatched", method="GET", status="404") == 3


def test_durations_are_a_histogram_whose_last_bucket_holds_all():
    site = Site()
    site.get("/healthz")
    site.get("/healthz")

    name, route = "stevie_http_request_duration_seconds", {"route": "/healthz"}
    assert value(site, f"{name}_count", **route) == 2
    assert value(site, f"{name}_bucket", le="+Inf", **route) == 2
    assert value(site, f"{name}_bucket", le="0.005", **route) == 2


def test_a_duration_on_a_bound_is_within_it():
    durations = Durations()
    durations.add(0.005)

    counts = dict(durations.cumulative())
    assert (counts["0.0025"], counts["0.005"], counts["+Inf"]) == (0, 1, 1)


def test_a_duration_beyond_all_bounds_is_in_the_last_bucket_alone():
    durations = Durations()
    durations.add(BUCKETS_S[-1] + 1)

    assert [count for _, count in durations.cumulative()] == [0] * len(BUCKETS_S) + [1]


def test_an_unusual_method_makes_no_series_of_its_own():
    site = Site()
    site.client.simulate_request("TRACE", "/healthz")

    methods = {s.labels["method"] for s in samples(site) if s.name == "stevie_http_requests_total"}
    assert methods == {"other"}
