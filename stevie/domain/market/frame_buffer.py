"""FrameBuffer: frames that wait for a snapshot, in order and within bounds."""

from collections.abc import Sequence

import msgspec

from stevie.domain.market.core import FrameKind

SEQ_MAX = 2**63 - 1


class BufferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one book may hold back."""

    frames_max: int = 4096  # over six minutes of one symbol's 100 ms deltas
    bytes_max: int = 16 * 2**20


class FrameBuffer:
    """Frames with their receive times; over its limits it must be emptied, never thinned out."""

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._frames: list[bytes] = []
        self._received_ns: list[int] = []
        self._bytes = 0
        self.delta_count = 0

    def add(self, frame: bytes, received_ns: int, *, is_delta: bool) -> None:
        """Take one more in."""
        self._frames.append(frame)
        self._received_ns.append(received_ns)
        self._bytes += len(frame)
        self.delta_count += is_delta

    @property
    def is_over(self) -> bool:
        """Whether a limit is exceeded."""
        return len(self._frames) > self._limits.frames_max or self._bytes > self._limits.bytes_max

    def read(self) -> tuple[Sequence[bytes], Sequence[int]]:
        """The frames and their receive times; they stay."""
        return self._frames, self._received_ns

    def take(self) -> tuple[Sequence[bytes], Sequence[int]]:
        """The frames and their receive times; nothing stays."""
        taken = self.read()
        self.clear()
        return taken


def far_ahead(scans: Sequence[tuple[int, int, int]], snapshot_seq: int) -> frozenset[int]:
    """Which deltas do not continue the snapshot, though later ones lie before them: they are lies.

    `scans` are (FrameKind, first sequence, last sequence) in order of arrival.
    """
    least_later = SEQ_MAX
    least_after: list[int] = []
    for kind, first_seq, _ in reversed(scans):
        least_after.append(least_later)
        if kind == FrameKind.DELTA:
            least_later = min(least_later, first_seq)
    liars, last_seq = set(), snapshot_seq
    for index, (kind, first_seq, delta_last) in enumerate(scans):
        if kind != FrameKind.DELTA or delta_last <= last_seq:
            continue
        if first_seq > last_seq + 1 and first_seq > least_after[-1 - index]:
            liars.add(index)
        else:
            last_seq = delta_last
    return frozenset(liars)
