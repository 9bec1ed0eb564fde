"""Metric families of the record: what is kept, what waits to be, and whether orders are blocked."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from stevie.http.edge import AUDITOR, STORE, Edge
from stevie.messages.record import AuditState, ReadAudit, ReadStore, StoreState


def record_families(edge: Edge) -> Iterator[Metric]:
    """Of the store and of the audit log; nothing of one that does not answer."""
    answers = edge.gather({STORE: ReadStore(), AUDITOR: ReadAudit()})
    store, audit = answers[STORE], answers[AUDITOR]
    if isinstance(store, StoreState):
        yield from _store_families(store)
    if isinstance(audit, AuditState):
        yield from _audit_families(audit)


def _store_families(store: StoreState) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "stevie_store_up", "Whether writing works: 1, or 0 while it fails.", labels=("engine",)
    )
    up.add_metric((store.engine,), float(not store.trouble))
    yield up
    yield _gauge("stevie_store_waiting_rows", "Rows that wait to be written.", store.waiting_rows)
    yield _gauge("stevie_store_waiting_bytes", "What they weigh.", store.waiting_bytes)
    yield _gauge("stevie_store_database_bytes", "Size of the database.", store.database_bytes)
    rows = GaugeMetricFamily("stevie_store_table_rows", "Rows of the table.", labels=("table",))
    weight = GaugeMetricFamily(
        "stevie_store_table_bytes", "What the rows of the table weigh.", labels=("table",)
    )
    for table in store.tables:
        rows.add_metric((table.table,), float(table.rows))
        weight.add_metric((table.table,), float(table.bytes))
    yield rows
    yield weight


def _audit_families(audit: AuditState) -> Iterator[Metric]:
    yield _gauge("stevie_audit_head_seq", "Number of the newest sealed row.", audit.head_seq)
    yield _gauge("stevie_audit_durable_seq", "Number of the newest durable row.", audit.durable_seq)
    yield _gauge("stevie_audit_backlog_rows", "Entries that wait.", audit.backlog_rows)
    yield _gauge("stevie_audit_backlog_bytes", "What they weigh.", audit.backlog_bytes)
    yield _gauge(
        "stevie_audit_blocked",
        "Whether orders are blocked because a row cannot be written: 1 or 0.",
        float(bool(audit.blocked_reason)),
    )
    lost = CounterMetricFamily(
        "stevie_audit_lost", "Entries that are no row; a row of the log tells of each loss."
    )
    lost.add_metric((), float(audit.lost))
    yield lost


def _gauge(name: str, sentence: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, sentence, value=value)
