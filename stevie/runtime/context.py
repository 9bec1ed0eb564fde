"""What an actor is given at birth, and what gives birth to it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gevent import GreenletExit

from stevie.runtime.clock import Clock, Rng
from stevie.runtime.counters import Counters
from stevie.runtime.directory import Cell, Directory
from stevie.runtime.lifecycle import Cause, ChildDown, Phase, State
from stevie.runtime.message import Message
from stevie.runtime.scheduler import Scheduler
from stevie.runtime.supervision import ChildSpec, NoteRestart

log = logging.getLogger("stevie.runtime")

Report = Callable[[Message], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Substrate:
    """What all actors of one system share."""

    clock: Clock
    rng: Rng
    directory: Directory
    counters: Counters
    scheduler: Scheduler
    on_restart: Callable[[NoteRestart], object] = lambda _: None

    def spawn(
        self, spec: ChildSpec, *, parent: str | None, incarnation: int, report: Report
    ) -> None:
        """Start one incarnation; whatever comes of it is reported, also when nothing does."""
        try:
            cell = self.directory.open(spec.name, parent=parent, factory=spec.factory)
            cell.incarnation = incarnation
            cell.state = State.STARTING
            cell.started_at_ns = self.clock.wall_ns()
            context = ActorContext(
                substrate=self, cell=cell, incarnation=incarnation, report=report
            )
            spec.factory.start(context, **spec.arguments)
        except GreenletExit:
            raise  # meant for the supervisor that is starting a child
        except BaseException as error:  # noqa: BLE001 - a child's constructor is not its parent's bug
            report(self._stillborn(spec.name, incarnation, error))

    def _stillborn(self, name: str, incarnation: int, error: BaseException) -> ChildDown:
        reason = f"{type(error).__name__}: {error}"
        log.error("actor_not_constructed", exc_info=error, extra={"actor": name, "reason": reason})
        cell = self.directory.cell(name)
        if cell is not None and cell.incarnation == incarnation:
            cell.state = State.DOWN
            cell.last_reason = reason
        return ChildDown(
            name=name,
            incarnation=incarnation,
            phase=Phase.STARTING,
            cause=Cause.BUG,
            reason=reason,
        )


class ActorContext:
    """One incarnation's view of the system: all that an actor takes from outside."""

    def __init__(
        self, *, substrate: Substrate, cell: Cell, incarnation: int, report: Report
    ) -> None:
        self.name = cell.name
        self.incarnation = incarnation
        self.clock = substrate.clock
        # By name and incarnation: what one actor draws does not depend on when others do.
        self.rng = substrate.rng.fork(f"{cell.name}#{incarnation}")
        self.directory = substrate.directory
        self.counters = substrate.counters
        self.scheduler = substrate.scheduler
        self.substrate = substrate
        self.cell = cell
        self.report = report
