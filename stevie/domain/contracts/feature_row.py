"""Feature row: one reading of a book's features, and since when it could be known."""

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import (
    AgeNs,
    Count,
    Flow,
    Hash,
    PerSecond,
    Ratio,
    SpreadBps,
    Switch,
    Symbol,
    Ticks,
    Timestamp,
    Volatility,
    Word,
)


class FeatureValues(Document, frozen=True, kw_only=True):
    """The features by their names; null is undefined, an age of -1 is before the first event."""

    obi: Ratio | None
    spread_bps: SpreadBps | None
    weighted_mid: Ticks | None
    ofi_time: Flow
    ofi_count: Flow
    ti_time: Ratio | None
    ti_count: Ratio | None
    micro_vol_time: Volatility
    micro_vol_count: Volatility
    trades_per_s: PerSecond
    depth_age_ns: AgeNs
    trade_age_ns: AgeNs
    touched_time: Switch
    touched_depth_count: Switch
    touched_trade_count: Switch


class FeatureRowDocument(Document, frozen=True, kw_only=True):
    """Features of one book. `features_hash` names the definition and the settings behind them.

    A decision at some time may use the row if `known_at` is not after it; of several it takes the
    one with the latest event, then the latest known, then the highest sequence.
    """

    venue: Word
    symbol: Symbol
    epoch: Count
    seq: Count
    event_at: Timestamp
    known_at: Timestamp
    features_hash: Hash
    values: FeatureValues

    @rule
    def known_after_it_happened(self) -> bool:
        """Nothing is known before it happened: known_at is not before event_at."""
        return self.known_at >= self.event_at

    def is_known(self, decided_at: str) -> bool:
        """Whether a decision at that time (a timestamp of this contract) may use it."""
        return self.known_at <= decided_at

    def recency(self) -> tuple[str, str, int]:
        """What rows of one book are ordered by."""
        return self.event_at, self.known_at, self.seq
