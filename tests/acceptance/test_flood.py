"""Flood: deltas told to one book faster than it drains.

What must hold: the memory stays within the mailbox's bound whatever the rate, no sender ever
waits, what was dropped is declared and counted, and the book ends exact: every delta was applied,
or it resynced from a snapshot. The truth is kept beside it by a plain dict.
"""

import resource
import sys
import time
from collections.abc import Iterator
from typing import ClassVar

import gevent
import pytest
from gevent import monkey

from stevie.actors.market_counters import MarketCounter
from stevie.actors.market_data import MarketData
from stevie.actors.venue_book import BookSettings, VenueBook
from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.domain.market.instrument import Instrument
from stevie.domain.market.sequencer import SequenceRule
from stevie.http.edge import book_name
from stevie.messages.market import (
    BookConnected,
    BookRead,
    BookStarted,
    FetchSnapshot,
    FramesReceived,
    ReadBook,
    SnapshotAnswered,
)
from stevie.runtime.actor import StevieActor
from stevie.runtime.context import ActorContext
from stevie.runtime.counters import Counters
from stevie.runtime.message import Message
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem
from tests.domain.market.depth_chains import kernel_named
from tests.inject import wait_until

INSTRUMENT = Instrument(
    venue="binance", symbol="BTCUSDT", native="BTCUSDT", base="BTC", quote="USDT"
)
BOOK = book_name("binance", "BTCUSDT")
BATCH = 100
FLOOD_BATCHES = 1_500  # told without a pause: more than the mailbox holds
HELD_BATCHES = 400  # less than it holds
MEMORY_GROWTH_MAX_MIB = 100  # the mailbox's 8 MiB of frames, Python's objects, the heap
_really_sleep = monkey.get_original("time", "sleep")


class Tape:
    """One side of a book that changes a level a delta, and the frames that tell of it."""

    def __init__(self) -> None:
        self.seq = 1000
        self.bids: dict[int, int] = {60_000 - step: 7 for step in range(40)}

    def next_batch(self) -> FramesReceived:
        frames = tuple(self._next_frame() for _ in range(BATCH))
        at_ns = time.monotonic_ns()
        return FramesReceived(frames=frames, received_ns=(at_ns,) * BATCH, connections=(1,))

    def _next_frame(self) -> bytes:
        self.seq += 1
        price, size = 60_000 - self.seq % 40, self.seq % 97 + 1
        self.bids[price] = size
        return (
            b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT",'
            b'"U":%d,"u":%d,"b":[["%d.00","%d"]],"a":[]}}' % (self.seq, self.seq, price, size)
        )

    def snapshot(self) -> bytes:
        bids = b",".join(b'["%d.00","%d"]' % level for level in self.bids.items())
        return b'{"lastUpdateId":%d,"bids":[%s],"asks":[["60001.00","1"]]}' % (self.seq, bids)

    def best_bids(self, count: int) -> list[tuple[int, int]]:
        return sorted(self.bids.items(), reverse=True)[:count]


class SnapshotDesk(StevieActor):
    """Plays the feed: every snapshot asked for is the truth of the moment."""

    tape: ClassVar[Tape]

    def __init__(self, context: ActorContext) -> None:
        super().__init__(context)

    def handle(self, message: Message) -> None:
        if isinstance(message, BookStarted):
            self.tell(BOOK, BookConnected())
        elif isinstance(message, FetchSnapshot):
            body = self.tape.snapshot()
            answered = SnapshotAnswered(native_symbol="BTCUSDT", body=body, level_limit=1000)
            self.tell(BOOK, answered)


@pytest.fixture
def flooded() -> Iterator[tuple[ActorSystem, Tape]]:
    tape = Tape()
    desk = type("Desk", (SnapshotDesk,), {"tape": tape})
    arguments = {
        "instrument": INSTRUMENT,
        "rule": SequenceRule.SPOT,
        "kernel": kernel_named("native"),
        "settings": BookSettings(),
    }
    system = ActorSystem(clock=LiveClock(), rng=SeededRng(1), counters=Counters(MarketCounter))
    system.start(
        supervise(
            "root",
            Plan(
                children=(
                    ChildSpec(name="market_data", factory=MarketData),
                    ChildSpec(name="feed/binance", factory=desk),
                    ChildSpec(name=BOOK, factory=VenueBook, arguments=arguments),
                )
            ),
        )
    )
    yield system, tape
    system.stop()


def read(system: ActorSystem) -> BookRead:
    answer: BookRead = system.directory.ask(BOOK, ReadBook(depth=20), timeout_s=30.0)
    return answer


def flood(
    system: ActorSystem, tape: Tape, *, deltas: int, burst: int, stall_s: float = 0.0
) -> None:
    """Tell all of it in bursts, `burst` batches each; nothing else runs during one."""
    for _ in range(deltas // (burst * BATCH)):
        is_taken = [system.directory.tell(BOOK, tape.next_batch()) for _ in range(burst)]
        assert all(is_taken)
        _really_sleep(stall_s)  # the hub stands still: nobody drains anything
        stall_s = 0.0
        assert system.directory.view(BOOK).mailbox_bytes <= VenueBook.mailbox_bytes_max
        gevent.sleep(0)


def check_end(system: ActorSystem, tape: Tape) -> BookRead:
    """After the flood the market goes on at its usual pace, and the book is true and up to date."""

    def is_true() -> bool:
        assert system.directory.view(BOOK).incarnation == 1
        system.directory.tell(BOOK, tape.next_batch())
        gevent.sleep(0.01)
        book = read(system)
        return book.state == "LIVE" and book.view.last_seq == tape.seq

    wait_until(is_true, "LIVE at the newest delta", within_s=20.0)
    book = read(system)
    unit = 10**book.view.price_decimals, 10**book.view.size_decimals
    assert [(t // unit[0], s // unit[1]) for t, s in book.bids] == tape.best_bids(20)
    return book


def peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("deltas", "stall_s"),
    [
        pytest.param(300_000, 0.0, marks=pytest.mark.slow),
        pytest.param(1_000_000, 0.0, marks=pytest.mark.soak),
        pytest.param(1_000_000, 2.0, marks=pytest.mark.soak),
    ],
)
def test_a_flood_is_bounded_in_memory_blocks_nobody_and_ends_in_a_true_book(
    flooded: tuple[ActorSystem, Tape],
    deltas: int,
    stall_s: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    system, tape = flooded
    check_end(system, tape)  # LIVE to begin with
    before_bytes = peak_memory_bytes()

    flood(system, tape, deltas=deltas, burst=FLOOD_BATCHES, stall_s=stall_s)
    book = check_end(system, tape)

    mailbox, grown_mib = system.directory.view(BOOK), (peak_memory_bytes() - before_bytes) / 2**20
    with capsys.disabled():
        sys.stdout.write(
            f"\n{deltas:,} deltas, hub stalled {stall_s:g} s: peak memory {grown_mib:+.1f} MiB, "
            f"{mailbox.overflowed:,} batches dropped, {book.counts.resyncs} resyncs\n"
        )
    assert grown_mib < MEMORY_GROWTH_MAX_MIB
    assert mailbox.overflowed > 0, "no flood: the book kept up"
    assert book.counts.resyncs > 0
    assert book.view.malformed == 0


@pytest.mark.slow
def test_a_burst_that_the_mailbox_holds_is_applied_to_the_last_delta(
    flooded: tuple[ActorSystem, Tape],
) -> None:
    system, tape = flooded
    before = check_end(system, tape)

    flood(system, tape, deltas=200_000, burst=HELD_BATCHES)
    after = check_end(system, tape)

    mailbox = system.directory.view(BOOK)
    assert mailbox.overflowed == 0
    assert mailbox.folded > 0, "no burst: the book took every batch alone"
    assert after.counts.resyncs == before.counts.resyncs
    assert after.view.applied - before.view.applied == after.view.last_seq - before.view.last_seq
