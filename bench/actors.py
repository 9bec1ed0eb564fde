"""Telling and asking: our actors against Pykka's own, both on gevent."""

from collections.abc import Iterator
from importlib.metadata import version

import pykka

from bench.rounds import Pair, compare
from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem

TELLS = 50_000
ASKS = 5_000
TIMEOUT_S = 30.0


class Add(Message, frozen=True, kw_only=True, gc=False):
    """Count on."""


class Read(Message, frozen=True, kw_only=True, gc=False):
    """Tell the count."""


class Ours(StevieActor):
    mailbox_capacity = TELLS + 1

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)
        self._count = 0

    def handle(self, message: Message) -> object:
        self._count += isinstance(message, Add)
        return self._count


class Theirs(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def on_receive(self, message: Message) -> object:
        self._count += isinstance(message, Add)
        return self._count


def rows() -> Iterator[Pair]:
    """A burst of tells until all are handled, and round trips one by one."""
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1))
    system.start(supervise("root", Plan(children=(ChildSpec(name="ours", factory=Ours),))))
    theirs = Theirs.start()
    add, read = Add(), Read()

    def ask_ours() -> object:
        return system.directory.ask("ours", read, timeout_s=TIMEOUT_S)

    def ask_theirs() -> object:
        return theirs.ask(read, timeout=TIMEOUT_S)

    def tell_ours() -> None:
        for _ in range(TELLS):
            system.directory.tell("ours", add)
        ask_ours()

    def tell_theirs() -> None:
        for _ in range(TELLS):
            theirs.tell(add)
        ask_theirs()

    try:
        yield compare(
            "tell until handled",
            unit="messages/s",
            count=TELLS,
            ours=("Stevie, bounded mailbox", tell_ours),
            peer=(f"Pykka {version('pykka')}", tell_theirs),
        )
        yield compare(
            "ask, round trip",
            unit="asks/s",
            count=ASKS,
            ours=("Stevie", lambda: [ask_ours() for _ in range(ASKS)]),
            peer=(f"Pykka {version('pykka')}", lambda: [ask_theirs() for _ in range(ASKS)]),
        )
    finally:
        theirs.stop()
        system.stop()
