from collections.abc import Iterator
from itertools import pairwise

import pytest

from stevie.actors.bar_counters import BarCounter
from stevie.messages.record import FlagsChanged
from tests.actors.bars_stage import SECOND_NS, START_NS, BarsStage, refusal, stages


@pytest.fixture
def stage() -> Iterator[BarsStage]:
    """One symbol; time mostly passes without its market, which takes long to compute."""
    for new_stage in stages():
        yield new_stage(symbols=("BTCUSDT",))


def test_few_requests_are_out_at_once_and_they_are_spaced(stage):
    stage.wait(30)
    times = [at_ns for at_ns, _ in stage.rest.asked]

    assert stage.rest.in_flight_max <= 2
    assert all(later - earlier >= SECOND_NS // 10 for earlier, later in pairwise(times))
    assert stage.count(BarCounter.KLINE_REQUESTS, "binance") == len(times)


def test_a_venue_that_wants_to_be_left_alone_is(stage):
    stage.rest.instead = [refusal(429, retry_after="40")]
    stage.wait(39)
    asked = len(stage.rest.asked)
    stage.wait(40)

    assert asked <= 2  # the one refused, and what was out by then
    assert stage.rest.asked[asked][0] - START_NS >= 40 * SECOND_NS
    assert len(stage.bars().closed) == 1000


def test_refusals_are_followed_by_growing_pauses(stage):
    stage.rest.instead = [refusal(503) for _ in range(60)]
    stage.wait(20)
    minutes = [at_ns for at_ns, query in stage.rest.asked if query["interval"] == "1m"]
    pauses = [later - earlier for earlier, later in pairwise(minutes)]

    assert len(pauses) >= 2
    assert pauses[-1] > pauses[0] >= SECOND_NS // 2
    stage.rest.instead = []
    stage.wait(120)
    assert len(stage.bars().closed) >= 1000


def test_an_answer_that_cannot_be_read_is_set_aside_and_asked_for_again(stage):
    stage.rest.instead = [refusal(200, b'[["not a kline"]]')]
    stage.wait(60)

    (row,) = stage.set_aside()
    assert (row.border, row.contract, row.body) == ("rest", "klines", b'[["not a kline"]]')
    assert "unreadable" in row.reason
    assert len(stage.bars().closed) == 1000


def test_nothing_is_asked_for_while_the_flag_is_off(stage):
    stage.tell(FlagsChanged(on=("trading",)))
    asked = len(stage.rest.asked)
    stage.wait(90)
    assert len(stage.rest.asked) == asked

    stage.tell(FlagsChanged(on=("bars_backfill",)))
    stage.wait(60)
    assert len(stage.bars().closed) == 1000


def test_a_request_that_the_venue_never_answers_is_a_refusal_like_any_other(stage):
    stage.rest.instead = [refusal(0, b"timed out")]
    stage.wait(30)

    assert stage.count(BarCounter.KLINE_REFUSALS, "binance") == 1
    assert len(stage.bars().closed) == 1000
