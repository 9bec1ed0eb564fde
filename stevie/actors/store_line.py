"""StoreLine: the rows that wait, the one write under way, and who is told what became of it."""

from collections.abc import Callable
from functools import partial
from logging import INFO, WARNING
from typing import assert_never

import structlog

from stevie.actors.store_counters import StoreCounter
from stevie.actors.store_receipts import receipt
from stevie.domain.operations.write_queue import Durable, WriteQueue
from stevie.messages.record import (
    ReadFlagRows,
    ReadHead,
    RowsLost,
    RowsRefused,
    StoreDurably,
    StoreRows,
    StoreTrouble,
    WriteAgain,
    WriteEnded,
)
from stevie.ports_record import StoreWriter, WriteOutcome
from stevie.runtime.context import ActorContext
from stevie.runtime.mailbox import Mail, opened
from stevie.runtime.message import Message

log = structlog.get_logger()

SECOND_NS = 1_000_000_000
OVERDUE_NS = SECOND_NS  # no write of ours takes a tenth of it on a sound disk
FLUSH_NS = SECOND_NS  # of the two seconds that the whole tree has to stop in

RowMessage = StoreDurably | ReadHead | ReadFlagRows | StoreRows | RowsLost | WriteEnded


class StoreLine:
    """Lives with one incarnation of the keeper."""

    def __init__(
        self, context: ActorContext, writer: StoreWriter, after: Callable[[float, Message], object]
    ) -> None:
        self._context, self._writer, self._after = context, writer, after
        self.queue = WriteQueue()
        self._logged = self._mark = ""
        self._began_ns = 0
        self._is_flushing = self._is_pausing = False

    def take(self, message: RowMessage) -> None:
        """Take rows in, or hear what became of rows."""
        add = self.queue.add_durable
        match message:
            case StoreDurably():
                add(Durable(message.rows, message.reply_to, message.receipt))
            case ReadHead():
                add(Durable((), message.reply_to, message.receipt, is_question=True))
            case ReadFlagRows():
                add(Durable((), message.reply_to, 0, is_question=True, is_about_flags=True))
            case StoreRows():
                self._count_lost(self.queue.add_bulk(message.rows))
            case RowsLost():
                self.queue.lose(message.lost_count)
                self._count_lost(message.lost_count)
            case WriteEnded():
                self._on_write_ended(message)
            case _:
                assert_never(message)
        self._tell_trouble()

    def resume(self) -> None:
        """The pause after a failed write is over."""
        self._is_pausing = False

    def write_next(self) -> bool:
        """Write a batch, unless one is under way, or none waits, or it is no time for it."""
        batch = None if self._is_pausing else self.queue.next_batch()
        if batch is not None:
            self._mark = mark = f"{self._context.incarnation}.{batch.number}"
            self._began_ns = self._context.clock.monotonic_ns()
            self._writer.write(batch.rows, mark=mark, on_done=partial(self._on_outcome, mark))
        return batch is not None

    def check_overdue(self) -> None:
        """Let nobody wait for long without knowing why."""
        waited_ns = self._context.clock.monotonic_ns() - self._began_ns
        if self.queue.under_way is not None and waited_ns > OVERDUE_NS:
            self.queue.on_overdue("database slow: a write takes over 1 s")
            self._tell_trouble()

    # -- what becomes of a write ------------------------------------------------------------------

    def _on_outcome(self, mark: str, outcome: WriteOutcome) -> None:
        """Called in the hub; during a flush the keeper's greenlet waits, and handles nothing."""
        ended = WriteEnded(mark=mark, outcome=outcome)
        if self._is_flushing:
            self._on_write_ended(ended)
        else:
            self._tell(self._context.name, ended)

    def _on_write_ended(self, ended: WriteEnded) -> None:
        if self.queue.under_way is None or ended.mark != self._mark:
            return  # an incarnation before this one had asked for it
        if not ended.outcome.reason:
            self._on_stored(ended.outcome)
        elif ended.outcome.is_lasting:
            self._on_refused(ended.outcome.reason)
        else:
            self._on_failed(ended.outcome.reason)
        self._tell_trouble()

    def _on_stored(self, outcome: WriteOutcome) -> None:
        stored = self.queue.on_stored()
        self._context.counters.add(StoreCounter.ROWS_WRITTEN, by=len(stored.rows))
        for each in stored.durables:
            self._tell(each.reply_to, receipt(each, outcome))

    def _on_refused(self, reason: str) -> None:
        refused = self.queue.on_refused()
        if refused is None:
            return
        log.error("store_rows_refused", rows=len(refused.rows), reason=reason)
        for each in refused.durables:
            self._tell(each.reply_to, RowsRefused(receipt=each.receipt, reason=reason))
        if not refused.durables:
            self._count_lost(len(refused.rows))

    def _on_failed(self, reason: str) -> None:
        self._context.counters.add(StoreCounter.WRITES_FAILED)
        self.queue.on_failed(reason)
        self._is_pausing = True
        self._after(self.queue.pause_s(self._context.rng), WriteAgain())

    def _tell(self, name: str, message: Message) -> None:
        self._context.directory.tell(name, message)

    def _count_lost(self, count: int) -> None:
        self._context.counters.add(StoreCounter.ROWS_LOST, by=count)

    def _tell_trouble(self) -> None:
        for name, trouble in self.queue.news():
            self._tell(name, StoreTrouble(reason=trouble))
        if self.queue.trouble != self._logged:
            self._logged = self.queue.trouble
            log.log(WARNING if self._logged else INFO, "store_trouble", reason=self._logged)

    def flush(self) -> None:
        """Write all that waits, in the mailbox too, as far as it goes in the time.

        What is left is dropped, and said so: nobody was told that it is durable, and whoever sent
        it starts anew with what the database has.
        """
        mailbox = self._context.cell.mailbox
        deadline_ns = self._context.clock.monotonic_ns() + FLUSH_NS
        self._is_flushing, self._is_pausing = True, False
        waiting = (*mailbox.clear_system(), *mailbox.clear_user())
        others = [mail for mail in waiting if not self._takes(mail)]
        while self._flush_next(deadline_ns):
            pass
        self._is_flushing = False
        for mail in others:
            mailbox.offer(mail)
        if self.queue.waiting_rows:
            log.error("store_rows_dropped", rows=self.queue.waiting_rows, reason=self._logged)

    def _takes(self, mail: Mail) -> bool:
        message = opened(mail).message
        if isinstance(message, RowMessage):
            self.take(message)
        return isinstance(message, RowMessage)

    def _flush_next(self, deadline_ns: int) -> bool:
        """Write a batch and wait for it; False if none waits, or it was not written."""
        if not self.write_next() and self.queue.under_way is None:
            return False
        left_ns = max(0, deadline_ns - self._context.clock.monotonic_ns())
        self._writer.drain(left_ns / SECOND_NS)
        return self.queue.under_way is None and not self._is_pausing
