"""Expectation: what independent builders of the same capture got, and where a replay differs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from stevie.domain.market.book import Checkpoint
from stevie.domain.market.fixed_point import to_text
from stevie.domain.market.ladder import Level
from stevie.messages.market import BookRead

Levels = tuple[tuple[Decimal, Decimal], ...]


class ExpectationError(Exception):
    """An expectation file that cannot be read."""


class ExpectedCheckpoint(msgspec.Struct, frozen=True):
    """The top of a book after so many applied deltas."""

    applied: int
    seq: int
    bids: Levels
    asks: Levels


class ExpectedBook(msgspec.Struct, frozen=True):
    """One symbol's end, counts and checkpoints."""

    counts: dict[str, int]
    final_seq: int | None = None
    bids: Levels = ()
    asks: Levels = ()
    levels: tuple[int, int] | None = None
    checkpoints: tuple[ExpectedCheckpoint, ...] = ()

    @property
    def checkpoint_counts(self) -> tuple[int, ...]:
        """The counts of applied deltas at which something is expected."""
        return tuple(checkpoint.applied for checkpoint in self.checkpoints)


class Expectation(msgspec.Struct, frozen=True):
    """All symbols of one capture."""

    symbols: dict[str, ExpectedBook]


def read_expectation(path: Path) -> Expectation:
    """Read NAME.expected.json; ExpectationError says what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Expectation)
    except (OSError, msgspec.MsgspecError) as error:
        raise ExpectationError(f"{path}: {error}") from error


def differences(expectation: Expectation, books: Sequence[BookRead]) -> list[str]:
    """Every difference in words; an empty list is an exact match."""
    by_native = {book.instrument.native: book for book in books}
    found: list[str] = []
    for symbol, expected in expectation.symbols.items():
        book = by_native.get(symbol)
        if book is None:
            found.append(f"{symbol}: expected a book, was none")
        else:
            found.extend(f"{symbol}: {text}" for text in _book_differences(expected, book))
    return found


def known_counts(book: BookRead) -> dict[str, int]:
    """Our counts under the names that expectation files use."""
    view, counts = book.view, book.counts
    return {
        "applied": view.applied,
        "deltas": counts.deltas,
        "stale_dropped": view.stale,
        "buffered_before_snapshot": counts.buffered_before_snapshot,
        "snapshots": counts.snapshots,
        "level_changes": view.level_changes,
        "delete_unknown": view.delete_unknown,
        "gaps": counts.gaps,
        "crossed": counts.crossed,
    }


def _book_differences(expected: ExpectedBook, book: BookRead) -> list[str]:
    view = book.view
    found = _count_differences(expected.counts, known_counts(book))
    if expected.final_seq is not None and expected.final_seq != view.last_seq:
        found.append(f"final seq expected {expected.final_seq}, was {view.last_seq}")
    if expected.levels is not None and expected.levels != (view.bid_levels, view.ask_levels):
        was = (view.bid_levels, view.ask_levels)
        found.append(f"level counts expected {expected.levels}, were {was}")
    decimals = view.price_decimals, view.size_decimals
    found += _level_differences("final bids", expected.bids, book.bids, decimals)
    found += _level_differences("final asks", expected.asks, book.asks, decimals)
    taken = {checkpoint.applied: checkpoint for checkpoint in book.checkpoints}
    for checkpoint in expected.checkpoints:
        found += _checkpoint_differences(checkpoint, taken.get(checkpoint.applied))
    return found


def _count_differences(expected: Mapping[str, int], ours: Mapping[str, int]) -> list[str]:
    return [
        f"{name} expected {count}, was {ours[name]}"
        for name, count in expected.items()
        if name in ours and ours[name] != count
    ]


def _checkpoint_differences(expected: ExpectedCheckpoint, ours: Checkpoint | None) -> list[str]:
    at = f"after {expected.applied} applied"
    if ours is None:
        return [f"{at}: never reached"]
    decimals = ours.price_decimals, ours.size_decimals
    found = _level_differences(f"{at}: bids", expected.bids, ours.bids, decimals)
    found += _level_differences(f"{at}: asks", expected.asks, ours.asks, decimals)
    if expected.seq != ours.seq:
        found.append(f"{at}: seq expected {expected.seq}, was {ours.seq}")
    return found


def _level_differences(
    what: str, expected: Levels, ours: tuple[Level, ...], decimals: tuple[int, int]
) -> list[str]:
    """Compare as numbers, as deep as the expectation goes."""
    texts = [(to_text(t, decimals[0]), to_text(s, decimals[1])) for t, s in ours[: len(expected)]]
    for index, (price, size) in enumerate(expected):
        was = texts[index] if index < len(texts) else ()
        if [*map(Decimal, was)] != [price, size]:
            return [f"{what}: level {index} expected {price} x {size}, was {' x '.join(was)}"]
    return []
