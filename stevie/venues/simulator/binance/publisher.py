"""What each stream carries after each step of the market."""

from collections.abc import Container, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

import msgspec

from stevie.venues.simulator.binance.frames import Scribe
from stevie.venues.simulator.binance.klines import INTERVALS, closed_kline, growing_kline, span_ns
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.market.bars import MINUTE_NS, Bar
from stevie.venues.simulator.market.book import BookView
from stevie.venues.simulator.market.listed import ListedMarket
from stevie.venues.simulator.market.listing import STEP_NS
from stevie.venues.simulator.market.takers import Trade
from stevie.venues.simulator.venue import Frame

PARTIAL_DEPTHS = (5, 10, 20)
STAGGER_STEPS = 3  # symbols send at different moments, as on the real venue
NS_PER_MS = 1_000_000


class Cadences(msgspec.Struct, frozen=True, kw_only=True):
    """How often a venue's streams speak, in milliseconds."""

    depth: dict[str, int]
    """Period by the suffix of the stream's name."""
    kline: int
    aggregate: int


CADENCES = {
    SPOT: Cadences(
        depth={"": 1_000, "@1000ms": 1_000, "@100ms": 100},
        kline=2_000,
        aggregate=STEP_NS // NS_PER_MS,
    ),
    USDM: Cadences(
        depth={"": 250, "@250ms": 250, "@500ms": 500, "@100ms": 100},
        kline=250,
        aggregate=100,
    ),
}


class DepthClock:
    """One symbol's diffs at one period: they chain from frame to frame."""

    def __init__(self, listed: ListedMarket, scribe: Scribe, *, suffixes: list[str]) -> None:
        self._listed = listed
        self._scribe = scribe
        self._last_id = listed.book.last_update_id
        name = listed.listing.symbol.lower()
        self._diffs = [f"{name}@depth{suffix}" for suffix in suffixes]
        self._tops = [(f"{name}@depth{n}{sfx}", n) for sfx in suffixes for n in PARTIAL_DEPTHS]

    def close(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        """Yield the frames of the period that ends now."""
        book, previous_id = self._listed.book, self._last_id
        self._last_id = book.last_update_id
        if self._last_id == previous_id:
            return
        for stream in self._diffs:
            if stream in wanted:
                changes = book.changes_after(previous_id)
                yield Frame(
                    stream, self._scribe.diff(changes, previous_id=previous_id, now_ns=now_ns)
                )
        for stream, levels in self._tops:
            if stream in wanted:
                data = self._scribe.top(
                    book.view(levels=levels),
                    first_id=book.changes_after(previous_id)[0].update_id,
                    previous_id=previous_id,
                    now_ns=now_ns,
                )
                yield Frame(stream, data)


class ListingStreams:
    """All streams of one symbol at one venue."""

    def __init__(self, listed: ListedMarket, cadences: Cadences, *, stagger: int) -> None:
        self._listed = listed
        self._scribe = Scribe(listed.listing)
        self._stagger_ns = stagger * STEP_NS
        self._name = listed.listing.symbol.lower()
        self._touch = listed.book.view(levels=1)
        self._kline_ns = cadences.kline * NS_PER_MS
        self._aggregate_ns = cadences.aggregate * NS_PER_MS
        self._waiting: list[Trade] = []  # emptied every 100 ms at least
        self._clocks = [
            (
                period * NS_PER_MS,
                DepthClock(
                    listed,
                    self._scribe,
                    suffixes=[sfx for sfx, ms in cadences.depth.items() if ms == period],
                ),
            )
            for period in sorted(set(cadences.depth.values()))
        ]

    def step(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        """Yield the frames that this step gives."""
        yield from self._trades(now_ns, wanted)
        yield from self._book_ticker(now_ns, wanted)
        beat_ns = now_ns + self._stagger_ns
        for period_ns, clock in self._clocks:
            if beat_ns % period_ns == 0:
                yield from clock.close(now_ns, wanted)
        if beat_ns % self._kline_ns == 0:
            yield from self._growing_klines(now_ns, wanted)
        if now_ns % MINUTE_NS == 0:
            yield from self._closed_klines(now_ns, wanted)

    def _trades(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        trades = self._listed.trades_of_step
        if trades and f"{self._name}@trade" in wanted:
            for trade in trades:
                yield Frame(f"{self._name}@trade", self._scribe.trade(trade, now_ns=now_ns))
        self._waiting += trades
        if self._waiting and (now_ns + self._stagger_ns) % self._aggregate_ns == 0:
            yield from self._aggregates(now_ns, wanted)

    def _aggregates(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        waiting, self._waiting = self._waiting, []
        stream = f"{self._name}@aggTrade"
        if stream in wanted:
            for _, fills in groupby(waiting, key=attrgetter("aggregate_id")):
                yield Frame(stream, self._scribe.aggregate(tuple(fills), now_ns=now_ns))

    def _book_ticker(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        stream = f"{self._name}@bookTicker"
        if stream not in wanted:
            return
        touch = self._listed.book.view(levels=1)
        if not _same_quotes(touch, self._touch):
            self._touch = touch
            yield Frame(stream, self._scribe.touch(touch, now_ns=now_ns))

    def _growing_klines(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        for interval in INTERVALS:
            if f"{self._name}@kline_{interval}" in wanted:
                bar = growing_kline(self._listed.bars, interval)
                yield self._kline(bar, interval, is_closed=False, now_ns=now_ns)

    def _closed_klines(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        for interval in INTERVALS:
            is_over = span_ns(interval, now_ns)[0] == now_ns
            if is_over and f"{self._name}@kline_{interval}" in wanted:
                bar = closed_kline(self._listed.bars, interval)
                yield self._kline(bar, interval, is_closed=True, now_ns=now_ns)

    def _kline(self, bar: Bar, interval: str, *, is_closed: bool, now_ns: int) -> Frame:
        data = self._scribe.kline(bar, interval=interval, is_closed=is_closed, now_ns=now_ns)
        return Frame(f"{self._name}@kline_{interval}", data)


class Publisher:
    """All streams of one venue."""

    def __init__(self, listed: Mapping[str, ListedMarket], *, venue: str) -> None:
        self._streams = [
            ListingStreams(it, CADENCES[venue], stagger=STAGGER_STEPS * index)
            for index, it in enumerate(listed.values())
        ]

    def step(self, now_ns: int, wanted: Container[str]) -> Iterator[Frame]:
        """Yield what the step that ended now gives to the wanted streams."""
        for streams in self._streams:
            yield from streams.step(now_ns, wanted)


def _same_quotes(one: BookView, other: BookView) -> bool:
    return one.bids == other.bids and one.asks == other.asks
