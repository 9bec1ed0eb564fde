"""One seed lived through: faults reach the actors, and what does not hold is told."""

import pytest

from stevie.actors.market_data import MarketData
from stevie.explore import exploration
from stevie.explore.exploration import EVENT_LENGTH_MAX, LAST_EVENTS, Explorer, Scenario
from stevie.explore.faults import read_plan
from stevie.explore.tape import SECOND_NS, START_NS
from stevie.runtime.message import Message

BOOK, FEED, PLACE = "book/binance/BTCUSDT", "feed/binance", "binance/BTCUSDT"


def test_without_faults_the_book_is_live_and_compared_all_the_time(explorer: Explorer):
    outcome = explorer.explore(1, ())

    assert outcome.failure is None
    assert (outcome.virtual_s, outcome.faults, outcome.resyncs) == (24.0, {}, 0)
    assert outcome.checked > 250


@pytest.mark.parametrize(
    ("plan", "resyncs"),
    [
        (f"drop@3000+400:{PLACE}*2~0", 1),
        (f"cross@3000+400:{PLACE}*1~1", 1),
        (f"overflow@3000+900:{BOOK}*0~600", 1),
        (f"skew@3000+900:binance*0~700 garbage@4000+500:{PLACE}*3~0", 0),
        (f"busy@3000+900:{BOOK}*0~0 busy@5000+900:{FEED}*0~0", 0),
        (f"duplicate@3000+500:{PLACE}*3~90", 0),
        ("disconnect@3000+900:binance*0~1006", 1),
        ("stall@3000+2000:binance*0~0", 0),
    ],
)
def test_a_fault_costs_a_resync_only_where_something_is_lost(
    explorer: Explorer, plan: str, resyncs: int
):
    outcome = explorer.explore(1, read_plan(plan))

    assert outcome.failure is None
    assert min(outcome.resyncs, 1) == resyncs
    assert sorted(outcome.faults) == sorted({fault.kind for fault in outcome.plan})


@pytest.mark.parametrize("how", [0, 1])
@pytest.mark.parametrize("name", [BOOK, FEED])
def test_a_crash_is_survived_and_nothing_is_heard_twice(explorer: Explorer, name: str, how: int):
    calm = explorer.explore(1, ())
    outcome = explorer.explore(1, read_plan(f"crash@3000+0:{name}*0~{how}"))

    assert outcome.failure is None
    # Were the sockets of a dead feed still heard, there would be twice as many.
    assert outcome.steps < 1.2 * calm.steps


def test_a_bug_ends_the_run_with_the_last_events(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
):
    def broken(actor: MarketData, message: Message) -> object:
        if actor.context.clock.wall_ns() > START_NS + SECOND_NS:
            raise KeyError(type(message).__name__)

    monkeypatch.setattr(MarketData, "handle", broken)
    failure = explorer.explore(1, read_plan("slow@900+900:binance*0~100")).failure

    assert failure is not None
    assert failure.invariant == "no actor dies of a bug"
    assert "KeyError: 'BookChanged'" in failure.detail
    assert 1_000 <= failure.at_ms < 1_500
    assert "ChildDown" in failure.events[-1]
    assert any("fault slow@900" in event for event in failure.events)
    assert len(failure.events) <= LAST_EVENTS
    assert max(map(len, failure.events)) <= EVENT_LENGTH_MAX


def test_actors_that_spin_are_a_failure_too(explorer: Explorer, monkeypatch: pytest.MonkeyPatch):
    def echo(actor: MarketData, message: Message) -> None:
        actor.tell(actor.context.name, message)

    monkeypatch.setattr(MarketData, "handle", echo)
    monkeypatch.setattr("stevie.runtime.deterministic.STEPS_PER_INSTANT_MAX", 500)
    failure = explorer.explore(1, ()).failure

    assert failure is not None
    assert failure.invariant == "actors come to rest"


def test_seeds_differ_in_plan_and_settings_and_share_a_few_markets():
    scenario = Scenario(seconds=60)

    assert scenario.plan(1) != scenario.plan(9)
    assert scenario.tape_key(1) == scenario.tape_key(1 + exploration.TAPES_KEPT)
    assert scenario.tape_key(1) != scenario.tape_key(2)
