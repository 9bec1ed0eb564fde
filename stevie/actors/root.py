"""The supervision tree, as data: who starts what, in which order, and what a death takes along.

root                     rest_for_one   2 in 300 s; its death ends the process with code 3
└── market               one_for_one    3 in 60 s
    ├── market_data
    └── venue/<venue>    rest_for_one   3 in 60 s: a feed that dies takes its books along
        ├── feed/<venue>
        └── books/<venue>  one_for_one  5 in 30 s for each book: they fail alone
            └── book/<venue>/<symbol>
"""

from collections.abc import Sequence

import msgspec

from stevie.actors.market_data import MarketData
from stevie.actors.venue_book import BookSettings, VenueBook
from stevie.actors.venue_feed import FeedSettings, VenueFeed
from stevie.domain.market.instrument import Instrument
from stevie.ports import Kernel, Transport, VenueCodec
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Strategy
from stevie.runtime.supervisor import supervise

ROOT = "root"
MARKET_DATA = "market_data"

ROOT_INTENSITY = Intensity(restarts=2, period_s=300.0)
GROUP_INTENSITY = Intensity(restarts=3, period_s=60.0)
LEAF_RESTARTS = 5  # in 30 s, for each leaf: neighbors must not use up one another's


class VenueSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What one venue's actors are made of."""

    codec: VenueCodec
    transport: Transport
    instruments: tuple[Instrument, ...]
    kernel: Kernel
    feed: FeedSettings = FeedSettings()
    book: BookSettings = BookSettings()


def root_spec(venues: Sequence[VenueSetup]) -> ChildSpec:
    """The whole tree."""
    return supervise(
        ROOT,
        Plan(
            children=(_market(venues),),
            strategy=Strategy.REST_FOR_ONE,
            intensity=ROOT_INTENSITY,
        ),
    )


def _market(venues: Sequence[VenueSetup]) -> ChildSpec:
    market_data = ChildSpec(name=MARKET_DATA, factory=MarketData)
    return supervise(
        "market",
        Plan(children=(market_data, *map(_venue, venues)), intensity=GROUP_INTENSITY),
    )


def _venue(setup: VenueSetup) -> ChildSpec:
    venue = setup.codec.venue
    feed = ChildSpec(
        name=f"feed/{venue}",
        factory=VenueFeed,
        arguments={
            "codec": setup.codec,
            "transport": setup.transport,
            "instruments": setup.instruments,
            "settings": setup.feed,
        },
    )
    return supervise(
        f"venue/{venue}",
        Plan(
            children=(feed, _books(setup)),
            strategy=Strategy.REST_FOR_ONE,
            intensity=GROUP_INTENSITY,
        ),
    )


def _books(setup: VenueSetup) -> ChildSpec:
    restarts = LEAF_RESTARTS * max(1, len(setup.instruments))
    return supervise(
        f"books/{setup.codec.venue}",
        Plan(
            children=tuple(_book(setup, instrument) for instrument in setup.instruments),
            intensity=Intensity(restarts=restarts, period_s=30.0),
        ),
    )


def _book(setup: VenueSetup, instrument: Instrument) -> ChildSpec:
    return ChildSpec(
        name=f"book/{instrument.venue}/{instrument.symbol}",
        factory=VenueBook,
        arguments={
            "instrument": instrument,
            "rule": setup.codec.rule,
            "kernel": setup.kernel,
            "settings": setup.book,
        },
    )
