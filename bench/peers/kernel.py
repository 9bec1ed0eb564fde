"""Stevie's kernel, as the book actor uses it: gap checks, validation and all."""

from array import array

from bench.peers.contender import BATCH, TOP_LEVELS, TOP_READS, Stage, Sums, Top
from bench.workload import SNAPSHOT_LIMIT, START_NS, Workload
from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import Code, CoreSpec, DeltaBatch, Scale
from stevie.domain.market.features import Features
from stevie.domain.market.fixed_point import rescale
from stevie.domain.market.sequencer import SequenceRule
from stevie.venues.binance.codec import Delta, decode_frame

SCALE = Scale(2, 5)


class Kernel:
    """Through cppyy, one call for each frame or for each batch of them."""

    name = "Stevie's kernel"
    package = "stevie"
    stages = (*Stage,)

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._kernel = NativeKernel()
        self._spec = CoreSpec(native_symbol=workload.symbol, rule=SequenceRule.SPOT, scale=SCALE)
        self._are_depth = [frame.startswith(b'{"e":"depth') for frame in workload.frames]
        events = map(decode_frame, workload.frames)
        timed = zip(events, workload.received_ns, strict=True)
        deltas = [(event, at_ns) for event, at_ns in timed if isinstance(event, Delta)]
        self._deltas = [
            _batch(deltas[start : start + BATCH]) for start in range(0, len(deltas), BATCH)
        ]

    def reset(self, stage: Stage) -> None:  # noqa: ARG002
        self._core = self._kernel.new_core(self._spec)
        code = self._core.load_snapshot(self._workload.snapshot, SNAPSHOT_LIMIT, START_NS)
        assert code == Code.OK, code
        self._sums: Sums | None = None

    def run(self, stage: Stage) -> None:
        getattr(self, f"_{stage}")()

    def _decode(self) -> None:
        scan = self._core.scan
        for frame in self._workload.frames:
            scan(frame)

    def _apply(self) -> None:
        apply = self._core.apply_deltas
        for batch in self._deltas:
            apply(batch, 0)

    def _book(self) -> None:
        frames, times, apply = (
            self._workload.frames,
            self._workload.received_ns,
            self._core.apply_frames,
        )
        for start in range(0, len(frames), BATCH):
            apply(frames[start : start + BATCH], times[start : start + BATCH], 0)

    def _batches(self) -> None:
        frames, times, core = self._workload.frames, self._workload.received_ns, self._core
        sums = [0.0] * 5
        for start in range(0, len(frames), BATCH):
            batch_ns = times[start : start + BATCH]
            core.apply_frames(frames[start : start + BATCH], batch_ns, 0)
            _add(sums, core.features(batch_ns[-1]))
        self._sums = Sums(*sums)

    def _features(self) -> None:
        follow, apply, workload = self._core.follow, self._core.apply_frames, self._workload
        obi = spread_bps = weighted_mid = micro_vol = ti = 0.0
        for frame, at_ns, is_depth in zip(
            workload.frames, workload.received_ns, self._are_depth, strict=True
        ):
            if is_depth:
                _, row = follow(frame, at_ns)
                obi += row.obi or 0.0
                spread_bps += row.spread_bps or 0.0
                weighted_mid += row.weighted_mid or 0.0
                micro_vol += row.micro_vol_count
                ti += row.ti_count or 0.0
            else:
                apply((frame,), (at_ns,), 0)
        self._sums = Sums(obi, spread_bps, weighted_mid, micro_vol, ti)

    def _top(self) -> None:
        ladder = self._core.ladder
        for _ in range(TOP_READS):
            ladder(TOP_LEVELS)

    def top(self, count: int) -> Top:
        return self._core.top(count)

    def sums(self) -> Sums | None:
        return self._sums


def _add(sums: list[float], row: Features) -> None:
    values = (row.obi, row.spread_bps, row.weighted_mid, row.micro_vol_count, row.ti_count)
    for index, value in enumerate(values):
        sums[index] += value or 0.0


def _batch(deltas: list[tuple[Delta, int]]) -> DeltaBatch:
    heads, levels = array("l"), array("l")
    for delta, at_ns in deltas:
        span = (delta.first_seq, delta.last_seq, delta.previous_seq)
        heads.extend((*span, delta.event_ns, at_ns, len(delta.bids), len(delta.asks)))
        for price, price_decimals, size, size_decimals in (*delta.bids, *delta.asks):
            levels.append(rescale(price, price_decimals, SCALE.price_decimals))
            levels.append(rescale(size, size_decimals, SCALE.size_decimals))
    return DeltaBatch(heads=heads, levels=levels)
