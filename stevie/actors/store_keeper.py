"""StoreKeeper: gives rows to the writer, one batch at a time, until each is written.

Receives  StoreDurably, StoreRows, RowsLost (whoever has rows), ReadHead (the auditor),
          ReadFlagRows (the flag keeper), WriteEnded, HouseKept (the writer's outcomes), WriteAgain,
          KeepHouse, LookAround (its timers), ReadStore.
Answers   StoreState. Tells RowsStored, RowsRefused, HeadRead, FlagRowsRead and StoreTrouble to
          whoever waits.
State     the rows that wait and the write under way (its line); the sizes as last measured.
"""

from typing import assert_never

import structlog

from stevie.actors.store_counters import StoreCounter
from stevie.actors.store_line import StoreLine
from stevie.messages.record import (
    HouseKept,
    KeepHouse,
    LookAround,
    ReadFlagRows,
    ReadHead,
    ReadStore,
    RowsLost,
    StoreDurably,
    StoreRows,
    StoreState,
    TableSize,
    WriteAgain,
    WriteEnded,
)
from stevie.ports_record import HouseReport, StoreWriter, TableLimit
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext

log = structlog.get_logger()

LOOK_S = 1.0  # an overdue write is found so often
HOUSE_EVERY = 30  # looks around between two rounds of housekeeping
HOUSE_AGAIN_S = 0.05  # while a table is over its limit: 4 MB go each time, in turn with writes

StoreMessage = (
    StoreDurably
    | ReadHead
    | ReadFlagRows
    | StoreRows
    | RowsLost
    | WriteEnded
    | WriteAgain
    | LookAround
    | KeepHouse
    | HouseKept
    | ReadStore
)


class StoreKeeper(StevieActor):
    """Thin shell around `domain/operations/write_queue`."""

    mailbox_capacity = 1024
    mailbox_bytes_max = 32 * 2**20  # of bulk rows, before it takes them into its lane

    def __init__(
        self, context: ActorContext, *, writer: StoreWriter, limits: tuple[TableLimit, ...] = ()
    ) -> None:
        super().__init__(context)
        self._writer, self._limits = writer, limits
        self._line = StoreLine(context, writer, self.after)
        self._house = HouseReport()
        self._is_keeping_house = False
        self._looks = 0

    def starting(self) -> None:
        """Measure, and look around from now on.

        A write of the incarnation before may be under way still; the writer does this one's after
        it, and so no ReadHead is answered too early.
        """
        self._keep_house()
        self.after(LOOK_S, LookAround())

    def stopping(self) -> None:
        """Write what was accepted."""
        self._line.flush()
        self._writer.close()

    def handle(self, message: StoreMessage) -> object:
        """Dispatch on the message's type."""
        match message:
            case (
                StoreDurably()
                | ReadHead()
                | ReadFlagRows()
                | StoreRows()
                | RowsLost()
                | WriteEnded()
            ):
                self._line.take(message)
            case WriteAgain():
                self._line.resume()
            case LookAround():
                self._on_look_around()
            case KeepHouse():
                self._keep_house()
            case HouseKept():
                self._on_house_kept(message.report)
            case ReadStore():
                return self._state()
            case _:
                assert_never(message)
        self._line.write_next()
        return None

    def _on_look_around(self) -> None:
        self.after(LOOK_S, LookAround())
        self._line.check_overdue()
        self._looks += 1
        if self._looks % HOUSE_EVERY == 0:
            self._keep_house()

    def _keep_house(self) -> None:
        if not self._is_keeping_house:
            self._is_keeping_house = True
            self._writer.keep_house(self._limits, self._tell_house_kept)

    def _tell_house_kept(self, report: HouseReport) -> None:
        self.tell(self.context.name, HouseKept(report=report))

    def _on_house_kept(self, report: HouseReport) -> None:
        self._is_keeping_house = False
        if report.reason:
            log.warning("store_house_not_kept", reason=report.reason)
            return
        self._house = report
        self.context.counters.add(StoreCounter.ROWS_PRUNED, by=report.pruned_rows)
        if report.has_more:
            self.after(HOUSE_AGAIN_S, KeepHouse())

    def _state(self) -> StoreState:
        queue, house = self._line.queue, self._house
        return StoreState(
            engine=self._writer.engine,
            trouble=queue.trouble,
            waiting_rows=queue.waiting_rows,
            waiting_bytes=queue.waiting_bytes,
            written_rows=queue.written_rows,
            lost_rows=queue.lost_rows,
            database_bytes=house.database_bytes,
            tables=tuple(TableSize(**each._asdict()) for each in house.tables),
        )
