"""SnapshotQueue: which snapshot request may go out next, and when; pure."""

from collections import deque

from stevie.domain.market.link import SECOND_NS

GAP_NS = SECOND_NS // 10  # spreads a resync of many books over the venue's limits


class SnapshotQueue:
    """First come, first served; few at once, spaced out, and silent while the venue says so."""

    def __init__(self, *, in_flight_max: int) -> None:
        self._in_flight_max = in_flight_max
        self._wanted: deque[str] = deque()  # bounded by the number of books
        self._in_flight: set[str] = set()
        self._not_before_ns = 0

    def want(self, native_symbol: str) -> None:
        """Ask for a snapshot, unless it is on its way."""
        if native_symbol not in self._wanted and native_symbol not in self._in_flight:
            self._wanted.append(native_symbol)

    def on_answer(self, native_symbol: str, *, pause_s: float, now_ns: int) -> None:
        """A request ended; the venue may want a pause."""
        self._in_flight.discard(native_symbol)
        self._not_before_ns = max(self._not_before_ns, now_ns + int(pause_s * SECOND_NS))

    def wait_s(self, now_ns: int) -> float | None:
        """Seconds until the next request may go out; None if none waits or too many are out."""
        if not self._wanted or len(self._in_flight) >= self._in_flight_max:
            return None
        return max(0.0, (self._not_before_ns - now_ns) / SECOND_NS)

    def take(self, now_ns: int) -> str:
        """The next request; only when `wait_s` is 0."""
        assert self.wait_s(now_ns) == 0.0, self.wait_s(now_ns)
        self._not_before_ns = now_ns + GAP_NS
        native_symbol = self._wanted.popleft()
        self._in_flight.add(native_symbol)
        return native_symbol
