"""Stands in for store, auditor and bars: takes what they are told, and does nothing with it."""

import json
from typing import Any

from stevie.domain.contracts.rows import L2LogRow, QuarantineRow, Row
from stevie.domain.contracts.stored import kept
from stevie.domain.operations.audit import AuditEntry
from stevie.messages.record import AuditWanted, StoreRows
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec
from tests.actors.world import World

RECORD_STAGE = ("store", "auditor")


class Listener(StevieActor):
    """Notes what it is told."""

    mailbox_capacity = 4096

    def __init__(self, context: ActorContext, *, told: list[Message]) -> None:
        super().__init__(context)
        self._told = told

    def handle(self, message: Any) -> None:
        self._told.append(message)


class Told:
    """What those who listen beside a world were told, in order."""

    def __init__(self, world: World, *names: str) -> None:
        self.messages: list[Message] = []
        for name in names or RECORD_STAGE:
            spec = ChildSpec(name=name, factory=Listener, arguments={"told": self.messages})
            world.system._substrate.spawn(
                spec, parent=None, incarnation=1, report=lambda message: message
            )
        world.settle()
        stop_world = world.system.stop

        def stop(timeout_s: float = 5.0) -> bool:
            """As at the end of the process: the listeners go after those whom they hear."""
            is_clean = stop_world(timeout_s)
            for name in names or RECORD_STAGE:
                cell = world.system.directory.cell(name)
                assert cell is not None
                if cell.actor is not None:
                    cell.actor.actor_ref.stop()
            return is_clean

        world.system.stop = stop  # type: ignore[method-assign]

    def rows(self) -> list[Row]:
        """Each is as its contract has it."""
        stored = [message for message in self.messages if isinstance(message, StoreRows)]
        return [kept(row) for message in stored for row in message.rows]

    def journal(self) -> list[L2LogRow]:
        return [row for row in self.rows() if isinstance(row, L2LogRow)]

    def quarantined(self) -> list[QuarantineRow]:
        return [row for row in self.rows() if isinstance(row, QuarantineRow)]

    def entries(self, kind: str) -> list[AuditEntry]:
        wanted = [message for message in self.messages if isinstance(message, AuditWanted)]
        return [each for message in wanted for each in message.entries if each.kind == kind]

    def facts(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(entry.payload) for entry in self.entries(kind)]
