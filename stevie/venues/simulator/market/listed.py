"""One listing's market: makers and takers around one true book."""

from collections import deque
from collections.abc import Callable
from random import Random

from stevie.venues.simulator.market.bars import Bars, Past
from stevie.venues.simulator.market.book import TrueBook
from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.market.efficient import Asset, Basis, EfficientPrice
from stevie.venues.simulator.market.listing import STEP_NS, Listing
from stevie.venues.simulator.market.makers import Makers
from stevie.venues.simulator.market.takers import Takers, Trade

TRADES_KEPT = 1_000  # what venues answer for recent trades at most
MINUTE_S = 60


class ListedMarket:
    """A listing that trades. `trades_of_step` and `book` are its event log."""

    def __init__(
        self,
        listing: Listing,
        *,
        seed: int,
        price: EfficientPrice,
        asset: Asset,
        start_ns: int,
        next_update_id: Callable[[], int],
        first_trade_id: int,
    ) -> None:
        def part(name: str) -> Random:
            return dice(seed, listing.venue, listing.symbol, name)

        self.listing = listing
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.trades_of_step: list[Trade] = []
        self._price = price
        self._lag_steps = listing.style.lag_ms * 1_000_000 // STEP_NS
        self._basis = Basis(listing.style.basis_bps, rng=part("basis"))
        self.book = TrueBook(next_update_id=next_update_id)
        self._makers = Makers(listing, self.book, rng=part("makers"), price=self._fair())
        self._takers = Takers(listing, self.book, rng=part("takers"), first_trade_id=first_trade_id)
        past = _past(listing, asset, self.book.bids.best_ticks, first_trade_id)
        self.bars = Bars(start_ns=start_ns, past=past, rng=part("past"))

    def step(self, now_ns: int) -> None:
        """Move on by one step that ends at this time."""
        self._basis.step()
        fair = self._fair()
        self._makers.step(fair)
        self.trades_of_step = self._takers.step(
            pressure=self._price.pressure, fair_price=fair, at_ns=now_ns
        )
        self.bars.roll(now_ns)
        if self.trades_of_step:
            self.trades.extend(self.trades_of_step)
            self.bars.add(self.trades_of_step)

    def _fair(self) -> float:
        efficient = self._price.price(steps_ago=self._lag_steps)
        return efficient * (1.0 + self._basis.fraction)


def _past(listing: Listing, asset: Asset, ticks: int, first_trade_id: int) -> Past:
    trades_per_minute = listing.style.taker_orders_per_s * MINUTE_S
    lots_per_order = listing.style.taker_usd * 2.0 / asset.start_price / float(listing.lot_size)
    return Past(
        ticks=ticks,
        first_trade_id=first_trade_id,
        volatility_bps=asset.volatility_bps * MINUTE_S**0.5,
        lots_per_minute=lots_per_order * trades_per_minute,
        trades_per_minute=trades_per_minute,
    )
