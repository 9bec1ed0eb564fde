"""Microstructure: features of one symbol over all venues (GET /api/microstructure/{symbol})."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import (
    AgeMs,
    DecimalText,
    Flow,
    Kernel,
    PerSecond,
    PositiveText,
    Ratio,
    Seconds,
    SpreadBps,
    Symbol,
    Timestamp,
    Volatility,
    Word,
    is_falling,
)
from stevie.domain.market.book import BookState, Reason
from stevie.domain.market.fresh_book import LEVELS_MAX

VENUES_MAX = 32
VenueLevel = tuple[PositiveText, PositiveText, Word]
VenueLevels = Annotated[
    tuple[VenueLevel, ...],
    Meta(max_length=LEVELS_MAX, description="[price, size, venue], best price first."),
]


class Validity(Document, frozen=True, kw_only=True):
    """How far a figure may be believed."""

    valid: bool
    age_ms: AgeMs | None
    gap_touched: bool

    @rule
    def no_gap_is_valid(self) -> bool:
        """What reaches back over a break of continuity is not valid."""
        return not (self.valid and self.gap_touched)


class ValidityDocument(Document, frozen=True, kw_only=True):
    """The validity of every figure."""

    obi: Validity
    spread_bps: Validity
    weighted_mid: Validity
    ofi: Validity
    micro_vol: Validity
    ti: Validity
    trades_per_s: Validity


class CountValidityDocument(Document, frozen=True, kw_only=True):
    """The validity of every figure over a window of events."""

    ofi: Validity
    micro_vol: Validity
    ti: Validity


class CountWindowDocument(Document, frozen=True, kw_only=True):
    """Figures over the last window of events."""

    ofi: Flow | None
    micro_vol: Volatility | None
    ti: Ratio | None
    validity: CountValidityDocument

    @rule
    def only_figures_are_valid(self) -> bool:
        """A figure that is null is not valid."""
        return _is_defined_where_valid(self, self.validity)


class ConsolidatedDocument(Document, frozen=True, kw_only=True):
    """The best levels of all venues together; venues may cross each other."""

    bids: VenueLevels
    asks: VenueLevels
    imbalance: Ratio | None

    @rule
    def best_first(self) -> bool:
        """No bid lies above the one before it, and no ask below."""
        bids = tuple(dict.fromkeys(price for price, _, _ in self.bids))
        asks = tuple(dict.fromkeys(price for price, _, _ in reversed(self.asks)))
        return is_falling(bids) and is_falling(asks)


class VenueDocument(Document, frozen=True, kw_only=True):
    """One venue: its state, and its figures if its book is LIVE."""

    state: BookState
    reason: Reason
    obi: Ratio | UnsetType | None = UNSET
    spread_bps: SpreadBps | UnsetType | None = UNSET
    weighted_mid: DecimalText | UnsetType | None = UNSET
    ofi: Flow | UnsetType | None = UNSET
    micro_vol: Volatility | UnsetType | None = UNSET
    ti: Ratio | UnsetType | None = UNSET
    trades_per_s: PerSecond | UnsetType = UNSET
    validity: ValidityDocument | UnsetType = UNSET
    count_window: CountWindowDocument | UnsetType = UNSET

    @rule
    def all_figures_or_none(self) -> bool:
        """Figures stand here all or not at all."""
        unset = [getattr(self, name) is UNSET for name in FIGURES]
        return all(unset) or not any(unset)

    @rule
    def live_books_have_figures(self) -> bool:
        """A book that is not LIVE has no figures."""
        return self.state == BookState.LIVE or self.validity is UNSET

    @rule
    def only_figures_are_valid(self) -> bool:
        """A figure that is null is not valid."""
        return self.validity is UNSET or _is_defined_where_valid(self, self.validity)


FIGURES = VenueDocument.__struct_fields__[2:]


class MicrostructureDocument(Document, frozen=True, kw_only=True):
    """The figures of `reference_venue`, and what they were chosen from; sizes in the base asset."""

    symbol: Symbol
    reference_venue: Word
    as_of: Timestamp
    kernel: Kernel
    window_s: Seconds
    obi: Ratio | None
    spread_bps: SpreadBps | None
    weighted_mid: DecimalText | None
    ofi: Flow | None
    micro_vol: Volatility | None
    ti: Ratio | None
    trades_per_s: PerSecond
    validity: ValidityDocument
    count_window: CountWindowDocument
    consolidated: ConsolidatedDocument
    venues: Annotated[
        dict[Word, VenueDocument],
        Meta(min_length=1, max_length=VENUES_MAX, description="By venue."),
    ]

    @rule
    def shows_its_reference(self) -> bool:
        """The figures at the top are those of the reference venue."""
        reference = self.venues.get(self.reference_venue)
        return reference is not None and all(
            getattr(self, name) == getattr(reference, name) for name in FIGURES
        )


def _is_defined_where_valid(figures: Document, validity: Document) -> bool:
    values = msgspec.structs.asdict(validity)
    return all(getattr(figures, name) is not None for name, each in values.items() if each.valid)
