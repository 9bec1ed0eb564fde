"""The features in Python, for the peers that keep books in Python."""

import math
from collections import deque
from collections.abc import Sequence

from bench.peers.contender import Sums

WINDOW = 100
LEVELS = 5


class Readings:
    """The windows, and what the readings add up to."""

    def __init__(self) -> None:
        self._returns = deque([0.0] * WINDOW, WINDOW)
        self._trades = deque([0.0] * WINDOW, WINDOW)
        self._return_sum = self._signed = self._size = self._mid = 0.0
        self._sums = [0.0] * 5

    def on_depth(self, bid: Sequence[float], ask: Sequence[float]) -> None:
        """A depth frame was applied, and this is the touch after it."""
        mid = bid[0] + (ask[0] - bid[0]) * bid[1] / (bid[1] + ask[1])
        if self._mid:
            squared = math.log(mid / self._mid) ** 2
            self._return_sum += squared - self._returns[0]
            self._returns.append(squared)
        self._mid = mid

    def on_trade(self, size: float, *, is_sell: bool) -> None:
        """A trade came."""
        old = self._trades[0]
        signed = -size if is_sell else size
        self._signed += signed - old
        self._size += size - abs(old)
        self._trades.append(signed)

    def read(self, bids: Sequence[Sequence[float]], asks: Sequence[Sequence[float]]) -> None:
        """Read all features, from the top five of the book and the windows."""
        bid_sum, ask_sum = sum([level[1] for level in bids]), sum([level[1] for level in asks])
        bid, ask, sums = bids[0][0], asks[0][0], self._sums
        sums[0] += (bid_sum - ask_sum) / (bid_sum + ask_sum)
        sums[1] += (ask - bid) * 20_000.0 / (ask + bid)
        sums[2] += self._mid * 100.0
        sums[3] += math.sqrt(max(0.0, self._return_sum))
        sums[4] += self._signed / self._size if self._size else 0.0

    def sums(self) -> Sums:
        """What the readings came to."""
        return Sums(*self._sums)
