"""Horizon: how far a snapshot vouches for prices, and when the market comes near its end.

A snapshot of so many levels says nothing of what lies beyond the last of them. Once the touch gets
there, a book with perfect continuity is unknown at its very top; so a new snapshot is due before.
"""

from stevie.domain.market.core import CoreView


class Horizon:
    """The way from the touch to the end of the known, as it was at the snapshot."""

    def __init__(self, used_max: float) -> None:
        self._left_min = 1.0 - used_max
        self._spans = (0.0, 0.0)

    def note(self, view: CoreView) -> None:
        """Remember how far it is just after a snapshot."""
        self._spans = _spans(view)

    def is_near(self, view: CoreView) -> bool:
        """Whether most of the way is used up on one side."""
        return is_past(view) or any(
            now < self._left_min * then for now, then in zip(_spans(view), self._spans, strict=True)
        )


def is_past(view: CoreView) -> bool:
    """Whether the touch lies where the snapshot told nothing; an emptied side is past it too."""
    bids_gone = view.bid_floor >= 0 and view.best_bid < view.bid_floor
    asks_gone = view.ask_ceiling >= 0 and not 0 <= view.best_ask <= view.ask_ceiling
    return bids_gone or asks_gone


def _spans(view: CoreView) -> tuple[float, float]:
    """From the touch to the end, bids and asks, in units of price; 0 where there is none.

    Not in ticks: those may be refined between two looks.
    """
    unit: float = 10.0**-view.price_decimals
    bids = view.best_bid - view.bid_floor if view.bid_floor >= 0 else 0
    asks = view.ask_ceiling - view.best_ask if view.ask_ceiling >= 0 else 0
    return bids * unit, asks * unit
