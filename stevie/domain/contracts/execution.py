"""Execution: an order on paper, as asked for and as it stands (/api/exec/orders)."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import (
    Alias,
    Asked,
    Bps,
    Code,
    DecimalText,
    Id,
    PositiveText,
    Side,
    SignedDecimalText,
    Symbol,
    Text,
    Timestamp,
    Word,
    asked_text,
    is_exact,
)

FILLS_MAX = 10_000  # a walk through all visible levels of every venue, and then some
OrderType = Literal["market", "limit", "ioc", "post_only"]
OrderState = Literal[
    "accepted", "working", "partially_filled", "filled", "canceled", "rejected", "blocked"
]
REFUSED = frozenset({"rejected", "blocked"})


class OrderRequest(Document, frozen=True, kw_only=True):
    """An order: size in base units, limit_price in the quote asset.

    The same client_id again answers with the order that it made the first time.
    """

    symbol: Alias
    side: Side
    size: Asked
    type: OrderType = "market"
    limit_price: Asked | None = None
    client_id: Id | None = None

    @rule
    def limit_price_fits_the_type(self) -> bool:
        """A market order has no limit_price; every other one has."""
        return (self.limit_price is None) is (self.type == "market")

    @rule
    def numbers_are_exact(self) -> bool:
        """Size and limit_price have at most 18 decimals and fit 61 bits without their points."""
        return is_exact(self.size) and (self.limit_price is None or is_exact(self.limit_price))

    @property
    def size_text(self) -> str:
        """The size in plain digits."""
        return asked_text(self.size)

    @property
    def limit_price_text(self) -> str | None:
        """The limit in plain digits."""
        return None if self.limit_price is None else asked_text(self.limit_price)


class FillDocument(Document, frozen=True, kw_only=True):
    """One execution: happened at the venue's book at event_at, known to us at known_at."""

    venue: Word
    price: PositiveText
    price_optimistic: PositiveText
    price_pessimistic: PositiveText
    size: PositiveText
    fee: SignedDecimalText
    fee_asset: Symbol
    liquidity: Literal["maker", "taker"]
    event_at: Timestamp
    known_at: Timestamp

    @rule
    def known_after_it_happened(self) -> bool:
        """Nothing is known before it happened: known_at is not before event_at."""
        return self.known_at >= self.event_at


class CostsDocument(Document, frozen=True, kw_only=True):
    """What the order cost: prices to compare with, and costs in basis points, positive = paid."""

    decision_price: DecimalText | None
    arrival_price: DecimalText | None
    slippage_bps: Bps | None
    fee_bps: Bps | None
    shortfall_bps: Bps | None


class OrderDocument(Document, frozen=True, kw_only=True):
    """An order as it stands; `reason` says why it was refused or ended early."""

    id: Id
    client_id: Id | None
    symbol: Symbol
    side: Side
    size: PositiveText
    type: OrderType
    limit_price: PositiveText | None
    state: OrderState
    reason: Code | None
    detail: Text
    accepted_at: Timestamp
    changed_at: Timestamp
    filled_size: DecimalText
    average_price: PositiveText | None
    fills: Annotated[tuple[FillDocument, ...], Meta(max_length=FILLS_MAX)]
    costs: CostsDocument

    @rule
    def limit_price_fits_the_type(self) -> bool:
        """A market order has no limit_price; every other one has."""
        return (self.limit_price is None) is (self.type == "market")

    @rule
    def fills_sum_up(self) -> bool:
        """filled_size is the sum of the fills, and at most the size."""
        filled = sum(Decimal(fill.size) for fill in self.fills)
        return filled == Decimal(self.filled_size) <= Decimal(self.size)

    @rule
    def filled_is_filled(self) -> bool:
        """An order is `filled` exactly when all of its size is."""
        return (self.state == "filled") is (Decimal(self.filled_size) == Decimal(self.size))

    @rule
    def refusals_have_reasons(self) -> bool:
        """A rejected or blocked order has a reason and no fills."""
        return self.state not in REFUSED or (self.reason is not None and not self.fills)

    @rule
    def average_lies_between(self) -> bool:
        """average_price lies within the prices of the fills; without fills it is null."""
        prices = [Decimal(fill.price) for fill in self.fills]
        if self.average_price is None or not prices:
            return self.average_price is None and not prices
        return min(prices) <= Decimal(self.average_price) <= max(prices)

    @rule
    def pessimistic_is_no_better(self) -> bool:
        """Of each fill, for this side, optimistic is no worse and pessimistic no better."""
        sign = 1 if self.side == "buy" else -1
        return all(
            sign * Decimal(fill.price_optimistic)
            <= sign * Decimal(fill.price)
            <= sign * Decimal(fill.price_pessimistic)
            for fill in self.fills
        )

    @rule
    def changes_after_acceptance(self) -> bool:
        """changed_at is not before accepted_at."""
        return self.changed_at >= self.accepted_at

    @rule
    def respects_its_limit(self) -> bool:
        """No fill is at a worse price than the limit."""
        if self.limit_price is None:
            return True
        sign, limit = (1 if self.side == "buy" else -1), Decimal(self.limit_price)
        return all(sign * (Decimal(fill.price) - limit) <= 0 for fill in self.fills)
