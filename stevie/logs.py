"""Logs: one pipeline for structlog and for the standard library's loggers, ours and foreign.

A line is an event name and keys with units, on the console or as JSON. What repeats is bounded: of
one event of one actor so many lines a second are written, and then one that tells how many were
not.
"""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple, TextIO

import msgspec
import structlog

from stevie import rfc3339
from stevie.runtime.clock import Clock

REPEATS_PER_S = 10  # of one event of one actor: what a person can still read
KEYS_MAX = 1024  # events times actors watched at once; beyond it nothing is bounded, nothing lost
SECOND_NS = 1_000_000_000
# Loggers that bring handlers of their own and would write past the pipeline.
SELF_WILLED = ("gunicorn", "gunicorn.error", "gunicorn.access")
# Libraries that tell of every connection; what matters of it, our own events tell.
CHATTY = ("urllib3", "websockets")

Fields = MutableMapping[str, Any]


class Repeated(NamedTuple):
    """What is bounded: one event of one actor."""

    event: str
    actor: str


class RepeatLimit:
    """Counts repeats in windows of one second, which begin with a key's first event."""

    def __init__(self, clock: Clock, *, per_s: int = REPEATS_PER_S) -> None:
        self._now_ns: Callable[[], int] = clock.monotonic_ns
        self._per_s = per_s
        self._windows: dict[Repeated, tuple[int, int]] = {}  # (begin, events), oldest first

    def admit(self, key: Repeated) -> bool:
        """Count one event; False if it is one too many."""
        begin_ns, count = self._windows.get(key, (self._now_ns(), 0))
        if count == 0 and len(self._windows) >= KEYS_MAX:
            return True
        self._windows[key] = (begin_ns, count + 1)
        return count < self._per_s

    def settle(self) -> list[tuple[Repeated, int]]:
        """Close the windows that are over; what was dropped in them."""
        over_ns = self._now_ns() - SECOND_NS
        dropped = []
        while self._windows:
            key, (begin_ns, count) = next(iter(self._windows.items()))
            if begin_ns > over_ns:
                break
            del self._windows[key]
            if count > self._per_s:
                dropped.append((key, count - self._per_s))
        return dropped


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream, repeats bounded; runs under the handler's own lock."""

    def __init__(self, stream: TextIO, limit: RepeatLimit) -> None:
        super().__init__(stream)
        self._limit = limit

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record unless it is one too many, after what the last second dropped."""
        for key, count in self._limit.settle():
            super().emit(_dropped_record(key, count))
        if self._limit.admit(_repeated(record)):
            super().emit(record)


def _repeated(record: logging.LogRecord) -> Repeated:
    # A structlog record carries its fields as its message; a foreign one, its unformatted text.
    fields = record.msg if isinstance(record.msg, dict) else {"event": record.msg}
    actor = fields.get("actor", getattr(record, "actor", ""))
    return Repeated(str(fields.get("event", "")), str(actor))


def _dropped_record(key: Repeated, count: int) -> logging.LogRecord:
    fields = {"repeated_event": key.event, "actor": key.actor, "dropped_count": count}
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, "events_dropped", (), None)
    record.__dict__.update(fields)
    return record


def configure(
    *,
    clock: Clock,
    format: str = "console",  # noqa: A002 - the word of the configuration
    level: str = "info",
    stream: TextIO | None = None,
    repeats_per_s: int = REPEATS_PER_S,
) -> None:
    """Send every logger of this process through one pipeline; may be called again."""
    target = stream if stream is not None else sys.stderr
    handler = BoundedHandler(target, RepeatLimit(clock, per_s=repeats_per_s))
    shared = _shared_processors(clock)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(format, is_terminal=target.isatty()),
            ],
        )
    )
    _take_over(handler, level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # so that a second call reaches loggers in use
    )


def _take_over(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, BoundedHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in SELF_WILLED:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _shared_processors(clock: Clock) -> list[structlog.typing.Processor]:
    def stamp(_logger: object, _method: str, fields: Fields) -> Fields:
        fields["at"] = rfc3339.text(clock.wall_ns())
        return fields

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        stamp,
    ]


def _renderers(format_: str, *, is_terminal: bool) -> list[structlog.typing.Processor]:
    if format_ == "json":
        return [structlog.processors.format_exc_info, _json_line]
    console = structlog.dev.ConsoleRenderer(
        colors=is_terminal,
        timestamp_key="at",
        # A traceback with local variables would show secrets.
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [console]


def _json_line(_logger: object, _method: str, fields: Fields) -> str:
    ordered = {name: fields.pop(name) for name in ("at", "level", "event") if name in fields}
    # NOTE: not ujson: it raises on NaN, and a log line must never be lost to its own values.
    line = msgspec.json.encode({**ordered, **fields}, enc_hook=repr)
    return line.decode()
