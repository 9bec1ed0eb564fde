import io

import msgspec
import pytest

from stevie.http.gate import DRAIN_BYTES_MAX
from stevie.http.requests import read_body
from tests.http.fakes import Site


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    symbol: str
    size: float


class Wishes:
    """A route that takes a body."""

    def __init__(self) -> None:
        self.heard: list[Wish] = []

    def on_post(self, req, resp):
        self.heard.append(read_body(req, Wish))


@pytest.fixture
def wishes():
    return Wishes()


@pytest.fixture
def post(wishes):
    site = Site(body_bytes_max=1024)
    site.app.add_route("/wishes", wishes)

    def send(body: bytes, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return site.client.simulate_post(
            "/wishes", body=body, headers={"Host": "localhost", **named}
        )

    return send


GOOD = b'{"symbol":"BTCUSDT","size":0.02}'


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense"],
)
def test_a_body_is_read_as_json_whatever_its_type_says(post, wishes, content_type):
    assert post(GOOD, Content_Type=content_type).status_code == 200
    assert wishes.heard == [Wish("BTCUSDT", 0.02)]


@pytest.mark.parametrize("body", [b"", b'{"symbol":', b"\xff", b'{"size":NaN}'])
def test_a_body_that_is_no_json_is_malformed(post, body):
    result = post(body)

    assert (result.status_code, result.json["title"]) == (400, "Malformed body")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"symbol":"BTCUSDT"}', "size"),
        (b'{"symbol":1,"size":1}', "$.symbol"),
        (b'{"symbol":"B","size":1,"sice":2}', "sice"),
        (b"[]", "object"),
        (b'{"symbol":"B","size":1e999}', "$.size"),
        (b'{"sice":' + b"[" * 900, "sice"),
    ],
)
def test_a_body_that_breaks_the_contract_is_told_where(post, body, named):
    result = post(body)

    assert result.status_code == 422
    assert named in result.json["detail"]


def test_a_body_above_the_limit_is_refused_unread(post, wishes):
    result = post(b" " * 1025 + GOOD)

    assert result.status_code == 413
    assert result.json["allowed"] == ["1024 bytes"]
    assert wishes.heard == []


def test_a_chunked_body_is_read(post, wishes):
    # The server undoes the chunks and gives no length; the test client cannot leave it out.
    assert post(GOOD, Transfer_Encoding="chunked").status_code == 200
    assert wishes.heard == [Wish("BTCUSDT", 0.02)]


def test_five_megabytes_are_refused_even_where_no_body_is_expected():
    site = Site()

    result = site.get("/healthz", body=b"x" * 5_000_000)

    assert (result.status_code, result.json["title"]) == (413, "Body too large")


class Endless(io.BytesIO):
    """A chunked body that never ends."""

    given = 0

    def read(self, size: int) -> bytes:
        self.given += size
        return b"x" * size


def test_a_body_that_never_ends_is_let_go_of_after_a_bounded_drain():
    site, body = Site(body_bytes_max=1024), Endless()

    result = site.get(
        "/healthz",
        headers={"Host": "localhost", "Transfer-Encoding": "chunked"},
        extras={"wsgi.input": body},
    )

    assert result.status_code == 413
    assert body.given == 1025 + DRAIN_BYTES_MAX
