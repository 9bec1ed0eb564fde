"""GET /api/microstructure/{symbol}: the features of a symbol, at each venue and consolidated.

The figures at the top are those of `reference_venue`, the first configured venue whose book is
LIVE. A figure is valid when it is defined and its window reaches back over no break of continuity
(a start, a gap, a resync); what is undefined is null.
"""

from collections.abc import Sequence

import falcon

from stevie import rfc3339
from stevie.domain.contracts.catalog import MICROSTRUCTURE
from stevie.domain.market.book import BookState
from stevie.domain.market.features import Features
from stevie.domain.market.fixed_point import to_text
from stevie.domain.market.fresh_book import LEVELS_MAX
from stevie.http.edge import MARKET_DATA, Edge
from stevie.http.encoding import NS_PER_MS, NS_PER_S, price_text, to_json
from stevie.http.problems import Problem, not_ready
from stevie.http.requests import Bounds, Resource, check_query, find_symbol, whole_number
from stevie.messages.market import MarketState, ReadMarket, VenueReading

DEPTH = Bounds(default=10, least=1, most=LEVELS_MAX)


class MicrostructureResource(Resource):
    """One symbol over all venues."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Answer with one flat reading, and what it was chosen from."""
        check_query(req, "depth")
        depth = whole_number(req, "depth", DEPTH)
        symbol = find_symbol(self._edge.tables, path["symbol"])
        market: MarketState = self._edge.ask(MARKET_DATA, ReadMarket(symbol=symbol, depth=depth))
        reference = self._reference(market)
        if reference is None:
            raise _no_live_book(market)
        resp.text = MICROSTRUCTURE.vouched(to_json(self._document(market, reference)))

    def _reference(self, market: MarketState) -> VenueReading | None:
        rank = {venue: place for place, venue in enumerate(self._edge.tables)}
        usable = [reading for reading in market.venues if _is_usable(reading)]
        return min(usable, key=lambda reading: rank.get(reading.venue, len(rank)), default=None)

    def _document(self, market: MarketState, reference: VenueReading) -> dict[str, object]:
        return {
            "symbol": market.symbol,
            "reference_venue": reference.venue,
            "as_of": rfc3339.text(self._edge.clock.wall_ns()),
            "kernel": self._edge.kernel.name,
            "window_s": reference.window_ns / NS_PER_S,
            **_reading(market, reference),
            "consolidated": {
                "bids": _venue_levels(market, market.bids),
                "asks": _venue_levels(market, market.asks),
                "imbalance": market.imbalance,
            },
            "venues": {each.venue: _venue(market, each) for each in market.venues},
        }


def _is_usable(reading: VenueReading) -> bool:
    return reading.state == BookState.LIVE and reading.features is not None


def _no_live_book(market: MarketState) -> Problem:
    venues = {each.venue: {"state": each.state, "reason": each.reason} for each in market.venues}
    detail = f"No venue has a live book of {market.symbol}."
    return not_ready("No live book", detail, symbol=market.symbol, venues=venues)


def _venue(market: MarketState, reading: VenueReading) -> dict[str, object]:
    head: dict[str, object] = {"state": reading.state, "reason": reading.reason}
    return {**head, **_reading(market, reading)} if _is_usable(reading) else head


def _venue_levels(market: MarketState, ladder: Sequence[tuple[int, int, str]]) -> list[list[str]]:
    return [
        [to_text(ticks, market.price_decimals), to_text(lots, market.size_decimals), venue]
        for ticks, lots, venue in ladder
    ]


def _reading(market: MarketState, reading: VenueReading) -> dict[str, object]:
    """The features of one venue: of the book now, over the window of time, over that of events."""
    features = reading.features
    assert features is not None, reading
    waited_ns = max(0, market.now_ns - reading.features_at_ns)
    depth, trade = _ages_ms(features, waited_ns)
    mid = price_text(features.weighted_mid, reading.price_decimals)
    is_over_time_touched = bool(features.touched_time)
    now = _Group(age_ms=depth, is_touched=False)
    depth_window = _Group(age_ms=depth, is_touched=is_over_time_touched)
    trade_window = _Group(age_ms=trade, is_touched=is_over_time_touched)
    figures = {
        "obi": now.figure(features.obi),
        "spread_bps": now.figure(features.spread_bps),
        "weighted_mid": now.figure(mid),
        "ofi": depth_window.figure(features.ofi_time),
        "micro_vol": depth_window.figure(features.micro_vol_time),
        "ti": trade_window.figure(features.ti_time),
        # No trade at all is a rate as well: zero.
        "trades_per_s": (features.trades_per_s, trade_window.validity(features.trades_per_s)),
    }
    return {**_split(figures), "count_window": _count_window(features, depth, trade)}


def _count_window(
    features: Features, depth_age_ms: float | None, trade_age_ms: float | None
) -> dict[str, object]:
    depth = _Group(age_ms=depth_age_ms, is_touched=bool(features.touched_depth_count))
    trade = _Group(age_ms=trade_age_ms, is_touched=bool(features.touched_trade_count))
    return _split(
        {
            "ofi": depth.figure(features.ofi_count),
            "micro_vol": depth.figure(features.micro_vol_count),
            "ti": trade.figure(features.ti_count),
        }
    )


Value = float | str | None
Validity = dict[str, object]


class _Group:
    """Figures that come from the same events: they share an age and a window."""

    def __init__(self, *, age_ms: float | None, is_touched: bool) -> None:
        self._age_ms = age_ms
        self._is_touched = is_touched

    def figure(self, value: Value) -> tuple[Value, Validity]:
        """A value with its validity; undefined before the first event."""
        defined = None if self._age_ms is None else value
        return defined, self.validity(defined)

    def validity(self, value: Value) -> Validity:
        """How far a value may be believed."""
        is_valid = value is not None and not self._is_touched
        return {"valid": is_valid, "age_ms": self._age_ms, "gap_touched": self._is_touched}


def _split(figures: dict[str, tuple[Value, Validity]]) -> dict[str, object]:
    values: dict[str, object] = {name: value for name, (value, _) in figures.items()}
    return {**values, "validity": {name: each for name, (_, each) in figures.items()}}


def _ages_ms(features: Features, waited_ns: int) -> tuple[float | None, float | None]:
    depth, trade = (
        None if age_ns < 0 else (age_ns + waited_ns) / NS_PER_MS
        for age_ns in (features.depth_age_ns, features.trade_age_ns)
    )
    return depth, trade
