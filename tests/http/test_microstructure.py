import pytest

from stevie.actors.market_data import UnknownSymbolError
from tests.http.fakes import FEATURES, NOW, Site, market, reading

PATH = "/api/microstructure/BTCUSDT"


def site_of(*readings, **fields) -> Site:
    site = Site()
    site.directory.answers["market_data"] = market(*readings, **fields)
    return site


def test_the_features_of_a_live_book_are_one_flat_reading():
    document = Site().get(PATH).json

    flat = {key: document[key] for key in ("obi", "ofi", "ti", "spread_bps", "micro_vol")}
    assert flat == {
        "obi": 0.5,
        "ofi": -1.25,
        "ti": None,
        "spread_bps": 0.0166,
        "micro_vol": 0.0001,
    }
    assert document["weighted_mid"] == "60000.075000"
    assert document["trades_per_s"] == 0.0
    assert (document["symbol"], document["reference_venue"]) == ("BTCUSDT", "binance")
    assert (document["kernel"], document["window_s"], document["as_of"]) == ("native", 10.0, NOW)


def test_every_figure_has_a_validity_and_what_is_undefined_is_null_and_invalid():
    validity = Site().get(PATH).json["validity"]

    assert validity["obi"] == {"valid": True, "age_ms": 13.0, "gap_touched": False}
    assert validity["ti"] == {"valid": False, "age_ms": 60010.0, "gap_touched": False}
    assert set(validity) == {
        "obi",
        "ofi",
        "ti",
        "spread_bps",
        "weighted_mid",
        "micro_vol",
        "trades_per_s",
    }


def test_a_rate_of_no_trades_is_a_valid_zero():
    assert Site().get(PATH).json["validity"]["trades_per_s"]["valid"] is True


def test_a_window_over_a_gap_is_marked_and_invalid_but_the_book_now_is_not():
    site = site_of(reading(features=FEATURES._replace(touched_time=1)))

    validity = site.get(PATH).json["validity"]

    for name in ("ofi", "micro_vol", "ti", "trades_per_s"):
        assert validity[name]["gap_touched"] is True
        assert validity[name]["valid"] is False
    for name in ("obi", "spread_bps", "weighted_mid"):
        assert validity[name]["gap_touched"] is False
        assert validity[name]["valid"] is True


def test_the_windows_of_events_stand_beside_those_of_time_with_gaps_of_their_own():
    window = Site().get(PATH).json["count_window"]

    assert (window["ofi"], window["micro_vol"], window["ti"]) == (2.5, 0.0002, -0.75)
    assert window["validity"]["ofi"]["gap_touched"] is True
    assert window["validity"]["ti"]["gap_touched"] is False


def test_before_the_first_event_nothing_is_defined():
    nothing = FEATURES._replace(obi=None, depth_age_ns=-1, trade_age_ns=-1, ti_count=None)

    document = site_of(reading(features=nothing)).get(PATH).json

    assert (document["obi"], document["ofi"], document["micro_vol"]) == (None, None, None)
    assert document["validity"]["ofi"] == {"valid": False, "age_ms": None, "gap_touched": False}


def test_the_reference_is_the_first_configured_venue_that_is_live():
    usdm = reading("binance_usdm", features=FEATURES._replace(obi=-0.5))

    both = site_of(usdm, reading("binance")).get(PATH).json
    one = site_of(usdm, reading("binance", state="SYNCING", features=None)).get(PATH).json

    assert (both["reference_venue"], both["obi"]) == ("binance", 0.5)
    assert (one["reference_venue"], one["obi"]) == ("binance_usdm", -0.5)


def test_every_venue_is_told_with_its_state_and_its_own_figures():
    stale = reading("binance_usdm", state="STALE", reason="silent", features=None)

    venues = site_of(reading("binance"), stale).get(PATH).json["venues"]

    assert venues["binance"]["obi"] == 0.5
    assert venues["binance"]["state"] == "LIVE"
    assert venues["binance_usdm"] == {"state": "STALE", "reason": "silent"}


def test_the_consolidated_ladder_names_the_venue_of_each_level():
    consolidated = Site().get(PATH).json["consolidated"]

    assert consolidated == {
        "bids": [["60000.00", "1.50000", "binance"]],
        "asks": [["60000.10", "0.50000", "binance"]],
        "imbalance": 0.2,
    }


@pytest.mark.parametrize(("query", "depth"), [("", 10), ("depth=200", 200)])
def test_depth_is_that_of_the_consolidated_ladder(query, depth):
    site = Site()

    site.get(PATH, query_string=query)

    assert [message.depth for _, message in site.directory.asked] == [depth]


def test_a_depth_that_no_book_publishes_is_refused():
    problem = Site().problem(PATH, 400, query_string="depth=201")

    assert problem["allowed"] == ["a whole number from 1 to 200"]


def test_no_live_book_is_a_503_with_the_state_of_each_venue():
    site = site_of(reading("binance", state="QUARANTINED", reason="crossed", features=None))

    problem = site.problem(PATH, 503)

    assert problem["venues"] == {"binance": {"state": "QUARANTINED", "reason": "crossed"}}
    assert site.get(PATH).headers["Retry-After"] == "1"


def test_a_symbol_whose_books_have_not_been_heard_of_is_not_ready():
    site = Site()
    site.directory.answers["market_data"] = UnknownSymbolError("BTCUSDT")

    assert "BTCUSDT" in site.problem(PATH, 503)["detail"]


def test_an_alias_is_understood_and_a_perpetual_is_a_symbol_of_its_own():
    site = Site()
    site.get("/api/microstructure/xbt/usdt")
    site.get("/api/microstructure/BTC/USDT:USDT")

    symbols = [message.symbol for _, message in site.directory.asked]
    assert symbols == ["BTCUSDT", "BTCUSDT-PERP"]


def test_an_unknown_symbol_is_answered_with_all_that_are_followed():
    problem = Site().problem("/api/microstructure/DOGEUSDT", 404)

    assert problem["allowed"] == ["BTCUSDT", "ETHUSDT", "BTCUSDT-PERP"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_never_leaves(number):
    for site in (
        site_of(reading(features=FEATURES._replace(obi=number))),
        site_of(reading(), imbalance=number),
    ):
        text = site.get(PATH).text

        assert site.problem(PATH, 500)["incident"]
        assert "NaN" not in text
        assert "Infinity" not in text
