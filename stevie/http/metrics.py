"""GET /metrics: pulled together when scraped; no hot path knows of Prometheus.

The seven families that operators were promised stand first, the ones with the fewest samples before
the others, so that a look at the first lines shows what matters; then everything of our own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import falcon
import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stevie.http.edge import Edge, bars_name, feed_name
from stevie.http.health import read_books
from stevie.http.market_metrics import book_families
from stevie.http.requests import Resource, check_query
from stevie.http.runtime_metrics import actor_families, process_families
from stevie.http.store_metrics import record_families
from stevie.http.traffic import Traffic
from stevie.messages.bars import BarSyncState, ReadBarSync
from stevie.messages.market import FeedState, ReadFeed
from stevie.runtime.counters import Sample

CACHE_NS = 1_000_000_000  # several scrapers cost the actors no more than one

Labels = tuple[str, ...]
Values = Mapping[Labels, float]


class MetricsResource(Resource):
    """The text that Prometheus scrapes."""

    def __init__(self, edge: Edge, traffic: Traffic) -> None:
        self._edge = edge
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(StevieCollector(edge, traffic))
        ProcessCollector(registry=self._registry)
        self._text = b""
        self._text_until_ns = 0

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Answer with at most a second old text."""
        check_query(req)
        now_ns = self._edge.clock.monotonic_ns()
        if not self._text or now_ns >= self._text_until_ns:
            self._text = generate_latest(self._registry)
            self._text_until_ns = self._edge.clock.monotonic_ns() + CACHE_NS
        resp.content_type = CONTENT_TYPE_PLAIN_0_0_4
        resp.data = self._text


class StevieCollector(Collector):
    """Asks the actors, reads the counters, and makes families of it."""

    def __init__(self, edge: Edge, traffic: Traffic) -> None:
        self._edge = edge
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        """Every family, the promised seven first."""
        edge, counts = self._edge, _by_family(self._edge.counters.snapshot())
        values = {name: _values(samples) for name, samples in counts.items()}
        values[LAST_SYNC] = self._last_syncs()
        promised = [
            GaugeMetricFamily(*CONNECTED, labels=("venue",)),
            *(family.metric(edge, values.get(family.name, {})) for family in PROMISED),
        ]
        _add(promised[0], self._connections())
        yield from sorted(promised, key=lambda family: len(family.samples))
        yield from process_families(edge)
        yield from record_families(edge)
        yield from book_families(read_books(edge))
        yield from actor_families(edge.directory.tree())
        names = {family.name for family in PROMISED}
        yield from (_counter(samples) for name, samples in counts.items() if name not in names)
        yield from self._traffic.families()

    def _connections(self) -> Values:
        questions = {feed_name(venue): ReadFeed() for venue in self._edge.tables}
        answers = self._edge.gather(questions)
        states = {venue: answers[feed_name(venue)] for venue in self._edge.tables}
        return {
            (venue,): float(isinstance(state, FeedState) and state.is_connected)
            for venue, state in states.items()
        }

    def _last_syncs(self) -> Values:
        """By symbol; the latest of its venues."""
        names = tuple(bars_name(venue) for venue in self._edge.tables)
        answers = self._edge.gather(dict.fromkeys(names, ReadBarSync())).values()
        synced: dict[Labels, float] = {}
        for state in answers:
            for symbol, at_ns in state.synced_ns if isinstance(state, BarSyncState) else ():
                synced[symbol,] = max(synced.get((symbol,), 0.0), at_ns / 1e9)
        return synced


CONNECTED = (
    "price_stream_connected",
    "Whether the venue's price stream is connected: 1 or 0.",
)


class Promised(msgspec.Struct, frozen=True):
    """A family that exists from the first scrape on, with a 0 for each label set it will have."""

    name: str
    sentence: str
    labels: Labels
    children: Callable[[Edge], Iterable[Labels]]

    def metric(self, edge: Edge, counted: Values) -> CounterMetricFamily | GaugeMetricFamily:
        """The family with what was counted so far."""
        family: CounterMetricFamily | GaugeMetricFamily
        if self.name.endswith("_total"):
            family = CounterMetricFamily(self.name, self.sentence, labels=self.labels)
        else:
            family = GaugeMetricFamily(self.name, self.sentence, labels=self.labels)
        _add(family, {**dict.fromkeys(self.children(edge), 0.0), **counted})
        return family


def _venues(edge: Edge) -> Iterator[Labels]:
    return ((venue,) for venue in edge.tables)


def _books(edge: Edge) -> Iterator[Labels]:
    return ((venue, symbol) for venue, table in edge.tables.items() for symbol in table.symbols)


def _symbols(edge: Edge) -> Iterator[Labels]:
    return ((symbol,) for symbol in dict.fromkeys(symbol for _, symbol in _books(edge)))


LAST_SYNC = "ohlcv_last_sync_ts_seconds"
CHAOS_TYPES = ("l2_gap", "ws_flap", "api_timeout", "depth_spike")
ROUTERS = ("venue", "policy")
OUTCOMES = ("chosen", "refused")
BLOCKED_REASONS = (
    "audit_backpressure",
    "beyond_visible_depth",
    "budget_exhausted",
    "guard",
    "no_live_book",
)

PROMISED = (
    Promised(
        "l2_resyncs_total",
        "Times that a book lost its place and had to start over.",
        ("venue",),
        _venues,
    ),
    Promised(
        "venue_score",
        "Score of the venue in bps, higher is better; 0 until the venue router scores it.",
        ("venue", "symbol"),
        _books,
    ),
    Promised(
        LAST_SYNC,
        "When the symbol's bars were last synchronized, unix time; 0 if they never were.",
        ("symbol",),
        _symbols,
    ),
    Promised(
        "chaos_injections_total",
        "Faults injected on purpose, by type.",
        ("type",),
        lambda _edge: ((each,) for each in CHAOS_TYPES),
    ),
    Promised(
        "router_decisions_total",
        "Decisions of the venue router and of the policy router, by outcome.",
        ("router", "outcome"),
        lambda _edge: ((router, outcome) for router in ROUTERS for outcome in OUTCOMES),
    ),
    Promised(
        "exec_blocked_total",
        "Orders that were not executed, by reason.",
        ("reason",),
        lambda _edge: ((each,) for each in BLOCKED_REASONS),
    ),
)


def _by_family(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.counter.name, []).append(sample)
    return families


def _values(samples: Iterable[Sample]) -> Values:
    return {sample.labels: float(sample.value) for sample in samples}


def _counter(samples: list[Sample]) -> CounterMetricFamily:
    counter = samples[0].counter
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    _add(family, _values(samples))
    return family


def _add(family: CounterMetricFamily | GaugeMetricFamily, values: Values) -> None:
    for labels, value in values.items():
        family.add_metric(labels, value)
