"""The venues that Stevie speaks: one entry each, and how a capture's URL betrays its venue."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from stevie.domain.market.core import BookCore, CoreSpec
from stevie.ports import VenueCodec
from stevie.ports_bars import BarCodec
from stevie.venues.binance.klines import BinanceBars
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.binance.venue import SPOT_LIVE, USDM_LIVE, BinanceSpot, BinanceUsdm, Endpoints

URLS_MAX = 1024  # kept with their venues; a capture repeats the few of its sockets on every line


class VenueEntry(NamedTuple):
    """One venue: its codecs, its reference core, where it lives, and how its URLs are told."""

    codec: Callable[[Endpoints], VenueCodec]
    bars: Callable[[Endpoints], BarCodec]
    reference: Callable[[CoreSpec], BookCore]
    live: Endpoints
    symbol_suffix: str  # what the configured symbols carry at this venue
    owns: Callable[[str, str], bool]  # (host, path) -> whether the URL is this venue's


def _is_usdm(host: str, path: str) -> bool:
    if _is_near(host):
        return path.startswith(("/fapi/", "/public/", "/market/"))
    usdm_hosts = ("fstream.", "fapi.", "demo-fapi.", "demo-fstream.")
    return "binancefuture" in host or ("binance" in host and host.startswith(usdm_hosts))


def _is_spot(host: str, path: str) -> bool:
    if _is_near(host):
        return path.startswith(("/api/v3/", "/api/v1/", "/stream", "/ws"))
    return "binance" in host and not _is_usdm(host, path)


def _is_near(host: str) -> bool:
    """A simulator's host, where only the path tells: other venues use the same paths on theirs."""
    return "." not in host or host.startswith("127.")


VENUES = {
    "binance": VenueEntry(
        BinanceSpot, BinanceBars.spot, BinanceReferenceCore, SPOT_LIVE, "", _is_spot
    ),
    "binance_usdm": VenueEntry(
        BinanceUsdm, BinanceBars.usdm, BinanceReferenceCore, USDM_LIVE, "-PERP", _is_usdm
    ),
}


@lru_cache(URLS_MAX)
def venue_of(url: str) -> str:
    """The venue that a URL belongs to, "" if it is none of ours."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", parts.path
    return next((name for name, entry in VENUES.items() if entry.owns(host, path)), "")


def simulated(url: str) -> Endpoints:
    """The simulator's addresses: every venue on one port."""
    return Endpoints(rest=url, socket="ws" + url.removeprefix("http"))
