"""Every contender comes to the same book and the same features; else no time of it counts."""

import importlib
import pickle
from pathlib import Path

import pytest

from bench.books import CCXT, DICT, HFTBACKTEST, KERNEL, LIMIT, NUMBA, TOLERANCES, agree
from bench.peers.contender import TOP_LEVELS, Contender, Stage, Sums
from bench.peers.rival import MissingPackageError, Rival, Turn
from bench.workload import NEAR, RECORDED, SHORT, VENUE, Workload, generate

FRAMES = 300
WORKLOADS = {
    "near": generate(FRAMES, profile=NEAR, text=SHORT),
    "recorded": generate(FRAMES, profile=RECORDED, text=VENUE),
}
PACKAGES = {NUMBA: "numba", HFTBACKTEST: "hftbacktest", CCXT: "ccxt"}
CONTENDERS = [
    KERNEL,
    DICT,
    pytest.param(CCXT, marks=pytest.mark.slow),
    pytest.param(NUMBA, marks=pytest.mark.slow),  # its compiler takes seconds
    pytest.param(HFTBACKTEST, marks=pytest.mark.slow),
]


def contender(where: str, workload: Workload) -> Contender:
    if where in PACKAGES:
        pytest.importorskip(PACKAGES[where], reason=f"{PACKAGES[where]}: `make bench` installs it")
    module, _, name = where.partition(":")
    made: Contender = getattr(importlib.import_module(module), name)(workload)
    return made


def turn(made: Contender, stage: Stage) -> Turn:
    """As its process does, but for the time."""
    made.reset(stage)
    made.run(stage)
    return Turn(cpu_s=0.0, top=made.top(TOP_LEVELS), sums=made.sums(), facts={})


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
@pytest.mark.parametrize("where", CONTENDERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the peers' packages
def test_a_contender_agrees_with_the_limit_in_every_stage(where: str, workload: Workload) -> None:
    limit, other = contender(LIMIT, workload), contender(where, workload)

    for stage in other.stages:
        agree(other.name, turn(other, stage), turn(limit, stage))


@pytest.mark.parametrize("stage", [Stage.FEATURES, Stage.BATCHES])
def test_the_limit_and_the_kernel_read_features_that_say_something(stage: Stage) -> None:
    workload = WORKLOADS["near"]

    for where in (LIMIT, KERNEL):
        sums = turn(contender(where, workload), stage).sums
        assert sums is not None
        assert all(value != 0.0 for value in sums)


def test_a_second_run_comes_to_the_same() -> None:
    kernel = contender(KERNEL, WORKLOADS["near"])

    first, second = (turn(kernel, Stage.FEATURES) for _ in range(2))

    assert (first.top, first.sums) == (second.top, second.sums)


def a_turn() -> Turn:
    bids = tuple((100 - place, 5) for place in range(TOP_LEVELS))
    asks = tuple((101 + place, 5) for place in range(TOP_LEVELS))
    return Turn(cpu_s=1.0, top=(bids, asks), sums=Sums(1.0, 2.0, 3.0, 4.0, 5.0), facts={})


def test_a_rival_in_a_process_of_its_own_answers_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "workload.pickle"
    path.write_bytes(pickle.dumps(WORKLOADS["near"]))

    rival = Rival(LIMIT, path)
    try:
        answer = rival.run(Stage.FEATURES)
    finally:
        rival.stop()

    assert answer.cpu_s > 0.0
    agree("the limit", answer, turn(contender(LIMIT, WORKLOADS["near"]), Stage.FEATURES))


def test_a_rival_whose_package_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingPackageError):
        Rival("bench.peers.nobody:Nobody", tmp_path / "none")


def test_another_level_is_named_with_its_place() -> None:
    limit, wrong = a_turn(), a_turn()
    bids, asks = wrong.top
    wrong.top = bids, (*asks[:6], (107, 6), *asks[7:])

    with pytest.raises(
        AssertionError, match=r"someone has \(107, 6\) as ask 7, the limit \(107, 5\)"
    ):
        agree("someone", wrong, limit)


def test_a_level_too_few_is_named_too() -> None:
    limit, wrong = a_turn(), a_turn()
    wrong.top = wrong.top[0][:-1], wrong.top[1]

    with pytest.raises(AssertionError, match="someone has None as bid 20"):
        agree("someone", wrong, limit)


@pytest.mark.parametrize("field", Sums._fields)
def test_another_sum_of_features_is_named(field: str) -> None:
    limit, wrong = a_turn(), a_turn()
    value = getattr(wrong.sums, field) * (1 + 2 * getattr(TOLERANCES, field))
    wrong.sums = wrong.sums and wrong.sums._replace(**{field: value})

    with pytest.raises(AssertionError, match=f"someone adds {field} up to"):
        agree("someone", wrong, limit)
