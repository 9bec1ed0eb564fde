"""Consolidated book: one ladder over all venues, each level marked with its venue.

Across venues a crossed ladder is no fault but information, so nothing is filtered.
"""

from collections.abc import Iterable
from heapq import merge
from itertools import islice

import msgspec

from stevie.domain.market.core import Scale
from stevie.domain.market.fresh_book import FreshBook
from stevie.domain.market.ladder import Level

VenueLevel = tuple[int, int, str]  # (ticks, lots, venue)


class ConsolidatedBook(msgspec.Struct, frozen=True, kw_only=True):
    """The best levels of all venues on one scale; of equal prices the larger size stands first."""

    scale: Scale
    bids: tuple[VenueLevel, ...]
    asks: tuple[VenueLevel, ...]
    imbalance: float | None


def consolidate(books: Iterable[FreshBook], depth: int) -> ConsolidatedBook:
    """Merge LIVE books; the imbalance is over the `depth` best levels of each side."""
    books = tuple(books)
    scale = Scale()
    for book in books:
        scale = scale.finest(book.scale)
    bids = _best([_rescaled(book, book.bid_levels(), scale) for book in books], -1, depth)
    asks = _best([_rescaled(book, book.ask_levels(), scale) for book in books], +1, depth)
    return ConsolidatedBook(scale=scale, bids=bids, asks=asks, imbalance=_imbalance(bids, asks))


def _rescaled(book: FreshBook, levels: tuple[Level, ...], scale: Scale) -> list[VenueLevel]:
    price_factor = 10 ** (scale.price_decimals - book.scale.price_decimals)
    size_factor = 10 ** (scale.size_decimals - book.scale.size_decimals)
    return [(ticks * price_factor, lots * size_factor, book.venue) for ticks, lots in levels]


def _best(sides: list[list[VenueLevel]], sign: int, depth: int) -> tuple[VenueLevel, ...]:
    ordered = merge(*sides, key=lambda level: (sign * level[0], -level[1], level[2]))
    return tuple(islice(ordered, depth))


def _imbalance(bids: tuple[VenueLevel, ...], asks: tuple[VenueLevel, ...]) -> float | None:
    bid_lots, ask_lots = sum(level[1] for level in bids), sum(level[1] for level in asks)
    total = bid_lots + ask_lots
    return (bid_lots - ask_lots) / total if total else None
