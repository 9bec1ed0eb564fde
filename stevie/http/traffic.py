"""What the edge served: requests and their durations, by route template."""

from bisect import bisect_left
from collections.abc import Iterator
from math import inf, isinf

import falcon
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from stevie.runtime.clock import Clock

# 5 and 25 ms are what a read and a scrape may take: edges, so that the share below is exact.
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
UNMATCHED = "unmatched"  # all paths that are no route: a caller must not make up series


class Traffic:
    """Falcon middleware that counts; its series are bounded by routes, methods and statuses."""

    def __init__(self, clock: Clock) -> None:
        self._now_ns = clock.monotonic_ns
        self._requests: dict[tuple[str, str, str], int] = {}
        self._durations: dict[str, Durations] = {}

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Note when it came."""
        req.context.began_ns = self._now_ns()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _is_success: object
    ) -> None:
        """Count it."""
        route = (req.uri_template or UNMATCHED).replace(":path}", "}")
        method = req.method if req.method in METHODS else "other"
        key = (route, method, str(resp.status_code))
        self._requests[key] = self._requests.get(key, 0) + 1
        # A method such as WEBSOCKET is refused by Falcon before any middleware has seen it.
        began_ns = getattr(req.context, "began_ns", self._now_ns())
        elapsed_s = (self._now_ns() - began_ns) / 1e9
        self._durations.setdefault(route, Durations()).add(elapsed_s)

    def families(self) -> Iterator[Metric]:
        """All counts as metric families."""
        requests = CounterMetricFamily(
            "stevie_http_requests",
            "Requests answered, by route template, method and status.",
            labels=("route", "method", "status"),
        )
        for key, count in self._requests.items():
            requests.add_metric(key, count)
        yield requests
        durations = HistogramMetricFamily(
            "stevie_http_request_duration_seconds",
            "Time from a request's headers to its answer, by route template.",
            labels=("route",),
        )
        for route, each in self._durations.items():
            durations.add_metric((route,), buckets=each.cumulative(), sum_value=each.sum_s)
        yield durations


class Durations:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, elapsed_s: float) -> None:
        """Count one."""
        self._counts[bisect_left(BUCKETS_S, elapsed_s)] += 1
        self.sum_s += elapsed_s

    def cumulative(self) -> list[tuple[str, float]]:
        """Per upper bound, how many were at or below it."""
        total, buckets = 0, []
        for bound, count in zip((*BUCKETS_S, inf), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if isinf(bound) else str(bound), float(total)))
        return buckets
