"""What a simulated exchange is started with."""

from collections.abc import Mapping

import msgspec

from stevie.venues.simulator.playback import Replay
from stevie.venues.simulator.registry import SYMBOLS, VENUES
from stevie.venues.simulator.venue import Latency, Profile


class ExchangeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulated exchange is started with. Port 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 5100
    seed: int = 1
    symbols: tuple[str, ...] = SYMBOLS
    alpha: bool = True
    latency: Latency | None = None
    """Of every venue, instead of the profiles'."""
    profiles: Mapping[str, Profile] = {}
    """By venue, instead of the registry's."""
    faults: str = ""
    truth: bool = False
    """Whether `GET /truth/VENUE/SYMBOL?seq=` tells the true book, to loopback alone."""
    replay: Replay | None = None
    """A recording to play instead of a market."""


def profile_of(config: ExchangeConfig, venue: str) -> Profile:
    """Return a venue's profile: the registry's, unless the configuration has another."""
    profile = config.profiles.get(venue, VENUES[venue].profile)
    if config.latency is not None:
        profile = msgspec.structs.replace(profile, latency=config.latency)
    return profile
