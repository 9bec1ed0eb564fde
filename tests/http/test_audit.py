import json
import time

import falcon
import msgspec
import pytest
from falcon import testing

from stevie import rfc3339
from stevie.domain.contracts.rows import AuditRow
from stevie.http.audit import AuditRowResource, LatestAuditResource
from stevie.http.problems import ErrorTable
from stevie.ports_record import ArchiveBusyError, ArchiveDownError, ArchiveError
from tests.domain.operations.logs import FACTS, NOW_NS, sealed
from tests.http.fakes import FakeClock


class FakeLog:
    """An audit log in memory."""

    def __init__(self, rows: list[AuditRow]) -> None:
        self.rows = rows
        self.error: ArchiveError | None = None

    def audit_latest(self, limit: int) -> tuple[AuditRow, ...]:
        return tuple(self._readable()[::-1][:limit])

    def audit_row(self, seq: int) -> AuditRow | None:
        return next((row for row in self._readable() if row.seq == seq), None)

    def audit_head(self) -> AuditRow | None:
        return next(iter(self.audit_latest(1)), None)

    def _readable(self) -> list[AuditRow]:
        if self.error is not None:
            raise self.error
        return self.rows


class AuditSite:
    """The two routes over a log in memory."""

    def __init__(self, rows: list[AuditRow]) -> None:
        self.log = FakeLog(rows)
        app = falcon.App()
        app.req_options.strip_url_path_trailing_slash = True
        app.add_route("/api/audit/latest", LatestAuditResource(self.log))
        app.add_route("/api/audit/{seq}", AuditRowResource(self.log))
        ErrorTable(FakeClock(), []).register(app)
        self.client = testing.TestClient(app)

    def get(self, path: str, **options) -> testing.Result:
        return self.client.simulate_get(f"/api/audit/{path}", **options)

    def problem(self, path: str, status: int, **options) -> dict:
        result = self.get(path, **options)
        assert result.status_code == status, result.text
        assert result.headers["Content-Type"] == "application/json"
        return result.json


@pytest.fixture(scope="module")
def rows() -> list[AuditRow]:
    return sealed(60)


def test_a_row_is_shown_whole(rows):
    assert AuditSite(rows).get("2").json == {
        "seq": 2,
        "at": rfc3339.text(NOW_NS + 2_000_006),
        "at_ns": NOW_NS + 2_000_006,
        "kind": "stopped",
        "actor": "book/binance/S2",
        "payload": {"note": "Zürich", "number": 2, "price": "60000.10"},
        "provenance": {
            "code": FACTS.code,
            "config_hash": FACTS.config_hash,
            "kernel_hash": FACTS.kernel_hash,
            "model": None,
            "features_hash": FACTS.features_hash,
            "input": {
                "kind": "l2_log",
                "venue": "binance",
                "symbol": "BTCUSDT",
                "first_seq": 5,
                "last_seq": 9,
            },
            "flags": ["trading"],
        },
        "prev_hash": rows[0].hash,
        "hash": rows[1].hash,
    }


def test_the_latest_rows_come_newest_first(rows):
    found = AuditSite(rows).get("latest", query_string="limit=3").json

    assert [row["seq"] for row in found] == [60, 59, 58]
    assert found[2] == AuditSite(rows).get("58").json


def test_fifty_rows_come_unless_told_otherwise(rows):
    assert len(AuditSite(rows).get("latest").json) == 50
    assert len(AuditSite(rows).get("latest", query_string="limit=1000").json) == 60


def test_a_log_without_rows_is_an_empty_array():
    assert AuditSite([]).get("latest").json == []


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "many", ""])
def test_a_limit_out_of_bounds_is_answered_with_the_bounds(rows, limit):
    problem = AuditSite(rows).problem("latest", 400, params={"limit": limit}, params_csv=False)

    assert problem["allowed"] == ["a whole number from 1 to 1000"]


def test_an_unknown_parameter_is_named(rows):
    assert "since" in AuditSite(rows).problem("latest", 400, query_string="since=1")["detail"]
    assert "limit" in AuditSite(rows).problem("1", 400, query_string="limit=1")["detail"]


@pytest.mark.parametrize("seq", [61, 2**63 - 1])
def test_an_unknown_row_is_answered_with_those_there_are(rows, seq):
    problem = AuditSite(rows).problem(str(seq), 404)

    assert problem["title"] == "Unknown audit row"
    assert problem["detail"] == f"The audit log has no row {seq}; it has rows 1 to 60."
    assert problem["allowed"] == ["1 to 60"]


def test_a_row_of_an_empty_log_is_unknown():
    assert "no row yet" in AuditSite([]).problem("1", 404)["detail"]


@pytest.mark.parametrize("seq", ["0", "-1", "1.5", "newest", "\uff11", "9" * 19, "9" * 400])
def test_what_is_no_number_of_a_row_is_malformed(rows, seq):
    problem = AuditSite(rows).problem(seq, 400)

    assert "whole number" in problem["detail"]
    assert len(problem["detail"]) < 200


@pytest.mark.parametrize("path", ["latest", "7"])
@pytest.mark.parametrize("error", [ArchiveDownError("disk I/O error"), ArchiveBusyError("32 wait")])
def test_a_log_that_cannot_be_read_says_why_and_when_to_come_again(rows, path, error):
    site = AuditSite(rows)
    site.log.error = error

    result = site.get(path)

    assert (result.status_code, result.headers["Retry-After"]) == (503, "1")
    assert result.json["title"] == "Audit log cannot be read"
    assert str(error) in result.json["detail"]


@pytest.mark.parametrize("text", ["{", "[1]", "nonsense", '"text"', "", '{"a":01}'])
def test_a_payload_that_was_tampered_with_is_shown_as_the_text_it_is(text):
    changed = msgspec.structs.replace(sealed(1)[0], payload=text)

    assert AuditSite([changed]).get("1").json["payload"] == text


def test_numbers_beyond_what_floats_hold_are_exact(rows):
    assert AuditSite(rows).get("1").json["at_ns"] == NOW_NS + 1_000_003


def test_head_is_answered_as_get(rows):
    result = AuditSite(rows).client.simulate_head("/api/audit/latest")

    assert result.status_code == 200


def test_a_thousand_rows_do_not_hold_the_hub():
    site = AuditSite(sealed(1000))
    took_s = []
    for _ in range(5):
        began_s = time.process_time()
        found = site.get("latest", query_string="limit=1000").text
        took_s.append(time.process_time() - began_s)

    assert len(json.loads(found)) == 1000
    assert min(took_s) < 0.05
