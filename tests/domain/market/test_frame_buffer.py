import pytest

from stevie.domain.market.core import FrameKind
from stevie.domain.market.frame_buffer import BufferLimits, FrameBuffer, far_ahead


def test_frames_come_back_in_order_with_their_times() -> None:
    buffer = FrameBuffer(BufferLimits())
    buffer.add(b"a", 1, is_delta=True)
    buffer.add(b"b", 2, is_delta=False)

    assert buffer.delta_count == 1
    assert buffer.read() == ([b"a", b"b"], [1, 2])
    assert buffer.take() == ([b"a", b"b"], [1, 2])


def test_what_was_taken_is_gone_and_stays_with_its_taker() -> None:
    buffer = FrameBuffer(BufferLimits())
    buffer.add(b"a", 1, is_delta=True)

    taken = buffer.take()
    buffer.add(b"b", 2, is_delta=False)

    assert taken == ([b"a"], [1])
    assert buffer.read() == ([b"b"], [2])
    assert buffer.delta_count == 0


@pytest.mark.parametrize("limits", [BufferLimits(frames_max=2), BufferLimits(bytes_max=20)])
def test_a_buffer_is_over_when_a_limit_is_exceeded_and_not_before(limits: BufferLimits) -> None:
    buffer = FrameBuffer(limits)
    for _ in range(2):
        buffer.add(b"ten bytes.", 1, is_delta=True)
        assert not buffer.is_over

    buffer.add(b"x", 1, is_delta=True)
    assert buffer.is_over

    buffer.clear()
    assert not buffer.is_over


D, T = FrameKind.DELTA, FrameKind.TRADE


@pytest.mark.parametrize(
    ("scans", "liars"),
    [
        ([(D, 101, 105), (D, 106, 109)], set()),
        ([(D, 1_101, 1_105), (D, 106, 109)], {0}),
        ([(D, 101, 105), (D, 1_106, 1_109), (D, 1_110, 1_112), (D, 113, 115)], {1, 2}),
        ([(D, 101, 105), (D, 116, 119)], set()),  # a true gap: nothing later lies before it
        ([(D, 101, 105), (T, -1, -1), (D, 90, 95), (D, 106, 107)], set()),  # late, and old
        ([(D, 9_101, 9_105)], set()),  # no witness
        ([], set()),
    ],
)
def test_a_delta_far_ahead_of_later_ones_is_a_lie(
    scans: list[tuple[int, int, int]], liars: set[int]
) -> None:
    assert far_ahead(scans, 100) == liars
