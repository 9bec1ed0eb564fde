from stevie.runtime.errors import ActorDeadError
from tests.http.fakes import Site, book
from tests.http.scrape import samples, value


def test_a_book_is_told_with_its_state_age_and_counts():
    site, key = Site(), {"venue": "binance", "symbol": "BTCUSDT"}

    assert value(site, "stevie_book_state", state="LIVE", **key) == 1
    assert value(site, "stevie_book_state", state="STALE", **key) == 0
    assert value(site, "stevie_book_age_seconds", **key) == 0.005
    expected = {
        "frames": 40,
        "deltas": 32,
        "deltas_applied": 30,
        "deltas_stale": 2,
        "frames_malformed": 3,
        "gaps": 5,
        "crossed": 8,
        "snapshots": 4,
        "buffer_overflows": 9,
        "trades": 7,
    }
    for name, count in expected.items():
        assert value(site, f"stevie_book_{name}_total", **key) == count


def test_a_dead_book_is_down_and_breaks_nothing():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = ActorDeadError("stopped")

    assert value(site, "stevie_book_up", venue="binance", symbol="BTCUSDT") == 0
    assert value(site, "stevie_book_up", venue="binance", symbol="ETHUSDT") == 1
    told = {s.labels["symbol"] for s in samples(site) if s.name == "stevie_book_state"}
    assert told == {"ETHUSDT", "BTCUSDT-PERP"}


def test_a_book_that_never_heard_of_its_venue_has_no_age():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = book(heard_ns=-1, state="STALE")

    ages = [s.labels["symbol"] for s in samples(site) if s.name == "stevie_book_age_seconds"]
    assert ages == ["ETHUSDT", "BTCUSDT-PERP"]
