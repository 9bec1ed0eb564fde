from types import SimpleNamespace
from typing import Any, cast

import pytest

from stevie.actors.feed_line import FeedLine, LineEvent
from stevie.adapters.rng import SeededRng
from stevie.domain.market.link import LinkCheck, LinkLimits
from stevie.messages.market import (
    ConnectionClosed,
    ConnectionHeard,
    ConnectionOpened,
    FramesReceived,
)
from stevie.ports import ConnectionPlan
from stevie.runtime.context import ActorContext
from stevie.runtime.deterministic import VirtualClock
from stevie.runtime.message import Message
from tests.actors.world import SECOND_NS, FakeTransport

URL = "wss://stream.example/stream?streams=btcusdt@depth"


class Stage:
    """A line without its feed: what it would tell is kept."""

    def __init__(self) -> None:
        self.clock, self.told = VirtualClock(), list[Message]()
        self.transport = FakeTransport(self.clock)
        directory = SimpleNamespace(tell=lambda _, message: self.told.append(message))
        self.cell = SimpleNamespace(incarnation=1)
        context: Any = SimpleNamespace(
            clock=self.clock,
            rng=SeededRng(1),
            directory=directory,
            name="feed/binance",
            cell=self.cell,
            incarnation=1,
        )
        plan = ConnectionPlan(url=URL, hello=("SUBSCRIBE",))
        limits = LinkLimits(rotate_after_s=100.0)
        self.line = FeedLine(cast(ActorContext, context), self.transport, plan, limits)


@pytest.fixture
def stage() -> Stage:
    """Connected by socket 1."""
    stage = Stage()
    stage.line.open(1)
    assert stage.line.on_opened(1) is LineEvent.CONNECTED
    return stage


def test_a_socket_tells_the_feed_what_happens_with_its_number() -> None:
    stage = Stage()
    stage.line.open(7)
    (socket,) = stage.transport.sockets

    socket.open()
    socket.bring(b"a", b"b", at_ns=5)
    socket.pong()
    socket.drop(1006, "gone")

    assert stage.told == [
        ConnectionOpened(connection=7),
        FramesReceived(frames=(b"a", b"b"), received_ns=(5, 5), connections=(7,)),
        ConnectionHeard(connection=7),
        ConnectionClosed(connection=7, code=1006, reason="gone"),
    ]


def test_a_line_says_hello_once_it_is_open(stage: Stage) -> None:
    assert stage.transport.sockets[0].sent == ["SUBSCRIBE"]
    assert stage.line.is_connected
    assert stage.line.reason == ""
    assert stage.line.address == "wss://stream.example/stream"


def test_a_successor_replaces_the_socket_in_use_which_retires_later(stage: Stage) -> None:
    stage.line.open(2)
    assert stage.line.is_opening
    assert stage.line.is_connected

    assert stage.line.on_opened(2) is LineEvent.REPLACED
    old, new = stage.transport.sockets
    assert (old.is_closed, new.is_closed) == (False, False)

    stage.line.retire()
    assert (old.is_closed, new.is_closed) == (True, False)


def test_a_retired_socket_that_ends_by_itself_is_no_loss(stage: Stage) -> None:
    stage.line.open(2)
    stage.line.on_opened(2)

    assert stage.line.on_closed(1, "1000") is LineEvent.NOTHING
    assert stage.line.is_connected


def test_a_successor_that_does_not_come_is_no_loss_either(stage: Stage) -> None:
    stage.line.open(2)

    assert stage.line.on_closed(2, "refused") is LineEvent.NOTHING
    assert (stage.line.is_connected, stage.line.is_opening, stage.line.reason) == (True, False, "")


def test_the_end_of_the_socket_in_use_is_a_loss(stage: Stage) -> None:
    assert stage.line.on_closed(1, "1006 gone") is LineEvent.LOST
    assert stage.line.reason == "closed by the venue: 1006 gone"


def test_news_of_unknown_sockets_is_no_news(stage: Stage) -> None:
    assert stage.line.on_opened(99) is LineEvent.NOTHING
    assert stage.line.on_closed(99, "") is LineEvent.NOTHING


def test_only_the_socket_in_use_proves_the_line_alive(stage: Stage) -> None:
    stage.clock.advance(4 * SECOND_NS)
    assert stage.line.check() is LinkCheck.PING
    assert stage.transport.sockets[0].ping_count == 1

    stage.line.on_heard(99)
    stage.clock.advance(8 * SECOND_NS)

    assert stage.line.check() is LinkCheck.SILENT
    assert stage.transport.sockets[0].is_closed
    assert not stage.line.is_connected
    assert stage.told == []  # a dropped socket is heard no more


def test_dropping_a_line_closes_every_socket_and_hears_none(stage: Stage) -> None:
    stage.line.open(2)
    stage.line.on_opened(2)
    stage.line.open(3)

    stage.line.drop()
    stage.transport.sockets[2].open()

    assert all(socket.is_closed for socket in stage.transport.sockets)
    assert not stage.line.is_connected
    assert stage.told == []


def test_a_socket_that_a_killed_feed_left_behind_is_closed_and_not_heard():
    stage = Stage()
    stage.line.open(1)
    stage.transport.sockets[0].open()
    stage.cell.incarnation = 2

    stage.transport.sockets[0].bring(b"{}")

    assert [type(message) for message in stage.told] == [ConnectionOpened]
    assert stage.transport.sockets[0].is_closed
