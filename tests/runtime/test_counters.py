"""Counters: declared once, bounded, and read as they stand."""

import pytest

from stevie.runtime.counters import (
    LABEL_SETS_MAX,
    Counter,
    Counters,
    RuntimeCounter,
    declared,
)


class Domain:
    """A registry as others declare theirs."""

    PLAIN = Counter("stevie_plain_total", "Counted without labels.")
    SPLIT = Counter("stevie_split_total", "Counted by color.", labels=("color",))


def test_counters_without_labels_exist_from_the_start():
    samples = {sample.counter: sample.value for sample in Counters(Domain).snapshot()}

    assert samples == {Domain.PLAIN: 0}


def test_counts_add_up_by_label():
    counters = Counters(Domain)

    counters.add(Domain.SPLIT, "red")
    counters.add(Domain.SPLIT, "red", by=2)
    counters.add(Domain.SPLIT, "blue")

    assert counters.value(Domain.SPLIT, "red") == 3
    assert counters.value(Domain.SPLIT, "blue") == 1
    assert counters.value(Domain.SPLIT, "green") == 0


def test_labels_have_to_fit_the_declaration():
    with pytest.raises(AssertionError):
        Counters(Domain).add(Domain.SPLIT)


def test_labels_without_end_are_counted_together_once_the_budget_is_spent():
    counters = Counters(Domain)

    for number in range(LABEL_SETS_MAX + 10):
        counters.add(Domain.SPLIT, str(number))

    assert len(counters.snapshot()) <= LABEL_SETS_MAX + 1
    assert counters.value(Domain.SPLIT, "other") == 11


def test_every_counter_of_the_runtime_has_a_sentence_and_a_name_of_its_own():
    counters = declared(RuntimeCounter)

    assert len({counter.name for counter in counters}) == len(counters) > 0
    assert all(counter.help.endswith(".") for counter in counters)
    assert all(counter.name.startswith("stevie_") for counter in counters)
