"""FlagKeeper: knows how every flag stands, has changes recorded, and lets the others know.

Receives  SetFlag, ReadFlags (asked by the edges), Recorded (from the auditor), FlagRowsRead and
          StoreTrouble (from the store), FlagsDue (its timer).
Answers   FlagState once a change is durable, FlagsState. Tells RecordWanted to the auditor,
          ReadFlagRows to the store, FlagsChanged to the configured listeners.
State     a `FlagBoard`, and who waits for which change.

The listeners are told at once when a flag has changed, and every second that it has not: so one
that was restarted, was full or was not there yet knows within a second, and needs to ask nobody.
"""

from itertools import count
from typing import assert_never

import structlog

from stevie.domain.operations import flags
from stevie.domain.operations.flags import FLAGS, Change, FlagBoard, FlagRefusedError
from stevie.messages.record import (
    FlagRowsRead,
    FlagsChanged,
    FlagsDue,
    FlagsState,
    FlagState,
    ReadFlagRows,
    ReadFlags,
    Recorded,
    RecordWanted,
    SetFlag,
    StoreTrouble,
)
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.reply import Deferred

log = structlog.get_logger("stevie.actors")

FlagMessage = SetFlag | ReadFlags | Recorded | FlagRowsRead | StoreTrouble | FlagsDue

STORE = "store"
AUDITOR = "auditor"
SAY_AGAIN_S = 1.0  # a change reaches everybody within a second, whatever happened to them
WAITING_MAX = 256  # askers at once; a hand turns one flag at a time
RECEIPTS = 2**32  # of one incarnation; those of the next begin above


class FlagKeeper(StevieActor):
    """Thin shell around `domain/operations/flags`."""

    mailbox_capacity = 1024  # as many as the edge can ask at once
    refusals = (flags.UnknownFlagError, FlagRefusedError)

    def __init__(self, context: ActorContext, *, listeners: tuple[str, ...]) -> None:
        super().__init__(context)
        self._listeners = listeners
        self._board = FlagBoard()
        self._receipts = count(context.incarnation * RECEIPTS + 1)
        self._waiting: dict[int, list[Deferred]] = {}
        self._are_rows_asked = False
        self._trouble = ""

    def starting(self) -> None:
        """Ask the store how the flags stand."""
        self._on_flags_due()

    def handle(self, message: FlagMessage) -> object:
        """Dispatch on the message's type."""
        match message:
            case SetFlag():
                return self._on_set_flag(message)
            case ReadFlags():
                return self._on_read_flags()
            case Recorded():
                self._on_recorded(message)
            case FlagRowsRead():
                self._on_flag_rows_read(message)
            case StoreTrouble():
                self._trouble = message.reason
            case FlagsDue():
                self._on_flags_due()
            case _:
                assert_never(message)
        return None

    # -- asked

    def _on_read_flags(self) -> FlagsState:
        self._check_read()
        return FlagsState(flags=tuple(self._state(flag.name) for flag in FLAGS))

    def _on_set_flag(self, command: SetFlag) -> FlagState | Deferred:
        """Answer at once if nothing changes; else whoever asks waits until it is durable."""
        name, board = command.name, self._board
        setting = board.setting(name)
        self._check_read()
        underway = board.underway(name)
        if underway is None and setting.value is command.value:
            return self._state(name)
        if sum(map(len, self._waiting.values())) >= WAITING_MAX:
            raise FlagRefusedError(f"{WAITING_MAX} changes wait to be recorded already")
        is_wanted = underway is not None and underway[1].value is command.value
        receipt = underway[0] if underway and is_wanted else self._record(command)
        deferred = self.defer()
        self._waiting.setdefault(receipt, []).append(deferred)
        return deferred

    def _record(self, command: SetFlag) -> int:
        """Have a change recorded; the receipt that will tell of it."""
        receipt, was = next(self._receipts), self._board.wanted(command.name)
        change = Change(command.name, command.value, self.context.clock.wall_ns())
        wanted = RecordWanted(
            entry=flags.entry(change, was=was, by=command.by, actor=self.context.name),
            rows=(flags.row(change),),
            reply_to=self.context.name,
            receipt=receipt,
        )
        if not self.tell(AUDITOR, wanted):
            raise FlagRefusedError("the audit log takes no more entries at the moment")
        self._board.begin(receipt, change)
        return receipt

    def _check_read(self) -> None:
        if not self._board.is_read:
            why = f" ({self._trouble})" if self._trouble else ""
            raise FlagRefusedError(f"the flags are still being read from the store{why}")

    # -- told

    def _on_recorded(self, recorded: Recorded) -> None:
        before = self._board.on()
        name = self._board.confirm(recorded.receipt, audit_seq=recorded.seq)
        for deferred in self._waiting.pop(recorded.receipt, ()):
            deferred.answer(self._state(name))
        if not name:
            self._ask_rows()  # an incarnation before this one had asked for it
        elif self._board.on() != before:
            setting = self._board.setting(name)
            log.info("flag_set", flag=name, value=setting.value, audit_seq=setting.audit_seq)
            self._tell_listeners()

    def _on_flag_rows_read(self, read: FlagRowsRead) -> None:
        strange = self._board.restore(read.rows)
        if strange:
            log.warning("flag_rows_strange", names=strange)
        self._tell_listeners()

    def _on_flags_due(self) -> None:
        self.after(SAY_AGAIN_S, FlagsDue())
        if self._board.is_read:
            self._tell_listeners()
        if not self._are_rows_asked:
            self._ask_rows()

    def _ask_rows(self) -> None:
        """Accepted, it will be answered; refused, it is asked again when the timer comes round."""
        self._are_rows_asked = self.tell(STORE, ReadFlagRows(reply_to=self.context.name))

    def _tell_listeners(self) -> None:
        changed = FlagsChanged(on=self._board.on())
        for name in self._listeners:
            # The groups after this one start later: nobody is told before he was ever there.
            if self.context.directory.incarnation(name):
                self.tell(name, changed)

    def _state(self, name: str) -> FlagState:
        setting = self._board.setting(name)
        flag = next(each for each in FLAGS if each.name == name)
        return FlagState(**flag._asdict(), **setting._asdict())
