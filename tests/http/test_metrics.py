from prometheus_client.parser import text_string_to_metric_families

from stevie.actors.market_counters import MarketCounter
from stevie.runtime.counters import Counter
from tests.http.fakes import NOW_NS, Site, feed
from tests.http.scrape import samples, text, value

SEVEN = {
    "price_stream_connected": {"venue"},
    "venue_score": {"venue", "symbol"},
    "l2_resyncs_total": {"venue"},
    "chaos_injections_total": {"type"},
    "router_decisions_total": {"router", "outcome"},
    "exec_blocked_total": {"reason"},
    "ohlcv_last_sync_ts_seconds": {"symbol"},
}


def test_the_seven_stand_first_those_of_few_samples_before_the_others():
    lines = [line for line in text(Site()).splitlines() if not line.startswith("#")]
    names = list(dict.fromkeys(line.partition("{")[0].split(" ")[0] for line in lines))

    assert set(names[:7]) == set(SEVEN)
    counts = [sum(line.startswith(f"{name}{{") for line in lines) for name in names[:7]]
    assert counts == sorted(counts)
    assert names[0] == "price_stream_connected"


def test_a_look_at_the_first_lines_shows_the_price_streams():
    first = text(Site()).splitlines()[:25]

    assert 'price_stream_connected{venue="binance"} 1.0' in first


def test_every_one_of_the_seven_has_its_labels_and_a_zero_from_the_start():
    site = Site()
    site.directory.answers = {}

    for name, labels in SEVEN.items():
        found = [sample for sample in samples(site) if sample.name == name]
        assert found, name
        assert {frozenset(sample.labels) for sample in found} == {frozenset(labels)}
        assert {sample.value for sample in found} == {0.0}


def test_chaos_and_both_routers_are_there_before_they_act():
    site = Site()

    for kind in ("l2_gap", "ws_flap", "api_timeout", "depth_spike"):
        assert value(site, "chaos_injections_total", type=kind) == 0
    routers = {s.labels["router"] for s in samples(site) if s.name == "router_decisions_total"}
    assert routers == {"venue", "policy"}


def test_what_an_actor_counts_moves_the_promised_families():
    class Chaos:
        INJECTED = Counter("chaos_injections_total", "Faults.", labels=("type",))

    site = Site(MarketCounter, Chaos)
    site.counters.add(MarketCounter.RESYNCS, "binance", by=3)
    site.counters.add(Chaos.INJECTED, "l2_gap")

    assert value(site, "l2_resyncs_total", venue="binance") == 3
    assert value(site, "l2_resyncs_total", venue="binance_usdm") == 0
    assert value(site, "chaos_injections_total", type="l2_gap") == 1


def test_other_counters_follow_by_their_own_names():
    site = Site(MarketCounter)
    site.counters.add(MarketCounter.FEED_FRAMES, "binance", by=12)

    assert value(site, "stevie_feed_frames_total", venue="binance") == 12


def test_no_family_occurs_twice_and_each_has_a_sentence():
    site = Site(MarketCounter)
    site.counters.add(MarketCounter.RESYNCS, "binance")
    families = list(text_string_to_metric_families(text(site)))

    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation for family in families)
    assert all(
        name in SEVEN or f"{name}_total" in SEVEN or name.startswith(("stevie_", "process_"))
        for name in names
    )


def test_a_disconnected_feed_is_a_zero():
    site = Site()
    site.directory.answers["feed/binance"] = feed("binance", is_connected=False, reason="refused")

    assert value(site, "price_stream_connected", venue="binance") == 0
    assert value(site, "price_stream_connected", venue="binance_usdm") == 1


def test_a_second_scrape_within_a_second_asks_nobody():
    site = Site()
    first = text(site)
    asked = len(site.directory.asked)

    site.clock.now_ns = NOW_NS + 999_000_000
    assert text(site) == first
    assert len(site.directory.asked) == asked

    site.clock.now_ns = NOW_NS + 1_000_000_000
    assert text(site) != first
    assert len(site.directory.asked) == 2 * asked


def test_nothing_in_it_is_not_a_number():
    assert "NaN" not in text(Site())
    assert "Inf\n" not in text(Site())
