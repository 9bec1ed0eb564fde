import re
from decimal import Decimal
from random import Random

import pytest

from stevie import rfc3339
from stevie.domain.contracts import values
from stevie.domain.market import fixed_point
from tests.domain.contracts.documents import SAMPLES, timestamp

PATTERNS = {name: value for name, value in vars(values).items() if str(value).startswith("^")}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_means_the_same_in_every_dialect(pattern: str) -> None:
    # Left over when what Python and ECMA-262 read alike is taken away: classes spelled out, groups
    # that capture nothing, counts, escaped points, and the one look-ahead at the end.
    assert pattern.endswith(r"$(?!\n)")
    alike = r"\[\^?(?:\\u[0-9a-f]{4}|[^\\\]])+\]|\(\?:|\)|\{[0-9,]+\}|\\\.|[?*+|^]|[A-Za-z0-9:\-]"

    assert re.sub(alike, "", pattern.removesuffix(r"$(?!\n)")) == ""


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_nothing_may_stand_around_what_a_pattern_describes(pattern: str) -> None:
    good = next(filter(None, (SAMPLES[pattern](Random(seed)) for seed in range(9))))
    assert re.search(pattern, good)

    for wrong in (f"{good}\n", f"\n{good}", f"{good}\r", f" {good}", f"{good}\u2028 ", f"{good} x"):
        assert not re.search(pattern, wrong), repr(wrong)


@pytest.mark.parametrize(
    "text", ["0", "0.0", "60000.10", "0.00000001", str(2**61 - 1), "1." + "0" * 22]
)
def test_what_fixed_point_writes_is_decimal_text(text: str) -> None:
    assert re.search(values.DECIMAL, text)
    assert re.search(values.SIGNED_DECIMAL, "-" + text)


@pytest.mark.parametrize("text", ["", ".5", "5.", "+1", "-1", "01", "1e5", "1,0", "\u0661", "NaN"])
def test_other_ways_to_write_a_number_are_not(text: str) -> None:
    assert not re.search(values.DECIMAL, text)
    assert not re.search(values.POSITIVE_DECIMAL, text)


@pytest.mark.parametrize("text", ["0", "0.0", "0.000000", "00.1"])
def test_zero_is_not_positive_however_it_is_written(text: str) -> None:
    assert not re.search(values.POSITIVE_DECIMAL, text)


@pytest.mark.parametrize("units", [1, 10, 123, 10**18, fixed_point.UNITS_MAX])
@pytest.mark.parametrize("decimals", [0, 1, 8, 18, 22])
def test_every_price_and_size_that_a_book_holds_is_positive_text(units: int, decimals: int) -> None:
    text = fixed_point.to_text(units, decimals)

    assert re.search(values.POSITIVE_DECIMAL, text)
    assert len(text) <= values.DECIMAL_LENGTH_MAX


def test_what_rfc3339_writes_is_a_timestamp_and_sorts_as_time_does() -> None:
    moments = [0, 999, 10**9, 1_732_320_000_123_456_789, values.NS_MAX]
    texts = [rfc3339.text(each) for each in moments]

    assert all(re.search(values.TIMESTAMP, text) for text in texts)
    assert sorted(texts) == texts
    assert all(re.search(values.TIMESTAMP, timestamp(Random(seed))) for seed in range(50))


@pytest.mark.parametrize(
    "text",
    [
        *("2024-11-23T00:00:00Z", "2024-11-23T00:00:00.123Z", "2024-11-23T00:00:00.123456789Z"),
        *("2024-11-23T00:00:00.123456+00:00", "2024-11-23T00:00:00.123456z"),
        *("2024-11-23T24:00:00.000000Z", "2024-11-23T00:60:00.000000Z"),
        *("2024-00-23T00:00:00.000000Z", "2024-11-32T00:00:00.000000Z"),
    ],
)
def test_other_timestamps_are_not(text: str) -> None:
    assert not re.search(values.TIMESTAMP, text)


@pytest.mark.parametrize("number", [0.1, 0.02, 1e-7, 1e-18, 1e12, 123456.789, 5e-324, 1.0])
def test_a_number_is_taken_as_the_shortest_decimal_of_its_double(number: float) -> None:
    text = values.asked_text(number)

    assert "e" not in text
    assert Decimal(text) == Decimal(repr(number))


@pytest.mark.parametrize(
    ("asked", "is_exact"),
    [
        *(("1", True), (str(2**61 - 1), True), ("0." + "0" * 17 + "1", True), (1e12, True)),
        *((str(2**61), False), ("0." + "0" * 18 + "1", False), (1e-19, False)),
    ],
)
def test_exact_is_what_61_bits_and_18_decimals_hold(asked: float | str, is_exact: bool) -> None:
    assert values.is_exact(asked) is is_exact


def test_falling_is_by_value_and_strict() -> None:
    assert values.is_falling(())
    assert values.is_falling(("10", "9.99", "9.98"))
    assert not values.is_falling(("9", "10"))
    assert not values.is_falling(("10.0", "10.00"))


@pytest.mark.parametrize("billionths", [0, 1, -1, 10**15 - 1, -(10**15), 123456789012345])
def test_a_score_comes_back_as_the_whole_number_it_was(billionths: int) -> None:
    assert values.billionths(billionths / values.NANO) == billionths
