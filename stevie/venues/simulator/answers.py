"""REST: whose request it is, the venue's answer, and the line that it goes over."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import gevent
import msgspec

from stevie.venues.simulator.faults import ANY_PACE, NO_SYMBOL, Faults, Kind
from stevie.venues.simulator.market.book import HistoryTooShortError
from stevie.venues.simulator.market.dice import dice
from stevie.venues.simulator.market.simulation import Market
from stevie.venues.simulator.venue import NS_PER_S, Reply, Request, Venue

PACE_S = 0.05  # how often a stalled or slow answer looks whether it still is
BREAKING = frozenset({Kind.DROP, Kind.TRUNCATE, Kind.CUT})  # the others are of frames alone
TRUTH = "/truth/"
LOOPBACK = ("127.", "::1", "::ffff:127.")

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Answers:
    """The REST side of every venue; with a market to tell the truth of, that too."""

    def __init__(
        self,
        venues: Mapping[str, Venue],
        faults: Faults,
        *,
        seed: int,
        now_ns: Callable[[], int],
        truth_of: Market | None,
    ) -> None:
        self._venues = venues
        self._faults = faults
        self._now_ns = now_ns
        self._market = truth_of
        self._rng = dice(seed, "latency", "rest")
        self._dealer = faults.dealer("rest")

    def answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a REST request: made now, sent after the delay of the way."""
        if environ["REQUEST_METHOD"] != "GET":
            start_response("405 Method Not Allowed", [("Allow", "GET"), ("Content-Length", "0")])
            return []
        path, client = environ["PATH_INFO"], environ.get("REMOTE_ADDR", "")
        params = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        if self._market is not None and path.startswith(TRUTH) and client.startswith(LOOPBACK):
            return _sent(_truth(self._market, path, params), start_response)
        venue, bare = self.whose(path)
        target = f"{venue.name}/{params.get('symbol', NO_SYMBOL)}/rest{bare}"
        if self._faults.lasting(Kind.BLOCK, target):
            return _sent(venue.blocked, start_response)
        request = Request(bare, params, client, self._now_ns())
        reply = venue.answer(request)
        gevent.sleep(venue.latency.sample_ns(self._rng) / NS_PER_S)
        return self._spoilt(venue, target, reply, start_response)

    def whose(self, path: str) -> tuple[Venue, str]:
        """Return the venue that a path belongs to; nobody's is refused by the first."""
        for venue in self._venues.values():
            bare = venue.path(path)
            if bare:
                return venue, bare
        return next(iter(self._venues.values())), path

    def _spoilt(
        self, venue: Venue, target: str, reply: Reply, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Send an answer over a line that may be stalled, slow, or cut short."""
        skew = self._faults.lasting(Kind.SKEW, target)
        if skew is not None:
            reply = reply._replace(body=venue.shifted(reply.body, skew.ms))
        striking = self._faults.striking(target, self._dealer)
        struck = {it.kind for it in striking} & BREAKING
        self._faults.counts.update(struck)
        if struck:
            kept = 0 if Kind.DROP in struck else len(reply.body) // 2
            return _sent(reply, start_response, kept=kept)
        chunks = _sent(reply, start_response)
        return (
            self._paced(target, b"".join(chunks))
            if self._faults.pace(target) != ANY_PACE
            else chunks
        )

    def _paced(self, target: str, data: bytes) -> Iterator[bytes]:
        while data:
            pace = self._faults.pace(target)
            count = len(data) if pace == ANY_PACE else int(pace * PACE_S + 0.999)
            if count:
                yield data[:count]
                data = data[count:]
            gevent.sleep(PACE_S)


def _truth(market: Market, path: str, params: Mapping[str, str]) -> Reply:
    """Tell the true book; no venue does that."""
    venue, _, symbol = path.removeprefix(TRUTH).partition("/")
    seq = params.get("seq", "")
    try:
        listing = market.listed(venue, symbol).listing
        view = market.true_book(venue, symbol, int(seq) if seq.isdecimal() else None)
    except HistoryTooShortError as forgotten:
        return Reply(410, msgspec.json.encode({"detail": str(forgotten)}).decode())
    except KeyError:
        return Reply(404, '{"detail":"no such market"}')

    def written(levels: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
        tick, lot = Decimal(listing.tick_size), Decimal(listing.lot_size)
        return [(f"{ticks * tick:f}", f"{lots * lot:f}") for ticks, lots in levels]

    document = {"seq": view.update_id, "bids": written(view.bids), "asks": written(view.asks)}
    return Reply(200, msgspec.json.encode(document).decode())


def _sent(
    reply: Reply, start_response: StartResponse, *, kept: int | None = None
) -> Iterable[bytes]:
    """Begin an answer and return its body, or the beginning of it alone."""
    body = reply.body.encode()
    headers = [
        ("Content-Type", "application/json;charset=UTF-8"),
        ("Content-Length", str(len(body))),
        *reply.headers,
    ]
    if kept is not None:
        headers.append(("Connection", "close"))
    start_response(_status_line(reply.status), headers)
    return [body[:kept]]


def _status_line(status: int) -> str:
    return f"{status} {_REASONS.get(status) or HTTPStatus(status).phrase}"


_REASONS = {418: "I'm a teapot"}
