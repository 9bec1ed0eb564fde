"""Stevie as a client of bench/wire_server.py: the whole tree, from the socket to the features."""

from gevent import monkey

monkey.patch_all()

import logging

import gevent
import structlog

from bench.wire_stream import SYMBOL, TOP_LEVELS, Marks, address
from stevie import __version__
from stevie.actors.root import VenueSetup, root_spec
from stevie.adapters.clock import LiveClock
from stevie.adapters.kernel import load_kernel
from stevie.adapters.rng import SeededRng
from stevie.adapters.transport import GeventTransport
from stevie.domain.market.instrument import Instrument, InstrumentKind
from stevie.messages.market import BookRead, ReadBook
from stevie.runtime.system import ActorSystem
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.binance.venue import BinanceSpot, Endpoints

LOOK_S = 0.05
BTC_USDT = Instrument(
    venue="binance",
    symbol=SYMBOL,
    native=SYMBOL,
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
    tick_size="0.01",
    lot_size="0.00001",
)


def main(port: int, seqs: list[int]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    marks = Marks(f"Stevie {__version__}", seqs)
    clock = LiveClock()
    system = ActorSystem(clock=clock, rng=SeededRng(1))
    setup = VenueSetup(
        codec=BinanceSpot(
            Endpoints(rest=f"http://127.0.0.1:{port}", socket=f"ws://127.0.0.1:{port}")
        ),
        transport=GeventTransport(clock, connect_timeout_s=5.0),
        instruments=(BTC_USDT,),
        kernel=load_kernel("native", BinanceReferenceCore),
    )
    system.start(root_spec([setup]))
    while not marks.is_over((book := _read(system, depth=1)).view.last_seq):
        gevent.sleep(LOOK_S)
    book = _read(system, depth=TOP_LEVELS)
    assert (book.state, book.counts.gaps) == ("LIVE", 0), book
    assert book.view.price_decimals == 2, book.view
    assert book.view.size_decimals == 5, book.view
    marks.end(list(book.bids), list(book.asks))


def _read(system: ActorSystem, *, depth: int) -> BookRead:
    read = system.directory.ask(f"book/binance/{SYMBOL}", ReadBook(depth=depth), timeout_s=5.0)
    assert isinstance(read, BookRead), read
    return read


if __name__ == "__main__":
    main(*address())
