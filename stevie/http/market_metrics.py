"""Metric families of the books, from what they answer at a scrape."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from stevie.domain.market.book import BookState
from stevie.messages.market import BookRead

BOOK = ("venue", "symbol")

# A name, a sentence, and where in a BookRead the count is.
COUNTS: tuple[tuple[str, str, Callable[[BookRead], int]], ...] = (
    ("frames", "Frames that the book took in.", lambda read: read.view.frames),
    ("deltas_applied", "Deltas that changed the book.", lambda read: read.view.applied),
    ("deltas_stale", "Deltas older than the book, dropped.", lambda read: read.view.stale),
    ("frames_malformed", "Frames that could not be read.", lambda read: read.view.malformed),
    ("trades", "Trades taken in.", lambda read: read.view.trades),
    ("gaps", "Holes found in the sequence.", lambda read: read.counts.gaps),
    ("crossed", "Times that bid stood above ask.", lambda read: read.counts.crossed),
    ("snapshots", "Snapshots taken over.", lambda read: read.counts.snapshots),
    ("deltas", "Deltas that arrived, whatever became of them.", lambda read: read.counts.deltas),
    ("buffer_overflows", "Sync buffers overrun.", lambda read: read.counts.buffer_overflows),
)

Books = Mapping[tuple[str, str], Any]


def book_families(answers: Books) -> Iterator[Metric]:
    """Every family; a book that did not answer has `stevie_book_up` 0 and no other sample."""
    reads = {key: each for key, each in answers.items() if isinstance(each, BookRead)}
    up = GaugeMetricFamily("stevie_book_up", "Whether the book's actor answers.", labels=BOOK)
    for key in answers:
        up.add_metric(key, float(key in reads))
    yield up
    yield _states(reads)
    yield _ages(reads)
    for name, sentence, count in COUNTS:
        family = CounterMetricFamily(f"stevie_book_{name}", sentence, labels=BOOK)
        for key, read in reads.items():
            family.add_metric(key, float(count(read)))
        yield family


def _states(reads: Mapping[tuple[str, str], BookRead]) -> GaugeMetricFamily:
    sentence = "1 for the state that the book is in, 0 for the others."
    family = GaugeMetricFamily("stevie_book_state", sentence, labels=(*BOOK, "state"))
    for key, read in reads.items():
        for state in BookState:
            family.add_metric((*key, state.value), float(read.state == state))
    return family


def _ages(reads: Mapping[tuple[str, str], BookRead]) -> GaugeMetricFamily:
    sentence = "Seconds since the book last heard of its venue; absent before it ever did."
    family = GaugeMetricFamily("stevie_book_age_seconds", sentence, labels=BOOK)
    for key, read in reads.items():
        heard_ns = read.certificate.heard_ns
        if heard_ns >= 0:
            family.add_metric(key, max(0, read.now_ns - heard_ns) / 1e9)
    return family
