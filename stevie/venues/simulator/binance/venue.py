"""Binance over a simulated market: spot and USD-M are one class with two names."""

from collections.abc import Container, Iterator

from stevie.venues.simulator.binance.limits import Limits
from stevie.venues.simulator.binance.numerals import Numerals
from stevie.venues.simulator.binance.protocol import BinanceProtocol, with_best_bid
from stevie.venues.simulator.binance.publisher import Publisher
from stevie.venues.simulator.binance.rest import Desk
from stevie.venues.simulator.market.simulation import Market
from stevie.venues.simulator.venue import Frame, Latency, Reply, Request

CROSSED_BY_TICKS = 5  # how far above the best ask a false bid stands


class BinanceVenue(BinanceProtocol):
    """Publishes what a market does, and answers for it."""

    def __init__(
        self, name: str, market: Market, *, latency: Latency, limits: Limits | None = None
    ) -> None:
        super().__init__(name, limits=limits, latency=latency)
        self._listed = market.of_venue(name)
        self._desk = Desk(market, name, self.limits)
        self._publisher = Publisher(self._listed, venue=name)

    def answer(self, request: Request) -> Reply:
        """Answer a request, or refuse it as Binance would."""
        return self.weighed(request, self._desk.answer(request.path, request.params))

    def frames(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        """Yield what the step that ended now gives to the wanted streams."""
        return self._publisher.step(now_ns, wanted)

    def crossed(self, frame: Frame) -> Frame:
        """Return a diff frame with a bid above the true best ask, which is never taken back."""
        listed = self._listed.get(self.symbol(frame.stream))
        if listed is None:
            return frame
        numerals = Numerals(listed.listing)
        price = numerals.price(listed.book.asks.best_ticks + CROSSED_BY_TICKS)
        return with_best_bid(frame, price=price, size=numerals.size(1))
