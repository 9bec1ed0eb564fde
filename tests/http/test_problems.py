import json

import falcon
import pytest
from structlog.testing import capture_logs

from stevie.http.problems import Problem, not_ready
from tests.http.fakes import Site


def test_an_error_is_json_even_for_a_caller_that_wants_something_else():
    problem = Site().problem("/nope", 404, headers={"Host": "localhost", "Accept": "text/html"})

    assert problem["title"] == "Unknown route"


def test_a_bug_is_a_500_that_tells_nothing_but_where_the_log_tells_more():
    site = Site()
    site.directory.answers["book/binance/BTCUSDT"] = KeyError("/secret/place")

    with capture_logs() as logged:
        problem = site.problem("/api/l2/binance/BTCUSDT", 500)

    assert "secret" not in json.dumps(problem)
    assert problem["incident"] in problem["detail"]
    (line,) = logged
    assert (line["event"], line["incident"]) == ("request_failed", problem["incident"])
    assert isinstance(line["exc_info"], KeyError)


def answered(error: Exception) -> dict:
    """The answer to a GET whose route raises this."""
    site = Site()

    class Failing:
        def on_get(self, req, resp):
            raise error

    site.app.add_route("/failing", Failing())
    return site.problem("/failing", getattr(error, "status_code", 500))


def test_a_conflict_is_told_with_its_facts():
    problem = answered(Problem(409, "Conflict", "It runs.", facts={"id": 7}, allowed=["stop"]))

    assert problem == {
        "status": 409,
        "title": "Conflict",
        "detail": "It runs.",
        "id": 7,
        "allowed": ["stop"],
    }


def test_not_ready_says_when_to_come_back():
    assert answered(not_ready("Not ready", "Soon."))["retry_after_s"] == 1


def test_an_error_of_the_framework_is_told_in_the_same_form():
    problem = answered(falcon.HTTPUnsupportedMediaType())

    assert set(problem) == {"status", "title", "detail"}


@pytest.mark.parametrize("error", [OSError(28, "disk full"), AssertionError(-3), RecursionError()])
def test_any_bug_has_an_incident_and_no_internals(error):
    problem = answered(error)

    assert problem["incident"]
    assert "disk" not in json.dumps(problem)
