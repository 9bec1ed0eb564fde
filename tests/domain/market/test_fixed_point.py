import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.fixed_point import (
    DECIMALS_MAX,
    UNITS_MAX,
    NumberError,
    read,
    rescale,
    to_text,
    to_units,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("61737.63000000", (6173763, 2)),
        ("0.00000000", (0, 0)),
        ("0", (0, 0)),
        ("10", (10, 0)),
        ("007.50", (75, 1)),
        ("0.000000000000000001", (1, 18)),
        ("2305843009213693951", (UNITS_MAX, 0)),
        ("0" * 5000 + "1.5" + "0" * 5000, (15, 1)),
    ],
)
def test_a_number_is_read_with_the_fewest_decimals_that_hold_it(
    text: str, number: tuple[int, int]
) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1e3",
        ".5",
        "5.",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "0x1",
        "1.2.3",
        "NaN",
        "\u0661",
        "\uff11",
    ],
)
def test_what_is_no_unsigned_decimal_is_refused(text: str) -> None:
    with pytest.raises(NumberError, match="unsigned decimal"):
        read(text)


@pytest.mark.parametrize(
    "text", ["2305843009213693952", "0.0000000000000000001", "9" * 5000, "230584300921369395.21"]
)
def test_what_does_not_fit_is_refused_and_never_rounded(text: str) -> None:
    with pytest.raises(NumberError, match="at most"):
        read(text)


@given(st.integers(0, UNITS_MAX), st.integers(0, DECIMALS_MAX))
def test_units_survive_the_way_to_text_and_back(units: int, decimals: int) -> None:
    assert to_units(to_text(units, decimals), decimals) == units


@given(st.integers(-UNITS_MAX, -1), st.integers(0, DECIMALS_MAX))
def test_negative_units_are_written_with_one_sign_in_front(units: int, decimals: int) -> None:
    assert to_text(units, decimals) == "-" + to_text(-units, decimals)


@given(st.decimals(0, 10**9, places=6))
def test_reading_loses_nothing(number: object) -> None:
    mantissa, decimals = read(f"{number:f}")
    assert to_units(f"{number:f}", 6) == rescale(mantissa, decimals, 6)


def test_a_text_finer_than_the_units_is_refused() -> None:
    assert to_units("0.05", 2) == 5
    with pytest.raises(NumberError, match="at most 1 decimals"):
        to_units("0.05", 1)


def test_rescaling_past_the_limit_is_refused() -> None:
    with pytest.raises(NumberError, match="past"):
        rescale(UNITS_MAX, 0, 1)
