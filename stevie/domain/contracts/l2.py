"""L2: one true book as it leaves Stevie (GET /api/l2/{venue}/{symbol})."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import (
    DOCUMENTED_LEVELS_MAX,
    AgeMs,
    Count,
    Kernel,
    Level,
    PositiveText,
    Symbol,
    Timestamp,
    Word,
    is_falling,
)

Levels = Annotated[
    tuple[Level, ...],
    Meta(max_length=DOCUMENTED_LEVELS_MAX, description="[price, size], best price first."),
]


class HorizonDocument(Document, frozen=True, kw_only=True):
    """The last price that the book vouches for on each side; null where it vouches for all."""

    bid_floor: PositiveText | None
    ask_ceiling: PositiveText | None


class CertificateDocument(Document, frozen=True, kw_only=True):
    """What the book was built from."""

    epoch: Count
    snapshot_seq: Count
    first_seq: Count
    last_seq: Count
    applied_count: Count
    age_ms: AgeMs | None
    horizon: HorizonDocument


class DepthDocument(Document, frozen=True, kw_only=True):
    """How many levels of each side are shown."""

    bids: Count
    asks: Count


class L2Document(Document, frozen=True, kw_only=True):
    """A LIVE book; prices in the quote asset, sizes in the base asset."""

    venue: Word
    symbol: Symbol
    native_symbol: Symbol
    state: Literal["LIVE"]
    seq: Count
    seq_kind: Literal["venue", "count"]
    bids: Levels
    asks: Levels
    depth_available: DepthDocument
    tick_size: PositiveText
    lot_size: PositiveText
    kernel: Kernel
    age_ms: AgeMs | None
    as_of: Timestamp
    venue_at: Timestamp | None
    certificate: CertificateDocument

    @rule
    def bids_fall(self) -> bool:
        """Bids go from the highest price down, each price once."""
        return is_falling(tuple(price for price, _ in self.bids))

    @rule
    def asks_rise(self) -> bool:
        """Asks go from the lowest price up, each price once."""
        return is_falling(tuple(price for price, _ in reversed(self.asks)))

    @rule
    def never_crossed(self) -> bool:
        """The best bid is not above the best ask; equal (locked) is legal."""
        if not self.bids or not self.asks:
            return True
        return Decimal(self.bids[0][0]) <= Decimal(self.asks[0][0])

    @rule
    def within_the_horizon(self) -> bool:
        """No level lies beyond the last price that the book vouches for."""
        horizon = self.certificate.horizon
        return _reaches(self.bids, horizon.bid_floor, -1) and _reaches(
            self.asks, horizon.ask_ceiling, 1
        )

    @rule
    def counts_what_is_shown(self) -> bool:
        """depth_available counts the levels that are shown."""
        depth = self.depth_available
        return (depth.bids, depth.asks) == (len(self.bids), len(self.asks))

    @rule
    def seq_is_certified(self) -> bool:
        """seq is the last sequence of the certificate."""
        return self.seq == self.certificate.last_seq


def _reaches(levels: Levels, last: str | None, outward: int) -> bool:
    """Whether a side ends at its last known price at the latest."""
    if last is None or not levels:
        return True
    return (Decimal(levels[-1][0]) - Decimal(last)) * outward <= 0
