"""MarketData: what all venues together say of a symbol.

Receives  BookChanged, FeaturesChanged (from the books), ReadMarket.
Answers   MarketState, or UnknownSymbolError.
State     the newest of each book.
"""

from typing import assert_never

from stevie.domain.market.consolidated import consolidate
from stevie.domain.market.fresh_book import FreshBook
from stevie.messages.market import (
    BookChanged,
    FeaturesChanged,
    MarketState,
    ReadMarket,
    VenueReading,
)
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext

MarketMessage = BookChanged | FeaturesChanged | ReadMarket


class UnknownSymbolError(LookupError):
    """No book of this symbol was heard of yet."""


class MarketData(StevieActor):
    """Thin shell around `domain/market/consolidated`."""

    mailbox_capacity = 4096  # two states a book at the most, and readers
    refusals = (UnknownSymbolError,)

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)
        self._books: dict[tuple[str, str], BookChanged] = {}
        self._features: dict[tuple[str, str], FeaturesChanged] = {}

    def handle(self, message: MarketMessage) -> object:
        """Dispatch on the message's type."""
        match message:
            case BookChanged():
                self._books[message.symbol, message.venue] = message
            case FeaturesChanged():
                self._features[message.symbol, message.venue] = message
            case ReadMarket():
                return self._on_read_market(message)
            case _:
                assert_never(message)
        return None

    def _on_read_market(self, message: ReadMarket) -> MarketState:
        heard = [book for (symbol, _), book in self._books.items() if symbol == message.symbol]
        if not heard:
            raise UnknownSymbolError(message.symbol)
        live = [change.book for change in heard if change.book is not None]
        whole = consolidate(live, message.depth)
        return MarketState(
            symbol=message.symbol,
            now_ns=self.context.clock.monotonic_ns(),
            price_decimals=whole.scale.price_decimals,
            size_decimals=whole.scale.size_decimals,
            bids=whole.bids,
            asks=whole.asks,
            imbalance=whole.imbalance,
            venues=tuple(self._reading(change, change.book) for change in heard),
        )

    def _reading(self, change: BookChanged, book: FreshBook | None) -> VenueReading:
        newest = self._features.get((change.symbol, change.venue)) if book is not None else None
        return VenueReading(
            venue=change.venue,
            state=change.state,
            reason=change.reason,
            features=newest.features if newest else None,
            features_at_ns=newest.at_ns if newest else 0,
            window_ns=newest.window_ns if newest else 0,
            price_decimals=newest.price_decimals if newest else 0,
        )
