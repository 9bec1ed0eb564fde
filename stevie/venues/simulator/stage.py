"""What an exchange puts on: a market that lives, or a recording (`playback.py`)."""

from collections.abc import Container, Iterator, Mapping
from typing import Protocol

import msgspec
import structlog

from stevie.venues.simulator.config import ExchangeConfig, profile_of
from stevie.venues.simulator.market.listing import Listing
from stevie.venues.simulator.market.simulation import Market
from stevie.venues.simulator.playback import Playback, learned
from stevie.venues.simulator.registry import VENUES
from stevie.venues.simulator.venue import AT_ONCE, NS_PER_S, Frame, Venue

CATCH_UP_MAX_NS = 5 * NS_PER_S  # a longer sleep of the machine is skipped, not lived through

log = structlog.get_logger()


class Stage(Protocol):
    """Venues, and what they say as time passes."""

    @property
    def venues(self) -> Mapping[str, Venue]:
        """Return the venues by id."""

    @property
    def is_over(self) -> bool:
        """Say whether there is nothing more to come, ever."""

    def advance(
        self, to_ns: int, audience: Mapping[str, Container[str]], *, has_room: bool
    ) -> Iterator[tuple[str, Frame]]:
        """Yield the frames up to a time, by venue, of the streams that the audience hears."""


class MarketStage:
    """One market behind every venue."""

    is_over = False

    def __init__(self, market: Market, venues: Mapping[str, Venue]) -> None:
        self.market = market
        self.venues = venues

    def advance(
        self,
        to_ns: int,
        audience: Mapping[str, Container[str]],
        *,
        has_room: bool,  # noqa: ARG002  a market waits for nobody
    ) -> Iterator[tuple[str, Frame]]:
        """Move the market, step by step, and yield what each step gives."""
        if to_ns - self.market.now_ns > CATCH_UP_MAX_NS:
            log.warning("market_time_skipped", skipped_s=(to_ns - self.market.now_ns) / NS_PER_S)
            self.market.skip(to_ns)
        for now_ns in self.market.advance(to_ns):
            for name, venue in self.venues.items():
                for frame in venue.frames(now_ns, audience[name]):
                    yield name, frame


def open_stage(config: ExchangeConfig, now_ns: int) -> Stage:
    """Return what is put on; PlaybackError or CaptureError if a recording cannot be."""
    if config.replay is None:
        return _market_stage(config, now_ns)
    recordings = {
        # The spacing is the recording's own: nothing is added.
        name: entry.recording(name, latency=AT_ONCE, limits=profile_of(config, name).limits)
        for name, entry in VENUES.items()
    }
    return Playback(config.replay, learned(config.replay.path, recordings))


def _market_stage(config: ExchangeConfig, now_ns: int) -> MarketStage:
    profiles = {name: profile_of(config, name) for name in VENUES}
    market = Market(
        [
            _styled(listing, profiles[name].style)
            for name, entry in VENUES.items()
            for listing in entry.listings(config.symbols)
        ],
        seed=config.seed,
        start_ns=now_ns,
        alpha=config.alpha,
        numbering={name: entry.numbering(config.seed) for name, entry in VENUES.items()},
    )
    venues = {
        name: entry.market(
            name, market, latency=profiles[name].latency, limits=profiles[name].limits
        )
        for name, entry in VENUES.items()
    }
    return MarketStage(market, venues)


def _styled(listing: Listing, changes: Mapping[str, float]) -> Listing:
    return msgspec.structs.replace(listing, style=msgspec.structs.replace(listing.style, **changes))


def told_of(config: ExchangeConfig) -> dict[str, object]:
    """Return what the log says of the stage."""
    if config.replay is None:
        return {"symbols": list(config.symbols), "alpha": config.alpha}
    return {"recording": str(config.replay.path), "speed": config.replay.speed or "full"}
