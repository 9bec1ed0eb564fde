import json

import pytest

from tests.http.fakes import Site

PATHS = [
    "/",
    "/api/l2/binance/BTCUSDT",
    "/api/microstructure/BTCUSDT",
    "/api/audit/latest",
    "/api/system/tree",
    "/healthz",
    "/readyz",
    "/metrics",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_route_answers_to_get_and_head_alike_but_for_the_body(path):
    site = Site()

    got, head = site.get(path), site.client.simulate_head(path)

    assert (got.status_code, head.status_code) == (200, 200)
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize("path", PATHS)
def test_options_tells_the_methods(path):
    result = Site().client.simulate_options(path)

    assert result.status_code == 200
    assert result.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_method_is_answered_with_those_there_are(path, method):
    result = Site().client.simulate_request(method, path)

    assert result.status_code == 405
    assert result.json["allowed"] == ["GET", "HEAD", "OPTIONS"]
    assert result.json["title"] == "Method not allowed"


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/l2/binance", "/api/l2", "/%FF"])
def test_an_unknown_path_is_answered_with_the_routes(path):
    problem = Site().problem(path, 404)

    assert "/api/l2/{venue}/{symbol}" in problem["allowed"]


def test_the_index_names_every_route():
    document = Site().get("/").json

    routes = {route["route"] for route in document["routes"]}
    assert routes == {
        path.replace("binance/BTCUSDT", "{venue}/{symbol}").replace("BTCUSDT", "{symbol}")
        for path in PATHS
        if path != "/"
    } | {"/api/audit/{seq}", "/api/flags", "/api/bars/{venue}/{symbol}"}


@pytest.mark.parametrize(
    "path", [path for path in PATHS if "BTC" not in path and "latest" not in path]
)
def test_routes_without_parameters_say_so(path):
    problem = Site().problem(path, 400, query_string="a=1&b=2")

    assert "'a', 'b'" in problem["detail"]
    assert problem["allowed"] == []


def test_a_huge_garbage_query_is_refused_in_a_few_words():
    query = "&".join(f"%FF{number}={'x' * 50}" for number in range(2000))

    problem = Site().problem("/healthz", 400, query_string=query)

    assert len(json.dumps(problem)) < 1000
