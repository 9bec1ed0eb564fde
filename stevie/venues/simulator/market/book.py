"""The true book of one listing, numbered change by change, with its recent past."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

HISTORY_CHANGES = 16_384  # about a minute of one listing; some 4 MB

Levels = tuple[tuple[int, int], ...]
"""(ticks, lots) of one side, best first."""


class Change(NamedTuple):
    """One level's size became another. Sizes are absolute; 0 lots remove the level."""

    update_id: int
    is_bid: bool
    ticks: int
    lots: int
    lots_before: int


class BookView(NamedTuple):
    """The whole book as it was right after an update."""

    update_id: int
    bids: Levels
    asks: Levels


class HistoryTooShortError(LookupError):
    """The asked-for update is older than the remembered changes, or not yet made."""


class BookSide:
    """The levels of one side, by ticks."""

    __slots__ = ("_keys", "_sign", "lots")

    def __init__(self, *, is_bid: bool) -> None:
        self._sign = 1 if is_bid else -1  # the best level has the greatest key on both sides
        self._keys: list[int] = []
        self.lots: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def best_ticks(self) -> int:
        """Return the touch. A simulated side is never empty."""
        return self._sign * self._keys[-1]

    def put(self, ticks: int, lots: int) -> int:
        """Set a level's size and return what it was."""
        before = self.lots.get(ticks, 0)
        if lots:
            self.lots[ticks] = lots
            if not before:
                insort(self._keys, self._sign * ticks)
        elif before:
            del self.lots[ticks]
            del self._keys[bisect_left(self._keys, self._sign * ticks)]
        return before

    def nth(self, index: int) -> int:
        """Return one level's price, counted from the farthest."""
        return self._sign * self._keys[index]

    def from_best(self) -> Iterator[tuple[int, int]]:
        """Walk the levels as (ticks, lots), best first."""
        sign, lots = self._sign, self.lots
        return ((sign * key, lots[sign * key]) for key in reversed(self._keys))

    def top(self, count: int) -> Levels:
        """Return up to so many levels, best first."""
        return tuple(islice(self.from_best(), count))


class TrueBook:
    """Both sides, and every recent change with its number."""

    def __init__(self, *, next_update_id: Callable[[], int]) -> None:
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)
        self.last_update_id = next_update_id()
        self._next_update_id = next_update_id
        self._changes: deque[Change] = deque(maxlen=HISTORY_CHANGES)
        self._oldest_known_id = self.last_update_id

    def put(self, *, is_bid: bool, ticks: int, lots: int) -> None:
        """Set a level's size under a new update id. Nothing happens if it has that size."""
        assert ticks > 0, ticks
        assert lots >= 0, lots
        side = self.bids if is_bid else self.asks
        before = side.put(ticks, lots)
        if before != lots:
            self._record(is_bid=is_bid, ticks=ticks, lots=lots, lots_before=before)

    def view(self, *, levels: int | None = None) -> BookView:
        """Return the book as it is, cut to so many levels a side."""
        count = max(len(self.bids), len(self.asks)) if levels is None else levels
        return BookView(self.last_update_id, self.bids.top(count), self.asks.top(count))

    def changes_after(self, update_id: int) -> list[Change]:
        """Return what happened after an update, oldest first."""
        if update_id < self._oldest_known_id:
            raise HistoryTooShortError(f"{update_id} is older than {self._oldest_known_id}")
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.update_id <= update_id:
                break
            found.append(change)
        found.reverse()
        return found

    def as_of(self, update_id: int) -> BookView:
        """Return the whole book as it was at an update id (or at the last one before it)."""
        if update_id > self.last_update_id:
            raise HistoryTooShortError(f"{update_id} is newer than {self.last_update_id}")
        bids, asks = dict(self.bids.lots), dict(self.asks.lots)
        for change in reversed(self.changes_after(update_id)):
            (bids if change.is_bid else asks)[change.ticks] = change.lots_before
        return BookView(
            update_id,
            tuple(sorted(((t, n) for t, n in bids.items() if n), reverse=True)),
            tuple(sorted((t, n) for t, n in asks.items() if n)),
        )

    def _record(self, *, is_bid: bool, ticks: int, lots: int, lots_before: int) -> None:
        if len(self._changes) == HISTORY_CHANGES:
            self._oldest_known_id = self._changes[0].update_id
        self.last_update_id = self._next_update_id()
        self._changes.append(Change(self.last_update_id, is_bid, ticks, lots, lots_before))
