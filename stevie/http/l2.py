"""GET /api/l2/{venue}/{symbol}: one true book, or why there is none."""

import falcon

from stevie import rfc3339
from stevie.domain.contracts.catalog import L2
from stevie.domain.market.book import BookState, Reason
from stevie.domain.market.fixed_point import to_text
from stevie.domain.market.fresh_book import Certificate
from stevie.http.edge import Edge, book_name
from stevie.http.encoding import age_ms, levels, to_json
from stevie.http.problems import Problem, not_ready
from stevie.http.requests import (
    Bounds,
    Resource,
    check_query,
    find_instrument,
    find_table,
    unknown_symbol,
    whole_number,
)
from stevie.messages.market import BookRead, ReadBook

DEPTH = Bounds(default=20, least=1, most=1000)  # 1000 levels are what a snapshot brings


class L2Resource(Resource):
    """The book of one venue and symbol."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Answer with the best `depth` levels that the book can vouch for."""
        check_query(req, "depth")
        depth = whole_number(req, "depth", DEPTH)
        instrument = find_instrument(self._edge.tables, path["venue"], path["symbol"])
        name = book_name(instrument.venue, instrument.symbol)
        read: BookRead = self._edge.ask(name, ReadBook(depth=depth))
        if read.state != BookState.LIVE:
            raise self._not_live(read)
        resp.text = L2.vouched(to_json(self._document(read)))

    def _not_live(self, read: BookRead) -> Problem:
        venue, symbol = read.instrument.venue, read.instrument.symbol
        if read.reason == Reason.NOT_LISTED:
            followed = find_table(self._edge.tables, venue).symbols
            listed = tuple(each for each in followed if each != symbol)
            return unknown_symbol(symbol, listed, where=f"at {venue}, which does not list it")
        why = f"{read.reason}: {read.detail}" if read.detail else read.reason
        return not_ready(
            "Book is not live",
            f"The book of {symbol} at {venue} is {read.state}: {why}.",
            venue=venue,
            symbol=symbol,
            state=read.state,
            reason=read.reason,
            state_age_ms=age_ms(read.now_ns, read.state_since_ns),
        )

    def _document(self, read: BookRead) -> dict[str, object]:
        proof = read.certificate
        bids = tuple(level for level in read.bids if level[0] >= proof.bid_floor_ticks)
        ceiling = proof.ask_ceiling_ticks
        asks = tuple(level for level in read.asks if ceiling < 0 or level[0] <= ceiling)
        scale = (read.view.price_decimals, read.view.size_decimals)
        event_ns = read.view.event_ns
        return {
            "venue": read.instrument.venue,
            "symbol": read.instrument.symbol,
            "native_symbol": read.instrument.native,
            "state": read.state,
            "seq": proof.last_seq,
            "seq_kind": "venue",
            "bids": levels(bids, *scale),
            "asks": levels(asks, *scale),
            "depth_available": {"bids": len(bids), "asks": len(asks)},
            "tick_size": read.instrument.tick_size,
            "lot_size": read.instrument.lot_size,
            "kernel": read.kernel,
            "age_ms": age_ms(read.now_ns, proof.heard_ns),
            "as_of": rfc3339.text(self._edge.clock.wall_ns()),
            "venue_at": rfc3339.text(event_ns) if event_ns > 0 else None,
            "certificate": _certificate(read, proof),
        }


def _certificate(read: BookRead, proof: Certificate) -> dict[str, object]:
    return {
        "epoch": proof.epoch,
        "snapshot_seq": proof.snapshot_seq,
        "first_seq": proof.first_seq,
        "last_seq": proof.last_seq,
        "applied_count": proof.applied_count,
        "age_ms": age_ms(read.now_ns, proof.heard_ns),
        "horizon": {
            "bid_floor": _edge_price(proof.bid_floor_ticks, read.view.price_decimals),
            "ask_ceiling": _edge_price(proof.ask_ceiling_ticks, read.view.price_decimals),
        },
    }


def _edge_price(ticks: int, decimals: int) -> str | None:
    """The last price that is known on a side; None where all are."""
    return to_text(ticks, decimals) if ticks >= 0 else None
