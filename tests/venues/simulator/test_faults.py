"""A plan of faults as text and data, its times and chances by seed, and what frames become."""

import itertools
import json
import subprocess
import sys

import pytest

from stevie.venues.simulator.faults import (
    PLAN_MAX,
    SINGLE,
    Fault,
    Faults,
    FaultSpecError,
    FaultyLine,
    Kind,
    Painter,
    parse_plan,
)
from stevie.venues.simulator.venue import NS_PER_S

TARGET = "binance/BTCUSDT/btcusdt@depth@100ms"
PAINTER = Painter(crossed=lambda: "crossed", shifted=lambda text, ms: f"{text}{ms:+}")


class Bench:
    """A plan, a clock that the test moves, and one connection."""

    def __init__(self, plan: str, *, seed: int = 1) -> None:
        self.now_ns = 0
        self.faults = Faults(
            seed=seed,
            now_ns=lambda: self.now_ns,
            cannot={"binance": {Kind.CHECKSUM: "it has none"}, "kraken": {}},
        )
        self.faults.set(plan)
        self.line = FaultyLine(self.faults, 1)

    def through(self, *texts: str) -> list[str]:
        return [it.text for text in texts for it in self.line.through(TARGET, text, PAINTER)]

    def open_seconds(self, kind: Kind, target: str, seconds: int) -> list[int]:
        found = []
        for second in range(seconds):
            self.now_ns = second * NS_PER_S
            if self.faults.lasting(kind, target):
                found.append(second)
        return found


def test_a_plan_is_read_from_its_text():
    plan = parse_plan("drop:p=0.01,scope=binance/BTCUSDT/*; stall : at=10, for=3; skew:ms=-900;")

    assert plan == (
        Fault(kind=Kind.DROP, p=0.01, scope="binance/BTCUSDT/*"),
        Fault(kind=Kind.STALL, at_s=10.0, for_s=3.0),
        Fault(kind=Kind.SKEW, ms=-900),
    )
    assert parse_plan("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode", "kinds: drop, duplicate"),
        ("drop:q=1", "unknown key 'q', allowed: p, at, for"),
        ("drop:p=2", "p"),
        ("drop:p=often", "p"),
        ("slow:rate=0", "rate"),
        ("checksum:p=0.1", "checksum cannot be shown by binance: it has none"),
        ("drop:scope=nyse/*", "no such venue, allowed: binance, kraken"),
        ("outage:every=10", "for=SECONDS"),
        ("stall:scope=binance/BTCUSDT/*", "of whole connections"),
        (";".join(["drop"] * (PLAN_MAX + 1)), f"allowed: {PLAN_MAX}"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_what_can(text, said):
    with pytest.raises(FaultSpecError, match=said.replace("(", r"\(")):
        Bench(text)


def test_a_venue_with_checksums_takes_what_another_cannot_show():
    assert Bench("checksum:scope=kraken").faults.lasting(Kind.CHECKSUM, "kraken/socket")


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("", ["a", "b", "c"]),
        ("drop", []),
        ("duplicate", ["a", "a", "b", "b", "c", "c"]),
        ("truncate", ["", "", ""]),
        ("cross", ["crossed", "crossed", "crossed"]),
        ("skew:ms=-5", ["a-5", "b-5", "c-5"]),
        ("drop:scope=binance/ETHUSDT/*", ["a", "b", "c"]),
        ("drop:scope=binance", []),
        ("drop:scope=*/*@depth@100ms", []),
    ],
)
def test_frames_become_what_the_plan_says(plan, expected):
    assert Bench(plan).through("a", "b", "c") == expected


def test_a_reordered_frame_comes_after_those_that_overtake_it():
    bench = Bench("reorder:for=1,span=2")

    first = bench.through("a")
    bench.now_ns = 2 * NS_PER_S

    assert first == []
    assert bench.through("b", "c", "d") == ["b", "c", "a", "d"]
    assert bench.faults.counts == {Kind.REORDER: 1}


def test_a_cut_ends_the_connection_with_its_frame():
    (delivery,) = Bench("cut").line.through(TARGET, "a", PAINTER)

    assert delivery.is_cut


def test_a_frame_that_cannot_be_crossed_passes_uncounted():
    bench = Bench("cross")
    painter = PAINTER._replace(crossed=lambda: "a")

    (delivery,) = bench.line.through(TARGET, "a", painter)

    assert (delivery.text, bench.faults.counts) == ("a", {})


def test_a_chance_is_about_what_was_asked_for_and_counted():
    bench = Bench("drop:p=0.1")

    left = bench.through(*map(str, range(2_000)))

    assert 150 < 2_000 - len(left) < 250
    assert bench.faults.counts[Kind.DROP] == 2_000 - len(left)


def test_a_fault_lasts_its_time_and_returns_at_times_of_the_seed():
    once = Bench("stall:at=3,for=2").open_seconds(Kind.STALL, "binance/socket", 20)
    often = Bench("outage:for=2,every=10").open_seconds(Kind.OUTAGE, "binance/socket", 200)
    same = Bench("outage:for=2,every=10").open_seconds(Kind.OUTAGE, "binance/socket", 200)
    other = Bench("outage:for=2,every=10", seed=2).open_seconds(Kind.OUTAGE, "binance/socket", 200)

    assert once == [3, 4]
    assert often == same != other
    assert 10 < len(often) < 80


def test_a_time_of_a_lasting_fault_is_counted_once():
    bench = Bench("outage:for=2,every=10")

    seconds = bench.open_seconds(Kind.OUTAGE, "binance/socket", 60)

    gaps = sum(b - a > 1 for a, b in itertools.pairwise(seconds))
    assert 0 < gaps + 1 <= bench.faults.counts[Kind.OUTAGE] <= len(seconds)


def test_a_new_plan_replaces_the_old_one_and_clearing_ends_it():
    bench = Bench("drop")
    assert bench.through("a") == []

    bench.faults.set("duplicate")
    assert bench.through("b") == ["b", "b"]
    bench.faults.clear()
    assert bench.through("c") == ["c"]
    assert bench.line.is_calm()


def test_faults_of_a_profile_stay_when_the_plan_is_cleared():
    faults = Faults(
        seed=1, now_ns=lambda: 0, cannot={"binance": {}}, plan=[Fault(kind=Kind.OUTAGE)]
    )

    faults.clear()

    assert faults.lasting(Kind.OUTAGE, "binance/socket")


def test_another_fault_in_the_plan_does_not_disturb_the_first():
    texts = [str(n) for n in range(200)]
    alone = set(Bench("drop:p=0.2").through(*texts))
    beside = set(Bench("drop:p=0.2;duplicate:p=0.3").through(*texts))

    assert alone == beside


PROGRAM = """
from stevie.venues.simulator.faults import *
faults = Faults(seed=7, now_ns=lambda: 0, cannot={"binance": {}})
faults.set("drop:p=0.3;duplicate:p=0.3;reorder:p=0.2")
line = FaultyLine(faults, 1)
painter = Painter(crossed=str, shifted=lambda text, ms: text)
import json
print(json.dumps([it.text for n in range(50) for it in line.through("binance/x", str(n), painter)]))
"""


@pytest.mark.slow
def test_a_seed_means_the_same_in_every_process():
    def run(hash_seed: str) -> list[str]:
        environ = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    assert run("0") == run("1") != [str(n) for n in range(50)]


def test_every_kind_is_of_single_frames_or_lasts():
    assert set(Kind) - SINGLE == {Kind.STALL, Kind.SLOW, Kind.SKEW, Kind.BLOCK, Kind.OUTAGE}
