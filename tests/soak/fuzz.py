"""Fuzz: mutants through the production Book, on the sanitized kernel, the reference beside it.

`python -m tests.soak.fuzz LIBRARY --source generated --mutants 1000000 --seed 1`, in the
environment that `sanitized.environ` makes. No exception may come out, what is LIVE must be in
order, and where the reference is asked too, both must agree in everything that can be read. One
seed is one case: the seed that is printed last, with `--mutants 1`, is the reproduction.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from stevie.domain.market.book import Book, BookState, Reason
from stevie.domain.market.core import CoreSpec
from stevie.domain.market.fresh_book import FreshBook
from stevie.ports import Kernel
from stevie.venues.binance.reference import BinanceReferenceCore
from tests.parity.twins import bits
from tests.soak.cases import Batch, Case
from tests.soak.sanitized import SanitizedKernel

PROGRESS_S = 5.0
ORACLE_SHARE = 0.25  # of the cases: the reference takes longer than all the rest
ALL = 100_000  # levels


class Books:
    """A book on the sanitized kernel and, as the oracle, one on the reference, told the same."""

    def __init__(self, spec: CoreSpec, kernel: Kernel, *, has_oracle: bool) -> None:
        self.native = Book(lambda: kernel.new_core(spec))
        self._oracle = Book(lambda: BinanceReferenceCore(spec)) if has_oracle else None

    def tell(self, what: Callable[[Book], object], now_ns: int) -> None:
        """Tell both; they must answer alike."""
        what(self.native)
        facts = list(_facts(self.native, now_ns))
        if self._oracle is not None:
            what(self._oracle)
            for ours, theirs in zip(facts, _facts(self._oracle, now_ns), strict=True):
                assert ours == theirs, (ours, theirs)
        fresh = self.native.fresh_book("binance", "ABC")
        if fresh is not None:
            _assert_in_order(fresh)

    def agree_to_the_last_level(self) -> None:
        """Compare what a fresh book leaves out."""
        ladder = self.native.core.ladder(ALL)
        assert self._oracle is None or ladder == self._oracle.core.ladder(ALL)


def _facts(book: Book, now_ns: int) -> Iterator[object]:
    """All that can be read of a book."""
    yield book.state, book.reason, book.detail, book.epoch, book.snapshot_wanted
    yield book.counts()
    yield bits(book.core.view())
    if book.is_live:
        yield book.fresh_book("binance", "ABC")
        yield bits(book.core.features(now_ns))


def _assert_in_order(fresh: FreshBook) -> None:
    """Whatever was sent, a LIVE book is sorted, without empty levels, and not crossed."""
    bids, asks = fresh.bid_levels(), fresh.ask_levels()
    for levels, is_sorted_up in ((bids, False), (asks, True)):
        prices = [ticks for ticks, _ in levels]
        assert prices == sorted(set(prices), reverse=not is_sorted_up), prices
        assert all(ticks > 0 and lots > 0 for ticks, lots in levels), levels
    assert not bids or not asks or bids[0][0] <= asks[0][0], (bids[0], asks[0])


def run_case(case: Case, kernel: Kernel, seen: Counter[str]) -> None:
    """Tell two books all of a case."""
    books = Books(case.spec, kernel, has_oracle=case.rng.random() < ORACLE_SHARE)
    books.tell(lambda book: book.on_connected(case.now_ns), case.now_ns)
    for batch in case.batches():
        _take(books, batch, case)
        seen["frames"] += len(batch.frames)
        _answer(books, case)
        _disturb(books, case)
        seen["looks"] += 1
        seen["live"] += books.native.is_live
    books.agree_to_the_last_level()
    seen["mutants"] += case.mutants
    view = books.native.core.view()
    for name in ("applied", "malformed", "stale"):
        seen[name] += getattr(view, name)
    seen["resyncs"] += books.native.resyncs


def _take(books: Books, batch: Batch, case: Case) -> None:
    books.tell(lambda book: book.on_frames(batch.frames, batch.received_ns), case.now_ns)


def _answer(books: Books, case: Case) -> None:
    """What the book asks for comes, most of the time."""
    if not books.native.snapshot_wanted or case.rng.random() < 0.2:
        return
    body, limit = case.snapshot()
    books.tell(lambda book: book.on_snapshot(body, limit, case.now_ns), case.now_ns)


def _disturb(books: Books, case: Case) -> None:
    """Now and then the line breaks, or frames are lost."""
    draw = case.rng.random()
    if draw < 0.01:
        books.tell(lambda book: book.on_frames_lost(case.now_ns), case.now_ns)
    elif draw < 0.02:
        reason = Reason.DISCONNECTED
        books.tell(lambda book: book.on_disconnected(reason, case.now_ns), case.now_ns)
    if books.native.state is BookState.STALE:
        books.tell(lambda book: book.on_connected(case.now_ns), case.now_ns)


def main() -> None:
    """Run cases until enough frames have been told, and say how it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--source", required=True)
    parser.add_argument("--mutants", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    wanted = parser.parse_args()
    kernel, seed, seen = SanitizedKernel(wanted.library), wanted.seed, Counter[str]()
    began_s = told_s = time.monotonic()
    while seen["mutants"] < wanted.mutants:
        sys.stdout.write(f"seed {seed}\n")  # before, so that it is told whatever comes
        run_case(Case(wanted.source, seed), kernel, seen)
        seed += 1
        if time.monotonic() - told_s > PROGRESS_S:
            told_s = time.monotonic()
            _say(wanted, seen, told_s - began_s)
    _say(wanted, seen, time.monotonic() - began_s)
    sys.stdout.write("well\n")


def _say(wanted: argparse.Namespace, seen: Counter[str], elapsed_s: float) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in seen.items())
    sys.stderr.write(f"{wanted.source} from seed {wanted.seed}: {counts}; {elapsed_s:.0f} s\n")


if __name__ == "__main__":
    main()
