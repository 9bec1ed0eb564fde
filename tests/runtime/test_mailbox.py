"""The mailbox against a model, and the promises that its users rely on."""

import gevent
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from stevie.runtime.errors import MailboxFull
from stevie.runtime.lifecycle import Ping
from stevie.runtime.mailbox import Mailbox, opened
from stevie.runtime.reply import Reply
from tests.runtime.cast import Do, Frame, Lost, Note, OtherFrame, Price

CAPACITY = 4
BYTES_MAX = 20


def new_mailbox() -> Mailbox:
    return Mailbox(capacity=CAPACITY, bytes_max=BYTES_MAX)


def put(mailbox: Mailbox, *messages: object) -> list[bool]:
    """Tell them; Pykka's own come as Pykka sends them."""
    return [
        mailbox.offer(Envelope(message) if isinstance(message, _ActorStop) else message)
        for message in messages
    ]


def drain(mailbox: Mailbox) -> list[object]:
    taken = []
    while (mail := mailbox.poll()) is not None:
        taken.append(opened(mail).message)
    return taken


def test_commands_come_in_order():
    mailbox = new_mailbox()

    put(mailbox, Note(number=1), Do(action="ok"), Note(number=2))

    assert drain(mailbox) == [Note(number=1), Do(action="ok"), Note(number=2)]


def test_a_full_mailbox_refuses_work_but_takes_a_stop():
    mailbox = new_mailbox()
    put(mailbox, *[Note(number=n) for n in range(CAPACITY)])

    assert put(mailbox, Note(number=9), _ActorStop(), Ping()) == [False, True, True]

    assert mailbox.refused_count == 1
    assert drain(mailbox) == [_ActorStop(), Ping(), *[Note(number=n) for n in range(CAPACITY)]]


def test_pykka_is_told_of_a_refusal_by_an_exception():
    mailbox = new_mailbox()
    put(mailbox, *[Note(number=n) for n in range(CAPACITY)])

    with pytest.raises(MailboxFull, match="all 4 places"):
        mailbox.put(Envelope(Note(number=9)))


def test_the_newest_per_key_takes_the_place_of_the_one_that_waits():
    mailbox = new_mailbox()

    put(mailbox, Price(symbol="A", ticks=1), Price(symbol="B", ticks=1), Price(symbol="A", ticks=2))

    assert mailbox.conflated_count == 1
    assert drain(mailbox) == [Price(symbol="A", ticks=2), Price(symbol="B", ticks=1)]


def test_a_full_mailbox_still_takes_news_of_what_waits():
    mailbox = new_mailbox()
    put(mailbox, Price(symbol="A", ticks=1), *[Note(number=n) for n in range(CAPACITY - 1)])

    assert put(mailbox, Price(symbol="A", ticks=2), Price(symbol="B", ticks=1)) == [True, False]


def test_a_message_that_was_taken_is_not_replaced():
    mailbox = new_mailbox()
    put(mailbox, Price(symbol="A", ticks=1))
    taken = mailbox.poll()

    put(mailbox, Price(symbol="A", ticks=2))

    assert taken == Price(symbol="A", ticks=1)
    assert drain(mailbox) == [Price(symbol="A", ticks=2)]


def test_neighbors_of_a_batch_come_as_one():
    mailbox = new_mailbox()

    put(mailbox, Frame(numbers=(1,)), Frame(numbers=(2,)), Note(number=0), Frame(numbers=(3,)))

    assert mailbox.bytes_waiting == 3
    assert drain(mailbox) == [Frame(numbers=(1, 2), size=2), Note(number=0), Frame(numbers=(3,))]
    assert mailbox.folded_count == 1
    assert mailbox.bytes_waiting == 0


def test_an_overflow_is_declared_in_the_place_of_what_was_lost():
    mailbox = new_mailbox()

    put(mailbox, Frame(numbers=(1,), size=12), Frame(numbers=(2,), size=8), Note(number=0))
    put(mailbox, Frame(numbers=(3,), size=1))

    assert mailbox.overflowed_count == 2
    assert drain(mailbox) == [Lost(count=2, size_bytes=20), Note(number=0), Frame(numbers=(3,))]


def test_a_frame_larger_than_the_mailbox_is_a_loss_itself():
    mailbox = new_mailbox()

    assert put(mailbox, Frame(numbers=(1,), size=BYTES_MAX + 1)) == [True]

    assert drain(mailbox) == [Lost(count=1, size_bytes=BYTES_MAX + 1)]


def test_batches_of_alternating_types_stay_bounded_before_a_receiver_that_takes_nothing():
    mailbox = new_mailbox()

    for number in range(1000):
        put(mailbox, Frame(numbers=(number,)), OtherFrame(numbers=(number,)))

    assert mailbox.depth <= BYTES_MAX + 2
    assert mailbox.bytes_waiting <= BYTES_MAX


@pytest.mark.parametrize("message", [Price(symbol="A", ticks=1), Frame(numbers=(1,))])
def test_an_ask_that_could_be_replaced_or_folded_is_an_error_of_the_asker(message):
    with pytest.raises(TypeError, match="tell it"):
        new_mailbox().offer(Envelope(message, Reply()))


def test_what_was_left_is_handed_over_one_by_one():
    mailbox = new_mailbox()
    put(mailbox, Note(number=1), Frame(numbers=(1,)), Frame(numbers=(2,)), Ping())

    left = [*mailbox.clear_system(), *mailbox.clear_user()]

    assert left == [Ping(), Note(number=1), Frame(numbers=(1,)), Frame(numbers=(2,))]
    assert mailbox.empty()
    assert mailbox.bytes_waiting == 0


def test_take_waits_for_a_message():
    mailbox = new_mailbox()
    taking = gevent.spawn(mailbox.take)
    gevent.sleep(0)

    put(mailbox, Note(number=1), Note(number=2))

    assert taking.get(timeout=2) == Note(number=1)


def test_a_taker_that_was_killed_takes_nothing():
    mailbox = new_mailbox()
    taking = gevent.spawn(mailbox.take)
    gevent.sleep(0)

    taking.kill(block=False)
    put(mailbox, Note(number=1))
    taking.join(timeout=2)

    assert drain(mailbox) == [Note(number=1)]


def test_what_is_put_and_got_as_pykka_does_comes_in_an_envelope():
    mailbox, reply = new_mailbox(), Reply()
    mailbox.put(Envelope(Note(number=1)))
    mailbox.put(Envelope(Note(number=2), reply))
    mailbox.put(Envelope(Price(symbol="A", ticks=1)))
    put(mailbox, Note(number=3))

    got = [mailbox.get() for _ in range(4)]

    assert [each.reply_to for each in got] == [None, reply, None, None]
    assert [each.message for each in got] == [
        Note(number=1),
        Note(number=2),
        Price(symbol="A", ticks=1),
        Note(number=3),
    ]


def test_what_is_no_message_is_an_error_of_the_sender():
    for wrong in ("text", Envelope("text")):
        with pytest.raises(TypeError, match="expected a Message, was 'text'"):
            new_mailbox().offer(wrong)


def test_who_wants_to_be_woken_is_called_once():
    mailbox = new_mailbox()
    calls = []
    mailbox.wake = lambda: calls.append(mailbox.depth)

    put(mailbox, Note(number=1), Note(number=2))

    assert calls == [1]


class MailboxModel(RuleBasedStateMachine):
    """A mailbox and the plainest list that keeps the same promises."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = new_mailbox()
        self.lane: list[object] = []  # as `poll` has to give them, frames unfolded
        self.system: list[object] = []
        self.offered_frames = 0
        self.taken_frames = 0
        self.declared_lost = 0
        self.number = 0

    def depth(self) -> int:
        """Of the model's lane: a run of frames of one type takes one place."""
        places, before = 0, None
        for message in self.lane:
            kind = self.run_of(message)
            places += kind is None or kind is not before
            before = kind
        return places

    @staticmethod
    def run_of(message: object) -> type | None:
        if isinstance(message, tuple):
            return message[0]
        return type(message) if isinstance(message, Frame) else None

    @rule()
    def offer_system(self) -> None:
        self.system.append(Ping())
        assert put(self.mailbox, Ping()) == [True]

    @rule()
    def offer_command(self) -> None:
        self.number += 1
        is_taken = self.depth() < CAPACITY
        assert put(self.mailbox, Note(number=self.number)) == [is_taken]
        if is_taken:
            self.lane.append(Note(number=self.number))

    @rule(symbol=st.sampled_from("AB"))
    def offer_latest(self, symbol: str) -> None:
        self.number += 1
        price = Price(symbol=symbol, ticks=self.number)
        waiting = [
            i for i, m in enumerate(self.lane) if isinstance(m, Price) and m.symbol == symbol
        ]
        is_taken = bool(waiting) or self.depth() < CAPACITY
        assert put(self.mailbox, price) == [is_taken]
        if waiting:
            self.lane[waiting[0]] = price
        elif is_taken:
            self.lane.append(price)

    @rule(kind=st.sampled_from([Frame, OtherFrame]), size=st.integers(1, BYTES_MAX + 2))
    def offer_batch(self, kind: type[Frame], size: int) -> None:
        self.number += 1
        self.offered_frames += 1
        frame = kind(numbers=(self.number,), size=size)
        assert put(self.mailbox, frame) == [True]
        waiting = [m for m in self.lane if isinstance(m, Frame)]
        if sum(m.size for m in waiting) + size > BYTES_MAX:
            self.lose_all()
        if size > BYTES_MAX:
            self.lose(frame)
        else:
            self.lane.append(frame)

    def lose_all(self) -> None:
        """Each type's frames give way to one mark, where its first one waited."""
        kept: list[object] = []
        counts: dict[type, int] = {}
        for message in self.lane:
            kind = self.run_of(message)
            if kind is None:
                kept.append(message)
                continue
            if kind not in counts:
                kept.append((kind, 0))
            counts[kind] = counts.get(kind, 0) + (message[1] if isinstance(message, tuple) else 1)
        self.lane = [(m[0], counts[m[0]]) if isinstance(m, tuple) else m for m in kept]

    def lose(self, frame: Frame) -> None:
        last = self.lane[-1] if self.lane else None
        if isinstance(last, tuple) and last[0] is type(frame):
            self.lane[-1] = (last[0], last[1] + 1)
        else:
            self.lane.append((type(frame), 1))

    @rule()
    def poll(self) -> None:
        message = self.mailbox.poll()
        if self.system:
            assert message == self.system.pop(0)
        elif not self.lane:
            assert message is None
        else:
            self.check_first(message)

    def check_first(self, message: object) -> None:
        first = self.lane.pop(0)
        if isinstance(first, tuple):
            assert message.count == first[1]
            self.declared_lost += first[1]
        elif isinstance(first, Frame):
            numbers = list(first.numbers)
            while self.lane and type(self.lane[0]) is type(first):
                numbers.extend(self.lane.pop(0).numbers)
            assert type(message) is type(first)
            assert message.numbers == tuple(numbers)
            self.taken_frames += len(numbers)
        else:
            assert message == first

    @invariant()
    def bounded(self) -> None:
        assert self.mailbox.bytes_waiting <= BYTES_MAX
        assert self.mailbox.depth == self.depth()
        assert self.mailbox.empty() == (not self.lane and not self.system)

    @invariant()
    def no_frame_vanishes_undeclared(self) -> None:
        waiting = sum(isinstance(m, Frame) for m in self.lane)
        marked = sum(m[1] for m in self.lane if isinstance(m, tuple))
        assert self.offered_frames == (waiting + marked + self.taken_frames + self.declared_lost)


MailboxModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestMailboxModel = pytest.mark.slow(MailboxModel.TestCase)
