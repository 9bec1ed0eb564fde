"""Two cores that are told the same and must answer the same, to the last bit of a float."""

import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import (
    BookCore,
    Code,
    CoreSpec,
    DeltaBatch,
    DeltaLevels,
    Scale,
)
from stevie.domain.market.fixed_point import NumberError
from stevie.domain.market.sequencer import DeltaSpan
from stevie.venues.binance.reference import BinanceReferenceCore

Refusal = type[Exception] | tuple[()]

ALL = 100_000  # levels: more than any book here has


def bits(values: Sequence[float | int | None]) -> tuple[object, ...]:
    """Values that are equal only if every float is the same in all its bits."""
    return tuple(struct.pack("<d", v) if isinstance(v, float) else (type(v), v) for v in values)


class Twins:
    """A native core and a reference core of one spec."""

    def __init__(self, spec: CoreSpec, kernel: NativeKernel) -> None:
        self.native: BookCore = kernel.new_core(spec)
        self.reference: BookCore = BinanceReferenceCore(spec)

    def agree(self, now_ns: int) -> None:
        """Compare all that can be read."""
        native, reference = self.native, self.reference
        assert bits(native.view()) == bits(reference.view())
        for count in (0, 1, 5, 60, ALL):
            assert native.top(count) == reference.top(count)
            assert native.ladder(count) == reference.ladder(count)
        self.agree_on_features(now_ns)

    def agree_on_features(self, now_ns: int) -> None:
        """Compare the features, as floats that may not differ in any bit."""
        native, reference = self.native.features(now_ns), self.reference.features(now_ns)
        assert bits(native) == bits(reference), (native, reference)

    def load_snapshot(self, body: bytes, level_limit: int, at_ns: int) -> int:
        """Load into both."""
        code: int = self._both(lambda core: core.load_snapshot(body, level_limit, at_ns))
        return code

    def apply_frames(self, frames: Sequence[bytes], received_ns: Sequence[int]) -> int:
        """Apply all; go on after PAUSED and CROSSED, skip a frame that is a GAP; the last code."""
        start, code = 0, int(Code.OK)
        while start < len(frames):
            start, code = self._apply(frames, received_ns, start)
            start += code == Code.GAP
        return code

    def _apply(
        self, frames: Sequence[bytes], received_ns: Sequence[int], start: int
    ) -> tuple[int, int]:
        end: tuple[int, int] = self._both(
            lambda core: core.apply_frames(frames, received_ns, start)
        )
        return end

    def scan(self, frame: bytes) -> tuple[int, int, int]:
        """Scan in both."""
        kind: tuple[int, int, int] = self._both(lambda core: core.scan(frame))
        return kind

    def apply_levels(
        self, span: DeltaSpan, bids: Sequence[int], asks: Sequence[int], at_ns: int
    ) -> object:
        """Apply to both; an exception's type if both refuse."""
        levels = DeltaLevels(span=span, bids=array("l", bids), asks=array("l", asks))
        return self._both(lambda core: core.apply_levels(levels, at_ns), refusal=ValueError)

    def apply_deltas(self, heads: Sequence[int], levels: Sequence[int], start: int) -> object:
        """Apply a batch to both; an exception's type if both refuse."""
        batch = DeltaBatch(heads=array("l", heads), levels=array("l", levels))
        return self._both(lambda core: core.apply_deltas(batch, start), refusal=ValueError)

    def follow(self, frame: bytes, received_ns: int) -> int:
        """Follow in both; the code."""
        _, code = self._both(lambda core: _followed(core, frame, received_ns))
        return int(code)

    def refine(self, scale: Scale) -> None:
        """Refine both."""
        self._both(lambda core: core.refine(scale), refusal=NumberError)

    def pause_at(self, applied: int) -> None:
        """Arm both."""
        self._both(lambda core: core.pause_at(applied))

    def adopt(self, fresher: "Twins") -> None:
        """Let both adopt their like."""
        pairs = {id(self.native): fresher.native, id(self.reference): fresher.reference}
        self._both(lambda core: core.adopt(pairs[id(core)]), refusal=NumberError)

    def _both(self, do: Callable[[BookCore], Any], refusal: Refusal = ()) -> Any:
        native, reference = (
            _outcome(do, self.native, refusal),
            _outcome(do, self.reference, refusal),
        )
        assert native == reference, (native, reference)
        return native


def _followed(core: BookCore, frame: bytes, received_ns: int) -> tuple[tuple[object, ...], int]:
    code, features = core.follow(frame, received_ns)
    return bits(features), code


def _outcome(do: Callable[[BookCore], Any], core: BookCore, refusal: Refusal) -> Any:
    """What came of it; a documented refusal counts as an answer."""
    try:
        return do(core)
    except refusal as error:
        return type(error)
