"""What is traded at a venue, and how its makers and takers behave there."""

from decimal import Decimal

import msgspec

STEP_NS = 10_000_000  # the market moves in steps of 10 ms, however the caller asks for time
STEPS_PER_S = 1_000_000_000 // STEP_NS


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """How one listing is quoted and traded."""

    half_spread_bps: float
    """What makers keep between the fair price and their best quote."""
    noise_bps: float
    """How far a quote is off the fair price, at random, each time it is renewed."""
    lag_ms: int
    """How old the efficient price is when this venue's makers see it; under one second."""
    basis_bps: float = 0.0
    """Standard deviation of the mean-reverting basis of a derivative; 0 for spot."""
    requotes_per_s: float = 5.0
    maker_actions_per_s: float = 90.0
    taker_orders_per_s: float = 4.0
    levels_per_side: int = 2_000
    """How many price levels makers try to keep on each side, near and far."""
    level_usd: float = 9_000.0
    """Typical value of one price level."""
    taker_usd: float = 900.0
    """Median value of a taker's order."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument at one venue. The quote currency counts as dollars."""

    venue: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    style: Style
