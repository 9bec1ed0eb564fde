"""A book kept by the letter of Binance's documents, written apart from the code under test."""

from decimal import Decimal

START_NS = 1_789_000_000 * 1_000_000_000
SECOND_NS = 1_000_000_000


class DocumentedBook:
    """Starts from a REST snapshot and takes diff frames; raises on any break of the sequence."""

    def __init__(self, snapshot: dict, *, is_spot: bool) -> None:
        self.bids = _sizes(snapshot["bids"])
        self.asks = _sizes(snapshot["asks"])
        self.last_id = snapshot["lastUpdateId"]
        self._is_spot = is_spot
        self._is_first = True
        self.applied_count = 0

    def take(self, frame: dict) -> None:
        if self._is_old(frame):
            return
        if self._is_first:
            assert self._overlaps(frame), (frame["U"], frame["u"], self.last_id)
        elif self._is_spot:
            assert frame["U"] == self.last_id + 1, (frame["U"], self.last_id)
        else:
            assert frame["pu"] == self.last_id, (frame["pu"], self.last_id)
        _change(self.bids, frame["b"])
        _change(self.asks, frame["a"])
        self.last_id = frame["u"]
        self._is_first = False
        self.applied_count += 1

    def top(self, levels: int) -> tuple[list, list]:
        return (
            sorted(self.bids.items(), reverse=True)[:levels],
            sorted(self.asks.items())[:levels],
        )

    def _is_old(self, frame: dict) -> bool:
        if self._is_spot:
            return frame["u"] <= self.last_id
        return self._is_first and frame["u"] < self.last_id

    def _overlaps(self, frame: dict) -> bool:
        if self._is_spot:
            return frame["U"] <= self.last_id + 1 <= frame["u"]
        return frame["U"] <= self.last_id <= frame["u"] or frame["pu"] == self.last_id


def true_top(listed, update_id: int, levels: int) -> tuple[list, list]:
    """Return what the market says its book was, in the units of the wire."""
    view, listing = listed.book.as_of(update_id), listed.listing

    def scaled(side) -> list:
        return [(t * listing.tick_size, n * listing.lot_size) for t, n in side[:levels]]

    return scaled(view.bids), scaled(view.asks)


def _sizes(levels: list) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(size) for price, size in levels}


def _change(side: dict[Decimal, Decimal], levels: list) -> None:
    for price, size in levels:
        if Decimal(size):
            side[Decimal(price)] = Decimal(size)
        else:
            side.pop(Decimal(price), None)
