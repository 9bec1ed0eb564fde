"""Raw Binance frames to book to features: the native kernel against the Python reference."""

from collections.abc import Iterator
from typing import NamedTuple

from bench.rounds import Pair, compare
from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import BookCore, CoreSpec
from stevie.domain.market.sequencer import SequenceRule
from stevie.venues.binance.reference import BinanceReferenceCore
from stevie.venues.simulator.binance.listings import SPOT, listings, numbering
from stevie.venues.simulator.binance.publisher import Publisher
from stevie.venues.simulator.binance.rest import Rest
from stevie.venues.simulator.market.simulation import Market

SYMBOL = "BTCUSDT"
START_NS = 1_700_000_000_000_000_000
SECONDS = 120
SPEC = CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT)
LEVELS = 1000


class Workload(NamedTuple):
    """A snapshot and the frames that follow it, of the simulated market."""

    snapshot: bytes
    frames: list[bytes]
    received_ns: list[int]


def generate() -> Workload:
    """Two minutes of one symbol's depth and trades."""
    market = Market(
        listings((SYMBOL,)), seed=1, start_ns=START_NS, alpha=True, numbering=numbering(1)
    )
    answer = Rest(market).answer(
        "/api/v3/depth", {"symbol": SYMBOL, "limit": str(LEVELS)}, now_ns=START_NS
    )
    timed = list(_frames(market))
    return Workload(
        answer.body.encode(), [frame for frame, _ in timed], [at_ns for _, at_ns in timed]
    )


def _frames(market: Market) -> Iterator[tuple[bytes, int]]:
    publisher = Publisher(market.of_venue(SPOT), venue=SPOT)
    wanted = {f"{SYMBOL.lower()}@depth@100ms", f"{SYMBOL.lower()}@trade"}
    for now_ns in market.advance(START_NS + SECONDS * 1_000_000_000):
        for frame in publisher.step(now_ns, wanted):
            yield f'{{"stream":"{frame.stream}","data":{frame.data}}}'.encode(), now_ns


def rows() -> Iterator[Pair]:
    """Batches of a hundred frames, and one frame a call."""
    workload, kernel = generate(), NativeKernel()
    native, reference = kernel.new_core(SPEC), BinanceReferenceCore(SPEC)
    for batch in (100, 1):
        pair = compare(
            f"frames to features, {batch} a call",
            unit="frames/s",
            count=len(workload.frames),
            ours=("native kernel", lambda batch=batch: _run(native, workload, batch)),
            peer=("Python reference", lambda batch=batch: _run(reference, workload, batch)),
        )
        assert native.top(20) == reference.top(20), "the books differ: no time counts"
        yield pair


def _run(core: BookCore, workload: Workload, batch: int) -> None:
    core.load_snapshot(workload.snapshot, LEVELS, START_NS)
    for start in range(0, len(workload.frames), batch):
        times = workload.received_ns[start : start + batch]
        core.apply_frames(workload.frames[start : start + batch], times, 0)
        core.features(times[-1])
