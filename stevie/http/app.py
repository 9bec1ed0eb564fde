"""The table of routes."""

from typing import Any, NamedTuple

import falcon

from stevie.http.access import Access, AccessGate
from stevie.http.audit import AuditRowResource, LatestAuditResource
from stevie.http.bars import BarsResource
from stevie.http.edge import Edge
from stevie.http.encoding import to_json
from stevie.http.flags import FlagsResource
from stevie.http.gate import BodyLimit, OriginGate
from stevie.http.health import HealthResource, ReadyResource
from stevie.http.l2 import L2Resource
from stevie.http.metrics import MetricsResource
from stevie.http.microstructure import MicrostructureResource
from stevie.http.problems import App, ErrorTable
from stevie.http.rate import RateGate
from stevie.http.requests import Resource, check_query
from stevie.http.system import TreeResource
from stevie.http.traffic import Traffic


class Route(NamedTuple):
    """Where something is, and what it is."""

    template: str
    resource: Resource
    sentence: str
    access: Access = Access.GATED

    @property
    def shown(self) -> str:
        """The template as people read it."""
        return self.template.replace(":path}", "}")


def create_app(edge: Edge) -> App:
    """Build the application; it starts nothing and reads no environment."""
    traffic = Traffic(edge.clock)
    routes = _routes(edge, traffic)
    app: App = falcon.App(middleware=(traffic, *_gates(edge, routes)))
    app.req_options.strip_url_path_trailing_slash = True
    for route in (*routes, Route("/", IndexResource(edge, routes), "This list.")):
        app.add_route(route.template, route.resource)
    ErrorTable(edge.clock, [route.shown for route in routes]).register(app)
    return app


def _gates(edge: Edge, routes: tuple[Route, ...]) -> tuple[Any, ...]:
    clock, counters = edge.clock, edge.counters
    return (
        RateGate(clock=clock, counters=counters, requests_per_s=edge.requests_per_s),
        OriginGate(edge.allowed_hosts),
        BodyLimit(edge.body_bytes_max),
        AccessGate(
            {route.template: route.access for route in routes},
            token=edge.token,
            profile=edge.profile,
            clock=clock,
            counters=counters,
            changes_per_s=edge.changes_per_s,
        ),
    )


def _routes(edge: Edge, traffic: Traffic) -> tuple[Route, ...]:
    # `path`: an alias such as BTC/USDT has a slash of its own.
    return (
        Route("/api/l2/{venue}/{symbol:path}", L2Resource(edge), "A book: ?depth=1..1000."),
        Route(
            "/api/microstructure/{symbol:path}",
            MicrostructureResource(edge),
            "Features of a symbol over all venues: ?depth=1..200.",
        ),
        Route(
            "/api/audit/latest",
            LatestAuditResource(edge.archive),
            "The newest rows of the audit log: ?limit=1..1000.",
        ),
        Route("/api/audit/{seq}", AuditRowResource(edge.archive), "One row of the audit log."),
        Route(
            "/api/bars/{venue}/{symbol:path}",
            BarsResource(edge),
            "Closed bars, oldest first: ?timeframe=1m|5m|15m|1h|4h|1d&limit=1..1000.",
        ),
        Route("/api/flags", FlagsResource(edge), "How the flags stand; POST sets one."),
        Route("/api/system/tree", TreeResource(edge), "Every actor and its mailbox."),
        Route("/healthz", HealthResource(edge), "Whether the process is alive."),
        Route("/readyz", ReadyResource(edge), "Whether all books are live, or why not."),
        Route("/metrics", MetricsResource(edge, traffic), "Metrics in Prometheus' text format."),
    )


class IndexResource(Resource):
    """GET /: what there is."""

    def __init__(self, edge: Edge, routes: tuple[Route, ...]) -> None:
        self._document = {
            "name": "stevie",
            "version": edge.version,
            "profile": edge.profile,
            "routes": [{"route": route.shown, "what": route.sentence} for route in routes],
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Answer with the list of routes."""
        check_query(req)
        resp.text = to_json(self._document)
