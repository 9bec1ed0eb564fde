import pytest

from tests.http.fakes import Site


class Lever:
    """A route that changes something."""

    def __init__(self) -> None:
        self.pulled = 0

    def on_post(self, req, resp):
        self.pulled += 1


def post(headers: dict[str, str], **fields) -> tuple[int, int]:
    """The status of a POST, and whether it had any effect."""
    site, lever = Site(**fields), Lever()
    site.app.add_route("/lever", lever)
    headers = {"Host": "localhost:5000", **headers}
    return site.client.simulate_post("/lever", headers=headers).status_code, lever.pulled


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "[::1]", "[::1]:5000", "stevie.example:80"],
)
def test_loopback_and_configured_hosts_come_in(host):
    site = Site(allowed_hosts=("Stevie.example",))

    assert site.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:5000",
        "127.0.0.1.evil.example",
        "::1",
        "",
    ],
)
def test_a_name_that_was_rebound_to_this_address_stays_out(host):
    problem = Site().problem("/healthz", 403, headers={"Host": host})

    assert "localhost" in problem["allowed"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://[broken"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:5000", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_foreign_page_changes_nothing(headers):
    assert post(headers) == (403, 0)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost:5000"}, {"Sec-Fetch-Site": "same-origin"}],
)
def test_our_own_page_and_a_command_line_may(headers):
    assert post(headers) == (200, 1)


def test_a_foreign_page_may_read_what_its_browser_then_keeps_from_it():
    result = Site().get("/healthz", headers={"Origin": "https://evil.example"})

    assert result.status_code == 200
    assert "Access-Control-Allow-Origin" not in result.headers


@pytest.mark.parametrize("path", ["/healthz", "/nope", "/api/l2/nowhere/x", "/metrics"])
def test_every_answer_has_the_security_headers(path):
    headers = Site().get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
