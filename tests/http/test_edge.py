"""What the edge does with silent actors, against the real directory and its mailboxes."""

import pytest

from stevie.adapters.clock import LiveClock
from stevie.adapters.store.memory import MemoryStore
from stevie.http import edge as edges
from stevie.http.edge import Edge, KernelFact
from stevie.messages.market import ReadFeed
from stevie.runtime.counters import Counters
from stevie.runtime.dead_letters import DeadLetters
from stevie.runtime.directory import Directory
from stevie.runtime.errors import ActorDeadError, AskTimeout, MailboxFull


class Silent:
    """An actor that never takes a message from its mailbox."""

    mailbox_capacity = 1
    mailbox_bytes_max = 1024

    @classmethod
    def start(cls, *args, **kwargs):
        raise AssertionError("nobody starts it")


@pytest.fixture
def edge(monkeypatch):
    monkeypatch.setattr(edges, "GATHER_TIMEOUT_S", 0.05)
    clock, counters = LiveClock(), Counters()
    directory = Directory(clock, DeadLetters(counters))
    for name in ("feed/a", "feed/b", "feed/full"):
        directory.open(name, parent=None, factory=Silent)
    directory.tell("feed/full", ReadFeed())
    return Edge(
        directory=directory,
        clock=clock,
        tables={},
        kernel=KernelFact(name="python", source_hash=""),
        counters=counters,
        version="0",
        profile="dev",
        started_at_ns=0,
        started_monotonic_ns=0,
        archive=MemoryStore(),
        hub_lag_s=lambda: 0.0,
    )


def test_all_silent_actors_together_are_waited_for_no_longer_than_one(edge):
    began_ns = edge.clock.monotonic_ns()

    answers = edge.gather(dict.fromkeys(("feed/a", "feed/b", "feed/full", "feed/gone"), ReadFeed()))

    assert (edge.clock.monotonic_ns() - began_ns) / 1e9 < 1.0
    kinds = [type(answer) for answer in answers.values()]
    assert kinds == [AskTimeout, AskTimeout, MailboxFull, ActorDeadError]
