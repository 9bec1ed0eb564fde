"""BookRecords: what a book leaves behind: its changes of state, and what it could not read."""

import structlog

from stevie.actors.book_publication import States
from stevie.actors.quarantine import AUDITOR, Quarantine
from stevie.domain.contracts.quarantine import Border, Malformed, malformed_among
from stevie.domain.market.book import Book, Rejected
from stevie.domain.market.core import CoreView, Scale
from stevie.domain.operations.audit import NO_INPUT, AuditEntry, AuditKind, InputRange, payload
from stevie.messages.record import AuditWanted
from stevie.ports import Explainer
from stevie.runtime.context import ActorContext

log = structlog.get_logger()

UNREADABLE = "it cannot be read"


class Unexplained:
    """For who wants no reasons; unfitting numbers are counted and not found then."""

    def explain(self, frame: bytes, scale: Scale) -> str:
        """None for any frame."""
        del frame, scale
        return ""

    def explain_snapshot(self, body: bytes, scale: Scale) -> str:
        """None for any body."""
        del body, scale
        return ""


class BookRecords:
    """Nothing of it happens unless the record stage is there, counting aside."""

    def __init__(
        self,
        context: ActorContext,
        *,
        book: Book,
        venue: str,
        symbol: str,
        codec: Explainer,
        is_recorded: bool,
    ) -> None:
        self._context, self._book = context, book
        self._venue, self._symbol, self._codec = venue, symbol, codec
        self._is_recorded = is_recorded
        self._quarantine = Quarantine(context, is_recorded=is_recorded)

    def settle(self) -> None:
        """After every message: set aside what broke."""
        if self._book.rejected:
            for rejected in self._book.take_rejected():
                self._set_aside(rejected)

    # -- the audit ------------------------------------------------------------------------------

    def on_transition(self, before: States) -> None:
        """The book's state or its reason has changed."""
        book, view = self._book, self._book.core.view()
        state, reason = book.state.value, book.reason.value
        log.info(
            "book_state",
            actor=self._context.name,
            state=state,
            reason=reason,
            detail=book.detail,
            seq=view.last_seq,
        )
        if not self._is_recorded:
            return
        facts = payload(
            venue=self._venue,
            symbol=self._symbol,
            from_state=before[0],
            from_reason=before[1],
            state=state,
            reason=reason,
            epoch=book.epoch,
            seq=view.last_seq,
        )
        entry = AuditEntry(
            at_ns=self._context.clock.wall_ns(),
            kind=AuditKind.BOOK_STATE,
            actor=self._context.name,
            payload=facts,
            input=self._input(view),
        )
        self._context.directory.tell(AUDITOR, AuditWanted(entries=(entry,)))

    def _input(self, view: CoreView) -> InputRange:
        """What the book had applied since its snapshot, if a journal tells of that."""
        if self._book.journal is None or view.snapshot_seq < 0:
            return NO_INPUT
        return InputRange(
            kind="l2_log",
            venue=self._venue,
            symbol=self._symbol,
            first_seq=view.snapshot_seq,
            last_seq=view.last_seq,
        )

    # -- the quarantine -------------------------------------------------------------------------

    def _set_aside(self, rejected: Rejected) -> None:
        found = self._found(rejected) if self._quarantine.has_room() else ()
        border: Border = "rest" if rejected.is_snapshot else "wire"
        contract = f"{self._venue}.{'snapshot' if rejected.is_snapshot else 'frame'}"
        self._quarantine.put(border, contract, found, broken=rejected.broken)

    def _found(self, rejected: Rejected) -> tuple[Malformed, ...]:
        core, view = self._book.core, self._book.core.view()
        scale = Scale(view.price_decimals, view.size_decimals)
        if rejected.is_snapshot:
            (body,) = rejected.parts
            return (Malformed(body, self._codec.explain_snapshot(body, scale) or UNREADABLE),)
        return malformed_among(
            rejected.parts,
            rejected.broken,
            scan=core.scan,
            explain=lambda frame: self._codec.explain(frame, scale),
        ).found
