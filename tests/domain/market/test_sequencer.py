from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.sequencer import DeltaSpan, Position, SequenceRule, Verdict, judge

SPOT, USDM = SequenceRule.SPOT, SequenceRule.USDM
APPLY, STALE, GAP = Verdict.APPLY, Verdict.STALE, Verdict.GAP
SNAPSHOT = Position(100, 100, is_snapshot=True)
RUNNING = Position(101, 105, is_snapshot=False, previous_seq=99)


@pytest.mark.parametrize(
    ("delta", "verdict"),
    [
        (DeltaSpan(90, 100), STALE),
        (DeltaSpan(90, 101), APPLY),
        (DeltaSpan(101, 101), APPLY),
        (DeltaSpan(102, 110), GAP),
    ],
)
def test_the_first_spot_delta_may_overlap_the_snapshot_and_leaves_nothing_out(
    delta: DeltaSpan, verdict: Verdict
) -> None:
    assert judge(SPOT, SNAPSHOT, delta) is verdict


@pytest.mark.parametrize(
    ("delta", "verdict"),
    [
        (DeltaSpan(90, 99, 80), STALE),
        (DeltaSpan(90, 100, 80), APPLY),
        (DeltaSpan(90, 120, 80), APPLY),
        (DeltaSpan(103, 120, 100), APPLY),  # the snapshot fell between two deltas
        (DeltaSpan(103, 120, 101), GAP),
    ],
)
def test_the_first_usdm_delta_is_judged_by_the_end_of_the_one_before_it(
    delta: DeltaSpan, verdict: Verdict
) -> None:
    assert judge(USDM, SNAPSHOT, delta) is verdict


@pytest.mark.parametrize(
    ("rule", "delta", "verdict"),
    [
        (SPOT, DeltaSpan(106, 106), APPLY),
        (SPOT, DeltaSpan(107, 109), GAP),
        (SPOT, DeltaSpan(101, 105), STALE),
        (SPOT, DeltaSpan(90, 95), STALE),
        (SPOT, DeltaSpan(103, 105), GAP),  # begins inside the last one: no duplicate does
        (SPOT, DeltaSpan(104, 108), GAP),
        (USDM, DeltaSpan(200, 210, 105), APPLY),
        (USDM, DeltaSpan(200, 210, 106), GAP),
        (USDM, DeltaSpan(101, 105, 99), STALE),
        (USDM, DeltaSpan(103, 105, 105), GAP),  # claims to follow, but does not advance
        (USDM, DeltaSpan(101, 105, 100), GAP),  # the same ids, yet it continues something later
    ],
)
def test_a_running_book_takes_only_what_continues_it(
    rule: SequenceRule, delta: DeltaSpan, verdict: Verdict
) -> None:
    assert judge(rule, RUNNING, delta) is verdict


def chain(rule: SequenceRule, lengths: Sequence[int]) -> list[DeltaSpan]:
    """An unbroken chain from the snapshot on; the ids of USD-M skip."""
    spans, last = [], SNAPSHOT.last_seq
    for length in lengths:
        first = last + (1 if rule is SPOT else 1 + length % 3)
        spans.append(DeltaSpan(first, first + length, last if rule is USDM else -1))
        last = first + length
    return spans


def applied(rule: SequenceRule, spans: Sequence[DeltaSpan]) -> tuple[list[DeltaSpan], bool]:
    """The deltas that were applied until the first gap, and whether there was one."""
    position, taken = SNAPSHOT, list[DeltaSpan]()
    for span in spans:
        verdict = judge(rule, position, span)
        if verdict is GAP:
            return taken, True
        if verdict is APPLY:
            taken.append(span)
            position = Position(
                span.first_seq, span.last_seq, is_snapshot=False, previous_seq=span.previous_seq
            )
    return taken, False


def drop(spans: list[DeltaSpan], at: int) -> list[DeltaSpan]:
    return spans[:at] + spans[at + 1 :]


def repeat(spans: list[DeltaSpan], at: int) -> list[DeltaSpan]:
    return spans[: at + 1] + spans[at:]


def swap(spans: list[DeltaSpan], at: int) -> list[DeltaSpan]:
    return [*spans[:at], *reversed(spans[at : at + 2]), *spans[at + 2 :]]


LENGTHS = st.lists(st.integers(0, 5), min_size=2, max_size=12)
FAULTS = st.sampled_from([drop, repeat, swap])


@given(st.sampled_from(SequenceRule), LENGTHS, FAULTS, st.data())
def test_any_single_fault_is_detected_or_harmless(
    rule: SequenceRule,
    lengths: list[int],
    fault: Callable[[list[DeltaSpan], int], list[DeltaSpan]],
    data: st.DataObject,
) -> None:
    spans = chain(rule, lengths)
    at = data.draw(st.integers(0, len(spans) - 1))

    taken, has_gap = applied(rule, fault(spans, at))

    assert taken == spans[: len(taken)]  # never out of order, never with a hole
    lost_only_the_end = fault is drop and at == len(spans) - 1
    assert has_gap or taken == spans or lost_only_the_end


@given(
    st.sampled_from(SequenceRule),
    LENGTHS,
    st.tuples(*[st.sampled_from((0, 0, -500, -3, -2, -1, 1, 2, 3, 500))] * 3),
    st.data(),
)
def test_altered_sequence_numbers_never_hide_another_delta(
    rule: SequenceRule, lengths: list[int], shifts: tuple[int, int, int], data: st.DataObject
) -> None:
    spans = chain(rule, lengths)
    at = data.draw(st.integers(0, len(spans) - 1))
    was = spans[at]
    spans[at] = DeltaSpan(
        was.first_seq + shifts[0],
        was.last_seq + shifts[1],
        was.previous_seq + shifts[2] if rule is USDM else -1,
    )

    taken, has_gap = applied(rule, spans)

    # All of them in their places, or none after the first that is missing.
    others_lost = [span for span in spans[: at + 2] if span not in taken]
    assert taken == spans[: len(taken)]
    assert has_gap or not others_lost or at == len(spans) - 1
