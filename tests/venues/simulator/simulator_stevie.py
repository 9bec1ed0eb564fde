"""Stevie's own actors and transport against a simulated exchange of this process."""

from collections.abc import Callable, Sequence

from stevie.actors.market_counters import MarketCounter
from stevie.actors.root import VenueSetup, root_spec
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import PythonKernel
from stevie.adapters.rng import SeededRng
from stevie.adapters.transport import GeventTransport
from stevie.bootstrap import instruments
from stevie.config import Config
from stevie.domain.market.book import BookState
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.link import LinkLimits
from stevie.messages.market import BookRead, ReadBook
from stevie.ports import Transport
from stevie.runtime.counters import Counters
from stevie.runtime.system import ActorSystem
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.registry import VENUES, simulated
from stevie.venues.simulator.market.book import HistoryTooShortError
from stevie.venues.simulator.server import SimulatedExchange
from tests.inject import ask, wait_until

DEPTH = 1_000
QUICK = LinkLimits(probe_after_s=0.4, probe_timeout_s=0.4)
WITHIN_S = 20.0


class LiveStevie:
    """A tree of actors that follows `symbols` at `venues` over real sockets."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        *,
        symbols: Sequence[str] = ("BTCUSDT",),
        venues: Sequence[str] = ("binance",),
        listed: Sequence[Instrument] = (),
        wrap: Callable[[Transport], Transport] = lambda transport: transport,
    ) -> None:
        self.exchange = exchange
        self.compared = self.forgotten = 0
        clock = LiveClock()
        self.counters = Counters(MarketCounter)
        self.system = ActorSystem(clock=clock, rng=SeededRng(1), counters=self.counters)
        self._transports = {v: GeventTransport(clock, connect_timeout_s=1.0) for v in venues}
        endpoints = simulated(f"http://127.0.0.1:{exchange.port}")
        config = Config(symbols=tuple(symbols))
        followed = {v: tuple(listed) or instruments(config, v) for v in venues}
        self.books = {
            f"book/{venue}/{it.symbol}": (venue, it.native)
            for venue in venues
            for it in followed[venue]
        }
        setups = [
            VenueSetup(
                codec=VENUES[venue].codec(endpoints),
                transport=wrap(transport),
                instruments=followed[venue],
                kernel=PythonKernel(BinanceReferenceCore),
                feed=FeedSettings(link=QUICK),
            )
            for venue, transport in self._transports.items()
        ]
        self.system.start(root_spec(setups))

    def read(self, name: str) -> BookRead:
        return ask(self.system, name, ReadBook(depth=DEPTH))

    def wait_until_live(self, *, epochs: dict[str, int] | None = None) -> None:
        """Until every book is LIVE, in a later epoch than given if one is."""

        def are_live() -> bool:
            books = {name: self.read(name) for name in self.books}
            return all(
                book.state == BookState.LIVE
                and book.certificate.epoch > (epochs or {}).get(name, -1)
                for name, book in books.items()
            )

        wait_until(are_live, "all books are LIVE", within_s=WITHIN_S)

    def wait_until_seen(self, state: BookState, reasons: Sequence[str] = ()) -> BookRead:
        """Until a book is in a state, for one of the reasons; return what is read then."""
        found: list[BookRead] = []

        def is_seen() -> bool:
            books = [self.read(name) for name in self.books]
            found.extend(
                it for it in books if it.state == state and (not reasons or it.reason in reasons)
            )
            return bool(found)

        wait_until(is_seen, f"a book is {state} {reasons}", within_s=WITHIN_S)
        return found[0]

    def check(self) -> int:
        """Compare every LIVE book with the truth at its sequence; return how many were LIVE."""
        lives = [(n, b) for n in self.books if (b := self.read(n)).state == BookState.LIVE]
        for name, book in lives:
            self._check(name, book)
        return len(lives)

    def check_all(self) -> None:
        """Wait until each book was LIVE and compared."""
        for name in self.books:
            before = self.compared
            wait_until(
                lambda name=name, before=before: self._check_live(name) and self.compared > before,
                f"{name} compared",
                within_s=WITHIN_S,
            )

    def stop(self) -> None:
        self.system.stop()
        for transport in self._transports.values():
            transport.close()

    def _check_live(self, name: str) -> bool:
        book = self.read(name)
        if book.state == BookState.LIVE:
            self._check(name, book)
        return book.state == BookState.LIVE

    def _check(self, name: str, book: BookRead) -> None:
        venue, symbol = self.books[name]
        try:
            truth = self.exchange.true_book(venue, symbol, book.view.last_seq)
        except HistoryTooShortError:
            self.forgotten += 1
            return
        listing = self.exchange.market.listed(venue, symbol).listing
        ticks = int(listing.tick_size * 10**book.view.price_decimals)
        lots = int(listing.lot_size * 10**book.view.size_decimals)
        floor, ceiling = book.certificate.bid_floor_ticks, book.certificate.ask_ceiling_ticks
        bids = [(t * ticks, n * lots) for t, n in truth.bids if t * ticks >= floor]
        asks = [(t * ticks, n * lots) for t, n in truth.asks if ceiling < 0 or t * ticks <= ceiling]
        held_asks = [it for it in book.asks if ceiling < 0 or it[0] <= ceiling]
        assert [it for it in book.bids if it[0] >= floor] == bids[:DEPTH], (name, book.view)
        assert held_asks == asks[:DEPTH], (name, book.view)
        self.compared += 1
