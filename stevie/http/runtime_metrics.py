"""Metric families of the process and of its actors."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from stevie.http.edge import Edge
from stevie.runtime.directory import ActorView
from stevie.runtime.lifecycle import State

ACTOR = ("actor",)

Reading = tuple[str, str, Callable[[ActorView], float]]

GAUGES: tuple[Reading, ...] = (
    ("stevie_actor_up", "Whether the actor runs.", lambda view: view.state is State.RUNNING),
    ("stevie_mailbox_depth", "Messages that wait.", lambda view: view.mailbox_depth),
    ("stevie_mailbox_capacity", "Messages that may wait.", lambda view: view.mailbox_capacity),
    ("stevie_mailbox_bytes", "Bytes of frames that wait.", lambda view: view.mailbox_bytes),
    (
        "stevie_mailbox_bytes_max",
        "Bytes of frames that may wait.",
        lambda view: view.mailbox_bytes_max,
    ),
)
COUNTS: tuple[Reading, ...] = (
    ("stevie_actor_incarnations", "Times that the actor started.", lambda view: view.incarnation),
    ("stevie_mailbox_refused", "Messages that a full mailbox refused.", lambda view: view.refused),
    (
        "stevie_mailbox_conflated",
        "Messages that a newer one of the same key replaced.",
        lambda view: view.conflated,
    ),
    ("stevie_mailbox_folded", "Messages taken as part of another.", lambda view: view.folded),
    (
        "stevie_mailbox_lost",
        "Batches dropped for want of room, each declared to the receiver.",
        lambda view: view.overflowed,
    ),
)


def process_families(edge: Edge) -> Iterator[Metric]:
    """What runs here, since when, and how late its loop is."""
    kernel = GaugeMetricFamily(
        "stevie_kernel_info", "The kernel that serves.", labels=("kernel", "hash")
    )
    kernel.add_metric((edge.kernel.name, edge.kernel.source_hash), 1.0)
    yield kernel
    build = GaugeMetricFamily("stevie_build_info", "What runs.", labels=("version", "profile"))
    build.add_metric((edge.version, edge.profile), 1.0)
    yield build
    yield GaugeMetricFamily(
        "stevie_hub_lag_seconds", "How late the event loop is.", value=edge.hub_lag_s()
    )
    yield GaugeMetricFamily(
        "stevie_start_time_seconds", "Start, unix time.", value=edge.started_at_ns / 1e9
    )


def actor_families(tree: Sequence[ActorView]) -> Iterator[Metric]:
    """A sample of each family for each actor."""
    for name, sentence, read in GAUGES:
        gauge = GaugeMetricFamily(name, sentence, labels=ACTOR)
        for view in tree:
            gauge.add_metric((view.name,), float(read(view)))
        yield gauge
    for name, sentence, read in COUNTS:
        counter = CounterMetricFamily(name, sentence, labels=ACTOR)
        for view in tree:
            counter.add_metric((view.name,), float(read(view)))
        yield counter
