"""The simulated venues: one entry each. The next one is a folder and a line here."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from stevie.venues.simulator.binance.listings import (
    SPOT,
    SYMBOLS,
    USDM,
    spot_listings,
    spot_numbering,
    usdm_listings,
    usdm_numbering,
)
from stevie.venues.simulator.binance.replayed import ReplayedBinance
from stevie.venues.simulator.binance.venue import BinanceVenue
from stevie.venues.simulator.market.listing import Listing
from stevie.venues.simulator.market.simulation import NumberingRule
from stevie.venues.simulator.playback import ReplayedVenue
from stevie.venues.simulator.venue import Latency, Profile, Venue

__all__ = ("SYMBOLS", "VENUES", "Entry")


class Entry(NamedTuple):
    """One venue: what it lists, how it counts, and its protocol over a market or a recording.

    `market` is called with (name, market) and the keywords latency and limits, `recording` with
    the name and the same keywords; limits are the venue's own kind of them.
    """

    listings: Callable[[Sequence[str]], tuple[Listing, ...]]
    numbering: Callable[[int], NumberingRule]
    market: Callable[..., Venue]
    recording: Callable[..., ReplayedVenue]
    profile: Profile = Profile()


VENUES = {
    SPOT: Entry(spot_listings, spot_numbering, BinanceVenue, ReplayedBinance),
    USDM: Entry(
        usdm_listings,
        usdm_numbering,
        BinanceVenue,
        ReplayedBinance,
        # The derivative leads: its makers see the price first, and its frames are sooner here.
        Profile(latency=Latency(median_ms=10.0)),
    ),
}
