"""Values: the kinds of text and number that documents are made of.

Every pattern means the same to Python's `re` and to ECMA-262, the dialect of JSON Schema: character
classes are spelled out, and `$(?!\\n)` is the end of the text in both (Python's `$` alone would let
a line break follow). Every number is bounded, so that no reader of JSON has to give in to infinity.
"""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from stevie.domain.market import fixed_point

SIZE_MAX = 1e12  # base units of one request: more than is traded of anything in a day
BPS_MAX = 1e6  # a hundred times the price; 1e-9 of it is still exact in a double
NS_MAX = 2**63 - 1
EXACT_MAX = 2.0**53 - 1  # up to here a whole number is itself in every reader's double
NAME_LENGTH_MAX = 64
DECIMAL_LENGTH_MAX = 42  # 19 digits hold 61 bits; 18 decimals and the four of a price between ticks
TEXT_LENGTH_MAX = 512
DOCUMENTED_LEVELS_MAX = 1000  # a side: what the venues' own snapshots hold
NANO = 10**9  # scores are whole billionths of a basis point

_END = r"$(?!\n)"
_DECIMAL = r"(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,22})?"
_POSITIVE = r"(?:[1-9][0-9]{0,18}(?:\.[0-9]{1,22})?|0\.[0-9]*[1-9][0-9]*)"
_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}"

DECIMAL = f"^{_DECIMAL}{_END}"
SIGNED_DECIMAL = f"^-?{_DECIMAL}{_END}"
POSITIVE_DECIMAL = f"^{_POSITIVE}{_END}"
TIMESTAMP = f"^{_DATE}T{_TIME}Z{_END}"
WORD = f"^[a-z][a-z0-9_]*{_END}"
CODE = f"^[A-Za-z][A-Za-z0-9_]*{_END}"
ID = f"^[A-Za-z0-9][A-Za-z0-9._:-]*{_END}"
SYMBOL = rf"^[^\u0000-\u0020\u007f]+{_END}"  # venues list symbols beyond ASCII
HASH = f"^[0-9a-f]{{64}}{_END}"
HASH_OR_NONE = f"^(?:[0-9a-f]{{64}})?{_END}"

# -- numbers as text: exact, whatever reads them ---------------------------------------------------

DecimalText = Annotated[
    str, Meta(pattern=DECIMAL, description="An exact number: plain digits, no sign, no exponent.")
]
SignedDecimalText = Annotated[
    str, Meta(pattern=SIGNED_DECIMAL, description="An exact number, maybe negative.")
]
PositiveText = Annotated[
    str,
    Meta(
        pattern=POSITIVE_DECIMAL,
        max_length=DECIMAL_LENGTH_MAX,
        description="An exact number above zero: plain digits.",
    ),
]
AskedNumber = Annotated[
    float,
    Meta(
        gt=0,
        le=SIZE_MAX,
        description="Taken as the shortest decimal of its double; decimal text is exact.",
    ),
]
Asked = AskedNumber | PositiveText

# -- numbers ---------------------------------------------------------------------------------------

Count = Annotated[int, Meta(ge=0, le=NS_MAX)]
Positive = Annotated[int, Meta(ge=1, le=NS_MAX)]
Nanoseconds = Annotated[int, Meta(ge=0, le=NS_MAX, description="Nanoseconds since the epoch, UTC.")]
AgeNs = Annotated[int, Meta(ge=-1, le=NS_MAX, description="Nanoseconds; -1: never.")]
AgeMs = Annotated[float, Meta(ge=0, le=1e13, description="Milliseconds.")]
Seconds = Annotated[float, Meta(gt=0, le=86400, description="Seconds.")]
Bps = Annotated[float, Meta(ge=-BPS_MAX, le=BPS_MAX, description="Basis points, 1e-4.")]
SpreadBps = Annotated[float, Meta(ge=0, le=20000, description="Basis points of the mid.")]
Ratio = Annotated[float, Meta(ge=-1, le=1)]
Flow = Annotated[float, Meta(ge=-EXACT_MAX, le=EXACT_MAX, description="Base units, signed.")]
Volatility = Annotated[float, Meta(ge=0, le=100, description="Root of summed squared log returns.")]
PerSecond = Annotated[float, Meta(ge=0, le=1e13, description="A second.")]
Ticks = Annotated[float, Meta(ge=0, le=EXACT_MAX, description="Ticks, maybe between two.")]
Metric = Annotated[float, Meta(ge=-EXACT_MAX, le=EXACT_MAX)]
Switch = Annotated[int, Meta(ge=0, le=1)]

# -- text ------------------------------------------------------------------------------------------

Timestamp = Annotated[
    str,
    Meta(
        pattern=TIMESTAMP,
        description="RFC 3339, UTC, microseconds.",
        extra_json_schema={"format": "date-time"},
    ),
]
Word = Annotated[str, Meta(pattern=WORD, max_length=NAME_LENGTH_MAX)]
Code = Annotated[str, Meta(pattern=CODE, max_length=NAME_LENGTH_MAX)]
Id = Annotated[str, Meta(pattern=ID, max_length=NAME_LENGTH_MAX)]
Symbol = Annotated[
    str, Meta(pattern=SYMBOL, max_length=32, description="Compact: BTCUSDT, BTCUSDT-PERP.")
]
Alias = Annotated[
    str, Meta(pattern=SYMBOL, max_length=32, description="A symbol by any name: BTC/USDT.")
]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Hash = Annotated[str, Meta(pattern=HASH, description="SHA-256, in hexadecimal.")]
HashOrNone = Annotated[
    str, Meta(pattern=HASH_OR_NONE, description="SHA-256, in hexadecimal, or nothing.")
]
Kernel = Literal["native", "python"]
Side = Literal["buy", "sell"]
Level = tuple[PositiveText, PositiveText]


def asked_text(asked: float | str) -> str:
    """A number as it was asked for, in plain digits: `1e-7` -> `"0.0000001"`."""
    return asked if isinstance(asked, str) else format(Decimal(repr(asked)), "f")


def is_exact(asked: float | str) -> bool:
    """Whether ticks or lots can hold it: 61 bits, 18 decimals."""
    try:
        fixed_point.read(asked_text(asked))
    except fixed_point.NumberError:
        return False
    return True


def is_falling(texts: tuple[str, ...]) -> bool:
    """Whether each number lies below the one before."""
    numbers = [Decimal(text) for text in texts]
    return all(above > below for above, below in pairwise(numbers))


def billionths(bps: float) -> int:
    """A score or a term of it as the whole number that it was made from."""
    return round(bps * NANO)
