"""Auditor: the sole owner of the audit log's chain; what it seals, the store keeps.

Receives  AuditWanted (from everybody), AuditLost (in the place of what its mailbox dropped),
          RecordWanted, FlagsChanged, RowsStored, RowsRefused, StoreTrouble and HeadRead (from
          the store), AuditDue (its timer), ReadAudit.
Answers   AuditState.
State     a `Backlog`: the chain, what waits and what is in flight.
It seals nothing before the store has told where the log ends: what an incarnation before it had in
flight may be durable or not, and only the database knows.
"""

from itertools import count
from typing import assert_never

import structlog

from stevie.domain.operations.backlog import Backlog, Batch, Tally
from stevie.domain.operations.chain import GENESIS, Head
from stevie.domain.operations.provenance import ProvenanceFacts
from stevie.messages.record import (
    AuditDue,
    AuditLost,
    AuditState,
    AuditWanted,
    FlagsChanged,
    HeadRead,
    ReadAudit,
    ReadHead,
    Recorded,
    RecordWanted,
    RowsRefused,
    RowsStored,
    StoreDurably,
    StoreTrouble,
)
from stevie.runtime.actor import StevieActor
from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message

log = structlog.get_logger("stevie.actors")

FromStore = RowsStored | RowsRefused | StoreTrouble | HeadRead
AuditorMessage = (
    AuditWanted | AuditLost | RecordWanted | FlagsChanged | FromStore | AuditDue | ReadAudit
)

STORE = "store"
RETRY_S = 0.1  # a store's full mailbox has room again within a batch or two
RECEIPTS = 2**32  # of one incarnation; those of the next begin above


class Auditor(StevieActor):
    """Thin shell around `domain/operations/backlog`."""

    mailbox_capacity = 4096  # a burst of commands; entries are folded, and bounded in bytes
    mailbox_bytes_max = 64 * 2**20  # 100,000 entries: 50 s of 2,000 a second while it restarts

    def __init__(self, context: ActorContext, *, facts: ProvenanceFacts, tally: Tally) -> None:
        super().__init__(context)
        self._ask_receipt = context.incarnation * RECEIPTS
        self._tally = tally
        self._backlog = Backlog(
            facts=facts,
            tally=tally,
            actor=context.name,
            receipts=count(self._ask_receipt + 1),
            now_ns=context.clock.monotonic_ns(),
        )
        self._is_head_asked = False
        self._untold: Batch | None = None  # sealed, but the store's mailbox was full
        self._retry: Timer | None = None

    def starting(self) -> None:
        """Take what the process begins with, and ask where the log ends."""
        self._backlog.take(self._tally.take_opening(), at_ns=self.context.clock.wall_ns())
        self._flush()

    def stopping(self) -> None:
        """Hand over what still waits: the store ends later, and writes until then."""
        untold = (self._untold,) if self._untold else ()
        for batch in (*untold, *self._backlog.rest(self._now_ns())):
            self.tell(STORE, self._command(batch))

    def handle(self, message: AuditorMessage) -> object:  # noqa: C901 - one case a message
        """Dispatch on the message's type."""
        backlog = self._backlog
        match message:
            case AuditWanted():
                backlog.take(message.entries, at_ns=self.context.clock.wall_ns())
            case AuditLost():
                self._on_audit_lost(message)
            case RecordWanted():
                self._on_record_wanted(message)
            case FlagsChanged():
                self._tally.flags = message.on
            case RowsStored():
                self._on_rows_stored(message)
            case RowsRefused():
                self._on_rows_refused(message)
            case StoreTrouble():
                backlog.on_trouble(message.reason, now_ns=self._now_ns())
            case HeadRead():
                self._on_head_read(message)
            case AuditDue():
                self._retry = None
            case ReadAudit():
                return self._state()
            case _:
                assert_never(message)
        self._flush()
        return None

    def _on_audit_lost(self, message: AuditLost) -> None:
        log.error("audit_lost", messages=message.lost_count, lost_bytes=message.lost_bytes)
        count, lost_bytes = message.lost_count, message.lost_bytes
        at_ns = self.context.clock.wall_ns()
        self._backlog.lose(count=count, lost_bytes=lost_bytes, where="mailbox", at_ns=at_ns)

    def _on_record_wanted(self, message: RecordWanted) -> None:
        self._backlog.take_record(
            message.entry,
            message.rows,
            reply_to=message.reply_to,
            receipt=message.receipt,
            at_ns=self.context.clock.wall_ns(),
        )

    def _on_rows_stored(self, message: RowsStored) -> None:
        for each in self._backlog.on_stored(message.receipt):
            self.tell(each.reply_to, Recorded(receipt=each.receipt, seq=each.seq))

    def _on_rows_refused(self, message: RowsRefused) -> None:
        """The chain cannot go on without these rows: begin anew from where the log ends."""
        is_own = self._backlog.is_in_flight(message.receipt)
        assert not is_own, f"the store refused rows: {message.reason}"

    def _on_head_read(self, message: HeadRead) -> None:
        if message.receipt != self._ask_receipt or self._backlog.head is not None:
            return  # an earlier incarnation asked
        self._backlog.begin(Head(message.seq, message.hash), at_ns=self.context.clock.wall_ns())
        log.info("audit_continued", seq=message.seq, lost=self._tally.lost)

    def _flush(self) -> None:
        """Tell the store all that may be told now; what its mailbox refuses is told again."""
        if not self._is_head_asked:
            question = ReadHead(reply_to=self.context.name, receipt=self._ask_receipt)
            self._is_head_asked = self._tell_store(question)
        while batch := self._untold or self._backlog.next_batch(self._now_ns()):
            self._untold = batch
            if not self._tell_store(self._command(batch)):
                return
            self._untold = None

    def _command(self, batch: Batch) -> StoreDurably:
        return StoreDurably(rows=batch.rows, reply_to=self.context.name, receipt=batch.receipt)

    def _tell_store(self, message: Message) -> bool:
        if self._retry is not None:
            return False
        is_taken = self.tell(STORE, message)
        if not is_taken:
            self._retry = self.after(RETRY_S, AuditDue())
        return is_taken

    def _state(self) -> AuditState:
        backlog, head = self._backlog, self._backlog.head or GENESIS
        return AuditState(
            head_seq=head.seq,
            head_hash=head.hash,
            durable_seq=backlog.durable_seq,
            backlog_rows=backlog.rows,
            backlog_bytes=backlog.bytes,
            lost=self._tally.lost,
            blocked_reason=backlog.blocked_reason(self._now_ns()),
        )

    def _now_ns(self) -> int:
        return self.context.clock.monotonic_ns()
