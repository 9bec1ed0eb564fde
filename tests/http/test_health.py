import pytest

from stevie.runtime.errors import ActorDeadError, AskTimeout, MailboxFull
from stevie.runtime.lifecycle import State
from tests.http.fakes import Site, book, feed, row


def reasons(site: Site) -> list[dict]:
    result = site.get("/readyz")
    assert result.status_code == 503
    assert result.headers["Retry-After"] == "1"
    return result.json["reasons"]


def test_a_system_whose_root_runs_is_alive_whatever_its_books_do():
    site = Site()
    site.directory.answers = {}

    result = site.get("/healthz")

    assert (result.status_code, result.json["title"]) == (200, "ok")
    assert site.directory.asked == []


@pytest.mark.parametrize("state", [State.STARTING, State.STOPPING, State.DOWN])
def test_a_system_whose_root_does_not_run_is_not_alive(state):
    site = Site()
    site.directory.rows = [row("root", state=state)]

    result = site.get("/healthz")

    assert (result.status_code, result.json["root"]) == (503, state.value)


def test_a_system_that_has_not_started_is_neither_alive_nor_ready():
    site = Site()
    site.directory.rows, site.directory.answers = [], {}

    assert site.get("/healthz").status_code == 503
    assert reasons(site)[0] == {"actor": "root", "state": "down", "reason": "not started"}


def test_a_loop_that_hardly_turns_is_not_alive():
    site = Site()
    site.hub_lag_s = 1.5

    result = site.get("/healthz")

    assert (result.status_code, result.json["hub_lag_s"]) == (503, 1.5)


def test_a_system_is_ready_when_all_is_up_connected_and_live():
    result = Site().get("/readyz")

    assert (result.status_code, result.json["title"]) == (200, "ready")
    assert result.json["reasons"] == []


def test_a_book_that_is_not_live_is_named_with_its_state_and_reason():
    site = Site()
    site.directory.answers["book/binance/ETHUSDT"] = book(state="SYNCING", reason="gap")

    assert reasons(site) == [
        {"venue": "binance", "symbol": "ETHUSDT", "state": "SYNCING", "reason": "gap"}
    ]


def test_a_feed_that_is_not_connected_is_named_with_its_reason():
    site = Site()
    site.directory.answers["feed/binance"] = feed("binance", is_connected=False, reason="refused")

    assert reasons(site) == [{"venue": "binance", "feed": "not connected", "reason": "refused"}]


def test_an_actor_that_is_down_is_named_with_what_it_died_of():
    site = Site()
    site.directory.rows.append(row("market", state=State.DOWN))

    assert reasons(site) == [{"actor": "market", "state": "down", "reason": "ValueError: once"}]


@pytest.mark.parametrize(
    "error", [ActorDeadError("stopped"), AskTimeout("late"), MailboxFull("full")]
)
def test_actors_that_do_not_answer_are_reasons_not_errors(error):
    site = Site()
    site.directory.answers["feed/binance"] = error
    site.directory.answers["book/binance/BTCUSDT"] = error

    assert reasons(site) == [
        {"venue": "binance", "feed": "no answer", "reason": str(error)},
        {"venue": "binance", "symbol": "BTCUSDT", "state": "no answer", "reason": str(error)},
    ]
