"""Rows of a journal: whoever replays them stands where the book stood."""

import random
import zlib
from collections.abc import Sequence
from itertools import pairwise

import pytest

from stevie.domain.contracts.rows import L2LogRow
from stevie.domain.contracts.stored import kept
from stevie.domain.market.book import Book, Reason
from stevie.domain.market.core import BookCore, CoreSpec
from stevie.domain.market.journal import (
    ROW_BYTES,
    WAITING_BYTES_MAX,
    Journal,
    JournalError,
    rebuilt,
)
from stevie.domain.market.sequencer import SequenceRule
from tests.domain.market.depth_chains import (
    ALL,
    KERNELS,
    SCALE,
    START_NS,
    Chain,
    depth_frame,
    generated,
    kernel_named,
    new_book,
    trade_frame,
)

State = tuple[int, tuple[bytes, bytes]]


def core_of(chain: Chain, kernel: str = "python") -> BookCore:
    spec = CoreSpec(native_symbol=chain.symbol, rule=chain.rule, scale=SCALE)
    return kernel_named(kernel).new_core(spec)


def state(core: BookCore) -> State:
    return core.view().last_seq, core.ladder(ALL)


class Kept:
    """A book with a journal whose rows are taken at once, with the state at each row's end."""

    def __init__(self, chain: Chain, kernel: str = "python") -> None:
        self.book = new_book(kernel_named(kernel), chain.rule, chain.symbol)
        self.book.journal = Journal()
        self.rows: list[L2LogRow] = []
        self.states: dict[int, State] = {}  # by sequence

    @property
    def journal(self) -> Journal:
        assert self.book.journal is not None
        return self.book.journal

    def join(self, chain: Chain, delta: int = 0) -> None:
        """LIVE by the snapshot before a delta."""
        self.book.on_connected(START_NS)
        self.bring(chain.deltas[delta].frame)
        before = chain.deltas[delta - 1].truth if delta else chain.start
        self.book.on_snapshot(before.body(), 0, START_NS)
        self.take()

    def bring(self, *frames: bytes) -> None:
        self.book.on_frames(frames, (START_NS,) * len(frames))
        self.take()

    def cut(self) -> None:
        self.journal.cut(self.book.core.view())
        self.take()

    def take(self) -> None:
        while self.journal.has_rows:
            self.rows.append(self.journal.take("binance", "BTCUSDT", known_ns=START_NS))


def replayed(rows: Sequence[L2LogRow], core: BookCore) -> list[State]:
    return [state(core) for _ in rebuilt(rows, core, level_limit=0)]


# -- the way back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("rule", SequenceRule)
@pytest.mark.parametrize("seed", range(6))
def test_the_book_at_the_end_of_every_row_is_the_truth(
    kernel: str, rule: SequenceRule, seed: int
) -> None:
    chain, rng = generated(rule, seed=seed, count=120), random.Random(seed)
    truths = {delta.last_seq: delta.truth for delta in chain.deltas}
    truths[chain.start.seq] = chain.start
    kept_book = Kept(chain, kernel)
    kept_book.join(chain)
    index, trade_id = 1, 0
    while index < len(chain.deltas):
        count = rng.randrange(1, 9)
        frames = [delta.frame for delta in chain.deltas[index : index + count]]
        index += count
        for _ in range(rng.randrange(3)):
            trade_id += 1
            frames.insert(rng.randrange(len(frames) + 1), trade_frame(trade_id))
        if rng.random() < 0.2:
            frames.append(chain.deltas[index - count - 1].frame)  # late: it changes nothing
        kept_book.bring(*frames)
        if rng.random() < 0.3:
            kept_book.cut()
    kept_book.cut()

    rows = [kept(row) for row in kept_book.rows]
    states = replayed(rows, core_of(chain, kernel))

    assert [seq for seq, _ in states] == [row.seq for row in rows]
    assert all(ladder == truths[seq].packed() for seq, ladder in states)
    assert states[-1] == state(kept_book.book.core)
    assert len(rows) > 5
    assert [b.first_seq for b in rows[1:]] == [min(a.seq + 1, b.seq) for a, b in pairwise(rows)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_batch_of_any_size_becomes_rows_of_one_size_each_where_the_book_stood(
    kernel: str,
) -> None:
    chain = generated(SequenceRule.SPOT, count=1200)
    truths = {delta.last_seq: delta.truth for delta in chain.deltas}
    kept_book = Kept(chain, kernel)
    kept_book.join(chain)

    kept_book.bring(*(delta.frame for delta in chain.deltas[1:]))
    kept_book.cut()

    frames = kept_book.rows[1:]
    assert len(frames) > 4
    assert sum(row.frames for row in frames) == len(chain.deltas)
    longest = max(len(delta.frame) for delta in chain.deltas)
    assert all(len(zlib.decompress(row.body)) < ROW_BYTES + longest for row in frames)
    states = replayed(kept_book.rows, core_of(chain, kernel))
    assert [ladder for _, ladder in states[1:]] == [truths[row.seq].packed() for row in frames]


def test_frames_that_waited_for_the_snapshot_are_in_it_and_those_before_a_break_too() -> None:
    chain = generated(SequenceRule.SPOT)
    kept_book = Kept(chain)
    kept_book.join(chain)
    kept_book.bring(chain.deltas[1].frame, chain.deltas[5].frame)  # a gap
    assert kept_book.book.reason is Reason.GAP
    kept_book.bring(chain.deltas[6].frame)
    kept_book.book.on_snapshot(chain.deltas[4].truth.body(), 0, START_NS)
    kept_book.cut()

    assert [row.kind for row in kept_book.rows] == ["snapshot", "frames"] * 2
    states = replayed(kept_book.rows, core_of(chain))
    truths = [chain.start, chain.deltas[1].truth, chain.deltas[4].truth, chain.deltas[6].truth]
    assert states == [(truth.seq, truth.packed()) for truth in truths]


@pytest.mark.parametrize("is_sorted", [False, True])
def test_a_refresh_begins_the_journal_anew_with_what_led_up_to_the_book(is_sorted: bool) -> None:
    chain = generated(SequenceRule.SPOT)
    kept_book = Kept(chain)
    kept_book.join(chain)
    kept_book.bring(*(delta.frame for delta in chain.deltas[1:4]))
    kept_book.book.want_refresh()
    assert kept_book.book.snapshot_wanted
    kept_book.bring(*(delta.frame for delta in chain.deltas[4:9]))
    kept_book.book.on_snapshot(chain.deltas[5].truth.body(), 0, START_NS)
    kept_book.take()
    kept_book.bring(chain.deltas[9].frame)
    kept_book.cut()

    rows = kept_book.rows
    assert [row.kind for row in rows] == ["snapshot", "frames"] * 2 + ["frames"]
    assert kept_book.book.is_live
    end = (chain.deltas[9].last_seq, chain.deltas[9].truth.packed())
    ordered = sorted(rows, key=lambda row: row.seq) if is_sorted else rows  # as the archive has it
    assert replayed(ordered, core_of(chain))[-1] == end
    assert replayed(rows[2:], core_of(chain))[-1] == end


def test_a_snapshot_that_is_not_taken_over_leaves_no_trace() -> None:
    chain = generated(SequenceRule.SPOT)
    kept_book = Kept(chain)
    kept_book.join(chain)
    kept_book.bring(*(delta.frame for delta in chain.deltas[1:4]))
    kept_book.book.want_refresh()

    kept_book.book.on_snapshot(chain.start.body(), 0, START_NS)  # older than the book

    assert kept_book.book.snapshot_wanted
    kept_book.cut()
    assert [row.kind for row in kept_book.rows] == ["snapshot", "frames"]


# -- what does not add up --------------------------------------------------------------------------


def told() -> tuple[Chain, list[L2LogRow]]:
    chain = generated(SequenceRule.SPOT)
    kept_book = Kept(chain)
    kept_book.join(chain)
    for delta in chain.deltas[1:]:
        kept_book.bring(delta.frame)
        kept_book.cut()
    return chain, kept_book.rows


def test_a_row_that_is_missing_is_found() -> None:
    chain, rows = told()

    for index in range(1, len(rows) - 1):
        with pytest.raises(JournalError, match="one is missing"):
            replayed(rows[:index] + rows[index + 1 :], core_of(chain))


def test_frames_without_a_snapshot_build_nothing() -> None:
    chain, rows = told()

    with pytest.raises(JournalError, match="expected a snapshot first"):
        replayed(rows[1:], core_of(chain))


def test_frames_of_another_epoch_are_passed_over() -> None:
    chain, rows = told()
    from_before = L2LogRow(
        **{name: getattr(rows[3], name) for name in rows[3].__struct_fields__} | {"epoch": 9}
    )

    assert replayed([rows[0], from_before, *rows[1:]], core_of(chain))[-1][1] == (
        chain.deltas[-1].truth.packed()
    )


def test_a_body_that_is_no_zlib_is_an_error_that_names_the_row() -> None:
    chain, rows = told()
    damaged = L2LogRow(
        **{name: getattr(rows[0], name) for name in rows[0].__struct_fields__} | {"body": b"?"}
    )

    with pytest.raises(JournalError, match="row of 1000 to 1000"):
        replayed([damaged], core_of(chain))


def test_a_line_feed_between_the_values_of_a_frame_does_no_harm() -> None:
    chain = generated(SequenceRule.SPOT)
    kept_book = Kept(chain)
    kept_book.join(chain)
    spaced = chain.deltas[1].frame.replace(b",", b",\n")
    broken = b'{"e":"depth\nUpdate"}'

    kept_book.bring(spaced, broken, chain.deltas[2].frame)
    kept_book.cut()

    core = core_of(chain)
    assert replayed(kept_book.rows, core)[-1][1] == chain.deltas[2].truth.packed()
    assert core.view().malformed == kept_book.book.core.view().malformed == 1


# -- bounds ----------------------------------------------------------------------------------------


def test_nothing_is_kept_before_a_snapshot_and_after_a_break() -> None:
    chain = generated(SequenceRule.SPOT)
    kept_book = Kept(chain)
    kept_book.join(chain)
    kept_book.journal.end(kept_book.book.core.view())
    kept_book.take()
    count = len(kept_book.rows)

    kept_book.bring(chain.deltas[1].frame)
    kept_book.cut()

    assert (len(kept_book.rows), kept_book.journal.has_begun) == (count, False)


def test_a_journal_that_nobody_takes_rows_from_is_dropped_and_begins_anew() -> None:
    chain = generated(SequenceRule.SPOT)
    book = Kept(chain).book
    assert book.journal is not None
    book.on_connected(START_NS)
    book.on_frames((chain.deltas[0].frame,), (START_NS,))
    book.on_snapshot(chain.start.body(), 0, START_NS)
    padding = b'{"e":"news","text":"' + b"x" * 2**20 + b'"}'

    for _ in range(WAITING_BYTES_MAX // 2**20):
        book.on_frames((padding,), (START_NS,))

    assert book.journal.overflows == 1
    assert not book.journal.has_begun
    assert not book.journal.has_rows


# -- what is rejected ------------------------------------------------------------------------------


@pytest.mark.parametrize("has_journal", [False, True])
def test_a_book_hands_out_what_broke_its_contract(has_journal: bool) -> None:
    chain = generated(SequenceRule.SPOT)
    book: Book = new_book(kernel_named("python"), chain.rule)
    book.journal = Journal() if has_journal else None
    book.on_connected(START_NS)
    book.on_frames((chain.deltas[0].frame, b"{"), (START_NS,) * 2)
    book.on_snapshot(b"nothing", 0, START_NS)
    ((body,), one, is_snapshot), *_ = book.take_rejected()
    assert (body, one, is_snapshot) == (b"nothing", 1, True)

    book.on_snapshot(chain.start.body(), 0, START_NS)
    (waited,) = book.take_rejected()
    assert (waited.broken, b"{" in waited.parts) == (1, True)

    bad = depth_frame(1, 1, bids=[["x", "1"]])
    book.on_frames((bad, chain.deltas[1].frame, bad), (START_NS,) * 3)
    (rejected,) = book.take_rejected()
    assert (rejected.broken, rejected.is_snapshot) == (2, False)
    assert list(rejected.parts).count(bad) == 2
    assert book.take_rejected() == []
    assert book.is_live
