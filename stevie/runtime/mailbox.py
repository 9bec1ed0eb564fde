"""The bounded mailbox of one named actor: it outlives the actor's incarnations.

Two lanes: system before user. A sender never blocks: it is told yes or no. The user lane treats a
message as its class declares (`Delivery`). The lanes are plain data; only `take` knows gevent, and
a scheduler of another kind uses `poll` and `wake` instead. One OS thread uses a mailbox.
"""

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, final

import gevent
from gevent.hub import Waiter
from pykka._envelope import Envelope  # Pykka's inbox protocol hands us this very type
from pykka.messages import _ActorStop

from stevie.runtime.errors import MailboxFull
from stevie.runtime.message import Delivery, Message

AnyEnvelope = Envelope[Any]

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


class Mailbox:
    """Two lanes of envelopes, bounded in messages and in bytes."""

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
        self._system: deque[AnyEnvelope] = deque()
        self._user: deque[AnyEnvelope | BatchRun] = deque()
        self._latest: dict[tuple[type, Hashable], AnyEnvelope] = {}

    @property
    def depth(self) -> int:
        """How many times the actor would be called to empty its user lane, losses aside."""
        return len(self._user)

    def empty(self) -> bool:
        """Say whether nothing waits in either lane."""
        return not self._system and not self._user

    def offer(self, envelope: AnyEnvelope) -> bool:
        """Let the message wait; False if it is refused. Never blocks."""
        message = envelope.message
        try:
            delivery = message.delivery
        except AttributeError:
            delivery = self._foreign(message)
        # PERF: commands first and inline: they are most of what is told.
        if delivery is _COMMAND:
            if len(self._user) >= self.capacity:
                return self._refuse()
            self._user.append(envelope)
        elif not self._offer_special(envelope, delivery):
            return False
        if (wake := self.wake) is not None:
            self.wake = None
            wake()
        return True

    def _offer_special(self, envelope: AnyEnvelope, delivery: Delivery) -> bool:
        if delivery is _SYSTEM:
            self._system.append(envelope)
            return True
        if envelope.reply_to is not None:
            raise TypeError(f"{type(envelope.message).__name__} is {delivery.name}: tell it")
        if delivery is _LATEST:
            return self._offer_latest(envelope)
        self._offer_batch(envelope.message)
        return True

    @staticmethod
    def _foreign(message: object) -> Delivery:
        if isinstance(message, _ActorStop):
            return Delivery.SYSTEM
        raise TypeError(f"expected a Message, was {message!r}")

    def _refuse(self) -> bool:
        self.refused_count += 1
        return False

    def _offer_latest(self, envelope: AnyEnvelope) -> bool:
        message = envelope.message
        key = (type(message), message.conflation_key())
        waiting = self._latest.get(key)
        if waiting is not None:
            waiting.message = message
            self.conflated_count += 1
            return True
        if len(self._user) >= self.capacity:
            return self._refuse()
        self._latest[key] = envelope
        self._user.append(envelope)
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
        kept: deque[AnyEnvelope | BatchRun] = deque()
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

    def poll(self) -> AnyEnvelope | None:
        """Take the next envelope, or None if nothing waits."""
        if self._system:
            return self._system.popleft()
        if not self._user:
            return None
        slot = self._user.popleft()
        if type(slot) is BatchRun:  # PERF: a third of what isinstance takes
            return self._poll_run(slot)
        if self._latest and slot.message.delivery is _LATEST:
            del self._latest[type(slot.message), slot.message.conflation_key()]
        return slot

    def _poll_run(self, run: BatchRun) -> AnyEnvelope:
        # The run leaves the lane before code of the message class can fail: a batch that cannot
        # be folded kills one incarnation, not every one after it.
        if run.lost_count:
            if run.messages:
                self._user.appendleft(run)
            return Envelope(run.declare_loss())
        self.bytes_waiting -= run.bytes_count
        self.folded_count += len(run.messages) - 1
        return Envelope(run.fold())

    def take(self) -> AnyEnvelope:
        """Wait on the hub for the next envelope."""
        while (envelope := self.poll()) is None:
            self._wait()
        return envelope

    def _wait(self) -> None:
        waiter: Waiter[None] = Waiter()
        wake = partial(gevent.get_hub().loop.run_callback, waiter.switch, None)
        self.wake = wake
        try:
            waiter.get()
        finally:
            if self.wake is wake:
                self.wake = None

    def clear_system(self) -> tuple[AnyEnvelope, ...]:
        """Empty the system lane: what was told to one incarnation is no business of the next."""
        waiting = tuple(self._system)
        self._system.clear()
        return waiting

    def clear_user(self) -> tuple[AnyEnvelope, ...]:
        """Empty the user lane; what waited comes one by one, unfolded."""
        waiting: list[AnyEnvelope] = []
        for slot in self._user:
            if isinstance(slot, BatchRun):
                waiting.extend(Envelope(message) for message in slot.messages)
            else:
                waiting.append(slot)
        self._user.clear()
        self._latest.clear()
        self.bytes_waiting = 0
        return tuple(waiting)

    # Pykka's inbox protocol.

    def put(self, envelope: AnyEnvelope, /) -> None:
        """Offer the envelope; a refusal is raised at the sender."""
        if not self.offer(envelope):
            raise MailboxFull(f"all {self.capacity} places are taken")

    get = take
