from stevie.actors.bar_counters import BarCounter
from stevie.actors.market_counters import MarketCounter
from stevie.runtime.counters import declared


def test_every_counter_has_a_name_of_its_own_and_a_sentence() -> None:
    counters = [*declared(BarCounter), *declared(MarketCounter)]

    assert len({counter.name for counter in counters}) == len(counters)
    assert all(counter.help.endswith(".") for counter in declared(BarCounter))


def test_names_are_in_the_projects_space() -> None:
    names = [counter.name for counter in declared(BarCounter)]

    assert len(names) == 4
    assert all(name.startswith("stevie_") and name.endswith("_total") for name in names)
