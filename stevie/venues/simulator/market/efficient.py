"""The efficient price of an asset: what every venue's makers try to follow.

The log price is a random walk whose volatility switches between regimes. Takers everywhere feel one
hidden *pressure* (mean-reverting, unit variance, correlation time PRESSURE_TIME_S), which tilts the
side of their orders. With `alpha` on, the walk also drifts with that pressure, so past order flow
says a little about the next move, and some regimes trend. The size of it is known:

    drift per second = (PREDICTABILITY * pressure + trend) * volatility per square-root second

so a return over h = PRESSURE_TIME_S has a correlation of about 1.4 * PREDICTABILITY = 0.11 with the
pressure at its start, and less with what can be observed of it. With `alpha` off both drifts are
zero: the log price is a martingale, and no signal can know its next move.
"""

import math
from collections import deque
from random import Random

import msgspec

from stevie.venues.simulator.market.listing import STEPS_PER_S

PREDICTABILITY = 0.08
PRESSURE_TIME_S = 5.0
BASIS_POINT = 1e-4
REMEMBERED_STEPS = STEPS_PER_S  # a venue may lag by up to one second

_KEEP = math.exp(-1.0 / (PRESSURE_TIME_S * STEPS_PER_S))
_STIR = math.sqrt(1.0 - _KEEP * _KEEP)


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of market that lasts for a while."""

    name: str
    volatility: float
    """Factor on the asset's own volatility."""
    trend: float
    """Drift per second, in units of the volatility of one second."""
    mean_life_s: float


REGIMES = (
    Regime(name="calm", volatility=0.6, trend=0.0, mean_life_s=120.0),
    Regime(name="rising", volatility=1.0, trend=0.03, mean_life_s=60.0),
    Regime(name="falling", volatility=1.0, trend=-0.03, mean_life_s=60.0),
    Regime(name="wild", volatility=2.2, trend=0.0, mean_life_s=30.0),
)


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """Where an asset's price starts and how much it moves."""

    name: str
    start_price: float
    volatility_bps: float
    """Standard deviation of the log price after one second, in a regime of factor 1."""


class EfficientPrice:
    """One asset's hidden price and the pressure on its takers."""

    def __init__(self, asset: Asset, *, rng: Random, alpha: bool) -> None:
        self.pressure = rng.gauss(0.0, 1.0)
        self.regime = REGIMES[0]
        self._asset = asset
        self._rng = rng
        self._alpha = alpha
        start = math.log(asset.start_price)
        self._log_prices = deque([start] * REMEMBERED_STEPS, REMEMBERED_STEPS)

    def step(self) -> None:
        """Move on by one step."""
        self._switch_regime()
        volatility = self.regime.volatility * self._asset.volatility_bps * BASIS_POINT
        move = self._rng.gauss(0.0, volatility / math.sqrt(STEPS_PER_S))
        if self._alpha:
            move += self._drift() * volatility / STEPS_PER_S
        self._log_prices.append(self._log_prices[-1] + move)
        self.pressure = _KEEP * self.pressure + self._rng.gauss(0.0, _STIR)

    def price(self, *, steps_ago: int = 0) -> float:
        """Return the price as it was some steps ago."""
        return math.exp(self._log_prices[-1 - steps_ago])

    def _drift(self) -> float:
        return PREDICTABILITY * self.pressure + self.regime.trend

    def _switch_regime(self) -> None:
        if self._rng.random() < 1.0 / (self.regime.mean_life_s * STEPS_PER_S):
            self.regime = self._rng.choice([r for r in REGIMES if r is not self.regime])


class Basis:
    """The mean-reverting distance of a derivative from the efficient price."""

    REVERSION_TIME_S = 60.0

    def __init__(self, deviation_bps: float, *, rng: Random) -> None:
        keep = math.exp(-1.0 / (self.REVERSION_TIME_S * STEPS_PER_S))
        self._keep = keep
        self._stir = deviation_bps * BASIS_POINT * math.sqrt(1.0 - keep * keep)
        self._rng = rng
        self.fraction = 0.0

    def step(self) -> None:
        """Move on by one step."""
        if self._stir:
            self.fraction = self._keep * self.fraction + self._rng.gauss(0.0, self._stir)
