"""A secret is shown nowhere: not in the log, not in an answer, not where settings are told."""

import io
from typing import Any

import pytest
import structlog
from rich.console import Console

from stevie import doctor, logs
from stevie.config import explain, load
from stevie.domain.operations.entries import configured
from stevie.http.access import AccessGate, Token
from stevie.runtime.counters import Counters
from tests.http.fakes import FakeClock
from tests.http.gated import GatedSite

TOKEN = "s3cret-of-the-operator"
GUESS = "s3cret-of-a-guest"


class Broken:
    """Fails with the request in its hands."""

    def on_post(self, req, resp):
        authorization = req.headers["AUTHORIZATION"]
        raise ValueError(len(authorization))


@pytest.fixture(params=["json", "console"])
def written(request):
    """All that is logged, in each format, down to the least of it."""
    stream = io.StringIO()
    logs.configure(clock=FakeClock(), format=request.param, level="debug", stream=stream)
    yield stream
    structlog.reset_defaults()


def said_to(token: str, **options: Any) -> str:
    """Everything that the edge answers to requests with this token, in header, query and path."""
    site = GatedSite(token=TOKEN, **options)
    site.app.add_route("/broken", Broken())
    asked = [
        site.ask(method, path, token=token, query_string=query)
        for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE")
        for path in ("/gated", "/question", "/toy", "/nope", "/broken")
        for query in ("", f"access_token={token}")
    ]
    assert {each.status_code for each in asked} > {200, 404}
    return "".join(f"{each.status} {each.headers} {each.text}" for each in asked)


@pytest.mark.parametrize("token", [TOKEN, GUESS])
@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_a_token_that_was_sent_is_neither_answered_nor_logged(written, token, profile):
    answered = said_to(token, profile=profile)

    assert token not in answered
    assert token not in written.getvalue()
    if token == TOKEN:
        assert "request_failed" in written.getvalue()
    else:
        assert "token_wrong" in written.getvalue()


def test_the_gate_and_its_token_show_nothing_of_it():
    token = Token(TOKEN)
    gate = AccessGate({}, token=token, profile="prod", clock=FakeClock(), counters=Counters())

    shown = f"{gate!r} {vars(gate)} {token} {token!r}"

    assert TOKEN not in shown


def config(**fields: str) -> Any:
    return load(environ={"STEVIE__HTTP__ADMIN_TOKEN": TOKEN, **fields})


def test_what_tells_of_the_settings_hides_it():
    told = config()

    assert told.http.admin_token.reveal() == TOKEN
    assert TOKEN not in f"{told!r} {told} {told.http}"
    assert TOKEN not in str(explain(told))
    entry = configured(at_ns=1, settings=explain(told))
    assert TOKEN.encode() not in entry.payload
    assert b"***" in entry.payload


def test_the_doctor_does_not_tell():
    console = Console(file=io.StringIO(), width=200)

    doctor.print_findings(console, list(doctor._settings(config())))

    text = console.file.getvalue()
    assert "http.admin_token" in text
    assert TOKEN not in text
