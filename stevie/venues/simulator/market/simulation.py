"""The whole market: every asset, every listing, one clock that only callers move."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Protocol

from stevie.venues.simulator.market.book import BookView
from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.market.efficient import Asset, EfficientPrice
from stevie.venues.simulator.market.listed import ListedMarket
from stevie.venues.simulator.market.listing import STEP_NS, Listing

NS_PER_MS = 1_000_000
TRADE_IDS_PER_S = 20  # more than ever happen: see `_first_trade_id`

ASSETS = (
    Asset(name="BTC", start_price=60_000.0, volatility_bps=0.8),
    Asset(name="ETH", start_price=2_500.0, volatility_bps=1.0),
    Asset(name="SOL", start_price=150.0, volatility_bps=1.3),
)


class NumberingRule(Protocol):
    """How a venue numbers its updates."""

    def source(self, symbol: str, *, start_ns: int) -> Callable[[], int]:
        """Return the source of update ids of one symbol."""


class CountingRule:
    """Every symbol counts its own changes, one by one."""

    IDS_PER_MS = 10  # far more than happen, so a process that starts again never repeats any

    def source(self, symbol: str, *, start_ns: int) -> Callable[[], int]:  # noqa: ARG002
        """Return a counter of its own."""
        return iter(range(start_ns // NS_PER_MS * self.IDS_PER_MS, 2**63)).__next__


class SharedRule:
    """All symbols of the venue draw from one rising sequence, which also skips."""

    IDS_PER_MS = 100
    SKIP_MAX = 7

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._last = 0

    def source(self, symbol: str, *, start_ns: int) -> Callable[[], int]:  # noqa: ARG002
        """Return the one sequence."""
        self._last = max(self._last, start_ns // NS_PER_MS * self.IDS_PER_MS)
        return self._next

    def _next(self) -> int:
        self._last += self._rng.randint(1, self.SKIP_MAX)
        return self._last


class Market:
    """The simulated market. The same seed and start give the same market, event by event."""

    def __init__(
        self,
        listings: Sequence[Listing],
        *,
        seed: int,
        start_ns: int,
        alpha: bool = True,
        numbering: dict[str, NumberingRule] | None = None,
        assets: Sequence[Asset] = ASSETS,
    ) -> None:
        self.now_ns = start_ns - start_ns % STEP_NS
        self._seed = seed
        self._numbering = numbering or {}
        self._assets = {asset.name: asset for asset in assets}
        wanted = dict.fromkeys(listing.base for listing in listings)
        self.prices = {
            name: EfficientPrice(self._assets[name], rng=dice(seed, "asset", name), alpha=alpha)
            for name in wanted
        }
        self._listed = {(it.venue, it.symbol): self._list(it) for it in listings}

    def listed(self, venue: str, symbol: str) -> ListedMarket:
        """Return one listing's market; KeyError if there is none."""
        return self._listed[venue, symbol]

    def true_book(self, venue: str, symbol: str, seq: int | None = None) -> BookView:
        """Return a whole book, now or at a recent sequence number.

        KeyError if it is not listed, HistoryTooShortError if the moment is forgotten or to come.
        """
        book = self.listed(venue, symbol).book
        return book.view() if seq is None else book.as_of(seq)

    def of_venue(self, venue: str) -> dict[str, ListedMarket]:
        """Return a venue's listings by symbol."""
        return {symbol: it for (at, symbol), it in self._listed.items() if at == venue}

    def advance(self, to_ns: int) -> Iterator[int]:
        """Move on step by step up to a time; yield after every step what time it is."""
        while self.now_ns + STEP_NS <= to_ns:
            self.now_ns += STEP_NS
            for price in self.prices.values():
                price.step()
            for listed in self._listed.values():
                listed.step(self.now_ns)
            yield self.now_ns

    def skip(self, to_ns: int) -> None:
        """Let time pass in which nothing happens at all, as when the machine slept."""
        self.now_ns = max(self.now_ns, to_ns - to_ns % STEP_NS)

    def _list(self, listing: Listing) -> ListedMarket:
        rule = self._numbering.get(listing.venue) or CountingRule()
        return ListedMarket(
            listing,
            seed=self._seed,
            price=self.prices[listing.base],
            asset=self._assets[listing.base],
            start_ns=self.now_ns,
            next_update_id=rule.source(listing.symbol, start_ns=self.now_ns),
            first_trade_id=_first_trade_id(self.now_ns),
        )


def _first_trade_id(start_ns: int) -> int:
    # NOTE: from the clock, so that a market started again later does not repeat older numbers.
    return start_ns // 1_000_000_000 * TRADE_IDS_PER_S
