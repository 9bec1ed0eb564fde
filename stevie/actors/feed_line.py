"""FeedLine: one connection of a feed's plan, through all the sockets that serve it in turn."""

from collections.abc import Sequence
from enum import Enum

from stevie.domain.market.link import Link, LinkCheck, LinkLimits
from stevie.messages.market import (
    ConnectionClosed,
    ConnectionHeard,
    ConnectionOpened,
    FramesReceived,
)
from stevie.ports import Connection, ConnectionPlan, Transport
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message


class LineEvent(Enum):
    """What an event on a socket means for its line."""

    NOTHING = "nothing"
    CONNECTED = "connected"  # anew: what the sockets before it told is not continued
    REPLACED = "replaced"  # by a successor that overlaps the socket before it
    LOST = "lost"


class _Listener:
    """Turns what the transport says of one socket into messages to the feed."""

    def __init__(self, context: ActorContext, connection: int) -> None:
        self._context = context
        self._connection = connection
        self.handle: Connection | None = None
        self.is_muted = False

    def on_open(self) -> None:
        self._tell(ConnectionOpened(connection=self._connection))

    def on_frames(self, frames: Sequence[bytes], received_ns: int) -> None:
        self._tell(
            FramesReceived(
                frames=tuple(frames),
                received_ns=(received_ns,) * len(frames),
                connections=(self._connection,),
            )
        )

    def on_heard(self) -> None:
        self._tell(ConnectionHeard(connection=self._connection))

    def on_close(self, code: int, reason: str) -> None:
        self._tell(ConnectionClosed(connection=self._connection, code=code, reason=reason))

    def _tell(self, message: Message) -> None:
        if self.is_muted:
            return
        context = self._context
        if context.cell.incarnation == context.incarnation:
            context.directory.tell(context.name, message)
        elif self.handle is not None:
            # Its feed was killed, which leaves no time to close; the next one has its own sockets.
            self.is_muted = True
            self.handle.close()


class _Socket:
    """One WebSocket: its number, its handle and who listens."""

    def __init__(self, number: int, connection: Connection, listener: _Listener) -> None:
        self.number, self.connection, self._listener = number, connection, listener

    def drop(self) -> None:
        """Close it and hear no more of it."""
        self._listener.is_muted = True
        self.connection.close()


class FeedLine:
    """The socket in use, the one being opened, those that retire, and their health."""

    def __init__(
        self, context: ActorContext, transport: Transport, plan: ConnectionPlan, limits: LinkLimits
    ) -> None:
        self._context, self._transport = context, transport
        self.plan = plan
        self._link = Link(limits)
        self._current: _Socket | None = None
        self._opening: _Socket | None = None
        self._retiring: dict[int, _Socket] = {}  # one for each rotation of the last two seconds
        self.reason = "connecting"

    @property
    def is_connected(self) -> bool:
        """Whether a socket is in use."""
        return self._current is not None

    @property
    def is_opening(self) -> bool:
        """Whether a socket is being opened."""
        return self._opening is not None

    @property
    def address(self) -> str:
        """The URL without its list of streams."""
        return self.plan.url.partition("?")[0]

    def open(self, number: int) -> None:
        """Open a socket; one in use serves on until this one does."""
        assert self._opening is None, self.address
        listener = _Listener(self._context, number)
        connection = listener.handle = self._transport.connect(self.plan.url, listener)
        self._opening = _Socket(number, connection, listener)

    def on_opened(self, number: int) -> LineEvent:
        """A socket's handshake is done."""
        if self._opening is None or self._opening.number != number:
            return LineEvent.NOTHING
        replaced, self._current, self._opening = self._current, self._opening, None
        for text in self.plan.hello:
            self._current.connection.send(text)
        self._link.on_open(self._now_ns())
        self.reason = ""
        if replaced is None:
            return LineEvent.CONNECTED
        self._retiring[replaced.number] = replaced
        return LineEvent.REPLACED

    def on_heard(self, number: int) -> None:
        """Something came on a socket."""
        if self._current is not None and self._current.number == number:
            self._link.on_heard(self._now_ns())

    def on_closed(self, number: int, text: str) -> LineEvent:
        """A socket ended, or never came to be."""
        self._retiring.pop(number, None)
        if self._opening is not None and self._opening.number == number:
            self._opening = None
            self.reason = self.reason if self._current else f"cannot connect: {text}"
            return LineEvent.NOTHING if self._current else LineEvent.LOST
        if self._current is not None and self._current.number == number:
            self._current = None
            self.reason = f"closed by the venue: {text}"
            return LineEvent.LOST
        return LineEvent.NOTHING

    def check(self) -> LinkCheck:
        """Look after the socket in use; SILENT has dropped it."""
        if self._current is None:
            return LinkCheck.FINE
        verdict = self._link.check(self._now_ns())
        if verdict is LinkCheck.PING:
            self._current.connection.ping()
        elif verdict is LinkCheck.SILENT:
            self._current.drop()
            self._current = None
            self.reason = "silent: no frame and no pong"
        return verdict

    def retry_delay_s(self) -> float:
        """How long to wait before the next attempt, now that the line is lost."""
        return self._link.on_close(self._now_ns(), self._context.rng.random())

    def retire(self) -> None:
        """Drop the sockets that were replaced."""
        for socket in self._retiring.values():
            socket.drop()
        self._retiring.clear()

    def drop(self) -> None:
        """Drop every socket."""
        self.retire()
        for socket in (self._current, self._opening):
            if socket is not None:
                socket.drop()
        self._current = self._opening = None

    def _now_ns(self) -> int:
        return self._context.clock.monotonic_ns()
