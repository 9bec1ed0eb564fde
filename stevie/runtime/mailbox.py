"""The bounded mailbox of one named actor: it outlives the actor's incarnations.

Two lanes: system before user. A sender never blocks: it is told yes or no. The user lane treats a
message as its class declares (`Delivery`). A told message lies in it as it is, an asked one in an
envelope with the place of its answer. The lanes are plain data; only `take` knows gevent, and a
scheduler of another kind uses `poll` and `wake` instead. One OS thread uses a mailbox.
"""

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple, final

import gevent
from gevent.hub import Waiter
from pykka import Future
from pykka._envelope import Envelope  # Pykka's inbox protocol hands us this very type
from pykka.messages import _ActorStop

from stevie.runtime.errors import MailboxFull
from stevie.runtime.message import Delivery, Message

AnyEnvelope = Envelope[Any]
Mail = Message | AnyEnvelope  # PERF: an envelope for each tell takes a third of the tell


class Opened(NamedTuple):
    """A message, and where its answer goes if it was asked."""

    message: Any
    reply_to: Future[Any] | None


def opened(mail: Mail) -> Opened:
    """Take a message out of its envelope, if it is in one."""
    if isinstance(mail, Envelope):
        return Opened(mail.message, mail.reply_to)
    return Opened(mail, None)


# PERF: a look-up on an Enum class takes 118 ns, four times that of a module's constant.
_COMMAND, _LATEST, _SYSTEM = Delivery.COMMAND, Delivery.LATEST, Delivery.SYSTEM


@final
class BatchRun:
    """BATCH messages of one type that wait side by side, after what was lost before them."""

    __slots__ = ("bytes_count", "kind", "lost_bytes", "lost_count", "messages")

    def __init__(self, kind: type[Message]) -> None:
        self.kind = kind
        self.messages: list[Message] = []
        self.bytes_count = 0
        self.lost_count = 0
        self.lost_bytes = 0

    def append(self, message: Message, *, size_bytes: int) -> None:
        """Let one more wait."""
        self.messages.append(message)
        self.bytes_count += size_bytes

    def lose(self, *, count: int, size_bytes: int) -> None:
        """Note what was dropped."""
        self.lost_count += count
        self.lost_bytes += size_bytes

    def clear(self) -> tuple[int, int]:
        """Drop all that waits; return how many messages and bytes that was."""
        dropped = (len(self.messages), self.bytes_count)
        self.messages = []
        self.bytes_count = 0
        return dropped

    def declare_loss(self) -> Message:
        """Make the message that tells the receiver of the loss, and forget the loss."""
        lost_count, lost_bytes = self.lost_count, self.lost_bytes
        self.lost_count = self.lost_bytes = 0
        return self.kind.loss(lost_count=lost_count, lost_bytes=lost_bytes)

    def fold(self) -> Message:
        """Make one message of all that waits."""
        if len(self.messages) == 1:
            return self.messages[0]
        return self.kind.fold(tuple(self.messages))


@final
class Newest:
    """The place of the newest LATEST message of its key."""

    __slots__ = ("key", "message")

    def __init__(self, key: tuple[type, Hashable], message: Message) -> None:
        self.key = key
        self.message = message


Slot = Mail | Newest | BatchRun


class Mailbox:
    """Two lanes of mail, bounded in messages and in bytes."""

    def __init__(self, *, capacity: int, bytes_max: int) -> None:
        assert capacity > 0, capacity
        assert bytes_max > 0, bytes_max
        self.capacity = capacity
        self.bytes_max = bytes_max
        self.bytes_waiting = 0
        self.refused_count = 0
        self.conflated_count = 0
        self.folded_count = 0
        self.overflowed_count = 0
        self.wake: Callable[[], object] | None = None
        """Called once, and then forgotten, when a message arrives."""
        self._system: deque[Mail] = deque()
        self._user: deque[Slot] = deque()
        self._latest: dict[tuple[type, Hashable], Newest] = {}

    @property
    def depth(self) -> int:
        """How many times the actor would be called to empty its user lane, losses aside."""
        return len(self._user)

    def empty(self) -> bool:
        """Say whether nothing waits in either lane."""
        return not self._system and not self._user

    def offer(self, mail: Mail) -> bool:
        """Let it wait; False if it is refused. Never blocks."""
        try:
            delivery = mail.delivery  # type: ignore[union-attr]  # an envelope has none
        except AttributeError:
            delivery = self._delivery_of(mail)
        # PERF: commands first and inline: they are most of what is told.
        if delivery is _COMMAND:
            if len(self._user) >= self.capacity:
                return self._refuse()
            self._user.append(mail)
        elif not self._offer_special(mail, delivery):
            return False
        if (wake := self.wake) is not None:
            self.wake = None
            wake()
        return True

    @staticmethod
    def _delivery_of(mail: Mail) -> Delivery:
        """Of the message in an envelope; what can be replaced or folded is not asked."""
        message, reply_to = opened(mail)
        if isinstance(message, _ActorStop):
            return _SYSTEM
        if not isinstance(message, Message):
            raise TypeError(f"expected a Message, was {message!r}")
        if reply_to is not None and message.delivery not in {_COMMAND, _SYSTEM}:
            raise TypeError(f"{type(message).__name__} is {message.delivery.name}: tell it")
        return message.delivery

    def _offer_special(self, mail: Mail, delivery: Delivery) -> bool:
        if delivery is _SYSTEM:
            self._system.append(mail)
            return True
        message: Message = opened(mail).message
        if delivery is _LATEST:
            return self._offer_latest(message)
        self._offer_batch(message)
        return True

    def _refuse(self) -> bool:
        self.refused_count += 1
        return False

    def _offer_latest(self, message: Message) -> bool:
        key = (type(message), message.conflation_key())
        waiting = self._latest.get(key)
        if waiting is not None:
            waiting.message = message
            self.conflated_count += 1
            return True
        if len(self._user) >= self.capacity:
            return self._refuse()
        self._latest[key] = newest = Newest(key, message)
        self._user.append(newest)
        return True

    def _offer_batch(self, message: Message) -> None:
        size_bytes = message.size_bytes()
        assert size_bytes > 0, size_bytes
        if self.bytes_waiting + size_bytes > self.bytes_max:
            self._drop_batches()
        run = self._last_run(type(message))
        if size_bytes > self.bytes_max:
            run.lose(count=1, size_bytes=size_bytes)
            self.overflowed_count += 1
            return
        run.append(message, size_bytes=size_bytes)
        self.bytes_waiting += size_bytes

    def _last_run(self, kind: type[Message]) -> BatchRun:
        last = self._user[-1] if self._user else None
        if isinstance(last, BatchRun) and last.kind is kind:
            return last
        run = BatchRun(kind)
        self._user.append(run)
        return run

    def _drop_batches(self) -> None:
        """Drop every waiting batch; the first run of each type stays to declare the loss.

        NOTE: the pass over the lane is paid once per `bytes_max` bytes. One loss per type keeps
        the lane bounded when two types alternate before a receiver that takes nothing.
        """
        firsts: dict[type[Message], BatchRun] = {}
        kept: deque[Slot] = deque()
        for slot in self._user:
            if not isinstance(slot, BatchRun):
                kept.append(slot)
                continue
            first = firsts.setdefault(slot.kind, slot)
            self._lose_run(slot, into=first)
            if slot is first:
                kept.append(slot)
        self._user = kept
        self.bytes_waiting = 0

    def _lose_run(self, run: BatchRun, *, into: BatchRun) -> None:
        count, size_bytes = run.clear()
        into.lose(count=count, size_bytes=size_bytes)
        self.overflowed_count += count
        if run is not into:
            into.lose(count=run.lost_count, size_bytes=run.lost_bytes)

    def poll(self) -> Mail | None:
        """Take the next, or None if nothing waits."""
        if self._system:
            return self._system.popleft()
        if not self._user:
            return None
        slot = self._user.popleft()
        if type(slot) is BatchRun:  # PERF: a third of what isinstance takes
            return self._poll_run(slot)
        if type(slot) is Newest:
            del self._latest[slot.key]
            return slot.message
        return slot

    def _poll_run(self, run: BatchRun) -> Message:
        # The run leaves the lane before code of the message class can fail: a batch that cannot
        # be folded kills one incarnation, not every one after it.
        if run.lost_count:
            if run.messages:
                self._user.appendleft(run)
            return run.declare_loss()
        self.bytes_waiting -= run.bytes_count
        self.folded_count += len(run.messages) - 1
        return run.fold()

    def take(self) -> Mail:
        """Wait on the hub for the next."""
        while (mail := self.poll()) is None:
            self._wait()
        return mail

    def _wait(self) -> None:
        waiter: Waiter[None] = Waiter()
        wake = partial(gevent.get_hub().loop.run_callback, waiter.switch, None)
        self.wake = wake
        try:
            waiter.get()
        finally:
            if self.wake is wake:
                self.wake = None

    def clear_system(self) -> tuple[Mail, ...]:
        """Empty the system lane: what was told to one incarnation is no business of the next."""
        waiting = tuple(self._system)
        self._system.clear()
        return waiting

    def clear_user(self) -> tuple[Mail, ...]:
        """Empty the user lane; what waited comes one by one, unfolded."""
        waiting: list[Mail] = []
        for slot in self._user:
            if isinstance(slot, BatchRun):
                waiting.extend(slot.messages)
            else:
                waiting.append(slot.message if isinstance(slot, Newest) else slot)
        self._user.clear()
        self._latest.clear()
        self.bytes_waiting = 0
        return tuple(waiting)

    # Pykka's inbox protocol.

    def put(self, envelope: AnyEnvelope, /) -> None:
        """Offer the envelope; a refusal is raised at the sender."""
        if not self.offer(envelope):
            raise MailboxFull(f"all {self.capacity} places are taken")

    def get(self) -> AnyEnvelope:
        """Wait for the next, in an envelope as Pykka has it."""
        mail = self.take()
        return mail if isinstance(mail, Envelope) else Envelope(mail)
