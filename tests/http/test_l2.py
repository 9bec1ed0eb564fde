import pytest

from stevie.runtime.errors import ActorCrashed, ActorDeadError, AskTimeout, MailboxFull
from tests.http.fakes import BTC, NOW, NOW_NS, VIEW, Site, book

PATH = "/api/l2/binance/BTCUSDT"


def test_a_live_book_is_shown_whole():
    document = Site().get(PATH).json

    assert document == {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "native_symbol": "BTCUSDT",
        "state": "LIVE",
        "seq": 105,
        "seq_kind": "venue",
        "bids": [["60000.00", "1.50000"], ["59999.90", "0.00001"], ["59990.00", "20.00000"]],
        "asks": [["60000.10", "0.50000"], ["60000.20", "0.00007"], ["60010.00", "1000.00000"]],
        "depth_available": {"bids": 3, "asks": 3},
        "tick_size": "0.01",
        "lot_size": "0.00001",
        "kernel": "native",
        "age_ms": 5.0,
        "as_of": NOW,
        "venue_at": "2024-11-23T00:00:00.103456Z",
        "certificate": {
            "epoch": 3,
            "snapshot_seq": 90,
            "first_seq": 97,
            "last_seq": 105,
            "applied_count": 12,
            "age_ms": 5.0,
            "horizon": {"bid_floor": None, "ask_ceiling": None},
        },
    }


def test_what_lies_beyond_the_horizon_is_not_shown():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = book(floor=5_999_990, ceiling=6_000_010)

    document = site.get(PATH).json

    assert document["bids"] == [["60000.00", "1.50000"], ["59999.90", "0.00001"]]
    assert document["asks"] == [["60000.10", "0.50000"]]
    assert document["depth_available"] == {"bids": 2, "asks": 1}
    assert document["certificate"]["horizon"] == {
        "bid_floor": "59999.90",
        "ask_ceiling": "60000.10",
    }


@pytest.mark.parametrize(
    "alias", ["btcusdt", "BTC-USDT", "btc_usdt", "BTC/USDT", "BTC%2FUSDT", "XBT/USDT", "BTCUSDT/"]
)
def test_every_alias_leads_to_the_same_book(alias):
    assert Site().get(f"/api/l2/binance/{alias}").json["symbol"] == "BTCUSDT"


def test_a_perpetual_is_found_by_its_native_name_at_its_own_venue():
    document = Site().get("/api/l2/binance_usdm/BTCUSDT").json

    assert (document["symbol"], document["native_symbol"]) == ("BTCUSDT-PERP", "BTCUSDT")


def test_depth_is_asked_of_the_book_and_twenty_by_default():
    site = Site()
    for query in ("", "depth=1", "depth=1000"):
        site.get(PATH, query_string=query)

    assert [message.depth for _, message in site.directory.asked] == [20, 1, 1000]


@pytest.mark.parametrize(
    "depth", ["0", "1001", "-1", "1.5", "", "many", "1e3", "\uff19", "9" * 5000, "5&depth=6"]
)
def test_a_depth_out_of_bounds_is_answered_with_the_bounds(depth):
    site = Site()

    problem = site.problem(PATH, 400, query_string=f"depth={depth}")

    assert problem["allowed"] == ["a whole number from 1 to 1000"]
    assert len(problem["detail"]) < 250
    assert site.directory.asked == []


def test_an_unknown_parameter_is_named_beside_those_that_there_are():
    problem = Site().problem(PATH, 400, query_string="dept=5&depth=5")

    assert "'dept'" in problem["detail"]
    assert problem["allowed"] == ["depth"]


def test_an_unknown_venue_is_answered_with_the_venues():
    problem = Site().problem("/api/l2/nowhere/BTCUSDT", 404)

    assert problem["allowed"] == ["binance", "binance_usdm"]


def test_an_unknown_symbol_is_answered_with_the_symbols_of_that_venue():
    problem = Site().problem("/api/l2/binance/DOGEUSDT", 404)

    assert problem["allowed"] == ["BTCUSDT", "ETHUSDT"]
    assert "'DOGEUSDT'" in problem["detail"]


@pytest.mark.parametrize("symbol", ["%00", "%FF%FE", "..%2F..%2Fetc", "A" * 3000, "%F0%9F%98%80"])
def test_a_garbage_symbol_is_unknown_and_shown_back_bounded(symbol):
    problem = Site().problem(f"/api/l2/binance/{symbol}", 404)

    assert len(problem["detail"]) < 250


@pytest.mark.parametrize("state", ["SYNCING", "STALE", "QUARANTINED"])
def test_a_book_that_is_not_live_is_not_shown_but_says_why(state):
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = book(
        state=state, reason="snapshot_refused", detail="429 from the venue"
    )

    result = site.get(PATH)
    problem = site.problem(PATH, 503)

    assert result.headers["Retry-After"] == "1"
    assert problem["state"] == state
    assert problem["reason"] == "snapshot_refused"
    assert problem["retry_after_s"] == 1
    assert problem["state_age_ms"] == 1500.0
    assert "429 from the venue" in problem["detail"]
    assert "bids" not in problem


def test_a_symbol_that_the_venue_does_not_list_is_unknown_there():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = book(state="SYNCING", reason="not_listed")

    problem = site.problem(PATH, 404)

    assert problem["allowed"] == ["ETHUSDT"]


@pytest.mark.parametrize(
    "error",
    [
        MailboxFull("book/binance/BTCUSDT: all 64 places are taken"),
        AskTimeout("book/binance/BTCUSDT did not answer within 1.0 s"),
        ActorDeadError("book/binance/BTCUSDT: stopped"),
    ],
)
def test_an_actor_that_cannot_answer_is_a_503_to_try_again(error):
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = error

    problem = site.problem(PATH, 503)

    assert str(error) in problem["detail"]
    assert site.get(PATH).headers["Retry-After"] == "1"


def test_an_actor_that_dies_of_the_question_is_a_503_without_its_internals():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = ActorCrashed("KeyError: 'inner'")

    problem = site.problem(PATH, 503)

    assert "inner" not in str(problem)
    assert problem["incident"]


def test_a_book_never_heard_of_has_no_age_and_a_venue_without_time_no_time():
    site = Site()
    view = VIEW._replace(event_ns=0)
    site.directory.answers["book/binance/BTCUSDT"] = book(heard_ns=-1, view=view)

    document = site.get(PATH).json

    assert (document["age_ms"], document["venue_at"]) == (None, None)


def test_a_clock_that_jumped_back_makes_no_age_negative():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = book(BTC, heard_ns=NOW_NS + 1)

    assert site.get(PATH).json["age_ms"] == 0
