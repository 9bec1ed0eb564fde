import pytest
from structlog.testing import capture_logs

from stevie.http.access import FAILURES_BURST, Access, Standing, Token, standing
from tests.http.gated import FAR, LOCAL, NEAR, TOKEN, GatedSite

CHANGING = ["POST", "PUT", "PATCH", "DELETE"]
GATED = ["/gated", "/unlisted", "/gated/"]


# -- which route asks for what -------------------------------------------------------------------


@pytest.mark.parametrize("path", GATED)
@pytest.mark.parametrize("method", CHANGING)
def test_what_may_change_something_wants_the_token_also_where_nobody_said_so(path, method):
    site = GatedSite(token=TOKEN)

    assert site.status(method, path) == 401
    assert site.lever.pulled == []
    assert site.status(method, path, token=TOKEN) == 200
    assert site.lever.pulled == [method]


@pytest.mark.parametrize("profile", ["dev", "prod"])
@pytest.mark.parametrize("token", ["", TOKEN])
def test_reads_are_open_to_all(profile, token):
    site = GatedSite(profile=profile, token=token)

    for path in ("/gated", "/unlisted", "/question"):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert site.status(method, path, address=FAR) == 200


@pytest.mark.parametrize("profile", ["dev", "prod"])
@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_question_by_post_is_a_read_and_nothing_else_there_is(profile, token):
    site = GatedSite(profile=profile, token=token)

    assert site.status("POST", "/question", address=FAR) == 200
    assert {site.status(method, "/question", address=FAR) for method in CHANGING[1:]} <= {401, 403}
    assert site.lever.pulled == ["POST"]


@pytest.mark.parametrize("method", ["GET", "HEAD", *CHANGING])
def test_a_toy_of_the_dev_profile_is_not_there_in_prod_even_with_the_token(method):
    site = GatedSite(profile="prod", token=TOKEN)

    assert site.status(method, "/toy", token=TOKEN) == 403
    assert site.lever.pulled == []
    assert site.refused("dev_only") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", *CHANGING])
def test_in_dev_every_method_of_a_toy_wants_the_token_that_is_configured(method):
    site = GatedSite(token=TOKEN)

    assert site.status(method, "/toy") == 401
    assert site.status(method, "/toy", token=TOKEN) == 200
    assert GatedSite().status(method, "/toy") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "GET"},
        {"X-HTTP-Method": "GET"},
        {"X-Method-Override": "GET"},
        {"X-Original-URL": "/question"},
        {"X-Rewrite-URL": "/question"},
    ],
)
def test_no_header_makes_another_request_of_it(headers):
    site = GatedSite(token=TOKEN)

    assert site.status("POST", "/gated", headers=headers) == 401
    assert site.status("GET", "/gated", headers={"X-HTTP-Method-Override": "POST"}) == 200
    assert site.lever.pulled == ["GET"]


@pytest.mark.parametrize(
    "path",
    [
        "//gated",
        "/./gated",
        "/question/../gated",
        "/gated;/question",
        "/gated%2f",
        "/%67ated",
        "/GATED",
        "/gated//",
        "/gated?x=/question",
        "/gated#/question",
    ],
)
@pytest.mark.parametrize("method", [*CHANGING, "post", "Post", "GET "])
def test_no_spelling_of_path_or_method_goes_round(path, method):
    site = GatedSite(token=TOKEN)

    assert site.raw_status(method, path) in {400, 401, 404}
    assert site.lever.pulled == []


@pytest.mark.parametrize("method", ["REPORT", "LOCK", "CHECKIN", "BREW", "TRACE", "CONNECT", ""])
def test_methods_that_hardly_anybody_knows_want_the_token_too(method):
    site = GatedSite(token=TOKEN)

    assert site.raw_status("POST", "/gated") == 401
    assert site.raw_status(method, "/gated") == 401
    assert site.lever.pulled == []


def test_a_parameter_in_the_path_does_not_make_a_route_another():
    site = GatedSite(token=TOKEN, template="/things/{name}")

    assert site.status("POST", "/things/question") == 401
    assert site.status("POST", "/things/question", token=TOKEN) == 200


# -- who is let in -------------------------------------------------------------------------------


def test_in_dev_without_a_token_this_machine_may_and_no_other():
    site = GatedSite()

    allowed = {each: site.status(address=each) for each in (LOCAL, "127.9.9.9", "::1", NEAR, FAR)}

    assert allowed == {LOCAL: 200, "127.9.9.9": 200, "::1": 200, NEAR: 403, FAR: 403}
    assert site.status(address="::ffff:127.0.0.1") == 200
    assert site.status(address="a socket's name") == 403
    assert site.refused("not_local") == 3


def test_in_prod_without_a_token_nobody_may():
    site = GatedSite(profile="prod")

    result = site.ask(token=TOKEN)

    assert result.status_code == 403
    assert "http.admin_token" in result.json["detail"]
    assert "WWW-Authenticate" not in result.headers
    assert site.lever.pulled == []
    assert site.refused("closed") == 1


@pytest.mark.parametrize("profile", ["dev", "prod"])
@pytest.mark.parametrize("address", [LOCAL, FAR])
def test_with_the_token_one_may_from_anywhere_and_without_it_from_nowhere(profile, address):
    site = GatedSite(profile=profile, token=TOKEN)

    assert site.status(address=address) == 401
    assert site.status(address=address, token="guess") == 401
    assert site.status(address=address, token=TOKEN) == 200


@pytest.mark.parametrize(
    "sent",
    [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN}  "],
)
def test_the_scheme_may_be_spelled_as_http_spells_it(sent):
    assert GatedSite(token=TOKEN).status(headers={"Authorization": sent}) == 200


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        f"Bearer{TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN},Bearer {TOKEN}",
        f'Bearer "{TOKEN}"',
        "Bearer \xe9\xff",
        "Bearer " + "x" * 8000,
    ],
)
def test_what_is_not_the_token_is_refused(sent):
    site = GatedSite(token=TOKEN)

    result = site.ask(headers={"Authorization": sent})

    assert result.status_code == 401
    assert result.headers["WWW-Authenticate"].startswith('Bearer realm="stevie"')
    assert site.lever.pulled == []


def test_a_wrong_token_is_told_from_none():
    site = GatedSite(token=TOKEN)

    none, wrong = site.ask(), site.ask(token="guess")

    assert "error=" not in none.headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    assert (site.refused("token_missing"), site.refused("token_wrong")) == (1, 1)


def test_a_token_beyond_ascii_is_the_bytes_that_it_is():
    site = GatedSite(token="Schlüssel")

    as_wsgi_gives_it = "Schlüssel".encode().decode("latin-1")
    assert site.status(token=as_wsgi_gives_it) == 200
    assert site.status(token="Schlüssel") == 401


@pytest.mark.parametrize("where", ["query", "cookie"])
def test_a_token_elsewhere_than_in_its_header_is_none(where):
    site = GatedSite(token=TOKEN)
    query = f"token={TOKEN}&access_token={TOKEN}" if where == "query" else ""
    headers = {"Cookie": f"token={TOKEN}"} if where == "cookie" else {}

    assert site.status("POST", "/gated", query_string=query, headers=headers) == 401


# -- guessing ------------------------------------------------------------------------------------


def test_guessing_is_bounded_and_beyond_the_bound_not_even_the_right_one_is_compared():
    site = GatedSite(token=TOKEN)
    guesses = [site.status(token=f"guess {number}") for number in range(FAILURES_BURST + 1)]
    assert guesses == [401] * FAILURES_BURST + [429]

    assert site.status(token=TOKEN) == 429
    assert site.refused("failure_rate") == 2
    assert site.lever.pulled == []
    site.wait(5)
    assert site.status(token=TOKEN) == 200


def test_one_who_guesses_keeps_no_other_out():
    site = GatedSite(token=TOKEN)
    for number in range(FAILURES_BURST + 1):
        site.status(token=f"guess {number}", address=FAR)

    assert site.status(token=TOKEN, address=NEAR) == 200


def test_a_page_without_a_token_does_not_keep_out_who_has_one():
    site = GatedSite(token=TOKEN)
    for _ in range(5 * FAILURES_BURST):
        assert site.status() == 401

    assert site.status(token=TOKEN) == 200


# -- what is said of it --------------------------------------------------------------------------


def test_a_wrong_token_is_logged_and_not_shown():
    site = GatedSite(token=TOKEN)
    with capture_logs() as lines:
        site.ask("DELETE", "/gated", token="a-wrong-token", address=FAR)

    (line,) = lines
    assert line["event"] == "token_wrong"
    assert (line["client"], line["method"], line["path"]) == (FAR, "DELETE", "'/gated'")
    assert "a-wrong-token" not in str(lines)


@pytest.mark.parametrize(
    ("token", "profile", "expected"),
    [
        ("", "dev", Standing.OPEN),
        ("", "prod", Standing.CLOSED),
        (TOKEN, "dev", Standing.GUARDED),
        (TOKEN, "prod", Standing.GUARDED),
    ],
)
def test_the_log_can_say_how_the_gate_stands(token, profile, expected):
    assert standing(Token(token), profile) is expected


def test_a_token_shows_itself_nowhere():
    token = Token(TOKEN)

    assert (repr(token), repr(Token())) == ("Token(***)", "Token(not set)")
    assert TOKEN not in f"{token} {token!r} {[token]}"
    assert not any(TOKEN in str(getattr(token, name)) for name in token.__slots__)


def test_no_token_matches_nothing():
    assert not Token().matches("")
    assert not Token()
    assert Token(TOKEN).matches(TOKEN)


def test_every_access_is_explained():
    assert all(access.sentence.endswith(".") for access in Access)
