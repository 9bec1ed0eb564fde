"""What a user sees when the market goes away, goes silent, or never was."""

import http.client
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.processes import UP_S, Answer, Process, Stack, eventually

pytestmark = pytest.mark.slow

BOOK = "/api/l2/binance/BTCUSDT"


class Market:
    """A running stack, and its exchange of the moment."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.exchange: Process = stack.start_exchange()
        self.web = stack.start_web()

    def book_in(self, state: str, reason: str = "", *, path: str = BOOK) -> Answer:
        def holds() -> Answer | None:
            answer = self.stack.get(path)
            if answer.status == 0:
                assert not self.web.has_ended(), self.web.said()
                return None
            found = answer.document.get("state"), answer.document.get("reason", "")
            return answer if found == (state, reason) else None

        return eventually(holds, f"{path} is {state} {reason}", within_s=UP_S)

    def reasons(self) -> list[dict]:
        answer = self.stack.get("/readyz")
        assert answer.status == 503, answer
        return answer.document["reasons"]


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Iterator[Market]:
    stack = Stack(
        tmp_path_factory.mktemp("market"),
        STEVIE__SYMBOLS="BTCUSDT,DOGEUSDT,ETHUSDT",
        STEVIE__VENUES="binance,binance_usdm",
        STEVIE__FEED__PROBE_AFTER_S="0.5",
        STEVIE__FEED__PROBE_TIMEOUT_S="0.5",
        STEVIE__FEED__CONNECT_TIMEOUT_S="1",
    )
    yield Market(stack)
    stack.end()


def test_a_book_is_live_soon_and_moves(market):
    first = market.book_in("LIVE").document

    moved = eventually(
        lambda: (now := market.stack.get(BOOK).document)["seq"] > first["seq"] and now, "it moves"
    )

    assert float(moved["bids"][0][0]) < float(moved["asks"][0][0])
    assert moved["certificate"]["applied_count"] > 0
    market.book_in("LIVE", path="/api/l2/binance_usdm/BTCUSDT-PERP")


def test_a_symbol_that_is_not_followed_is_404_with_what_is(market):
    market.book_in("LIVE")

    answer = market.stack.get("/api/l2/binance/XRPUSDT")

    assert answer.status == 404
    assert {"BTCUSDT", "ETHUSDT"} <= set(answer.document["allowed"])


def test_a_followed_symbol_that_the_venue_does_not_list_says_so_and_its_neighbors_are_live(market):
    market.book_in("LIVE")
    market.book_in("LIVE", path="/api/l2/binance/ETHUSDT")

    def told():
        answer = market.stack.get("/api/l2/binance/DOGEUSDT")
        return answer if answer.status == 404 else None

    answer = eventually(told, "the unlisted symbol is told")

    assert "does not list" in answer.document["detail"]
    assert "DOGEUSDT" not in answer.document["allowed"]
    doge = [reason for reason in market.reasons() if reason.get("symbol") == "DOGEUSDT"]
    assert doge[0]["reason"] == "not_listed"


def test_a_body_of_5_mb_is_refused_and_the_book_served_on(market):
    market.book_in("LIVE")
    client = http.client.HTTPConnection("127.0.0.1", market.stack.port, timeout=5.0)

    client.request("POST", BOOK, body=b"x" * 5_000_000)

    assert client.getresponse().status == 413
    client.close()
    assert market.stack.get(BOOK).status == 200


def test_a_killed_exchange_makes_books_stale_and_its_return_makes_them_live(market):
    before = market.book_in("LIVE").document

    market.exchange.send(signal.SIGKILL)

    answer = market.book_in("STALE", "disconnected")
    assert answer.status == 503
    assert answer.document["retry_after_s"] > 0
    feeds = {r["venue"]: r["reason"] for r in market.reasons() if "feed" in r}
    assert set(feeds) == {"binance", "binance_usdm"}
    assert all("closed" in reason or "cannot connect" in reason for reason in feeds.values())
    assert market.stack.metric('price_stream_connected{venue="binance"}') == 0

    market.exchange = market.stack.start_exchange()

    after = market.book_in("LIVE").document
    assert after["certificate"]["epoch"] > before["certificate"]["epoch"]
    market.book_in("LIVE", path="/api/l2/binance_usdm/BTCUSDT-PERP")
    assert market.stack.metric('l2_resyncs_total{venue="binance"}') >= 1
    assert market.stack.metric('price_stream_connected{venue="binance"}') == 1


def test_an_exchange_that_falls_silent_makes_books_stale_until_it_speaks_again(market):
    market.book_in("LIVE")

    market.exchange.send(signal.SIGSTOP)

    try:
        assert market.book_in("STALE", "silent").status == 503
        assert any("silent" in r["reason"] or "connect" in r["reason"] for r in market.reasons())
    finally:
        market.exchange.send(signal.SIGCONT)

    market.book_in("LIVE")


def test_the_log_has_no_traceback(market):
    market.book_in("LIVE")

    assert "Traceback" not in market.web.said()
    assert "Traceback" not in market.exchange.said()
