"""What the simulated Binance lists. A step's written decimals are those of all its texts."""

from collections.abc import Sequence
from decimal import Decimal

from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.market.listing import Listing, Style
from stevie.venues.simulator.market.simulation import CountingRule, NumberingRule, SharedRule

SPOT, USDM = "binance", "binance_usdm"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
QUOTE = "USDT"

_SPOT_STEPS = {"BTC": "0.00001000", "ETH": "0.00010000", "SOL": "0.00100000"}
_USDM_STEPS = {"BTC": ("0.10", "0.001"), "ETH": ("0.01", "0.001"), "SOL": ("0.0100", "0.01")}
_TAKERS_PER_S = {"BTC": 5.0, "ETH": 4.0, "SOL": 3.0}


class UnknownSymbolError(ValueError):
    """The simulator does not know an asset of this symbol."""


def listings(symbols: Sequence[str] = SYMBOLS) -> tuple[Listing, ...]:
    """Return each symbol's spot and perpetual listing."""
    return spot_listings(symbols) + usdm_listings(symbols)


def spot_listings(symbols: Sequence[str]) -> tuple[Listing, ...]:
    """Return each symbol's spot listing."""
    return tuple(_spot(base) for base in _bases(symbols))


def usdm_listings(symbols: Sequence[str]) -> tuple[Listing, ...]:
    """Return each symbol's perpetual listing."""
    return tuple(_perpetual(base) for base in _bases(symbols))


def numbering(seed: int) -> dict[str, NumberingRule]:
    """Return how update ids are given: spot counts per symbol, USD-M shares and skips."""
    return {SPOT: spot_numbering(seed), USDM: usdm_numbering(seed)}


def spot_numbering(seed: int) -> NumberingRule:  # noqa: ARG001  as every venue's
    """Return spot's way: every symbol counts its own changes."""
    return CountingRule()


def usdm_numbering(seed: int) -> NumberingRule:
    """Return USD-M's way: the symbols share one sequence, which skips."""
    return SharedRule(dice(seed, USDM, "update ids"))


def _bases(symbols: Sequence[str]) -> list[str]:
    for symbol in symbols:
        if symbol not in SYMBOLS:
            raise UnknownSymbolError(f"unknown symbol {symbol!r}, allowed: {', '.join(SYMBOLS)}")
    return [symbol.removesuffix(QUOTE) for symbol in dict.fromkeys(symbols)]


def _spot(base: str) -> Listing:
    return Listing(
        venue=SPOT,
        symbol=base + QUOTE,
        base=base,
        quote=QUOTE,
        tick_size=Decimal("0.01000000"),
        lot_size=Decimal(_SPOT_STEPS[base]),
        style=Style(
            half_spread_bps=0.02,
            noise_bps=0.05,
            lag_ms=20,
            taker_orders_per_s=_TAKERS_PER_S[base],
        ),
    )


def _perpetual(base: str) -> Listing:
    tick_size, lot_size = _USDM_STEPS[base]
    return Listing(
        venue=USDM,
        symbol=base + QUOTE,
        base=base,
        quote=QUOTE,
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        style=Style(
            half_spread_bps=0.02,
            noise_bps=0.05,
            lag_ms=0,
            basis_bps=2.0,
            taker_orders_per_s=_TAKERS_PER_S[base],
            taker_usd=1_500.0,
            level_usd=12_000.0,
        ),
    )
