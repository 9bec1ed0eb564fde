"""Instrument: what is traded at one venue, its names and its steps.

A compact symbol (`BTCUSDT`, `BTCUSDT-PERP`) names the thing across venues; each venue has its own
native text for it. Quote currencies are never guessed from a suffix of an unknown name: an alias is
understood only where it reads as a listed base and quote.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from stevie.domain.market import fixed_point
from stevie.domain.market.core import Scale


class InstrumentKind(StrEnum):
    """What is traded."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    OTHER = "other"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of one venue; `tick_size` and `lot_size` are the venue's decimal text."""

    venue: str
    symbol: str
    native: str
    base: str
    quote: str
    kind: InstrumentKind = InstrumentKind.SPOT
    tick_size: str = "0.01"
    lot_size: str = "0.00001"
    status: str = "TRADING"

    @property
    def scale(self) -> Scale:
        """The decimals that hold every multiple of tick and lot."""
        return Scale(decimals(self.tick_size), decimals(self.lot_size))

    def ticks(self, price: str) -> int:
        """A price in tick sizes; ValueError if it is no multiple of the tick size."""
        return _multiple(price, self.tick_size, what="tick size")

    def lots(self, size: str) -> int:
        """A size in lot sizes; ValueError if it is no multiple of the lot size."""
        return _multiple(size, self.lot_size, what="lot size")


def decimals(step: str) -> int:
    """How many decimals a step needs: `"0.01000000"` -> 2."""
    return fixed_point.read(step)[1]


def _multiple(text: str, step: str, *, what: str) -> int:
    places = max(decimals(step), fixed_point.read(text)[1])
    count, rest = divmod(fixed_point.to_units(text, places), fixed_point.to_units(step, places))
    if rest:
        raise ValueError(f"{text} is not a multiple of {what} {step}")
    return count


_PARTS = re.compile(r"[/\-_:@.]+")
_SAME_ASSET = {"XBT": "BTC", "XDG": "DOGE"}
_PERPETUAL_MARKS = {"PERP", "PERPETUAL", "SWAP"}


def compact_symbol(alias: str) -> str:
    """`BTC/USDT`, `btc-usdt`, `XBT/USDT` -> `BTCUSDT`; `BTC/USDT:USDT` -> `BTCUSDT-PERP`."""
    parts = [part for part in _PARTS.split(alias.strip().upper()) if part]
    # A third part after a colon is what a perpetual settles in; a fourth dates a future.
    is_swap = ":" in alias and len(parts) == 3  # noqa: PLR2004
    is_perpetual = is_swap or (len(parts) > 1 and parts[-1] in _PERPETUAL_MARKS)
    if is_perpetual:
        parts = parts[:-1]
    return "".join(_SAME_ASSET.get(part, part) for part in parts) + "-PERP" * is_perpetual


class SymbolTable:
    """The instruments that one venue follows, found by any of their names."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._by_symbol = {instrument.symbol: instrument for instrument in instruments}
        self._by_native = {instrument.native.upper(): instrument for instrument in instruments}

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_symbol.values())

    @property
    def symbols(self) -> tuple[str, ...]:
        """The compact symbols, in the order they were given."""
        return tuple(self._by_symbol)

    def find(self, alias: str) -> Instrument | None:
        """By compact symbol, native text or any alias; None if it is not followed."""
        exact = self._by_symbol.get(alias.upper()) or self._by_native.get(alias.upper())
        return exact or self._by_symbol.get(compact_symbol(alias))
