"""Takers: their orders arrive at random, lean with the pressure, and consume the book."""

import math
from random import Random
from typing import NamedTuple

from stevie.venues.simulator.market.book import TrueBook
from stevie.venues.simulator.market.listing import STEPS_PER_S, Listing

LEAN = 0.35  # at great pressure 85 % of orders are on its side
ORDER_SIZE_SPREAD = 1.3  # standard deviation of the log order size: many small, few that sweep
SWEPT_LEVELS_MAX = 25  # what is left of an order after so many levels is cancelled
ONE_MAKER_SHARE = 0.7  # of fills, that one maker gives whole
MAKERS_PER_LEVEL_MAX = 3


class Trade(NamedTuple):
    """One maker's order met a taker's. Trades of one order at one price share an aggregate."""

    trade_id: int
    aggregate_id: int
    ticks: int
    lots: int
    buyer_is_maker: bool
    at_ns: int


class Takers:
    """All takers of one listing."""

    def __init__(
        self, listing: Listing, book: TrueBook, *, rng: Random, first_trade_id: int
    ) -> None:
        self._style = listing.style
        self._book = book
        self._rng = rng
        self._lots_per_unit = float(1 / listing.lot_size)
        self._next_trade_id = first_trade_id
        self._next_aggregate_id = first_trade_id // 2

    def step(self, *, pressure: float, fair_price: float, at_ns: int) -> list[Trade]:
        """Return the trades of one step."""
        rate = self._style.taker_orders_per_s * (0.75 + 0.3 * abs(pressure))
        if self._rng.random() >= rate / STEPS_PER_S:
            return []
        buys = self._rng.random() < 0.5 + LEAN * math.tanh(pressure)
        usd = self._style.taker_usd * self._rng.lognormvariate(0.0, ORDER_SIZE_SPREAD)
        lots = max(1, round(usd / fair_price * self._lots_per_unit))
        return self._sweep(buys=buys, lots=lots, at_ns=at_ns)

    def _sweep(self, *, buys: bool, lots: int, at_ns: int) -> list[Trade]:
        side = self._book.asks if buys else self._book.bids
        trades: list[Trade] = []
        for ticks, resting in side.top(SWEPT_LEVELS_MAX):
            taken = min(lots, resting)
            self._book.put(is_bid=not buys, ticks=ticks, lots=resting - taken)
            trades += self._trades_at(ticks, taken, buyer_is_maker=not buys, at_ns=at_ns)
            lots -= taken
            if lots == 0:
                break
        return trades

    def _trades_at(self, ticks: int, lots: int, *, buyer_is_maker: bool, at_ns: int) -> list[Trade]:
        """Share one level's fill among the makers that stood there."""
        aggregate_id, self._next_aggregate_id = self._next_aggregate_id, self._next_aggregate_id + 1
        trades: list[Trade] = []
        while lots:
            is_last = (
                len(trades) == MAKERS_PER_LEVEL_MAX - 1 or self._rng.random() < ONE_MAKER_SHARE
            )
            part = lots if is_last else self._rng.randint(1, lots)
            trades.append(
                Trade(self._next_trade_id, aggregate_id, ticks, part, buyer_is_maker, at_ns)
            )
            self._next_trade_id += 1
            lots -= part
        return trades
