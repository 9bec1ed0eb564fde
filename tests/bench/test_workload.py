import math
from itertools import pairwise
from statistics import median

import msgspec
import pytest

from bench.workload import NEAR, RECORDED, SHORT, VENUE, Profile, Workload, generate, interleave
from stevie.domain.market.core import Code, CoreSpec
from stevie.domain.market.fixed_point import rescale
from stevie.domain.market.sequencer import SequenceRule
from stevie.venues.binance.codec import Delta, Trade, decode_frame, decode_snapshot
from stevie.venues.binance.reference import BinanceReferenceCore

FRAMES = 1_000


def deltas(workload: Workload) -> list[Delta]:
    events = map(decode_frame, workload.frames)
    return [event for event in events if isinstance(event, Delta)]


def test_one_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (generate.__wrapped__(50, seed=seed) for seed in (7, 7, 8))

    assert first == again
    assert first.frames != other.frames


def test_depth_frames_continue_the_snapshot_and_each_other_without_a_hole() -> None:
    workload = generate(FRAMES)

    spans = [(delta.first_seq, delta.last_seq) for delta in deltas(workload)]

    assert spans[0][0] == decode_snapshot(workload.snapshot).last_seq + 1
    assert all(first <= last for first, last in spans)
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(spans))


def test_one_trade_follows_every_five_depth_frames() -> None:
    kinds = [type(decode_frame(frame)) for frame in generate(FRAMES).frames]

    assert kinds == [*[Delta] * 5, Trade] * (FRAMES // 5)


def test_times_never_run_backwards_and_there_is_one_for_each_frame() -> None:
    workload = generate(FRAMES)

    assert len(workload.received_ns) == len(workload.frames)
    assert workload.received_ns == sorted(workload.received_ns)


@pytest.mark.parametrize("profile", [NEAR, RECORDED], ids=lambda profile: profile.name)
def test_the_book_is_never_crossed_and_no_level_is_deleted_that_is_not_there(
    profile: Profile,
) -> None:
    workload = generate(300, profile=profile)
    core = BinanceReferenceCore(CoreSpec(native_symbol=workload.symbol, rule=SequenceRule.SPOT))

    codes = [core.load_snapshot(workload.snapshot, 5_000, workload.received_ns[0])]
    for frame, at_ns in zip(workload.frames, workload.received_ns, strict=True):
        codes.append(core.apply_frames((frame,), (at_ns,), 0)[1])

    view = core.view()
    assert set(codes) == {Code.OK}
    assert (view.applied, view.trades) == (300, 60)
    assert (view.delete_unknown, view.malformed, view.other) == (0, 0, 0)
    assert view.bid_levels == pytest.approx(profile.side_levels, rel=0.05)


@pytest.mark.parametrize(
    ("profile", "changes", "deletes"),
    [(NEAR, 19.45, 0.285), (RECORDED, 36.0, 0.48)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_changes_and_deletes_come_as_often_as_promised(
    profile: Profile, changes: float, deletes: float
) -> None:
    workload = generate(FRAMES, profile=profile)

    levels = [level for delta in deltas(workload) for level in (*delta.bids, *delta.asks)]

    assert len(levels) == workload.changes
    assert sum(level[2] == 0 for level in levels) == workload.deletes
    standard_error = changes / math.sqrt(FRAMES)  # of a geometric mean
    assert workload.changes / FRAMES == pytest.approx(changes, abs=4 * standard_error)
    assert workload.deletes / workload.changes == pytest.approx(deletes, abs=0.015)


def test_recorded_like_changes_fall_as_far_away_as_recorded_ones() -> None:
    events = [msgspec.json.decode(frame) for frame in generate(FRAMES, profile=RECORDED).frames]
    distances = [
        abs(float(price) * 100 - 6_000_000)
        for event in events
        if event["e"] == "depthUpdate"
        for price, _ in (*event["b"], *event["a"])
    ]

    assert 6_000 < median(distances) < 10_500


@pytest.mark.parametrize(
    ("text", "decimals"), [(SHORT, (2, 5)), (VENUE, (8, 8))], ids=["short", "venue"]
)
def test_numbers_are_written_with_the_decimals_that_were_asked_for(
    text: tuple[str, str], decimals: tuple[int, int]
) -> None:
    event = msgspec.json.decode(generate(10, text=text).frames[0])

    for level in (*event["b"], *event["a"]):
        assert tuple(len(number.partition(".")[2]) for number in level) == decimals


def test_a_ladder_between_floor_and_span_holds_every_price() -> None:
    workload = generate(FRAMES, profile=RECORDED)
    snapshot = decode_snapshot(workload.snapshot)
    levels = [*snapshot.bids, *snapshot.asks]
    levels += [level for delta in deltas(workload) for level in (*delta.bids, *delta.asks)]

    ticks = [rescale(price, decimals, 2) for price, decimals, _, _ in levels]

    assert workload.floor_ticks <= min(ticks)
    assert max(ticks) < workload.floor_ticks + workload.span_ticks


def test_interleaved_books_share_the_frames_and_have_symbols_of_their_own() -> None:
    workloads = interleave(10, 100)

    assert [len(deltas(workload)) for workload in workloads] == [10] * 10
    assert len({workload.symbol for workload in workloads}) == 10
    assert len({workload.snapshot for workload in workloads}) == 10
