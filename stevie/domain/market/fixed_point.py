"""Exact decimals: wire text to integers and back, without a float in between.

A number is a `(mantissa, decimals)` pair with the fewest decimals that hold it. Twin of the number
reader in `native/micro.cpp`.
"""

import re

UNITS_MAX = 2**61 - 1  # leaves an int64 room for sums of two and differences of four
DECIMALS_MAX = 18  # 10**18 is the largest power of ten that an int64 holds
_WHOLE_DIGITS_MAX = len(str(UNITS_MAX))

_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


class NumberError(ValueError):
    """A text that is no unsigned decimal number, or one past UNITS_MAX."""


def read(text: str) -> tuple[int, int]:
    """`"61737.63000000"` -> `(6173763, 2)`; raises NumberError for signs, exponents, overflow."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise NumberError(f"expected an unsigned decimal number, was {text!r}")
    whole, fraction = match[1].lstrip("0"), (match[2] or "").rstrip("0")
    # The lengths first: int() refuses thousands of digits with an error of its own.
    if len(whole) <= _WHOLE_DIGITS_MAX and len(fraction) <= DECIMALS_MAX:
        mantissa = int(f"0{whole}{fraction}")
        if mantissa <= UNITS_MAX:
            return mantissa, len(fraction)
    raise NumberError(f"expected at most {UNITS_MAX} in {DECIMALS_MAX} decimals, was {text!r}")


def rescale(mantissa: int, decimals: int, to_decimals: int) -> int:
    """Count the same number in units of 10**-to_decimals; NumberError past UNITS_MAX."""
    assert to_decimals >= decimals, (decimals, to_decimals)
    units: int = mantissa * 10 ** (to_decimals - decimals)
    if units > UNITS_MAX:
        raise NumberError(f"{mantissa}e-{decimals} is past {UNITS_MAX} at {to_decimals} decimals")
    return units


def to_units(text: str, decimals: int) -> int:
    """`("0.05", 2)` -> 5; NumberError if the text is finer than that many decimals."""
    mantissa, own = read(text)
    if own > decimals:
        raise NumberError(f"expected at most {decimals} decimals, was {text!r}")
    return rescale(mantissa, own, decimals)


def to_text(units: int, decimals: int) -> str:
    """`(6173763, 2)` -> `"61737.63"`: plain digits, never an exponent."""
    if decimals == 0:
        return str(units)
    whole, fraction = divmod(abs(units), 10**decimals)
    return f"{'-' if units < 0 else ''}{whole}.{fraction:0{decimals}d}"
