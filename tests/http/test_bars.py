import json
import time

import falcon
import msgspec
import pytest
from falcon import testing

from stevie import rfc3339
from stevie.domain.contracts.catalog import OHLCV
from stevie.domain.contracts.rows import BarRow
from stevie.domain.market.bars import MINUTE_NS, TIMEFRAMES
from stevie.http.bars import BarsResource
from stevie.http.edge import Edge, KernelFact
from stevie.http.problems import ErrorTable
from stevie.messages.bars import BarsState, ReadBars
from stevie.ports_record import ArchiveBusyError, ArchiveDownError, ArchiveError
from stevie.runtime.counters import Counters
from stevie.runtime.errors import ActorDeadError
from tests.http.fakes import NOW_NS, TABLES, FakeClock, FakeDirectory

FIRST_NS = NOW_NS - NOW_NS % MINUTE_NS - 2000 * MINUTE_NS


def row(minute: int, **changed: object) -> BarRow:
    opened_ns = FIRST_NS + minute * MINUTE_NS
    bar = BarRow(
        venue="binance",
        symbol="BTCUSDT",
        timeframe="1m",
        opened_ns=opened_ns,
        closed_ns=opened_ns + MINUTE_NS,
        known_ns=opened_ns + MINUTE_NS + 3_000_000_000,
        open_ticks=6_000_010,
        high_ticks=6_000_150,
        low_ticks=5_999_000,
        close_ticks=6_000_000,
        volume_lots=1_234_500,
        trades=17,
        price_decimals=2,
        size_decimals=5,
        source="trades",
    )
    return msgspec.structs.replace(bar, **changed)


class FakeArchive:
    """Bars in memory."""

    def __init__(self) -> None:
        self.rows: tuple[BarRow, ...] = ()
        self.error: ArchiveError | None = None
        self.asked: list[tuple[str, str, str, int]] = []

    def bars(self, venue: str, symbol: str, timeframe: str, limit: int) -> tuple[BarRow, ...]:
        self.asked.append((venue, symbol, timeframe, limit))
        if self.error is not None:
            raise self.error
        return self.rows[-limit:]


class BarsSite:
    """The route over an actor and an archive that hold what the test says."""

    def __init__(self, rows: tuple[BarRow, ...] = ()) -> None:
        self.directory, self.archive, clock = FakeDirectory(), FakeArchive(), FakeClock()
        self.hold(rows)
        edge = Edge(
            directory=self.directory,
            clock=clock,
            tables=TABLES,
            kernel=KernelFact(name="python", source_hash="0" * 64),
            counters=Counters(),
            version="0",
            profile="dev",
            started_at_ns=NOW_NS,
            started_monotonic_ns=NOW_NS,
            hub_lag_s=lambda: 0.0,
            archive=self.archive,
        )
        app = falcon.App()
        app.add_route("/api/bars/{venue}/{symbol:path}", BarsResource(edge))
        ErrorTable(clock, []).register(app)
        self.client = testing.TestClient(app)

    def hold(self, rows: tuple[BarRow, ...]) -> None:
        def answer(message: ReadBars) -> BarsState:
            growing = row(1999, known_ns=NOW_NS)
            return BarsState(closed=rows[-message.limit :], growing=growing)

        self.directory.answers["bars/binance"] = answer

    def get(self, path: str = "binance/BTCUSDT", **params: str) -> testing.Result:
        return self.client.simulate_get(f"/api/bars/{path}", params=params)

    def problem(self, path: str, status: int, **params: str) -> dict:
        result = self.get(path, **params)
        assert result.status_code == status, result.text
        return result.json


def test_a_bar_is_told_in_the_words_of_its_contract():
    result = BarsSite((row(5),)).get(limit="1")

    assert OHLCV.vouched_each(result.text)
    assert result.json == [
        {
            "venue": "binance",
            "symbol": "BTCUSDT",
            "timeframe": "1m",
            "opened_at": rfc3339.text(FIRST_NS + 5 * MINUTE_NS),
            "closed_at": rfc3339.text(FIRST_NS + 6 * MINUTE_NS),
            "known_at": rfc3339.text(FIRST_NS + 6 * MINUTE_NS + 3_000_000_000),
            "open": "60000.10",
            "high": "60001.50",
            "low": "59990.00",
            "close": "60000.00",
            "volume": "12.34500",
            "trades": 17,
            "source": "trades",
        }
    ]


def test_the_newest_hundred_minutes_come_oldest_first_unless_told_otherwise():
    site = BarsSite(tuple(row(n) for n in range(150)))
    times = [bar["opened_at"] for bar in site.get().json]

    assert times == [rfc3339.text(FIRST_NS + n * MINUTE_NS) for n in range(50, 150)]
    name, message = site.directory.asked[0]
    assert (name, message) == (
        "bars/binance",
        ReadBars(symbol="BTCUSDT", timeframe="1m", limit=100),
    )
    assert site.archive.asked == []  # the actor had enough


def test_older_bars_come_from_the_archive_and_the_actors_own_count_more():
    site = BarsSite((row(5, close_ticks=6_000_100), row(6)))
    site.archive.rows = (row(3), row(4), row(5))

    found = site.get(limit="3").json
    assert [bar["opened_at"] for bar in found] == [
        rfc3339.text(FIRST_NS + n * MINUTE_NS) for n in (4, 5, 6)
    ]
    assert found[1]["close"] == "60001.00"
    assert site.archive.asked == [("binance", "BTCUSDT", "1m", 3)]


def test_no_bars_are_an_empty_array():
    assert BarsSite().get().json == []


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_timeframe_can_be_asked_for(timeframe):
    site = BarsSite()

    assert site.get(timeframe=timeframe).status_code == 200
    assert site.directory.asked[0][1] == ReadBars(symbol="BTCUSDT", timeframe=timeframe, limit=100)


@pytest.mark.parametrize("timeframe", ["2m", "1M", "", "1m,5m", "minute", "1m" * 400])
def test_another_timeframe_is_answered_with_those_there_are(timeframe):
    problem = BarsSite().problem("binance/BTCUSDT", 400, timeframe=timeframe)

    assert problem["allowed"] == ["1m", "5m", "15m", "1h", "4h", "1d"]
    assert len(problem["detail"]) < 250


def test_two_timeframes_at_once_are_refused():
    path = "/api/bars/binance/BTCUSDT"
    result = BarsSite().client.simulate_get(path, query_string="timeframe=1m&timeframe=5m")

    assert result.status_code == 400


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "many"])
def test_a_limit_out_of_bounds_is_answered_with_the_bounds(limit):
    problem = BarsSite().problem("binance/BTCUSDT", 400, limit=limit)

    assert problem["allowed"] == ["a whole number from 1 to 1000"]


def test_an_unknown_parameter_is_named():
    assert "since" in BarsSite().problem("binance/BTCUSDT", 400, since="1")["detail"]


def test_an_unknown_venue_or_symbol_is_answered_with_those_there_are():
    site = BarsSite()

    assert site.problem("nowhere/BTCUSDT", 404)["allowed"] == ["binance", "binance_usdm"]
    assert site.problem("binance/XYZ", 404)["allowed"] == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("alias", ["BTC/USDT", "btc-usdt", "XBT/USDT"])
def test_a_symbol_is_found_by_any_of_its_names(alias):
    assert BarsSite((row(5),)).get(f"binance/{alias}", limit="1").json[0]["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("error", [ArchiveDownError("disk I/O error"), ArchiveBusyError("32 wait")])
def test_older_bars_that_cannot_be_read_are_a_reason_to_come_again(error):
    site = BarsSite((row(5),))
    site.archive.error = error

    assert site.get(limit="1").status_code == 200
    result = site.get(limit="2")
    assert (result.status_code, result.headers["Retry-After"]) == (503, "1")
    assert str(error) in result.json["detail"]


def test_bars_whose_actor_is_down_are_not_ready():
    site = BarsSite()
    site.directory.answers["bars/binance"] = ActorDeadError("bars/binance: down")

    assert site.get().status_code == 503


def test_a_bar_that_breaks_its_contract_does_not_leave():
    result = BarsSite((row(5, low_ticks=6_000_140),)).get(limit="1")

    assert result.status_code == 500
    assert "low" not in result.json["detail"]


def test_a_thousand_bars_do_not_hold_the_hub():
    site = BarsSite(tuple(row(n) for n in range(1000)))
    took_s = []
    for _ in range(5):
        began_s = time.process_time()
        found = site.get(limit="1000").text
        took_s.append(time.process_time() - began_s)

    assert len(json.loads(found)) == 1000
    assert min(took_s) < 0.2  # in ten slices
