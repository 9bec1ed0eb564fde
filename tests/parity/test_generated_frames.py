"""Kernel == reference on markets that never were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import Code, CoreSpec, Scale
from stevie.domain.market.features import FeatureSpec
from stevie.domain.market.fixed_point import UNITS_MAX
from stevie.domain.market.sequencer import DeltaSpan, SequenceRule
from tests.parity.frames import START_NS, SYMBOL, Market, times
from tests.parity.twins import ALL, Twins

SPECS = st.builds(
    CoreSpec,
    native_symbol=st.just(SYMBOL),
    rule=st.sampled_from(SequenceRule),
    scale=st.builds(Scale, st.sampled_from((0, 1, 2, 8)), st.sampled_from((0, 3, 8))),
    features=st.builds(
        FeatureSpec,
        obi_levels=st.sampled_from((1, 5, 50)),
        window_ns=st.sampled_from((1, 10**9, 10**10)),
        window_events=st.sampled_from((1, 3, 100)),
    ),
)
STEPS = st.lists(
    st.sampled_from(("frames", "frames", "frames", "snapshot", "refine", "pause", "adopt")),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@given(spec=SPECS, seed=st.integers(0, 2**32), steps=STEPS)
@settings(max_examples=200, deadline=None)
def test_kernel_and_reference_agree_on_any_sequence_of_calls(
    kernel: NativeKernel, spec: CoreSpec, seed: int, steps: list[str]
) -> None:
    market = Market(seed, usdm=spec.rule is SequenceRule.USDM)
    twins = Twins(spec, kernel)
    twins.load_snapshot(market.snapshot(), 0, market.tick())

    for step in steps:
        take_step(step, twins, market, Twins(spec, kernel))
        twins.agree(market.at_ns + market.rng.choice((-1, 0, 10**9, 10**11)))


def take_step(step: str, twins: Twins, market: Market, fresher: Twins) -> None:
    rng = market.rng
    match step:
        case "frames":
            frames = [market.frame() for _ in range(rng.randrange(12))]
            for frame in frames:
                twins.scan(frame)
            twins.apply_frames(frames, times(len(frames), market))
        case "snapshot":
            twins.load_snapshot(market.snapshot(), rng.choice((0, 3, 5)), market.tick())
        case "refine":
            twins.refine(Scale(rng.choice((0, 1, 3, 18)), rng.choice((0, 2, 9))))
        case "pause":
            twins.pause_at(twins.reference.view().applied + rng.randrange(4))
        case "adopt":
            fresher.load_snapshot(market.snapshot(), rng.choice((0, 3)), market.tick())
            fresher.apply_frames([market.frame() for _ in range(4)], times(4, market))
            twins.adopt(fresher)
            fresher.agree(market.at_ns)
        case _:
            raise AssertionError(step)


@pytest.mark.slow
def test_they_agree_along_chains_of_thousands_of_frames(kernel: NativeKernel) -> None:
    for seed in range(6):
        rule = SequenceRule(seed % 2)
        market = Market(seed, usdm=rule is SequenceRule.USDM)
        twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=rule), kernel)
        for _ in range(100):
            twins.load_snapshot(market.snapshot(200), 0, market.tick())
            twins.apply_frames([market.frame() for _ in range(20)], times(20, market))
            twins.agree(market.at_ns)


LEVELS = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 40), st.sampled_from((0, -1, UNITS_MAX, UNITS_MAX + 1))),
        st.one_of(st.integers(0, 3), st.sampled_from((-1, UNITS_MAX, UNITS_MAX + 1))),
    ),
    max_size=6,
).map(lambda levels: [number for level in levels for number in level])


@pytest.mark.slow
@given(
    spec=SPECS,
    deltas=st.lists(
        st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(-2, 1), LEVELS, LEVELS),
        max_size=25,
    ),
)
@settings(max_examples=200, deadline=None)
def test_they_agree_on_level_arrays_of_any_codec(
    kernel: NativeKernel,
    spec: CoreSpec,
    deltas: list[tuple[int, int, int, list[int], list[int]]],
) -> None:
    twins = Twins(spec, kernel)
    twins.load_snapshot(b'{"lastUpdateId":7,"bids":[],"asks":[]}', 0, START_NS)

    for index, (first, length, previous, bids, asks) in enumerate(deltas):
        seq = twins.reference.view().last_seq
        span = DeltaSpan(seq + first, seq + first + length, seq + previous)
        twins.apply_levels(span, bids, asks, START_NS + index)
        twins.agree(START_NS + index)


@pytest.mark.slow
@given(
    deltas=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), LEVELS, LEVELS), min_size=1, max_size=8
    ),
    start=st.integers(-1, 9),
    pause_at=st.integers(0, 4),
    flaw=st.sampled_from(("", "", "", "head", "count", "negative", "levels")),
)
@settings(max_examples=300, deadline=None)
def test_they_agree_on_batches_of_deltas(
    kernel: NativeKernel,
    deltas: list[tuple[int, int, list[int], list[int]]],
    start: int,
    pause_at: int,
    flaw: str,
) -> None:
    twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT), kernel)
    twins.load_snapshot(b'{"lastUpdateId":7,"bids":[],"asks":[]}', 0, START_NS)
    twins.pause_at(pause_at)
    heads, levels, seq = list[int](), list[int](), 7
    for index, (first, length, bids, asks) in enumerate(deltas):
        span = seq + first, seq + first + length
        seq = span[1]
        heads += [*span, -1, index, START_NS + index, len(bids) // 2, len(asks) // 2]
        levels += bids + asks
    heads[-1] += flaw == "count"
    heads[-2] -= flaw == "negative"

    twins.apply_deltas(
        heads[: len(heads) - (flaw == "head")], levels + [1, 1] * (flaw == "levels"), start
    )

    twins.agree(START_NS + len(deltas))


def test_a_batch_of_deltas_is_what_its_deltas_are_one_by_one(kernel: NativeKernel) -> None:
    batched, single = (
        Twins(CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT), kernel) for _ in range(2)
    )
    rng, heads, levels = Market(3).rng, list[int](), list[int]()
    for twins in (batched, single):
        twins.load_snapshot(b'{"lastUpdateId":7,"bids":[],"asks":[]}', 0, START_NS)
    for seq in range(8, 208):
        bids = [n for _ in range(3) for n in (rng.randrange(1, 100), rng.randrange(4))]
        asks = [n for _ in range(2) for n in (rng.randrange(100, 200), rng.randrange(4))]
        heads += [seq, seq, -1, 0, START_NS + seq, 3, 2]
        levels += bids + asks
        single.apply_levels(DeltaSpan(seq, seq), bids, asks, START_NS + seq)

    assert batched.apply_deltas(heads, levels, 0) == (200, Code.OK)

    batched.agree(START_NS + 208)
    assert batched.native.view() == single.native.view()
    assert batched.native.top(ALL) == single.native.top(ALL)
    assert batched.native.features(START_NS + 208) == single.native.features(START_NS + 208)


@pytest.mark.parametrize("rule", SequenceRule)
def test_they_agree_when_every_frame_is_followed(kernel: NativeKernel, rule: SequenceRule) -> None:
    market = Market(5, usdm=rule is SequenceRule.USDM)
    twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=rule), kernel)
    twins.load_snapshot(market.snapshot(20), 0, market.tick())

    codes = {twins.follow(market.frame(), market.tick()) for _ in range(400)}

    assert {Code.OK, Code.GAP, Code.MALFORMED} <= codes
    twins.agree(market.at_ns)


def test_they_agree_whichever_way_the_touch_leaves_its_surroundings(kernel: NativeKernel) -> None:
    rng = Market(13).rng
    twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT), kernel)
    twins.load_snapshot(b'{"lastUpdateId":1,"bids":[],"asks":[]}', 0, START_NS)
    middle, prices = 10_000_000, list[int]()

    for seq in range(2, 1500):
        middle += rng.choice((-1, 1)) * rng.choice((1, 100, 20_000, 70_000))
        prices.append(middle - rng.choice((0, 1, 64, 16_383, 16_384, 49_152, 65_536, 200_000)))
        gone = [price for price in prices if price > middle]
        prices = [price for price in prices if price <= middle]
        bids = [number for price in gone for number in (price, 0)]
        bids += [prices[-1], rng.randrange(1, 9)] if prices else []
        twins.apply_levels(DeltaSpan(seq, seq), bids, [middle + 1, seq % 2], START_NS)
        count = rng.choice((1, 5, 50))
        assert twins.native.top(count) == twins.reference.top(count)
    twins.agree(START_NS)


def test_they_agree_where_sequence_numbers_end(kernel: NativeKernel) -> None:
    last = 2**63 - 1
    for rule in SequenceRule:
        twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=rule), kernel)
        twins.load_snapshot(b'{"lastUpdateId":%d,"bids":[],"asks":[]}' % last, 0, START_NS)
        for span in (DeltaSpan(last, last, last - 1), DeltaSpan(last, last, last)) * 2:
            twins.apply_levels(span, [1, 1], [], START_NS)
            twins.agree(START_NS)


@pytest.mark.slow
@pytest.mark.parametrize("price_max", [5_500, 100_000])  # nearly every price taken, and few
def test_they_agree_on_a_side_far_longer_than_its_front(
    kernel: NativeKernel, price_max: int
) -> None:
    market = Market(7)
    twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT), kernel)
    prices = market.rng.sample(range(1, price_max), 5000)
    body = ",".join(f'["{price}","{price}"]' for price in prices)
    twins.load_snapshot(b'{"lastUpdateId":1,"bids":[%s],"asks":[]}' % body.encode(), 0, START_NS)

    for seq, price in enumerate(sorted(prices, reverse=True)[:4900], start=2):
        change = [price, 0, market.rng.randrange(1, price_max), seq % 3]
        change += [max(1, price - market.rng.randrange(70)), seq % 2]
        twins.apply_levels(DeltaSpan(seq, seq), change, [], START_NS + seq)
        assert twins.native.top(5) == twins.reference.top(5)
        if seq % 50 == 0:
            twins.agree(START_NS + seq)


def test_they_agree_where_the_front_ends(kernel: NativeKernel) -> None:
    rng = Market(9).rng
    twins = Twins(CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT), kernel)
    body = ",".join(f'["{price}","1"]' for price in range(1, 1200)).encode()
    twins.load_snapshot(b'{"lastUpdateId":1,"bids":[%s],"asks":[]}' % body, 0, START_NS)

    for seq in range(2, 6000):
        change = [1200 - rng.randrange(20, 80), rng.randrange(2)]
        twins.apply_levels(DeltaSpan(seq, seq), change, [], START_NS)
        count = rng.choice((5, 5, 5, rng.randrange(5, 40)))
        assert twins.native.top(count) == twins.reference.top(count)
