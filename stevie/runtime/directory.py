"""Who is where: a cell for each name, which outlives the incarnations of its actor.

Addresses are names. The directory and the supervisors alone hold actors; everyone else looks a
name up by sending to it.
"""

from typing import TYPE_CHECKING, Any

import msgspec
from pykka._envelope import Envelope

from stevie.runtime.clock import Clock
from stevie.runtime.dead_letters import DeadLetters
from stevie.runtime.errors import ActorDeadError, AskTimeout, MailboxFull
from stevie.runtime.lifecycle import State
from stevie.runtime.mailbox import Mail, Mailbox, opened
from stevie.runtime.message import Message
from stevie.runtime.reply import Reply
from stevie.runtime.scheduler import is_inside_actor
from stevie.runtime.supervision import Startable

if TYPE_CHECKING:
    from stevie.runtime.actor import StevieActor

UNKNOWN_NAME = "unknown_name"
STOPPED = "stopped"  # told to, or left in the mailbox of, an actor that does not come back


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the tree, as it stood when asked for."""

    name: str
    parent: str | None
    actor_class: str
    state: State
    incarnation: int
    restarts: int
    started_at_ns: int  # wall clock; 0 before the first start
    last_reason: str  # why the incarnation before this one ended
    mailbox_depth: int
    mailbox_capacity: int
    mailbox_bytes: int
    mailbox_bytes_max: int
    refused: int
    conflated: int
    folded: int
    overflowed: int


class Cell:
    """The place of one name: its mailbox, and the incarnation that lives there now."""

    def __init__(
        self, *, name: str, parent: str | None, actor_class: str, mailbox: Mailbox
    ) -> None:
        self.name = name
        self.parent = parent
        self.actor_class = actor_class
        self.mailbox = mailbox
        self.actor: StevieActor | None = None
        self.state = State.DOWN
        self.incarnation = 0
        self.started_at_ns = 0
        self.last_reason = ""

    def view(self) -> ActorView:
        """Return the row of the tree."""
        mailbox = self.mailbox
        return ActorView(
            name=self.name,
            parent=self.parent,
            actor_class=self.actor_class,
            state=self.state,
            incarnation=self.incarnation,
            restarts=max(0, self.incarnation - 1),
            started_at_ns=self.started_at_ns,
            last_reason=self.last_reason,
            mailbox_depth=mailbox.depth,
            mailbox_capacity=mailbox.capacity,
            mailbox_bytes=mailbox.bytes_waiting,
            mailbox_bytes_max=mailbox.bytes_max,
            refused=mailbox.refused_count,
            conflated=mailbox.conflated_count,
            folded=mailbox.folded_count,
            overflowed=mailbox.overflowed_count,
        )


class Directory:
    """Names and what stands behind them."""

    def __init__(self, clock: Clock, dead_letters: DeadLetters) -> None:
        self.dead_letters = dead_letters
        self._clock = clock
        self._cells: dict[str, Cell] = {}  # bounded by the specs; in order of first start
        self._mailboxes: dict[str, Mailbox] = {}  # of the names whose messages will be handled

    def tell(self, name: str, message: Message) -> bool:
        """Send and go on; False if the mailbox refused it or nobody will ever handle it."""
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            self._bury(name, message, self._why_not(name))
            return False
        return mailbox.offer(message)

    def ask(self, name: str, message: Message, *, timeout_s: float) -> Any:
        """Send and wait for the answer; for the edges only, actors tell.

        Raises the actor's refusal; ActorCrashed if it died of the message; MailboxFull if it
        was not taken; ActorDeadError if nobody will handle it; AskTimeout. The answer is shared
        with the actor, not copied: actors answer with immutable values.
        """
        assert not is_inside_actor(), f"an actor asked {name}: actors tell"
        try:
            return self.request(name, message).get(timeout=timeout_s)
        except AskTimeout as timeout:
            raise AskTimeout(f"{name} did not answer within {timeout_s} s") from timeout

    def request(self, name: str, message: Message) -> Reply:
        """Send, and return where the answer will be."""
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            reason = self._why_not(name)
            self._bury(name, message, reason)
            raise ActorDeadError(f"{name}: {reason}")
        reply = Reply()
        if not mailbox.offer(Envelope(message, reply)):
            raise MailboxFull(f"{name}: all {mailbox.capacity} places are taken")
        return reply

    def _why_not(self, name: str) -> str:
        return STOPPED if name in self._cells else UNKNOWN_NAME

    def tree(self) -> tuple[ActorView, ...]:
        """Return a row for each name, in order of first start: parents before children."""
        return tuple(cell.view() for cell in self._cells.values())

    def view(self, name: str) -> ActorView:
        """Return the row of one name; KeyError if there is none."""
        return self._cells[name].view()

    # For supervisors, the system, and those who drive one.

    def open(self, name: str, *, parent: str | None, factory: type[Startable]) -> Cell:
        """Return the cell of the name, made or reopened; its mailbox is kept."""
        cell = self._cells.get(name)
        if cell is None:
            mailbox = Mailbox(
                capacity=factory.mailbox_capacity, bytes_max=factory.mailbox_bytes_max
            )
            cell = Cell(name=name, parent=parent, actor_class=factory.__name__, mailbox=mailbox)
            self._cells[name] = cell
        if cell.parent != parent:
            raise ValueError(f"{name}: belongs to {cell.parent}, {parent} wants to start it")
        self._mailboxes[name] = cell.mailbox
        return cell

    def cells(self) -> tuple[Cell, ...]:
        """Return the cell of every name, in order of first start."""
        return tuple(self._cells.values())

    def cell(self, name: str) -> Cell | None:
        """Return the cell of the name."""
        return self._cells.get(name)

    def incarnation(self, name: str) -> int:
        """Return the number of the name's last incarnation, 0 if it never had one."""
        cell = self._cells.get(name)
        return cell.incarnation if cell else 0

    def close(self, name: str) -> None:
        """Let nobody wait any longer for this name and those below it: they do not come back."""
        for child in [cell.name for cell in self._cells.values() if cell.parent == name]:
            self.close(child)
        cell = self._cells.get(name)
        if cell is not None:
            self._mailboxes.pop(name, None)
            self.bury_all(name, cell.mailbox.clear_system() + cell.mailbox.clear_user())

    def bury_all(self, name: str, left: tuple[Mail, ...]) -> None:
        """Record messages that were left in a mailbox; whoever asked is told."""
        for message, reply_to in map(opened, left):
            self._bury(name, message, STOPPED)
            if reply_to is not None:
                error = ActorDeadError(f"{name} stopped before it handled the message")
                reply_to.set_exception((ActorDeadError, error, None))

    def _bury(self, name: str, message: object, reason: str) -> None:
        self.dead_letters.record(
            actor=name, message=message, reason=reason, at_ns=self._clock.wall_ns()
        )
