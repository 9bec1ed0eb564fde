"""Everything but the processes, over real sockets: what is LIVE is what the market says it was."""

import json
from collections.abc import Iterator

import gevent
import pytest

from stevie.actors.market_counters import MarketCounter
from stevie.actors.root import VenueSetup, root_spec
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import NativeKernel, PythonKernel
from stevie.adapters.rng import SeededRng
from stevie.adapters.transport import GeventTransport
from stevie.bootstrap import instruments
from stevie.config import Config
from stevie.domain.market.book import BookState
from stevie.domain.market.link import LinkLimits
from stevie.messages.market import BookRead, FeedState, FramesReceived, ReadBook, ReadFeed
from stevie.runtime.counters import Counters
from stevie.runtime.system import ActorSystem
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.registry import VENUES, simulated
from stevie.venues.simulator.config import ExchangeConfig
from stevie.venues.simulator.market.book import HistoryTooShortError
from stevie.venues.simulator.server import SimulatedExchange
from tests.inject import ask, tell, wait_until

pytestmark = pytest.mark.slow

CONFIG = Config(symbols=("BTCUSDT", "ETHUSDT"))
BOOKS = {
    "book/binance/BTCUSDT": ("binance", "BTCUSDT"),
    "book/binance/ETHUSDT": ("binance", "ETHUSDT"),
    "book/binance_usdm/BTCUSDT-PERP": ("binance_usdm", "BTCUSDT"),
    "book/binance_usdm/ETHUSDT-PERP": ("binance_usdm", "ETHUSDT"),
}
WATCHED_S = 3.0
KERNELS = {"native": NativeKernel, "python": lambda: PythonKernel(BinanceReferenceCore)}


class Bench:
    """The production actors against a simulated exchange of this very process."""

    def __init__(self, kernel_name: str) -> None:
        self.exchange = SimulatedExchange(ExchangeConfig(port=0))
        self.exchange.start()
        self.counters = Counters(MarketCounter)
        clock = LiveClock()
        self.system = ActorSystem(clock=clock, rng=SeededRng(1), counters=self.counters)
        self._transports = [GeventTransport(clock, connect_timeout_s=1.0) for _ in VENUES]
        kernel = KERNELS[kernel_name]()
        endpoints = simulated(f"http://127.0.0.1:{self.exchange.port}")
        setups = [
            VenueSetup(
                codec=entry.codec(endpoints),
                transport=transport,
                instruments=instruments(CONFIG, venue),
                kernel=kernel,
                feed=FeedSettings(link=LinkLimits(probe_after_s=0.5, probe_timeout_s=0.5)),
            )
            for (venue, entry), transport in zip(VENUES.items(), self._transports, strict=True)
        ]
        self.system.start(root_spec(setups))

    def read(self, name: str) -> BookRead:
        return ask(self.system, name, ReadBook(depth=1000))

    def wait_until_live(self, name: str, *, epoch: int = 0, resyncs: int = 0) -> BookRead:
        def is_live() -> bool:
            book = self.read(name)
            is_later = book.certificate.epoch >= epoch and book.counts.resyncs >= resyncs
            return book.state == BookState.LIVE and is_later

        wait_until(is_live, f"{name} is LIVE")
        return self.read(name)

    def is_true(self, name: str) -> bool:
        """Compare a LIVE book with the market's own; False if the market forgot that moment."""
        book = self.read(name)
        assert book.state == BookState.LIVE, (name, book.state, book.reason)
        listed = self.exchange.market.listed(*BOOKS[name])
        try:
            truth = listed.book.as_of(book.view.last_seq)
        except HistoryTooShortError:
            return False
        floor, ceiling = book.certificate.bid_floor_ticks, book.certificate.ask_ceiling_ticks
        tick, lot = listed.listing.tick_size, listed.listing.lot_size
        ticks = int(tick * 10**book.view.price_decimals)
        lots = int(lot * 10**book.view.size_decimals)
        bids = [(t * ticks, n * lots) for t, n in truth.bids if t * ticks >= floor]
        asks = [(t * ticks, n * lots) for t, n in truth.asks if ceiling < 0 or t * ticks <= ceiling]
        assert [level for level in book.bids if level[0] >= floor] == bids[:1000]
        assert [level for level in book.asks if ceiling < 0 or level[0] <= ceiling] == asks[:1000]
        return True

    def stop(self) -> None:
        self.system.stop()
        self.exchange.stop()
        for transport in self._transports:
            transport.close()


@pytest.fixture(params=KERNELS)
def bench(request) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.stop()


def test_every_live_book_is_the_markets_own_at_its_sequence_number(bench):
    for name in BOOKS:
        bench.wait_until_live(name)
    seen: dict[str, set[int]] = {name: set() for name in BOOKS}
    deadline_ns = LiveClock.monotonic_ns() + int(WATCHED_S * 1e9)

    while LiveClock.monotonic_ns() < deadline_ns:
        for name in BOOKS:
            if bench.is_true(name):
                seen[name].add(bench.read(name).view.last_seq)
        gevent.sleep(0.03)

    assert {name: len(moments) > 10 for name, moments in seen.items()} == dict.fromkeys(BOOKS, True)


def test_cut_sockets_come_back_by_themselves_with_true_books(bench):
    epochs = {name: bench.wait_until_live(name).certificate.epoch for name in BOOKS}

    bench.exchange.drop_connections()

    for name, epoch in epochs.items():
        assert bench.wait_until_live(name, epoch=epoch + 1).state == BookState.LIVE
        wait_until(lambda name=name: bench.is_true(name))


SPOT = "book/binance/BTCUSDT"


def _inject(bench: Bench, *frames: bytes) -> None:
    now_ns = LiveClock.monotonic_ns()
    received = FramesReceived(frames=frames, received_ns=(now_ns,) * len(frames))
    tell(bench.system, "feed/binance", received)


def test_frames_that_nobody_can_read_are_counted_and_harm_nothing(bench):
    before = bench.wait_until_live(SPOT)
    unrouted = ask(bench.system, "feed/binance", ReadFeed()).unrouted

    _inject(bench, b"\x00\xff garbage", b"", b"[" * 100_000, b'{"e":"depthUpdate"}', b"null")
    _inject(bench, b'{"e":"depthUpdate","s":"BTCUSDT","U":"x"', b'{"e":"trade","s":"BTCUSDT"}')

    wait_until(lambda: bench.read(SPOT).view.malformed == before.view.malformed + 2)
    state: FeedState = ask(bench.system, "feed/binance", ReadFeed())
    assert state.unrouted == unrouted + 5
    assert bench.read(SPOT).counts.resyncs == before.counts.resyncs
    wait_until(lambda: bench.is_true(SPOT))


def _delta(first_seq: int, last_seq: int, *, bids: list, asks: list) -> bytes:
    event = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first_seq, "u": last_seq}
    return json.dumps({**event, "b": bids, "a": asks}, separators=(",", ":")).encode()


def test_a_frame_out_of_sequence_is_a_gap_and_the_book_returns_true(bench):
    before = bench.wait_until_live(SPOT)
    seq = before.view.last_seq + 10_000_000

    _inject(bench, _delta(seq, seq + 1, bids=[["1.00", "1"]], asks=[]))

    after = bench.wait_until_live(SPOT, resyncs=before.counts.resyncs + 1)
    assert after.counts.gaps == before.counts.gaps + 1
    wait_until(lambda: bench.is_true(SPOT))


def test_a_frame_that_crosses_the_book_quarantines_it_until_it_is_true_again(bench):
    before = bench.wait_until_live(SPOT)
    seq = before.view.last_seq + 1

    _inject(bench, _delta(seq, seq, bids=[["999999.00", "1"]], asks=[]))

    after = bench.wait_until_live(SPOT, resyncs=before.counts.resyncs + 1)
    assert after.counts.crossed + after.counts.gaps > before.counts.crossed + before.counts.gaps
    wait_until(lambda: bench.is_true(SPOT))
