"""Ladder: the price levels of one book, both sides, in integer ticks and lots."""

from bisect import bisect_left, insort
from collections.abc import Iterable

Level = tuple[int, int]  # (ticks, lots)


class Side:
    """One side's levels, best last; `sign` is +1 for bids and -1 for asks."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []  # sign * ticks, ascending, so that the touch is at the end
        self._lots: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def set(self, ticks: int, lots: int) -> bool:
        """Set a level's new total; 0 removes it. False if a level to remove was not there."""
        key = self._sign * ticks
        if lots:
            if key not in self._lots:
                insort(self._keys, key)
            self._lots[key] = lots
            return True
        if self._lots.pop(key, 0) == 0:
            return False
        del self._keys[bisect_left(self._keys, key)]
        return True

    def replace(self, levels: Iterable[Level]) -> None:
        """Forget all and take these levels; a later one of the same price wins."""
        self._lots = {self._sign * ticks: lots for ticks, lots in levels if lots}
        self._keys = sorted(self._lots)

    def touch(self) -> Level | None:
        """The best level, None on an empty side."""
        if not self._keys:
            return None
        key = self._keys[-1]
        return self._sign * key, self._lots[key]

    def top(self, count: int) -> tuple[Level, ...]:
        """The best `count` levels, best first."""
        keys = self._keys[: -count - 1 : -1] if count else []
        return tuple((self._sign * key, self._lots[key]) for key in keys)

    def multiply(self, price_factor: int, size_factor: int) -> None:
        """Count in finer ticks and lots."""
        lots = {key * price_factor: size * size_factor for key, size in self._lots.items()}
        self._keys, self._lots = sorted(lots), lots

    def lots_max(self) -> int:
        """The largest size, 0 on an empty side."""
        return max(self._lots.values(), default=0)

    def ticks_max(self) -> int:
        """The highest price, 0 on an empty side."""
        return max((abs(key) for key in self._lots), default=0)


class Ladder:
    """Bids and asks."""

    def __init__(self) -> None:
        self.bids = Side(+1)
        self.asks = Side(-1)

    def is_crossed(self) -> bool:
        """Best bid above best ask; equal (locked) is legal."""
        bid, ask = self.bids.touch(), self.asks.touch()
        return bid is not None and ask is not None and bid[0] > ask[0]
