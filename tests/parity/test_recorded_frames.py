"""Kernel == reference on what venues really sent."""

import pytest

from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import CoreSpec
from tests.parity.recordings import RULES, Frame, recording
from tests.parity.twins import Twins

BATCH = 64


def play(twins: Twins, frames: list[Frame]) -> None:
    """All frames in batches, those before the snapshot judged after it."""
    for start in range(0, len(frames), BATCH):
        batch = frames[start : start + BATCH]
        twins.apply_frames([f.raw for f in batch], [f.at_ns for f in batch])
        twins.agree_on_features(batch[-1].at_ns)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_they_agree_on_a_recording(kernel: NativeKernel, name: str) -> None:
    frames = recording(name)
    for symbol in {frame.symbol for frame in frames if frame.level_limit}:
        twins = Twins(CoreSpec(native_symbol=symbol, rule=RULES[name]), kernel)
        snapshot = next(f for f in frames if f.level_limit and f.symbol == symbol)
        assert twins.load_snapshot(snapshot.raw, snapshot.level_limit, snapshot.at_ns) == 0

        play(twins, [f for f in frames if f.symbol == symbol and not f.level_limit])

        twins.agree(frames[-1].at_ns)
        assert twins.native.view().applied > 0
