"""The composition root: the only module that knows concrete adapters.

gunicorn builds the app by `wsgi()`, which does nothing else, and calls `start()` once its worker is
up, `stop()` before it exits.
"""

import os
from collections.abc import Callable, Mapping

import structlog

from stevie import __version__, logs
from stevie.actors.market_counters import MarketCounter
from stevie.actors.root import VenueSetup, root_spec
from stevie.actors.venue_book import BookSettings
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import load_kernel
from stevie.adapters.process import age_ms
from stevie.adapters.rng import SeededRng
from stevie.adapters.transport import GeventTransport
from stevie.config import Config, load
from stevie.domain.market.features import FeatureSpec
from stevie.domain.market.instrument import Instrument, InstrumentKind, SymbolTable
from stevie.domain.market.link import SECOND_NS, LinkLimits
from stevie.http.app import create_app
from stevie.http.edge import Edge, KernelFact
from stevie.ports import Kernel
from stevie.runtime.counters import Counters
from stevie.runtime.system import ActorSystem
from stevie.runtime.watchdog import Watchdog
from stevie.venues.registry import VENUES, simulated

log = structlog.get_logger()

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
        counters = Counters(MarketCounter)
        self._seed = int.from_bytes(os.urandom(8), "big")
        self.system = ActorSystem(clock=self.clock, rng=SeededRng(self._seed), counters=counters)
        self._watchdog = Watchdog()
        self.app = create_app(
            Edge(
                directory=self.system.directory,
                clock=self.clock,
                tables={venue: SymbolTable(instruments(config, venue)) for venue in config.venues},
                kernel=KernelFact(name=self.kernel.name, source_hash=self.kernel.source_hash),
                counters=counters,
                version=__version__,
                profile=config.profile,
                started_at_ns=self.clock.wall_ns(),
                started_monotonic_ns=self.clock.monotonic_ns(),
                allowed_hosts=config.http.allowed_hosts,
                body_bytes_max=config.http.body_bytes_max,
                hub_lag_s=self._watchdog.take_lag_max_s,
            )
        )

    def start(self) -> None:
        """Bring the actors up."""
        self._watchdog.start()
        self.system.start(root_spec([self._setup(venue) for venue in self.config.venues]))
        actors = len(self.system.directory.tree())
        log.info("tree_started", actors=actors, seed=self._seed, process_ms=age_ms())

    def stop(self, timeout_s: float) -> None:
        """Take the actors down in reverse order."""
        is_clean = self.system.stop(timeout_s)
        self._watchdog.stop()
        log.info("stevie_stopped", is_clean=is_clean)

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
                )
            ),
            book=BookSettings(features=feature_spec(config)),
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


# gunicorn's own way in: one instance a worker, made by wsgi() and started by its hook.
_instances: list[Stevie] = []


def wsgi(environ: Mapping[str, str] | None = None) -> Callable[..., object]:
    """The WSGI app; the actors are not started yet."""
    config = load(environ=os.environ if environ is None else environ)
    logs.configure(clock=LiveClock(), format=config.log.format, level=config.log.level)
    stevie = Stevie(config)
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
