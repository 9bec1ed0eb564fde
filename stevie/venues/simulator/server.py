"""The simulator's process: one port for REST and WebSocket, one greenlet that moves the stage."""

import signal
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import gevent
import structlog
from gevent.event import Event
from gevent.pywsgi import WSGIHandler, WSGIServer
from gevent.socket import IPPROTO_TCP, TCP_NODELAY
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from stevie.venues.simulator.answers import Answers
from stevie.venues.simulator.config import ExchangeConfig, profile_of
from stevie.venues.simulator.connection import Connection
from stevie.venues.simulator.faults import (
    NO_SYMBOL,
    SOCKET,
    Faults,
    FaultyLine,
    Kind,
    Painter,
)
from stevie.venues.simulator.market.book import BookView
from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.market.simulation import Market
from stevie.venues.simulator.playback import Playback
from stevie.venues.simulator.sockets import handler_class, listener, request_of
from stevie.venues.simulator.stage import MarketStage, Stage, open_stage, told_of
from stevie.venues.simulator.venue import (
    Frame,
    Reply,
    Session,
    Venue,
)

TICK_S = 0.02  # two steps of the market: waking costs more than stepping
KEEP_ALIVE_CHECK_S = 0.2
MESSAGE_BYTES_MAX = 64 * 1024  # control messages are small; more is closed with code 1009
CONNECTIONS_MAX = 1_000
ROOM_BYTES = 256 * 1024  # waiting for the slowest client, at which a full-speed playback waits
NORMAL, GOING_AWAY = 1000, 1001
FAREWELL_S = 0.3  # how long clients have to answer the close at shut-down

log = structlog.get_logger()


class SimulatedExchange:
    """Every simulated venue on one port. `market` and `true_book` know the truth."""

    def __init__(
        self,
        config: ExchangeConfig | None = None,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config or ExchangeConfig()
        self.failed = Event()
        self.over = Event()
        self._now_ns = now_ns
        self._stage: Stage = open_stage(self.config, now_ns())
        self._venues = self._stage.venues
        self.faults = Faults(
            seed=self.config.seed,
            now_ns=now_ns,
            cannot={name: venue.cannot for name, venue in self._venues.items()},
            plan=[it for name in self._venues for it in profile_of(self.config, name).faults],
        )
        self.faults.set(self.config.faults)
        self._connections: dict[Connection, Line] = {}
        self._audience: dict[str, dict[str, list[Line]]] = {name: {} for name in self._venues}
        self.connections_opened = 0
        self._answers = Answers(
            self._venues,
            self.faults,
            seed=self.config.seed,
            now_ns=now_ns,
            truth_of=self.market if self.config.truth and not self.config.replay else None,
        )
        self._greenlets: list[gevent.Greenlet[..., Any]] = []
        self._server: WSGIServer | None = None

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        assert self._server is not None, "not started"
        assert self._server.server_port is not None, "not bound"
        return self._server.server_port

    @property
    def market(self) -> Market:
        """Return the market behind the venues; a recording has none."""
        assert isinstance(self._stage, MarketStage), "a recording is played"
        return self._stage.market

    @property
    def playback(self) -> Playback:
        """Return the playback of the recording."""
        assert isinstance(self._stage, Playback), "a market is played"
        return self._stage

    def true_book(self, venue: str, symbol: str, seq: int | None = None) -> BookView:
        """Return the market's own book, in ticks and lots: see `Market.true_book`."""
        return self.market.true_book(venue, symbol, seq)

    def start(self) -> None:
        """Listen, and let the stage begin."""
        self._server = WSGIServer(
            listener(self.config.host, self.config.port),
            self._answers.answer,
            handler_class=handler_class(is_reset=self._is_reset, upgrade=self._upgrade),
            log=None,
        )
        self._server.start()
        self._greenlets = [gevent.spawn(self._move_stage), gevent.spawn(self._keep_alive)]
        for greenlet in self._greenlets:
            greenlet.link_exception(lambda _: self.failed.set())
        log.info(
            "exchange_listening",
            url=f"http://{self.config.host}:{self.port}",
            seed=self.config.seed,
            venues=list(self._venues),
            **told_of(self.config),
        )

    def stop(self) -> None:
        """Close every connection with code 1001 and listen no more."""
        assert self._server is not None, "not started"
        gevent.killall(self._greenlets)
        self._server.stop_accepting()
        self._close_all(GOING_AWAY, "going away")
        self._server.stop(timeout=FAREWELL_S)
        self._server.close()

    def drop_connections(self) -> None:
        """Cut every WebSocket without a closing handshake."""
        for connection in list(self._connections):
            connection.drop()

    def advance(self, to_ns: int) -> None:
        """Let time pass on the stage, and send what happens to who hears it."""
        frames = self._stage.advance(to_ns, self._audience, has_room=self._has_room())
        for venue, frame in frames:
            for line in self._audience[venue].get(frame.stream, ()):
                line.carry(frame)

    # -- what goes on by itself --------------------------------------------------------------------

    def _move_stage(self) -> None:
        while True:
            self.advance(self._now_ns())
            if self._stage.is_over:
                self._end_of_recording()
            gevent.sleep(self._tick_s())

    def _tick_s(self) -> float:
        replay = self.config.replay
        is_hurried = replay is not None and replay.speed == 0 and not self._stage.is_over
        return 0.001 if is_hurried and self._connections else TICK_S

    def _end_of_recording(self) -> None:
        replay = self.config.replay
        if replay is None or replay.at_end == "stay" or self.over.is_set():
            return
        if any(connection.queued_bytes for connection in self._connections):
            return  # what was recorded is heard to its end
        self._close_all(NORMAL, "end of the recording")
        self._gather_audience()  # of which they are no more: the next connection begins it anew
        if replay.at_end == "loop":
            self.playback.rewind()
        else:
            self.over.set()

    def _keep_alive(self) -> None:
        while True:
            gevent.sleep(KEEP_ALIVE_CHECK_S)
            for connection, line in list(self._connections.items()):
                if self.faults.lasting(Kind.OUTAGE, line.socket_target):
                    connection.drop()
                else:
                    connection.keep_alive()

    def _close_all(self, code: int, reason: str) -> None:
        for connection in list(self._connections):
            connection.close(code, reason)

    def _has_room(self) -> bool:
        return all(connection.queued_bytes < ROOM_BYTES for connection in self._connections)

    # -- WebSockets --------------------------------------------------------------------------------

    def _is_reset(self, path: str) -> bool:
        """Say whether a connection ends before a word: its venue is out."""
        session = self._session(path, "")
        name = self._answers.whose(path)[0].name if session is None else session.venue
        return self.faults.lasting(Kind.OUTAGE, f"{name}/{SOCKET}") is not None

    def _session(self, path: str, query: str) -> Session | None:
        found = (venue.open_session(path, query) for venue in self._venues.values())
        return next((session for session in found if session is not None), None)

    def _upgrade(self, handler: WSGIHandler) -> None:
        """Serve a WebSocket until it ends."""
        protocol = ServerProtocol(max_size=MESSAGE_BYTES_MAX)
        environ = handler.environ
        assert environ is not None, "the request is read by now"
        session = self._session(environ["PATH_INFO"], environ["QUERY_STRING"])
        refusal = self._refusal(session, environ.get("REMOTE_ADDR", ""))
        # The protocol starts by reading a request: give it the one that pywsgi has read.
        protocol.receive_data(request_of(handler).serialize())
        for request in cast("list[Handshake]", protocol.events_received()):
            response = protocol.accept(request)
            if refusal is not None:
                response = protocol.reject(refusal.status, refusal.body)
                response.headers.update(refusal.headers)
            protocol.send_response(response)
        handler.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        handler.socket.sendall(b"".join(protocol.data_to_send()))
        if session is not None and protocol.state is State.OPEN:
            self._serve(handler, protocol, session)

    def _refusal(self, session: Session | None, client: str) -> Reply | None:
        if session is None:
            return Reply(404, "no streams are served here\n")
        if self.faults.lasting(Kind.BLOCK, f"{session.venue}/{SOCKET}"):
            return self._venues[session.venue].blocked
        if len(self._connections) >= CONNECTIONS_MAX:
            return Reply(503, "too many connections\n")
        return self._venues[session.venue].admit(client, self._now_ns())

    def _serve(self, handler: WSGIHandler, protocol: ServerProtocol, session: Session) -> None:
        self.connections_opened += 1
        number = self.connections_opened
        venue = self._venues[session.venue]
        target = f"{venue.name}/{SOCKET}"
        connection = Connection(
            sock=handler.socket,
            protocol=protocol,
            session=session,
            latency=venue.latency,
            rng=dice(self.config.seed, "latency", str(number)),
            now_ns=self._now_ns,
            on_subscriptions=self._gather_audience,
            pace=lambda: self.faults.pace(target),
        )
        line = Line(connection, venue, FaultyLine(self.faults, number))
        self._connections[connection] = line
        self._gather_audience()
        log.info("connection_opened", number=number, venue=session.venue, path=handler.path)
        try:
            connection.serve()
        finally:
            del self._connections[connection]
            self._gather_audience()
            log.info("connection_closed", number=number, code=int(connection.close_code))

    def _gather_audience(self) -> None:
        """Find out anew who hears which stream."""
        audience: dict[str, defaultdict[str, list[Line]]] = {
            venue: defaultdict(list) for venue in self._audience
        }
        for connection, line in self._connections.items():
            if connection.is_ending:
                continue
            for stream in connection.session.heard_streams():
                audience[connection.session.venue][stream].append(line)
        self._audience = {venue: dict(streams) for venue, streams in audience.items()}


class Line:
    """A client's connection with what goes wrong on it."""

    def __init__(self, connection: Connection, venue: Venue, faulty: FaultyLine) -> None:
        self.socket_target = f"{venue.name}/{SOCKET}"
        self._connection, self._venue, self._faulty = connection, venue, faulty

    def carry(self, frame: Frame) -> None:
        """Send a frame, or what the faults make of it."""
        session = self._connection.session
        if self._faulty.is_calm():
            self._connection.offer(session.envelope(frame))
            return
        symbol = self._venue.symbol(frame.stream) or NO_SYMBOL
        painter = Painter(
            crossed=lambda: session.envelope(self._venue.crossed(frame)),
            shifted=self._venue.shifted,
        )
        target = f"{self._venue.name}/{symbol}/{frame.stream}"
        for delivery in self._faulty.through(target, session.envelope(frame), painter):
            self._connection.offer(delivery.text, is_cut=delivery.is_cut)


def main_exchange(config: ExchangeConfig) -> int:
    """Run a simulated exchange until Ctrl-C or SIGTERM; return the process's exit code.

    0 after a signal or a recording's end, 1 if it cannot listen or play, or if the market broke.
    The caller has monkey-patched.
    """
    asked_to_stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, asked_to_stop.set)
    try:
        exchange = SimulatedExchange(config)
        exchange.start()
    except OSError as refused:
        reason = refused.strerror or str(refused)
        log.error("exchange_cannot_listen", host=config.host, port=config.port, reason=reason)  # noqa: TRY400
        return 1
    gevent.wait([asked_to_stop, exchange.failed, exchange.over], count=1)
    exchange.stop()
    log.info("exchange_stopped", seed=config.seed)
    return 1 if exchange.failed.is_set() else 0
