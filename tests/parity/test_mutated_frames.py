"""Kernel == reference on bytes that no venue would send."""

import json
import random

import pytest

from stevie.adapters.kernel import NativeKernel
from stevie.domain.market.core import Code, CoreSpec, FrameKind
from stevie.domain.market.sequencer import SequenceRule
from stevie.venues.binance.codec import NESTING_MAX
from tests.parity.frames import SYMBOL, VOCABULARY, Market, mutated
from tests.parity.recordings import RULES, recording
from tests.parity.twins import Twins

SPOT = CoreSpec(native_symbol=SYMBOL, rule=SequenceRule.SPOT)
DELTA = b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1001,"u":1001,"b":[["9","1"]],"a":[%s]}'


def assert_agreement_on_mutants(kernel: NativeKernel, seed: int, count: int) -> None:
    market = Market(seed)
    twins = Twins(SPOT, kernel)
    twins.load_snapshot(market.snapshot(), 0, market.tick())
    for index in range(count):
        mutant = mutated(market.frame(), market.rng)
        twins.scan(mutant)
        twins.apply_frames([mutant], [market.tick()])
        assert twins.native.view() == twins.reference.view(), mutant
        if index % 50 == 0:
            twins.load_snapshot(mutated(market.snapshot(), market.rng), 0, market.tick())
            twins.load_snapshot(market.snapshot(), 0, market.tick())
            twins.agree(market.at_ns)


def test_they_agree_on_mutants(kernel: NativeKernel) -> None:
    assert_agreement_on_mutants(kernel, seed=1, count=3000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_they_agree_on_many_mutants(kernel: NativeKernel, seed: int) -> None:
    assert_agreement_on_mutants(kernel, seed, count=20_000)


@pytest.mark.slow
def test_they_agree_on_mutants_of_recorded_frames(kernel: NativeKernel) -> None:
    rng = random.Random(5)
    for name in RULES:
        frames = [frame for frame in recording(name) if frame.symbol]
        for frame in rng.sample(frames, 800):
            twins = Twins(CoreSpec(native_symbol=frame.symbol, rule=RULES[name]), kernel)
            mutant = mutated(frame.raw[:20_000], rng)
            twins.scan(mutant)
            twins.load_snapshot(mutant, 0, frame.at_ns)
            assert twins.native.view() == twins.reference.view(), mutant


@pytest.mark.parametrize("text", VOCABULARY)
def test_they_agree_on_every_token_in_every_place(kernel: NativeKernel, text: bytes) -> None:
    twins = Twins(SPOT, kernel)
    frame = b'{"data":{"e":"trade","s":"BTCUSDT","t":1,"p":"1","q":"1","m":true},"x":[{"y":1}]}'

    for at in range(len(frame) + 1):
        twins.scan(frame[:at] + text + frame[at:])
        twins.scan(frame[:at] + text + frame[at + 1 :])


# As Binance spells them, which the kernel reads by a way of its own.
PLAIN_DELTA = (
    b'{"e":"depthUpdate","E":1700000000100,"s":"BTCUSDT","U":50000000001,"u":50000000024,'
    b'"b":[["61737.63000000","0.32329000"],["61730.17000000","10.32329000"],["9.50","0.00000000"]],'
    b'"a":[["61837.64000000","1.54698000"],["61839.85000000","0.00000000"]]}'
)
PLAIN_FRAMES = (
    PLAIN_DELTA,
    b'{"stream":"btcusdt@depth@100ms","data":%s}' % PLAIN_DELTA,
    PLAIN_DELTA.replace(b',"s"', b',"T":1700000000099,"s"').replace(b',"b"', b',"pu":7,"b"'),
    b'{"e":"aggTrade","E":1700000000500,"s":"BTCUSDT","a":26129,"p":"59999.98","q":"0.49322",'
    b'"f":100,"l":105,"T":1700000000499,"m":false,"M":true}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":123456785,"s":"BTCUSDT","t":12345,'
    b'"p":"59999.98000000","q":"0.49322000","T":123456785,"m":true,"M":true}}',
)


def assert_agreement_on_every_byte(kernel: NativeKernel, choices: int) -> None:
    rng, twins = random.Random(8), Twins(SPOT, kernel)
    level = b'[["61000.01000000","1.00001000"]]'  # as in the frames, so that it teaches their form
    snapshot = b'{"lastUpdateId":50000000000,"bids":%s,"asks":%s}' % (level, level)
    for frame in PLAIN_FRAMES:
        for at in range(len(frame)):
            for byte in rng.sample(b'019.,:"[]{}\\ -e/\x00\x80\xc3', choices):
                changed = frame[:at] + bytes([byte]) + frame[at + 1 :]
                for mutant in (changed, frame[:at] + frame[at + 1 :], frame[:at]):
                    twins.load_snapshot(snapshot, 0, 1)
                    twins.apply_frames([mutant], [2])
                    assert twins.native.view() == twins.reference.view(), mutant
                    assert twins.native.top(9) == twins.reference.top(9), mutant


def test_they_agree_on_plain_frames_with_a_wrong_byte(kernel: NativeKernel) -> None:
    assert_agreement_on_every_byte(kernel, choices=1)


@pytest.mark.slow
def test_they_agree_on_plain_frames_with_any_wrong_byte(kernel: NativeKernel) -> None:
    assert_agreement_on_every_byte(kernel, choices=12)


@pytest.mark.parametrize("symbol", ['B"', "B\\", "B\n", "\u20bf", "", "B"])
def test_they_agree_on_symbols_that_json_would_escape(kernel: NativeKernel, symbol: str) -> None:
    spec = CoreSpec(native_symbol=symbol, rule=SequenceRule.SPOT)
    for text in (json.dumps(symbol), json.dumps(symbol, ensure_ascii=False), f'"{symbol}"'):
        frame = PLAIN_DELTA.replace(b'"BTCUSDT"', text.encode())
        Twins(spec, kernel).scan(frame)


@pytest.mark.parametrize("number", ["0", "-0", "1", "-1", "12", "1.5", "1e3", "9" * 19, "1" * 20])
@pytest.mark.parametrize("key", [b"U", b"u", b"E", b"pu"])
def test_they_agree_on_numbers_as_sequences(kernel: NativeKernel, key: bytes, number: str) -> None:
    twins = Twins(SPOT, kernel)
    twins.scan(DELTA.replace(b"}", b',"%s":%s}' % (key, number.encode())) % b"")


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 128, 254, 255, 256, 257, 300, 5000])
def test_nesting_is_bounded_in_both_whatever_the_stack(kernel: NativeKernel, depth: int) -> None:
    twins = Twins(SPOT, kernel)
    for opening, closing in ((b"[", b"]"), (b'{"k":', b"}")):
        nested = opening * depth + b"1" + closing * depth
        expected = FrameKind.OTHER if depth <= NESTING_MAX else FrameKind.MALFORMED
        assert twins.scan(nested)[0] == expected
        twins.scan(DELTA % nested)
        twins.scan(b'{"a":%s,"a":1}' % nested)
        twins.scan(b'{"data":%s}' % nested)


def test_brackets_in_strings_do_not_nest(kernel: NativeKernel) -> None:
    assert Twins(SPOT, kernel).scan(b'["%s"]' % (b'\\"[{' * 300))[0] == FrameKind.OTHER


def test_random_numbers_have_the_same_verdict(kernel: NativeKernel) -> None:
    rng, twins = random.Random(3), Twins(SPOT, kernel)
    for _ in range(5000):
        digits = "".join(rng.choices("0123456789", k=rng.choice((1, 2, 18, 20, 308, 310))))
        fraction = rng.choice(("", ".5", "." + "0" * rng.choice((5, 320)) + "7"))
        exponent = rng.choice(("", "e5", f"e{rng.randrange(-700, 330)}", f"E+{rng.randrange(320)}"))
        twins.scan(f"{rng.choice(('', '-'))}{digits}{fraction}{exponent}".encode())


def test_a_malformed_frame_changes_nothing(kernel: NativeKernel) -> None:
    market = Market(11)
    for core in (Twins(SPOT, kernel).native, Twins(SPOT, kernel).reference):
        core.load_snapshot(b'{"lastUpdateId":1000,"bids":[["8","1"]],"asks":[]}', 0, 5)
        before = core.view(), core.top(9), core.features(6)

        broken = DELTA % b'["10.12345","1"],["11","x"]'
        assert core.apply_frames([broken], [market.at_ns], 0) == (1, Code.OK)
        assert core.load_snapshot(broken, 0, 7) == Code.MALFORMED

        expected = before[0]._replace(frames=1, malformed=1)
        assert (core.view(), core.top(9), core.features(6)) == (expected, *before[1:])
