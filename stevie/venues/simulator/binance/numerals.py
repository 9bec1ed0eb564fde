"""Ticks and lots as the texts that Binance writes."""

from collections.abc import Iterable
from decimal import Decimal

from stevie.venues.simulator.market.listing import Listing

SPOT_DECIMALS = 8


class Numerals:
    """Writes one listing's numbers, each with its fixed count of decimals."""

    def __init__(self, listing: Listing) -> None:
        self._price_unit, price_decimals = _unit(listing.tick_size)
        self._size_unit, size_decimals = _unit(listing.lot_size)
        self._value_decimals = price_decimals + size_decimals
        value_decimals = min(self._value_decimals, SPOT_DECIMALS)
        self._price_scale, self._price_form = _form(price_decimals)
        self._size_scale, self._size_form = _form(size_decimals)
        self._value_scale, self._value_form = _form(value_decimals)
        self._value_cut: int = 10 ** (self._value_decimals - value_decimals)

    def price(self, ticks: int) -> str:
        """Write a price."""
        return self._price_form % divmod(ticks * self._price_unit, self._price_scale)

    def size(self, lots: int) -> str:
        """Write a quantity of the base asset."""
        return self._size_form % divmod(lots * self._size_unit, self._size_scale)

    def value(self, ticks_times_lots: int) -> str:
        """Write a quantity of the quote asset."""
        exact = ticks_times_lots * self._price_unit * self._size_unit
        return self._value_form % divmod(exact // self._value_cut, self._value_scale)

    def levels(self, levels: Iterable[tuple[int, int]]) -> str:
        """Write price levels as a JSON array."""
        price, size = self.price, self.size
        return "[" + ",".join([f'["{price(t)}","{size(n)}"]' for t, n in levels]) + "]"


def _unit(step: Decimal) -> tuple[int, int]:
    """Return a step as a count of its last written decimal, and how many decimals it has."""
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int), step
    return int(step.scaleb(-exponent)), -exponent


def _form(decimals: int) -> tuple[int, str]:
    return 10**decimals, f"%d.%0{decimals}d"
