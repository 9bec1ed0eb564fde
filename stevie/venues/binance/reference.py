"""The reference core for Binance: the codec in front of the venue-neutral core.

`native/micro.cpp` does the same from raw frames to features in one call, bit for bit.
"""

from array import array
from collections.abc import Sequence

from stevie.domain.market.core import (
    Code,
    CoreSpec,
    DeltaLevels,
    FrameKind,
    ReferenceCore,
    Scale,
    SnapshotLevels,
)
from stevie.domain.market.features import Features
from stevie.domain.market.fixed_point import NumberError, rescale
from stevie.domain.market.sequencer import DeltaSpan
from stevie.venues.binance.codec import (
    Delta,
    Event,
    MalformedError,
    TextLevels,
    Trade,
    decode_frame,
    decode_snapshot,
)


class BinanceReferenceCore(ReferenceCore):
    """A `BookCore` fed with Binance's own bytes."""

    def __init__(self, spec: CoreSpec) -> None:
        super().__init__(spec)
        self._trade_kind: str | None = None
        self._trade_id = -1

    def scan(self, frame: bytes) -> tuple[int, int, int]:
        """A FrameKind, and the first and last sequence of a delta of this book (else -1)."""
        try:
            event = decode_frame(frame)
        except MalformedError:
            return FrameKind.MALFORMED, -1, -1
        if isinstance(event, Delta) and event.symbol == self.spec.native_symbol:
            return FrameKind.DELTA, event.first_seq, event.last_seq
        if isinstance(event, Trade) and event.symbol == self.spec.native_symbol:
            return FrameKind.TRADE, -1, -1
        return FrameKind.OTHER, -1, -1

    def load_snapshot(self, body: bytes, level_limit: int, at_ns: int) -> int:
        """Replace the levels by a REST depth body."""
        try:
            snapshot = decode_snapshot(body)
            scale = self._scale_for(snapshot.bids + snapshot.asks)
            bids, asks = _flat(snapshot.bids, scale), _flat(snapshot.asks, scale)
        except (MalformedError, NumberError):
            return Code.MALFORMED
        self._forget_levels()
        self.refine(scale)
        return self.load_levels(
            SnapshotLevels(seq=snapshot.last_seq, bids=bids, asks=asks, level_limit=level_limit),
            at_ns,
        )

    def apply_frames(
        self, frames: Sequence[bytes], received_ns: Sequence[int], start: int
    ) -> tuple[int, int]:
        """Apply raw frames; see `BookCore.apply_frames`."""
        for index in range(start, len(frames)):
            code = self._take_frame(frames[index], received_ns[index])
            if code is Code.GAP:
                return index, code
            if code not in {Code.OK, Code.MALFORMED}:
                return index + 1, code
        return len(frames), Code.OK

    def follow(self, frame: bytes, received_ns: int) -> tuple[int, Features]:
        """Apply one raw frame and read the features; see `BookCore.follow`."""
        code = self._take_frame(frame, received_ns)
        return code, self.features(received_ns)

    def _take_frame(self, frame: bytes, at_ns: int) -> Code:
        """The frame counts, unless it is the one after a gap."""
        code = self._apply_frame(frame, at_ns)
        self.frames += code is not Code.GAP
        self.malformed += code is Code.MALFORMED
        return code

    def _apply_frame(self, frame: bytes, at_ns: int) -> Code:
        try:
            event = decode_frame(frame)
            if isinstance(event, Delta) and event.symbol == self.spec.native_symbol:
                return self._apply_delta(event, at_ns)
            return self._apply_other(event, at_ns)
        except (MalformedError, NumberError):
            return Code.MALFORMED

    def _apply_delta(self, delta: Delta, at_ns: int) -> Code:
        bids, asks = self._units(delta.bids, delta.asks)
        span = DeltaSpan(delta.first_seq, delta.last_seq, delta.previous_seq)
        levels = DeltaLevels(span=span, bids=bids, asks=asks, event_ns=delta.event_ns)
        return self.apply_levels(levels, at_ns)

    def _apply_other(self, event: Event, at_ns: int) -> Code:
        """Trades; a stream that sends both `trade` and `aggTrade` is believed on the first kind."""
        if not isinstance(event, Trade) or event.symbol != self.spec.native_symbol:
            self.other += 1
            return Code.OK
        if self._trade_kind not in {None, event.kind} or event.trade_id <= self._trade_id:
            self.other += 1
            return Code.OK
        mantissa, decimals = event.size
        scale = self.scale.finest(Scale(0, decimals))
        lots = rescale(mantissa, decimals, scale.size_decimals)
        self.refine(scale)
        self._trade_kind, self._trade_id = event.kind, event.trade_id
        self.add_trade(at_ns, -lots if event.aggressor_sold else lots)
        return Code.OK

    def _units(self, bids: TextLevels, asks: TextLevels) -> tuple["array[int]", "array[int]"]:
        """Levels in ticks and lots, after refining the scale to the finest of them."""
        scale = self._scale_for(bids + asks)
        flat = _flat(bids, scale), _flat(asks, scale)
        self.refine(scale)
        return flat

    def _scale_for(self, levels: TextLevels) -> Scale:
        return Scale(
            max((level[1] for level in levels), default=0),
            max((level[3] for level in levels), default=0),
        ).finest(self.scale)


def _flat(levels: TextLevels, scale: Scale) -> "array[int]":
    flat = array("l")
    for price, price_decimals, size, size_decimals in levels:
        flat.append(rescale(price, price_decimals, scale.price_decimals))
        flat.append(rescale(size, size_decimals, scale.size_decimals))
    return flat
