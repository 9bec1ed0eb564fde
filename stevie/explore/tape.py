"""Tape: a stretch of the simulated market, recorded once and played to many explorations.

The market is the simulator's own, and so are its frames. Makers leave the far levels thin and the
price moves fast, so that books reach the horizon of their snapshots within a minute.
"""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property

import msgspec

from stevie.venues.simulator.binance.frames import Scribe
from stevie.venues.simulator.binance.listings import QUOTE, SPOT, USDM, numbering
from stevie.venues.simulator.binance.publisher import Publisher
from stevie.venues.simulator.binance.rest import PREFIXES, Rest
from stevie.venues.simulator.market.book import BookSide, BookView, Change
from stevie.venues.simulator.market.efficient import Asset
from stevie.venues.simulator.market.listing import Listing, Style
from stevie.venues.simulator.market.simulation import Market
from stevie.venues.simulator.venue import Frame

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
TAPES_KEPT = 8  # some 10 MB each for two minutes of two symbols

ASSETS = (
    Asset(name="BTC", start_price=60_000.0, volatility_bps=3.0),
    Asset(name="ETH", start_price=2_500.0, volatility_bps=6.0),
    Asset(name="SOL", start_price=150.0, volatility_bps=6.0),
)
SYMBOLS = tuple(asset.name + QUOTE for asset in ASSETS)
STREAMS = {SPOT: ("depth@100ms", "trade"), USDM: ("depth@100ms", "aggTrade")}
STYLE = Style(
    half_spread_bps=0.02,
    noise_bps=0.05,
    lag_ms=20,
    basis_bps=1.0,
    taker_orders_per_s=2.0,
    maker_actions_per_s=60.0,
    levels_per_side=3_000,
)


class TapeKey(msgspec.Struct, frozen=True):
    """What a tape is made from; the same key is the same tape."""

    seed: int
    seconds: int
    symbols: tuple[str, ...]
    venues: tuple[str, ...]


class Moment(msgspec.Struct, frozen=True):
    """What a venue's streams said at one moment."""

    at_ns: int
    frames: tuple[Frame, ...]


class ListingTape:
    """One listing: its book at the start, and every change since."""

    def __init__(self, listing: Listing, start: BookView) -> None:
        self.listing = listing
        self.start = start
        self.scribe = Scribe(listing)
        self.changes: list[Change] = []
        self._moments_ns: list[int] = []
        self._last_ids: list[int] = []

    def record(self, at_ns: int, changes: Sequence[Change]) -> None:
        """Add what happened in one step of the market."""
        if changes:
            self.changes.extend(changes)
            self._moments_ns.append(at_ns)
            self._last_ids.append(changes[-1].update_id)

    @cached_property
    def ids(self) -> list[int]:
        """The update ids of all changes, ascending."""
        return [change.update_id for change in self.changes]

    def last_id(self, at_ns: int) -> int:
        """The update id of the book as it stood at a time."""
        index = bisect_right(self._moments_ns, at_ns)
        return self._last_ids[index - 1] if index else self.start.update_id

    def unit(self, decimals: int, *, is_price: bool) -> int:
        """How many units of that many decimals one tick (or one lot) is."""
        step = self.listing.tick_size if is_price else self.listing.lot_size
        units = Decimal(step).scaleb(decimals)
        assert units == int(units), f"{decimals} decimals are too few for {step}"
        return int(units)


class Truth:
    """One listing's true book, moved to any update id: the oracle."""

    def __init__(self, tape: ListingTape) -> None:
        self._tape = tape
        self._index = 0  # changes applied
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)
        for ticks, lots in reversed(tape.start.bids):
            self.bids.put(ticks, lots)
        for ticks, lots in reversed(tape.start.asks):
            self.asks.put(ticks, lots)

    def move_to(self, update_id: int) -> None:
        """Become the book as it was right after an update, or after the last one before it."""
        index = bisect_right(self._tape.ids, update_id)
        changes = self._tape.changes
        while self._index < index:
            change = changes[self._index]
            self._side(change).put(change.ticks, change.lots)
            self._index += 1
        while self._index > index:
            self._index -= 1
            change = changes[self._index]
            self._side(change).put(change.ticks, change.lots_before)

    def view(self, update_id: int, levels: int) -> BookView:
        """The book after an update, cut to so many levels a side."""
        self.move_to(update_id)
        return BookView(update_id, self.bids.top(levels), self.asks.top(levels))

    def _side(self, change: Change) -> BookSide:
        return self.bids if change.is_bid else self.asks


class Tape:
    """What the venues say and what is true, from START_NS on."""

    def __init__(self, key: TapeKey) -> None:
        market = Market(
            [_listing(venue, symbol) for venue in key.venues for symbol in key.symbols],
            seed=key.seed,
            start_ns=START_NS,
            numbering=numbering(key.seed),
            assets=ASSETS,
        )
        self.key = key
        self.end_ns = START_NS + key.seconds * SECOND_NS
        self.moments: dict[str, list[Moment]] = {venue: [] for venue in key.venues}
        self.listings = {
            (venue, symbol): ListingTape(listed.listing, listed.book.view())
            for venue in key.venues
            for symbol, listed in market.of_venue(venue).items()
        }
        rest = Rest(market)
        self.exchange_info = {
            venue: rest.answer(f"{prefix}exchangeInfo", {}, now_ns=START_NS).body.encode()
            for prefix, venue in PREFIXES.items()
            if venue in key.venues
        }
        self._record(market)

    def _record(self, market: Market) -> None:
        publishers = {
            venue: Publisher(market.of_venue(venue), venue=venue) for venue in self.moments
        }
        wanted = {venue: _streams(venue, self.key.symbols) for venue in self.moments}
        for now_ns in market.advance(self.end_ns):
            for (venue, symbol), tape in self.listings.items():
                book = market.listed(venue, symbol).book
                tape.record(now_ns, book.changes_after(tape.last_id(now_ns)))
            for venue, publisher in publishers.items():
                frames = tuple(publisher.step(now_ns, wanted[venue]))
                if frames:
                    self.moments[venue].append(Moment(now_ns, frames))


class TapeShelf:
    """The tapes of late: recording one takes as long as playing it."""

    def __init__(self) -> None:
        self._tapes: dict[TapeKey, Tape] = {}

    def tape(self, key: TapeKey) -> Tape:
        """Return the tape, recorded now if it is not kept."""
        tape = self._tapes.pop(key, None) or Tape(key)
        self._tapes[key] = tape
        if len(self._tapes) > TAPES_KEPT:
            del self._tapes[next(iter(self._tapes))]
        return tape


def _streams(venue: str, symbols: Sequence[str]) -> frozenset[str]:
    return frozenset(f"{symbol.lower()}@{name}" for symbol in symbols for name in STREAMS[venue])


def _listing(venue: str, symbol: str) -> Listing:
    base = symbol.removesuffix(QUOTE)
    return Listing(
        venue=venue,
        symbol=symbol,
        base=base,
        quote=QUOTE,
        tick_size=Decimal("0.01" if base != "BTC" or venue == SPOT else "0.10"),
        lot_size=Decimal("0.00100"),
        style=STYLE,
    )
