"""Kernel and reference are one book, bit for bit: the headline; all of it is in tests/parity."""

import pytest

from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import CoreSpec
from stevie.domain.market.sequencer import SequenceRule
from tests.parity.frames import SYMBOL, Market, mutated, times
from tests.parity.recordings import RULES, recording
from tests.parity.twins import Twins


@pytest.fixture(scope="module")
def kernel() -> NativeKernel:
    return NativeKernel()


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_the_kernel_equals_the_reference_after_every_frame_of_a_recording(
    kernel: NativeKernel, name: str
) -> None:
    twins: dict[str, Twins] = {}
    for frame in recording(name):
        if frame.level_limit:
            twins[frame.symbol] = Twins(
                CoreSpec(native_symbol=frame.symbol, rule=RULES[name]), kernel
            )
            twins[frame.symbol].load_snapshot(frame.raw, frame.level_limit, frame.at_ns)
        elif frame.symbol in twins:
            twins[frame.symbol].apply_frames([frame.raw], [frame.at_ns])
            twins[frame.symbol].agree_on_features(frame.at_ns)
    for both in twins.values():
        both.agree(frame.at_ns)
    assert twins


@pytest.mark.parametrize("rule", SequenceRule)
def test_the_kernel_equals_the_reference_on_generated_and_on_broken_frames(
    kernel: NativeKernel, rule: SequenceRule
) -> None:
    market = Market(20, usdm=rule is SequenceRule.USDM)
    twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=rule), kernel)
    for _ in range(40):
        twins.load_snapshot(market.snapshot(), 0, market.tick())
        frames = [market.frame() for _ in range(20)]
        frames += [mutated(frame, market.rng) for frame in frames]
        twins.apply_frames(frames, times(len(frames), market))
        twins.agree(market.at_ns)
