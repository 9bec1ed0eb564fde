"""The supervision tree, as data: who starts what, in which order, and what a death takes along.

root                     rest_for_one   2 in 300 s; its death ends the process with code 3
├── record               one_for_all    3 in 60 s: a chain and its store begin anew together
│   ├── store
│   ├── auditor
│   └── flags
└── market               one_for_one    3 in 60 s
    ├── market_data
    └── venue/<venue>    rest_for_one   3 in 60 s: a feed that dies takes its books along
        ├── feed/<venue>
        ├── bars/<venue>
        └── books/<venue>  one_for_one  5 in 30 s for each book: they fail alone
            └── book/<venue>/<symbol>
"""

from collections.abc import Iterator, Sequence

import msgspec

from stevie.actors.bar_keeper import BarKeeper
from stevie.actors.market_data import MarketData
from stevie.actors.record_tree import GROUP_INTENSITY, RecordSetup, record_spec
from stevie.actors.venue_book import BookSettings, VenueBook
from stevie.actors.venue_feed import FeedSettings, VenueFeed
from stevie.domain.market.instrument import Instrument
from stevie.ports import Kernel, Transport, VenueCodec
from stevie.ports_bars import BarCodec, BarRecall
from stevie.runtime.supervision import ChildSpec, Intensity, Plan, Strategy
from stevie.runtime.supervisor import supervise

ROOT = "root"
MARKET_DATA = "market_data"

ROOT_INTENSITY = Intensity(restarts=2, period_s=300.0)
LEAF_RESTARTS = 5  # in 30 s, for each leaf: neighbors must not use up one another's


class BarsSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What one venue's bars are made of."""

    codec: BarCodec
    recall: BarRecall


class VenueSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What one venue's actors are made of."""

    codec: VenueCodec
    transport: Transport
    instruments: tuple[Instrument, ...]
    kernel: Kernel
    feed: FeedSettings = FeedSettings()
    book: BookSettings = BookSettings()
    bars: BarsSetup | None = None


def root_spec(venues: Sequence[VenueSetup], record: RecordSetup | None = None) -> ChildSpec:
    """The whole tree; a replay keeps no record."""
    listeners = tuple(name for venue in venues for name in _flag_listeners(venue))
    kept = () if record is None else (record_spec(record, listeners),)
    return supervise(
        ROOT,
        Plan(
            children=(*kept, _market(venues)),
            strategy=Strategy.REST_FOR_ONE,
            intensity=ROOT_INTENSITY,
        ),
    )


def _flag_listeners(setup: VenueSetup) -> Iterator[str]:
    """The actors of a venue that heed a flag."""
    if setup.bars is not None:
        yield f"bars/{setup.codec.venue}"
    yield from (f"book/{each.venue}/{each.symbol}" for each in setup.instruments)


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
    bars = () if setup.bars is None else (_bars(setup, setup.bars),)
    return supervise(
        f"venue/{venue}",
        Plan(
            children=(feed, *bars, _books(setup)),
            strategy=Strategy.REST_FOR_ONE,
            intensity=GROUP_INTENSITY,
        ),
    )


def _bars(setup: VenueSetup, bars: BarsSetup) -> ChildSpec:
    return ChildSpec(
        name=f"bars/{setup.codec.venue}",
        factory=BarKeeper,
        arguments={
            "codec": setup.codec,
            "bars": bars.codec,
            "transport": setup.transport,
            "recall": bars.recall,
            "instruments": setup.instruments,
        },
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
            "codec": setup.codec,
        },
    )
