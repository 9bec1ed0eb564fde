"""A small application behind the gates: a lever of each access, and callers of every kind."""

from typing import Any

import falcon
from falcon import testing

from stevie.http.access import Access, AccessGate, Token
from stevie.http.gate import OriginGate
from stevie.http.problems import App, ErrorTable
from stevie.http.rate import EdgeCounter, RateGate
from stevie.runtime.counters import Counters
from tests.http.fakes import FakeClock

TOKEN = "correct-horse-battery"
LOCAL, NEAR, FAR = "127.0.0.1", "192.168.1.7", "203.0.113.9"
SECOND_NS = 1_000_000_000


class Lever:
    """A route that takes every method; `pulled` names those that came through."""

    def __init__(self) -> None:
        self.pulled: list[str] = []

    def _pull(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        self.pulled.append(req.method)
        resp.text = "{}"

    on_get = on_head = on_post = on_put = on_patch = on_delete = on_report = _pull


class GatedSite:
    """Levers at /gated, /question, /toy (dev only), and at /unlisted, which no table names."""

    def __init__(
        self, *, token: str = "", profile: str = "dev", template: str = "/gated", **rates: float
    ) -> None:
        self.clock = FakeClock()
        self.counters = Counters(EdgeCounter)
        self.lever = Lever()
        table = {
            template: Access.GATED,
            "/question": Access.SAFE_POST,
            "/toy": Access.DEV_ONLY,
            "/healthz": Access.GATED,
        }
        requests_per_s = rates.pop("requests_per_s", 1000.0)
        self.app: App = falcon.App(
            middleware=(
                RateGate(clock=self.clock, counters=self.counters, requests_per_s=requests_per_s),
                OriginGate(()),
                AccessGate(
                    table,
                    token=Token(token),
                    profile=profile,
                    clock=self.clock,
                    counters=self.counters,
                    **rates,
                ),
            )
        )
        self.app.req_options.strip_url_path_trailing_slash = True
        for path in (*table, "/unlisted"):
            self.app.add_route(path, self.lever)
        ErrorTable(self.clock, list(table)).register(self.app)
        self.client = testing.TestClient(self.app, headers={"Host": "localhost:5000"})

    def ask(
        self,
        method: str = "POST",
        path: str = "/gated",
        *,
        token: str = "",
        address: str = LOCAL,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> testing.Result:
        sent = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        return self.client.simulate_request(
            method, path, headers=sent, remote_addr=address, **options
        )

    def status(self, *arguments: Any, **options: Any) -> int:
        status: int = self.ask(*arguments, **options).status_code
        return status

    def raw_status(self, method: str, path: str) -> int:
        """What is answered to a request line that no careful client would send."""
        environ = testing.create_environ(path="/", host="localhost:5000", remote_addr=LOCAL)
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "RAW_URI": path}
        statuses: list[str] = []
        for _ in self.app(environ, lambda status, *_rest: statuses.append(status)):
            pass
        return int(statuses[0][:3])

    def refused(self, reason: str) -> int:
        return self.counters.value(EdgeCounter.REFUSED, reason)

    def wait(self, seconds: float) -> None:
        self.clock.now_ns += int(seconds * SECOND_NS)
