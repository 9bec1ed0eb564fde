"""Nothing mutates for those who may not: tried on every route that there is, in every way.

The routes are read from the router of the real application, so that a new one cannot be forgotten.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import falcon
import pytest
from falcon import inspect

from stevie.http.access import Token
from stevie.http.gate import SAFE_METHODS
from stevie.http.problems import App
from tests.http.fakes import Site
from tests.http.gated import FAR, LOCAL, TOKEN, Lever

# What may be asked by POST of everybody. A name is added here by a person who has thought of it.
QUESTIONS = {("/api/venues/score", "POST"), ("/api/budget/explain", "POST")}

HOST = {"Host": "localhost:5000"}
RIGHT = {**HOST, "Authorization": f"Bearer {TOKEN}"}
WRONG = {**HOST, "Authorization": "Bearer a-guess"}
BODIES = ("", "{}", '{"name": "l2_log", "value": false}')


class Attempt(NamedTuple):
    """One who may not: to what server he comes, and with what."""

    profile: str
    token: str
    headers: dict[str, str]
    address: str = LOCAL

    def __str__(self) -> str:
        has = "token set" if self.token else "no token"
        return f"{self.profile}, {has}: {self.headers} from {self.address}"


def without_permission() -> Iterator[Attempt]:
    """All who have not shown the token that is asked for, or could not."""
    for headers in (HOST, RIGHT, WRONG):
        yield Attempt("prod", "", headers)
        yield Attempt("dev", "", headers, FAR)
    for profile in ("dev", "prod"):
        for headers in (HOST, WRONG, {**HOST, "Authorization": f"Basic {TOKEN}"}):
            for address in (LOCAL, FAR):
                yield Attempt(profile, TOKEN, headers, address)


def from_elsewhere() -> Iterator[Attempt]:
    """All whom a page of somewhere else sent, with the right token even."""
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "localhost.evil.example:5000"},
    ):
        yield Attempt("dev", "", {**HOST, **foreign})
        for profile in ("dev", "prod"):
            yield Attempt(profile, TOKEN, {**RIGHT, **foreign})


def site_of(attempt: Attempt) -> Site:
    return Site(profile=attempt.profile, token=Token(attempt.token))


def changing(app: App) -> list[tuple[str, str]]:
    """Every route and every unsafe method that it answers."""
    return [
        (route.path, method.method)
        for route in inspect.inspect_routes(app)
        for method in route.methods
        if not method.internal and method.method not in SAFE_METHODS
    ]


def knock(site: Site, template: str, method: str, attempt: Attempt, body: str) -> int:
    path = re.sub(r"\{[^}]*\}", "BTCUSDT", template)
    result = site.client.simulate_request(
        method, path, headers=attempt.headers, remote_addr=attempt.address, body=body
    )
    status: int = result.status_code
    return status


def pulled(attempt: Attempt, *, but: set[tuple[str, str]]) -> dict[tuple[str, str, str], Any]:
    """What this attempt got further with than to the gate, or had any effect by."""
    found = {}
    for template, method in sorted(set(changing(Site().app)) - but):
        for body in BODIES:
            site = site_of(attempt)
            status = knock(site, template, method, attempt, body)
            if status not in {401, 403} or site.directory.asked:
                found[template, method, body] = (status, site.directory.asked)
    return found


def test_there_is_something_to_try() -> None:
    assert ("/api/flags", "POST") in changing(Site().app)


@pytest.mark.parametrize("attempt", [*without_permission()], ids=str)
def test_nothing_mutates_without_the_token(attempt: Attempt) -> None:
    assert pulled(attempt, but=QUESTIONS) == {}


@pytest.mark.parametrize("attempt", [*from_elsewhere()], ids=str)
def test_nothing_mutates_for_a_page_or_a_name_of_elsewhere(attempt: Attempt) -> None:
    assert pulled(attempt, but=set()) == {}


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt("dev", "", HOST),
        Attempt("dev", TOKEN, RIGHT, FAR),
        Attempt("prod", TOKEN, RIGHT, FAR),
        Attempt("prod", TOKEN, {**RIGHT, "Origin": "http://localhost:5000"}),
    ],
    ids=str,
)
def test_who_may_comes_through_to_the_actor(attempt: Attempt) -> None:
    site = site_of(attempt)

    status = knock(site, "/api/flags", "POST", attempt, '{"name": "l2_log", "value": false}')

    assert status not in {401, 403, 404, 405, 429}
    assert [name for name, _ in site.directory.asked] == ["flags"]


@pytest.mark.parametrize("attempt", [*without_permission()], ids=str)
def test_a_route_that_nobody_declared_is_closed(attempt: Attempt) -> None:
    site, lever = site_of(attempt), Lever()
    site.app.add_route("/forgotten/{name}", lever)

    assert knock(site, "/forgotten/{name}", "POST", attempt, "{}") in {401, 403}
    assert lever.pulled == []


def test_nothing_is_served_past_the_gate() -> None:
    """A sink, or a resource that is falsy, would be called without it."""
    app = Site().app

    assert inspect.inspect_sinks(app) == []
    assert inspect.inspect_static_routes(app) == []
    assert all(resource for resource in resources(app))


def resources(app: App) -> list[object]:
    found = [app._router.find(fill(route.path)) for route in inspect.inspect_routes(app)]
    assert all(found)
    return [each[0] for each in found if each]


def fill(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "BTCUSDT", template)


def test_questions_are_answered_to_all_as_they_change_nothing() -> None:
    for template, method in QUESTIONS & set(changing(Site().app)):
        attempt = Attempt("prod", "", HOST, FAR)

        assert knock(site_of(attempt), template, method, attempt, "{}") not in {401, 403}


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        (200, "GET", "/healthz", HOST),
        (400, "GET", "/healthz?x=1", HOST),
        (400, "WEBSOCKET", "/healthz", HOST),
        (401, "POST", "/api/flags", HOST),
        (403, "GET", "/healthz", {"Host": "evil.example"}),
        (403, "POST", "/api/flags", {**HOST, "Origin": "null"}),
        (404, "GET", "/nope", HOST),
        (405, "DELETE", "/healthz", RIGHT),
        (422, "POST", "/api/flags", RIGHT),
        (500, "GET", "/broken", HOST),
    ],
)
def test_every_error_has_the_security_headers_and_a_body_of_ours(status, method, path, headers):
    site = Site(profile="prod", token=Token(TOKEN))
    site.app.add_route("/broken", Broken())
    environ = falcon.testing.create_environ(
        path.partition("?")[0], query_string=path.partition("?")[2], body="{}"
    )
    environ |= {"REQUEST_METHOD": method, "HTTP_HOST": headers["Host"]}
    environ |= {f"HTTP_{n.upper()}": v for n, v in headers.items() if n != "Host"}
    started: list[Any] = []
    body = b"".join(site.app(environ, lambda *arguments: started.append(arguments)))

    found = {name.lower(): value for name, value in started[0][1]}
    assert started[0][0].startswith(str(status)), body
    assert found["x-content-type-options"] == "nosniff"
    assert found["cache-control"] == "no-store"
    assert found["content-security-policy"].startswith("default-src 'none'")
    assert found["content-type"].startswith("application/json")
    assert f'"status":{status}'.encode() in body


def test_a_flood_is_turned_away_with_the_security_headers() -> None:
    site = Site(requests_per_s=0.5)
    site.get("/api/system/tree")

    result = site.get("/api/system/tree")

    assert result.status_code == 429
    assert result.headers["Retry-After"] == "2"
    assert result.headers["X-Content-Type-Options"] == "nosniff"


class Broken:
    def on_get(self, req, resp):
        raise ZeroDivisionError(req)
