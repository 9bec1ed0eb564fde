"""Quarantine: where an actor puts what broke its contract; counted in full, kept within bounds."""

from collections.abc import Sequence

import structlog

from stevie.actors.market_counters import MarketCounter
from stevie.domain.contracts.quarantine import REASON_LENGTH_MAX, Border, Malformed, quarantined
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.messages.record import AuditWanted, StoreRows
from stevie.runtime.context import ActorContext

log = structlog.get_logger()

STORE, AUDITOR = "store", "auditor"
ROWS_PER_MINUTE_MAX = 20  # of one actor, 80 kB: enough to see what is wrong; the rest is a number
MINUTE_NS = 60_000_000_000


class Quarantine:
    """Rows to the store, the first of a minute to the audit log as well; counts of all."""

    def __init__(self, context: ActorContext, *, is_recorded: bool) -> None:
        self._context, self._is_recorded = context, is_recorded
        self._minute_ns = -MINUTE_NS  # when the present one began
        self._rows = 0

    def has_room(self) -> bool:
        """Whether a row would be kept now: only then it is worth while to find reasons."""
        now_ns = self._context.clock.monotonic_ns()
        if now_ns - self._minute_ns >= MINUTE_NS:
            self._minute_ns, self._rows = now_ns, 0
        return self._is_recorded and self._rows < ROWS_PER_MINUTE_MAX

    def put(
        self, border: Border, contract: str, found: Sequence[Malformed], *, broken: int
    ) -> None:
        """Count what broke, and keep what was found of it as far as there is room."""
        self._context.counters.add(MarketCounter.QUARANTINED, border, contract, by=broken)
        if not found or not self.has_room():
            return
        is_first = self._rows == 0
        kept = found[: ROWS_PER_MINUTE_MAX - self._rows]
        self._rows += len(kept)
        at_ns = self._context.clock.wall_ns()
        rows = tuple(
            quarantined(border, contract, each.reason, each.frame, at_ns=at_ns) for each in kept
        )
        self._context.directory.tell(STORE, StoreRows(rows=rows))
        if is_first:
            self._tell_auditor(border, contract, kept[0], at_ns)

    def _tell_auditor(self, border: Border, contract: str, first: Malformed, at_ns: int) -> None:
        reason = first.reason[:REASON_LENGTH_MAX]
        log.warning(
            "quarantined", actor=self._context.name, border=border, contract=contract, reason=reason
        )
        facts = payload(border=border, contract=contract, reason=reason, size=len(first.frame))
        entry = AuditEntry(
            at_ns=at_ns, kind=AuditKind.QUARANTINE, actor=self._context.name, payload=facts
        )
        self._context.directory.tell(AUDITOR, AuditWanted(entries=(entry,)))
