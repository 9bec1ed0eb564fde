"""Mutants: what becomes of a frame on a bad day, by seed. Bytes are wounded, and so is JSON."""

import random
import re
from collections.abc import Callable, Sequence

from tests.parity.frames import BAD_NUMBERS, HARD_NUMBERS, mutated

NUMBER = re.compile(rb"\d+(?:\.\d+)?")
SEQUENCE = re.compile(rb'("(?:U|u|pu|E|t|a|lastUpdateId)"\s*:\s*)(\d{1,20})(?!\d)')
MEMBER = re.compile(rb'"(\w+)"\s*:\s*("[^"]*"|-?\d+)')
LETTER = re.compile(rb'(?<=[\w"])\w(?=\w*")')

ODD_NUMBERS = tuple(text.encode() for text in HARD_NUMBERS + BAD_NUMBERS)
EDGES = (0, 1, 2**31, 2**53, 2**63 - 2, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**19, 10**40)
NESTS = (1, 2, 63, 64, 255, 256, 257, 1000)
ESCAPES = (rb"\u%04x", rb"\u%04X", rb"\ud800\u%04x", rb"\u00%04x", rb"\x%04x")


def mutant(frame: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """The frame with a wound or three; `others` are frames to splice with."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        frame = rng.choice(WOUNDS)(frame, others, rng)
    return frame


Wound = Callable[[bytes, Sequence[bytes], random.Random], bytes]


def _bytes(frame: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    """Bits flipped, cuts, tokens inserted, replaced, exchanged."""
    return mutated(frame, rng)


def _splice(frame: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    return frame[: rng.randrange(len(frame) + 1)] + other[rng.randrange(len(other) + 1) :]


def _number(frame: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    """A number is respelled, or becomes another."""
    return _edited(frame, NUMBER, rng, lambda found: _respelled(found[0], rng))


def _respelled(text: bytes, rng: random.Random) -> bytes:
    spellings = (
        b"0" * rng.choice((1, 3, 30)) + text,
        text + rng.choice((b"e0", b"e5", b"E+3", b"e-2", b"e400")),
        b"-" + text,
        text + _digits(rng, (1, 12, 19, 25, 400)),
        text + b"." + _digits(rng, (1, 8, 18, 30)),
        str(rng.choice(EDGES)).encode(),
        rng.choice(ODD_NUMBERS),
    )
    return rng.choice(spellings)


def _digits(rng: random.Random, lengths: Sequence[int]) -> bytes:
    return bytes(rng.choices(b"0123456789", k=rng.choice(lengths)))


def _place(frame: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    """A sequence number or a time moves a little, or to an edge."""

    def moved(found: re.Match[bytes]) -> bytes:
        steps = rng.choice((-1000, -2, -1, 1, 2, 1000, 2**40))
        number = rng.choice((int(found[2]) + steps, rng.choice(EDGES), -rng.choice(EDGES)))
        return found[1] + str(number).encode()

    return _edited(frame, SEQUENCE, rng, moved)


def _double(frame: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    """A key twice, with another value or the same."""
    other = rng.choice((b"1", b'"1"', b"null", b"[]", b'[["1","2"]]', b"{}"))
    return _edited(
        frame,
        MEMBER,
        rng,
        lambda found: b'%s,"%s":%s' % (found[0], found[1], rng.choice((found[2], other))),
    )


def _nest(frame: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    """A value goes down into brackets, which may not all close."""
    depth, opening, closing = rng.choice(NESTS), *rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    closings = closing * (depth - rng.choice((0, 0, 0, 1)))
    return _edited(frame, NUMBER, rng, lambda found: opening * depth + found[0] + closings)


def _escape(frame: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    """A character of a string or key is spelled as an escape, rightly or not."""
    escape = rng.choice(ESCAPES)
    return _edited(frame, LETTER, rng, lambda found: escape % found[0][0])


def _edited(
    frame: bytes,
    pattern: re.Pattern[bytes],
    rng: random.Random,
    edit: Callable[[re.Match[bytes]], bytes],
) -> bytes:
    """One of the first matches edited; a frame without any is left as it is."""
    start = rng.randrange(len(frame) + 1) if rng.random() < 0.5 else 0
    found = pattern.search(frame, start)
    if found is None:
        return frame
    return frame[: found.start()] + edit(found) + frame[found.end() :]


WOUNDS: tuple[Wound, ...] = (
    *(_bytes, _bytes, _splice, _number, _number),
    *(_place, _place, _double, _nest, _escape),
)
