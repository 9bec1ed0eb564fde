"""Makers: they keep a deep book around the fair price and follow it, late and with noise."""

import math
from random import Random
from typing import NamedTuple

from stevie.venues.simulator.market.book import BookSide, TrueBook
from stevie.venues.simulator.market.efficient import BASIS_POINT
from stevie.venues.simulator.market.listing import STEPS_PER_S, Listing

WIDE_BOOK_FACTOR = 4.0  # a spread this many times the usual one is renewed at once
LADDER_LEVELS = 2  # fresh levels behind a renewed quote
ROUND_PRICE_SHARE = 0.15  # of new levels, moved to a round price
ROUND_SIZE, VERY_ROUND_SIZE = 3.0, 8.0  # how much bigger levels are there
SIZE_SPREAD = 1.0  # standard deviation of the log size
EVEN = 0.5  # chances
RESIZE_SHARE = 0.3  # of actions on a side that has its levels; the others cancel one
FARTHEST_SHARE = 0.5  # no level is farther from the touch than this share of the price


class Reach(NamedTuple):
    """How far from the touch a kind of maker quotes: exponential, with this mean."""

    share: float
    mean_bps: float
    mean_ticks_min: int


REACHES = (
    Reach(share=0.25, mean_bps=1.2, mean_ticks_min=4),
    Reach(share=0.40, mean_bps=40.0, mean_ticks_min=300),
    Reach(share=0.35, mean_bps=150.0, mean_ticks_min=2_400),
)


class Makers:
    """All makers of one listing."""

    def __init__(self, listing: Listing, book: TrueBook, *, rng: Random, price: float) -> None:
        self._style = listing.style
        self._book = book
        self._rng = rng
        self._ticks_per_unit = float(1 / listing.tick_size)
        self._lots_per_unit = float(1 / listing.lot_size)
        self._fair_ticks = price * self._ticks_per_unit
        # Round prices are ten dollars apart at 60,000, and ten cents at 150.
        self._round_ticks = int(10 ** max(0, len(str(int(self._fair_ticks))) - 4))
        self._fill_empty_book()

    def step(self, fair_price: float) -> None:
        """Let one step's worth of makers act, given what they now think is fair."""
        self._fair_ticks = fair_price * self._ticks_per_unit
        if self._wants_requote():
            self._requote()
        for _ in range(int(self._style.maker_actions_per_s / STEPS_PER_S + self._rng.random())):
            self._act()

    def _wants_requote(self) -> bool:
        usual = 2.0 * self._half_spread_ticks() + 1.0
        is_wide = self._book.asks.best_ticks - self._book.bids.best_ticks > WIDE_BOOK_FACTOR * usual
        rate = self._style.requotes_per_s * (WIDE_BOOK_FACTOR if is_wide else 1.0)
        return self._rng.random() < rate / STEPS_PER_S

    def _requote(self) -> None:
        """Move the touch to the fair price: first take away, then add, so it never crosses."""
        noise = self._rng.gauss(0.0, self._style.noise_bps * BASIS_POINT) * self._fair_ticks
        half = self._half_spread_ticks()
        bid = math.floor(self._fair_ticks + noise - half)
        ask = max(math.ceil(self._fair_ticks + noise + half), bid + 1)
        self._cancel_better(is_bid=True, than_ticks=bid)
        self._cancel_better(is_bid=False, than_ticks=ask)
        self._quote(is_bid=True, touch_ticks=bid)
        self._quote(is_bid=False, touch_ticks=ask)

    def _half_spread_ticks(self) -> float:
        return self._style.half_spread_bps * BASIS_POINT * self._fair_ticks

    def _cancel_better(self, *, is_bid: bool, than_ticks: int) -> None:
        side = self._side(is_bid=is_bid)
        while len(side) > 1 and _is_better(side.best_ticks, than_ticks, is_bid=is_bid):
            self._book.put(is_bid=is_bid, ticks=side.best_ticks, lots=0)

    def _quote(self, *, is_bid: bool, touch_ticks: int) -> None:
        """Stand at the touch, with a few fresh levels behind it."""
        if touch_ticks not in self._side(is_bid=is_bid).lots:
            self._place(is_bid=is_bid, ticks=touch_ticks)
            for _ in range(LADDER_LEVELS):
                self._place_behind(is_bid=is_bid, distance=self._distance(REACHES[0]))

    def _act(self) -> None:
        """Place, resize or cancel one level, so that the number of levels stays about right."""
        is_bid = self._rng.random() < EVEN
        side = self._side(is_bid=is_bid)
        if len(side) < self._style.levels_per_side or self._rng.random() < RESIZE_SHARE:
            distance = self._distance(self._reach())
            self._place_behind(is_bid=is_bid, distance=distance)
        else:
            target = side.nth(self._rng.randrange(len(side)))
            self._book.put(is_bid=is_bid, ticks=target, lots=0)

    def _fill_empty_book(self) -> None:
        bid = math.floor(self._fair_ticks - self._half_spread_ticks())
        self._place(is_bid=True, ticks=bid)
        self._place(is_bid=False, ticks=bid + 1)
        for is_bid in (True, False):
            side = self._side(is_bid=is_bid)
            while len(side) < self._style.levels_per_side:
                ticks = self._ticks_behind(is_bid=is_bid, distance=self._distance(self._reach()))
                if ticks not in side.lots:
                    self._place(is_bid=is_bid, ticks=ticks)

    def _place_behind(self, *, is_bid: bool, distance: int) -> None:
        self._place(is_bid=is_bid, ticks=self._ticks_behind(is_bid=is_bid, distance=distance))

    def _ticks_behind(self, *, is_bid: bool, distance: int) -> int:
        """Return a price at a distance behind its own touch, which can never cross."""
        touch = self._side(is_bid=is_bid).best_ticks
        ticks = touch - distance if is_bid else touch + distance
        if self._rng.random() < ROUND_PRICE_SHARE:
            ticks += -(ticks % self._round_ticks) if is_bid else -ticks % self._round_ticks
        return ticks

    def _place(self, *, is_bid: bool, ticks: int) -> None:
        self._book.put(is_bid=is_bid, ticks=ticks, lots=self._size_lots(ticks))

    def _size_lots(self, ticks: int) -> int:
        usd = self._style.level_usd * self._rng.lognormvariate(-0.5, SIZE_SPREAD)
        if ticks % self._round_ticks == 0:
            usd *= VERY_ROUND_SIZE if ticks % (10 * self._round_ticks) == 0 else ROUND_SIZE
        return max(1, round(usd * self._lots_per_unit * self._ticks_per_unit / ticks))

    def _reach(self) -> Reach:
        draw = self._rng.random()
        for reach in REACHES:
            draw -= reach.share
            if draw < 0.0:
                return reach
        return REACHES[-1]

    def _distance(self, reach: Reach) -> int:
        mean = max(reach.mean_bps * BASIS_POINT * self._fair_ticks, reach.mean_ticks_min)
        farthest = FARTHEST_SHARE * self._fair_ticks
        return int(min(self._rng.expovariate(1.0 / mean), farthest))

    def _side(self, *, is_bid: bool) -> BookSide:
        return self._book.bids if is_bid else self._book.asks


def _is_better(ticks: int, than_ticks: int, *, is_bid: bool) -> bool:
    return ticks > than_ticks if is_bid else ticks < than_ticks
