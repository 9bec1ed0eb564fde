from stevie.actors.market_counters import MarketCounter
from stevie.runtime.counters import declared


def test_every_counter_has_a_name_of_its_own_and_a_sentence() -> None:
    counters = declared(MarketCounter)

    assert len({counter.name for counter in counters}) == len(counters) > 0
    assert all(counter.help.endswith(".") for counter in counters)


def test_names_are_in_the_projects_space_but_for_the_one_that_is_prescribed() -> None:
    names = [counter.name for counter in declared(MarketCounter)]

    assert [name for name in names if not name.startswith("stevie_")] == ["l2_resyncs_total"]
    assert all(name.endswith("_total") for name in names)
