import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.link import SECOND_NS
from stevie.domain.market.snapshot_queue import GAP_NS, SnapshotQueue


@pytest.fixture
def queue() -> SnapshotQueue:
    return SnapshotQueue(in_flight_max=2)


def test_first_come_is_first_served_and_spaced(queue: SnapshotQueue) -> None:
    for symbol in ("A", "B"):
        queue.want(symbol)

    assert queue.wait_s(0) == 0.0
    assert queue.take(0) == "A"
    assert queue.wait_s(0) == GAP_NS / SECOND_NS
    assert queue.take(GAP_NS) == "B"


def test_no_more_than_the_limit_are_in_flight(queue: SnapshotQueue) -> None:
    for symbol in ("A", "B", "C"):
        queue.want(symbol)
    queue.take(0)
    queue.take(SECOND_NS)

    assert queue.wait_s(100 * SECOND_NS) is None

    queue.on_answer("A", pause_s=0, now_ns=100 * SECOND_NS)
    assert queue.wait_s(100 * SECOND_NS) == 0.0


def test_nothing_wanted_is_nothing_to_wait_for(queue: SnapshotQueue) -> None:
    assert queue.wait_s(0) is None


def test_a_symbol_is_asked_for_once_until_it_is_answered(queue: SnapshotQueue) -> None:
    queue.want("A")
    queue.want("A")
    queue.take(0)
    queue.want("A")
    assert queue.wait_s(SECOND_NS) is None

    queue.on_answer("A", pause_s=0, now_ns=SECOND_NS)
    queue.want("A")
    assert queue.take(SECOND_NS) == "A"


def test_a_pause_that_the_venue_wants_holds_back_all_and_is_never_cut_short(
    queue: SnapshotQueue,
) -> None:
    for symbol in ("A", "B", "C"):
        queue.want(symbol)
    queue.take(0)
    queue.take(GAP_NS)

    queue.on_answer("A", pause_s=30, now_ns=SECOND_NS)
    queue.on_answer("B", pause_s=1, now_ns=SECOND_NS)

    assert queue.wait_s(SECOND_NS) == 30.0
    assert queue.wait_s(31 * SECOND_NS) == 0.0


def test_an_answer_that_nobody_asked_for_is_harmless(queue: SnapshotQueue) -> None:
    queue.on_answer("A", pause_s=0, now_ns=0)

    assert queue.wait_s(0) is None


@given(
    symbols=st.lists(st.sampled_from("ABCDE"), max_size=30),
    pauses_s=st.lists(st.floats(0, 5), min_size=30, max_size=30),
)
def test_every_wish_is_served_in_bounds(symbols: list[str], pauses_s: list[float]) -> None:
    queue, now_ns, out, taken = SnapshotQueue(in_flight_max=2), 0, [], []
    for symbol, pause_s in zip(symbols, pauses_s, strict=False):
        queue.want(symbol)
        if queue.wait_s(now_ns) == 0.0:
            out.append(queue.take(now_ns))
            taken.append(out[-1])
        assert len(out) <= 2
        if len(out) == 2:
            queue.on_answer(out.pop(0), pause_s=pause_s, now_ns=now_ns)
        now_ns += SECOND_NS
    while out or queue.wait_s(now_ns) is not None:
        now_ns += 10 * SECOND_NS
        if out:
            queue.on_answer(out.pop(), pause_s=0, now_ns=now_ns)
        if queue.wait_s(now_ns) == 0.0:
            out.append(queue.take(now_ns))
            taken.append(out[-1])

    assert set(taken) == set(symbols)
