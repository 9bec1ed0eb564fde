"""The headline: whatever happens to a message, a LIVE book is true or it is not LIVE.

Every single fault is tried on every message of a window: dropped, told twice, told again later,
swapped with its neighbor, and every choice of its sequence numbers (U, u, and pu on USD-M) moved by
each of the ten AMOUNTS. The feed is connected, a snapshot is answered some messages after it was
asked for, and after every message the whole ladder of a LIVE book is compared with a dict that was
built by the documented rule. In figures, for each kernel:

    recorded   6 windows of 24 messages, spot and USD-M: 6,248 runs, 124,047 comparisons while LIVE
    generated  6 chains of 24 messages, the first snapshot taken in the middle of a message:
               7,128 runs, 140,969 comparisons while LIVE

One thing no rule can see: a message that lies about its own end (`u`) is not contradicted before
the next new message. It must be then, so the books are compared again from there on.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.market.book import Book, BookState, Reason
from stevie.domain.market.sequencer import SequenceRule
from stevie.ports import Kernel
from tests.domain.market.depth_chains import (
    ALL,
    KERNELS,
    START_NS,
    STEP_NS,
    Chain,
    Delta,
    Truth,
    generated,
    kernel_named,
    new_book,
    units,
)
from tests.parity.recordings import RULES, recording

WINDOW = 24
KEPT_LEVELS = 40  # a side, of the truth that a window begins with
LAST_WORDS = 2  # messages at the end that are left alone, so that every lie is contradicted
ANSWER_AFTER = 2  # messages between asking for a snapshot and its answer
AMOUNTS = (1, -1, 2, -2, 50, -50, 10**6, -(10**6), 10**12, -(10**12))
WINDOWS = (
    ("binance-spot_depth100ms_btcusdt_20240808", "BTCUSDT", 5),
    ("binance-spot_depth100ms_btcusdt_20240808", "BTCUSDT", 1700),
    ("binance-spot_depth100ms_4sym_20210814_limit5000", "FTMUSDT", 10),
    ("binance-spot_depth100ms_10sym_20210417", "VETETH", 10),
    ("binance-usdm_depth100ms_4sym_20210722", "SUSHIUSDT", 20),
    ("binance-usdm_depth100ms_4sym_20210722", "AKROUSDT", 100),
)


class Told(NamedTuple):
    """A message as it arrives: which one it is, and whether its numbers were altered."""

    number: int
    frame: bytes
    is_altered: bool = False


Story = list[Told]


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return kernel_named(request.param)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "symbol", "begin"), WINDOWS)
def test_no_fault_of_a_recorded_message_makes_a_live_book_that_is_wrong(
    kernel: Kernel, name: str, symbol: str, begin: int
) -> None:
    chain = recorded_window(name, symbol, begin)

    for what, story in single_faults(chain):
        reconcile(kernel, chain, story, what)


@pytest.mark.slow
@pytest.mark.parametrize("rule", SequenceRule)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_fault_of_a_generated_message_makes_a_live_book_that_is_wrong(
    kernel: Kernel, rule: SequenceRule, seed: int
) -> None:
    chain = generated(rule, seed=seed, count=WINDOW)

    for what, story in single_faults(chain):
        reconcile(kernel, chain, story, what, snapshot_inside=True)


@settings(max_examples=200, deadline=None)
@given(
    rule=st.sampled_from(SequenceRule),
    seed=st.integers(0, 2**32),
    fault_count=st.integers(2, 12),
    snapshot_inside=st.booleans(),
)
def test_no_series_of_faults_makes_a_live_book_that_is_wrong(
    rule: SequenceRule, seed: int, fault_count: int, snapshot_inside: bool
) -> None:
    """Numbers are altered upwards here: a hole and a number bent to hide it would be a forgery."""
    chain = generated(rule, seed=seed, count=WINDOW)
    story = tell(chain)
    rng = random.Random(seed)
    for _ in range(fault_count):
        fault = rng.choice((drop, repeat, repeat_late, swap, alter_upwards))
        story = fault(chain, story, rng.randrange(max(1, len(story) - LAST_WORDS)))

    for name in KERNELS:
        reconcile(
            kernel_named(name),
            chain,
            story,
            f"{story}",
            snapshot_inside=snapshot_inside,
            answers_max=2 * fault_count,
        )


@pytest.mark.parametrize("rule", SequenceRule)
def test_an_undamaged_chain_is_followed_from_its_first_snapshot_to_its_end(
    kernel: Kernel, rule: SequenceRule
) -> None:
    chain = generated(rule, count=WINDOW)

    book = reconcile(kernel, chain, tell(chain), "undamaged")

    assert (book.snapshots, book.gaps, book.resyncs) == (1, 0, 0)


def reconcile(
    kernel: Kernel,
    chain: Chain,
    story: Story,
    what: str,
    *,
    snapshot_inside: bool = False,
    answers_max: int = 4,
) -> Book:
    """Tell the story to a book, answer what it asks for, and compare it at every step."""
    book = new_book(kernel, chain.rule, chain.symbol)
    book.on_connected(START_NS)
    newest, asked_at, is_in_doubt = -1, -1, False
    for step, told in enumerate(story):
        now_ns = START_NS + step * STEP_NS
        is_in_doubt = told.is_altered or (is_in_doubt and told.number <= newest)
        newest = max(newest, told.number)
        book.on_frames((told.frame,), (now_ns,))
        if book.snapshot_wanted and asked_at < 0:
            asked_at = step
        elif book.snapshot_wanted and step - asked_at >= ANSWER_AFTER:
            is_inside = snapshot_inside and book.snapshots == 0
            truth = chain.inside[newest] if is_inside else chain.deltas[newest].truth
            book.on_snapshot(oracle(chain).body(truth), 0, now_ns)
        asked_at = asked_at if book.snapshot_wanted else -1
        if not is_in_doubt:
            assert_true(book, chain, what)
    for _ in range(answers_max):  # a lie in the buffer may spoil an answer, or two
        book.want_snapshot()  # as its owner does when no message comes for a while
        book.on_snapshot(oracle(chain).body(chain.deltas[-1].truth), 0, START_NS)
    assert book.state is BookState.LIVE, (what, book.state, book.reason)
    assert book.core.ladder(ALL) == chain.deltas[-1].truth.packed(), what
    return book


def assert_true(book: Book, chain: Chain, what: str) -> None:
    """LIVE and as the truth was at its seq, or not LIVE and able to say why."""
    if book.state is not BookState.LIVE:
        assert book.reason is not Reason.NONE, what
        return
    truth = oracle(chain).ladders.get(book.core.view().last_seq)
    assert truth is not None, (what, book.core.view())
    assert book.core.ladder(ALL) == truth, (what, book.core.view())


class Oracle:
    """Every truth of a chain by its seq, written out once."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        truths = (*chain.inside, *(delta.truth for delta in chain.deltas))
        self.ladders = {truth.seq: truth.packed() for truth in truths}
        self._bodies: dict[int, bytes] = {}

    def body(self, truth: Truth) -> bytes:
        if truth.seq not in self._bodies:
            self._bodies[truth.seq] = truth.body()
        return self._bodies[truth.seq]


_ORACLES: list[Oracle] = []


def oracle(chain: Chain) -> Oracle:
    """The oracle of the chain that is being told."""
    if not _ORACLES or _ORACLES[0].chain is not chain:
        _ORACLES[:] = [Oracle(chain)]
    return _ORACLES[0]


# -- faults --------------------------------------------------------------------------------------


def tell(chain: Chain) -> Story:
    return [Told(index, delta.frame) for index, delta in enumerate(chain.deltas)]


def drop(chain: Chain, story: Story, at: int) -> Story:
    return story[:at] + story[at + 1 :]


def repeat(chain: Chain, story: Story, at: int) -> Story:
    return story[: at + 1] + story[at:]


def repeat_late(chain: Chain, story: Story, at: int) -> Story:
    late = max(at + 1, min(at + 4, len(story) - LAST_WORDS))
    return story[:late] + story[at : at + 1] + story[late:]


def swap(chain: Chain, story: Story, at: int) -> Story:
    if at + 1 >= len(story) - LAST_WORDS:
        return story
    return [*story[:at], story[at + 1], story[at], *story[at + 2 :]]


def alter_upwards(chain: Chain, story: Story, at: int) -> Story:
    field = ("U", "u", "pu")[at % (3 if chain.rule is SequenceRule.USDM else 2)]
    return altered(chain, story, at, field, 10**6 + at)


def altered(chain: Chain, story: Story, at: int, fields: str, amount: int) -> Story:
    told = story[at]
    frame, count = re.subn(
        rb'"(%s)":(\d+)' % fields.encode(),
        lambda found: b'"%s":%d' % (found[1], max(0, int(found[2]) + amount)),
        told.frame,
    )
    assert count == 1 + fields.count("|"), told.frame
    return [*story[:at], Told(told.number, frame, True), *story[at + 1 :]]


def single_faults(chain: Chain) -> Iterator[tuple[str, Story]]:
    """Every fault at every message but the last ones."""
    story = tell(chain)
    whole: tuple[Callable[[Chain, Story, int], Story], ...] = (drop, repeat, repeat_late, swap)
    fields: tuple[str, ...] = ("U", "u", "U|u")
    if chain.rule is SequenceRule.USDM:
        fields += ("pu", "U|pu", "u|pu", "U|u|pu")
    for at in range(len(story) - LAST_WORDS):
        for fault in whole:
            yield f"{fault.__name__} {at}", fault(chain, story, at)
        for field in fields:
            for amount in AMOUNTS:
                yield f"{field}{amount:+} {at}", altered(chain, story, at, field, amount)


# -- recordings ----------------------------------------------------------------------------------


def recorded_window(name: str, symbol: str, begin: int) -> Chain:
    """Real messages, and the truth from the real snapshot on."""
    rule = RULES[name]
    frames = [frame for frame in recording(name) if frame.symbol == symbol]
    (body,) = (frame.raw for frame in frames if frame.level_limit)
    truth = _truth_of(json.loads(body))
    deltas: list[Delta] = []
    for raw in (frame.raw for frame in frames if b'"depthUpdate"' in frame.raw):
        data = json.loads(raw)["data"]
        if data["u"] <= truth.seq:
            continue
        truth = truth.after(data["u"], data["b"], data["a"])
        if not deltas or len(deltas) == begin:
            truth = Truth(truth.seq, _best(truth.bids, reverse=True), _best(truth.asks))
        deltas.append(Delta(data["U"], data["u"], data.get("pu", -1), raw, truth))
    window = deltas[begin : begin + WINDOW]
    assert len(window) == WINDOW, (name, symbol, len(deltas))
    return Chain(rule, symbol, deltas[begin - 1].truth, tuple(window))


def _truth_of(snapshot: dict[str, object]) -> Truth:
    return Truth(int(str(snapshot["lastUpdateId"])), {}, {}).after(
        int(str(snapshot["lastUpdateId"])),
        snapshot["bids"],  # type: ignore[arg-type]
        snapshot["asks"],  # type: ignore[arg-type]
    )


def _best(side: dict[int, int], *, reverse: bool = False) -> dict[int, int]:
    return dict(sorted(side.items(), reverse=reverse)[:KEPT_LEVELS])


def test_the_independent_builder_reads_prices_as_decimals() -> None:
    assert units("61737.63000000") == 6_173_763_000_000
