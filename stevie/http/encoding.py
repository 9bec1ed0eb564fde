"""What JSON leaves the edge: ujson, every number finite, decimals as text."""

import ujson

from stevie.domain.market import fixed_point

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
# Further decimals of a price that lies between two ticks, such as a weighted mid.
SUBTICK_DECIMALS = 4


def to_json(document: object) -> str:
    """Encode; OverflowError on a number that JSON lacks (NaN, infinity)."""
    text = ujson.dumps(document, allow_nan=False, escape_forward_slashes=False, ensure_ascii=False)
    assert isinstance(text, str), document
    return text


def age_ms(now_ns: int, then_ns: int) -> float | None:
    """Milliseconds since then, never negative; None if it never was."""
    return None if then_ns < 0 else max(0, now_ns - then_ns) / NS_PER_MS


def levels(
    ladder: tuple[tuple[int, int], ...], price_decimals: int, size_decimals: int
) -> list[list[str]]:
    """Levels as `[price, size]`."""
    text = fixed_point.to_text
    return [[text(ticks, price_decimals), text(lots, size_decimals)] for ticks, lots in ladder]


def price_text(ticks: float | None, price_decimals: int) -> str | None:
    """A price between ticks as decimal text."""
    if ticks is None:
        return None
    subticks = round(ticks * 10**SUBTICK_DECIMALS)
    return fixed_point.to_text(subticks, price_decimals + SUBTICK_DECIMALS)


def excerpt(text: str, length_max: int = 80) -> str:
    """What a caller sent, fit to be shown back: bounded, quoted, one line."""
    return repr(text if len(text) <= length_max else text[:length_max] + "...")
