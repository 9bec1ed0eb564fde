"""The composition root: the only module that knows concrete adapters.

gunicorn builds the app by `wsgi()`, which opens the database and starts nothing, and calls
`start()` once its worker is up, `stop()` before it exits.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from logging import INFO, WARNING
from pathlib import Path

import gevent
import structlog

from stevie import __version__, logs
from stevie.actors.bar_counters import BarCounter
from stevie.actors.market_counters import MarketCounter
from stevie.actors.record_tree import AUDITOR, RecordSetup
from stevie.actors.root import BarsSetup, VenueSetup, root_spec
from stevie.actors.store_counters import StoreCounter
from stevie.actors.venue_book import BookSettings
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.bar_recall import ArchiveRecall
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import load_kernel
from stevie.adapters.process import age_ms
from stevie.adapters.rng import SeededRng
from stevie.adapters.store.engine import StoreError
from stevie.adapters.store.store import open_store
from stevie.adapters.transport import GeventTransport
from stevie.config import Config, explain, load
from stevie.domain.market.features import FeatureSpec
from stevie.domain.market.instrument import Instrument, InstrumentKind, SymbolTable
from stevie.domain.market.link import SECOND_NS, LinkLimits
from stevie.domain.operations import entries
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.flags import FlagBoard
from stevie.domain.operations.provenance import (
    ProvenanceFacts,
    code_version,
    config_hash,
    features_hash,
)
from stevie.http.access import Standing, Token, standing
from stevie.http.app import create_app
from stevie.http.edge import Edge, KernelFact
from stevie.http.rate import EdgeCounter
from stevie.messages.record import AuditState, AuditWanted, ReadAudit
from stevie.ports import Kernel
from stevie.ports_record import TableLimit
from stevie.runtime.counters import Counters
from stevie.runtime.errors import ActorDeadError, AskTimeout, MailboxFull
from stevie.runtime.supervision import NoteRestart
from stevie.runtime.system import ActorSystem
from stevie.runtime.watchdog import Watchdog
from stevie.venues.registry import VENUES, simulated

log = structlog.get_logger()

DRAIN_LOOK_S = 0.02
BOOT_FAILED = 3  # gunicorn's own code for it: the arbiter halts

# Quotes that a compact symbol of the configuration may end in; the venue's own list corrects it.
QUOTES = ("USDT", "USDC", "USD", "EUR", "BTC", "ETH")


class Stevie:
    """One running instance: its actors, its HTTP app, its watchdog."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = LiveClock()
        log.info(
            "stevie_starting",
            version=__version__,
            profile=config.profile,
            market=config.market,
            venues=config.venues,
            symbols=config.symbols,
            process_ms=age_ms(),
        )
        self.kernel = kernel(config)
        log.info(
            "kernel_loaded",
            kernel=self.kernel.name,
            kernel_hash=self.kernel.source_hash[:16],
            process_ms=age_ms(),
        )
        self.counters = Counters(MarketCounter, BarCounter, StoreCounter, EdgeCounter)
        self.store = open_store(
            config.store.url.reveal(),
            synchronous=config.store.synchronous,
            on_invalid=lambda table: self.counters.add(StoreCounter.ROWS_INVALID, table),
        )
        self._seed = int.from_bytes(os.urandom(8), "big")
        self.system = ActorSystem(
            clock=self.clock,
            rng=SeededRng(self._seed),
            counters=self.counters,
            on_restart=self._audit_restart,
        )
        self._watchdog = Watchdog()
        self.app = create_app(self._edge())

    def start(self) -> None:
        """Bring the actors up."""
        self._watchdog.start()
        venues = [self._setup(venue) for venue in self.config.venues]
        self.system.start(root_spec(venues, self._record()))
        actors = len(self.system.directory.tree())
        log.info("tree_started", actors=actors, seed=self._seed, process_ms=age_ms())

    def stop(self, timeout_s: float) -> None:
        """Write what was accepted, and take the actors down in reverse order."""
        self._drain_audit(timeout_s / 2)
        is_clean = self.system.stop(timeout_s / 2)
        self.store.close()
        self._watchdog.stop()
        log.info("stevie_stopped", is_clean=is_clean)

    def _edge(self) -> Edge:
        config, token = self.config, Token(self.config.http.admin_token.reveal())
        gate = standing(token, config.profile)
        log.log(WARNING if gate is Standing.OPEN else INFO, "gate", changes=gate.value)
        return Edge(
            directory=self.system.directory,
            clock=self.clock,
            tables={venue: SymbolTable(instruments(config, venue)) for venue in config.venues},
            kernel=KernelFact(name=self.kernel.name, source_hash=self.kernel.source_hash),
            archive=self.store.archive,
            counters=self.counters,
            version=__version__,
            profile=config.profile,
            started_at_ns=self.clock.wall_ns(),
            started_monotonic_ns=self.clock.monotonic_ns(),
            hub_lag_s=self._watchdog.take_lag_max_s,
            token=token,
            allowed_hosts=config.http.allowed_hosts,
            body_bytes_max=config.http.body_bytes_max,
            requests_per_s=config.http.requests_per_s,
            changes_per_s=config.http.changes_per_s,
        )

    def _record(self) -> RecordSetup:
        config, settings, now_ns = self.config, explain(self.config), self.clock.wall_ns()
        board = FlagBoard()
        board.restore(self.store.archive.flags())
        opening = (
            entries.started(
                at_ns=now_ns,
                version=__version__,
                kernel=self.kernel.name,
                profile=config.profile,
                market=config.market,
                pid=os.getpid(),
                venues=config.venues,
                symbols=config.symbols,
            ),
            entries.configured(at_ns=now_ns, settings=settings),
        )
        return RecordSetup(
            writer=self.store.writer,
            limits=(
                TableLimit("l2_log", bytes_max=config.store.l2_log_bytes_max),
                TableLimit("quarantine", rows_max=config.store.quarantine_rows_max),
            ),
            facts=ProvenanceFacts(
                code=code_version(__version__, _sources()),
                config_hash=config_hash(settings),
                kernel_hash=self.kernel.source_hash,
                features_hash=features_hash(feature_spec(config)),
            ),
            tally=Tally(board.on(), opening),
        )

    def _audit_restart(self, restart: NoteRestart) -> None:
        entry = entries.restarted(
            at_ns=self.clock.wall_ns(), actor=restart.name, reason=restart.reason
        )
        self.system.directory.tell(AUDITOR, AuditWanted(entries=(entry,)))

    def _drain_audit(self, timeout_s: float) -> None:
        """Tell the log that this is the end, and let what it has taken become durable."""
        directory, deadline_ns = self.system.directory, self.clock.monotonic_ns() + timeout_s * 1e9
        entry = entries.stopped(at_ns=self.clock.wall_ns(), reason="asked to")
        directory.tell(AUDITOR, AuditWanted(entries=(entry,)))
        try:
            while self.clock.monotonic_ns() < deadline_ns:
                state: AuditState = directory.ask(AUDITOR, ReadAudit(), timeout_s=timeout_s)
                if state.backlog_rows == 0:
                    return
                gevent.sleep(DRAIN_LOOK_S)
        except (ActorDeadError, AskTimeout, MailboxFull):
            pass
        log.warning("audit_not_drained", timeout_s=timeout_s)

    def _setup(self, venue: str) -> VenueSetup:
        config, entry = self.config, VENUES[venue]
        is_live = config.market == "live"
        endpoints = entry.live if is_live else simulated(config.simulator.url)
        return VenueSetup(
            codec=entry.codec(endpoints),
            transport=GeventTransport(self.clock, connect_timeout_s=config.feed.connect_timeout_s),
            instruments=instruments(config, venue),
            kernel=self.kernel,
            feed=FeedSettings(
                link=LinkLimits(
                    probe_after_s=config.feed.probe_after_s,
                    probe_timeout_s=config.feed.probe_timeout_s,
                    rotate_after_s=config.feed.rotate_after_s,
                ),
                records=True,
                bars=True,
            ),
            book=BookSettings(features=feature_spec(config), records=True, journal=True),
            bars=BarsSetup(codec=entry.bars(endpoints), recall=ArchiveRecall(self.store.archive)),
        )


def kernel(config: Config) -> Kernel:
    """The kernel that the configuration asks for; KernelError if it cannot be had."""
    return load_kernel(config.kernel.mode, VENUES["binance"].reference)


def feature_spec(config: Config) -> FeatureSpec:
    """What the features look at, as configured."""
    return FeatureSpec(
        obi_levels=config.features.obi_levels,
        window_ns=int(config.features.window_s * SECOND_NS),
        window_events=config.features.window_events,
    )


def instruments(config: Config, venue: str) -> tuple[Instrument, ...]:
    """The configured symbols at one venue; the venue's own list refines the steps later."""
    suffix = VENUES[venue].symbol_suffix
    return tuple(_instrument(venue, symbol, suffix) for symbol in config.symbols)


def _instrument(venue: str, symbol: str, suffix: str) -> Instrument:
    quote = next((q for q in QUOTES if symbol.endswith(q) and symbol != q), "")
    return Instrument(
        venue=venue,
        symbol=symbol + suffix,
        native=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        kind=InstrumentKind.PERPETUAL if suffix else InstrumentKind.SPOT,
        tick_size="1",
        lot_size="1",
    )


def _sources() -> Iterator[tuple[str, bytes]]:
    """The package's own files, for provenance."""
    folder = Path(__file__).parent
    return ((str(f.relative_to(folder)), f.read_bytes()) for f in sorted(folder.rglob("*.py")))


# gunicorn's own way in: one instance a worker, made by wsgi() and started by its hook.
_instances: list[Stevie] = []


def wsgi(environ: Mapping[str, str] | None = None) -> Callable[..., object]:
    """The WSGI app; the actors are not started yet."""
    config = load(environ=os.environ if environ is None else environ)
    logs.configure(clock=LiveClock(), format=config.log.format, level=config.log.level)
    try:
        stevie = Stevie(config)
    except StoreError as error:
        log.critical("store_unusable", reason=str(error))
        sys.exit(BOOT_FAILED)
    _instances.append(stevie)
    return stevie.app


def start() -> None:
    """Start the actors behind the app."""
    _instances[-1].start()


def stop(timeout_s: float) -> None:
    """Stop them."""
    while _instances:
        _instances.pop().stop(timeout_s)


def root_is_dead() -> bool:
    """Whether the tree has come down by itself."""
    return bool(_instances) and _instances[-1].system.root_is_dead()
