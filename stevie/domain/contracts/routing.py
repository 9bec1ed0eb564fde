"""Routing: the question which venue, and the answer with its reasons (POST /api/venues/score)."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import (
    Alias,
    Asked,
    Bps,
    PositiveText,
    Side,
    Symbol,
    Text,
    Word,
    asked_text,
    billionths,
    is_exact,
)

VENUES_MAX = 32
SPLIT_MAX = 4  # venues that a split is searched over
Term = Literal["half_spread", "walk", "fee", "latency_decay", "failure_risk", "budget_shadow_price"]


class RouteRequest(Document, frozen=True, kw_only=True):
    """Which venue is best for this size, in base units, taken at once?"""

    symbol: Alias
    size: Asked
    side: Side = "buy"

    @rule
    def size_is_exact(self) -> bool:
        """The size has at most 18 decimals and fits 61 bits without its point."""
        return is_exact(self.size)

    @property
    def size_text(self) -> str:
        """The size in plain digits."""
        return asked_text(self.size)


class ReasonDocument(Document, frozen=True, kw_only=True):
    """One signed term of a score; what costs is negative."""

    term: Term
    score_bps: Bps


class ScoreDocument(Document, frozen=True, kw_only=True):
    """What a venue would cost all in, as a score in basis points: higher is better."""

    venue: Word
    score: Bps
    reasons: Annotated[tuple[ReasonDocument, ...], Meta(min_length=1, max_length=16)]

    @rule
    def terms_sum_to_the_score(self) -> bool:
        """The terms sum to the score exactly, in whole billionths of a basis point."""
        return sum(billionths(each.score_bps) for each in self.reasons) == billionths(self.score)

    @rule
    def terms_differ(self) -> bool:
        """No term stands here twice."""
        return len({each.term for each in self.reasons}) == len(self.reasons)


class ExcludedDocument(Document, frozen=True, kw_only=True):
    """A venue that could not be chosen, and why."""

    venue: Word
    reason: Word
    detail: Text


class PartDocument(Document, frozen=True, kw_only=True):
    """What one venue takes of a split, in base units."""

    venue: Word
    size: PositiveText


class SplitDocument(Document, frozen=True, kw_only=True):
    """The best division over venues, and its score over all of the size."""

    parts: Annotated[tuple[PartDocument, ...], Meta(min_length=1, max_length=SPLIT_MAX)]
    score: Bps


class FlipDocument(Document, frozen=True, kw_only=True):
    """The smallest change of one term of one venue that would make `chosen` the choice."""

    venue: Word
    term: Term
    change_bps: Bps
    chosen: Word


class RouteDocument(Document, frozen=True, kw_only=True):
    """The choice, what it was chosen from, and how near the second was."""

    symbol: Symbol
    side: Side
    size: PositiveText
    choice: ScoreDocument
    scores: Annotated[tuple[ScoreDocument, ...], Meta(min_length=1, max_length=VENUES_MAX)]
    excluded: Annotated[tuple[ExcludedDocument, ...], Meta(max_length=VENUES_MAX)]
    split: SplitDocument | None
    flips_if: FlipDocument | None

    @rule
    def choice_is_scored(self) -> bool:
        """The choice is one of the scores, as it stands there."""
        return self.choice in self.scores

    @rule
    def choice_is_the_best(self) -> bool:
        """No score is higher than that of the choice."""
        return all(each.score <= self.choice.score for each in self.scores)

    @rule
    def venues_differ(self) -> bool:
        """No venue stands twice among the scored and the excluded."""
        venues = [each.venue for each in self.scores] + [each.venue for each in self.excluded]
        return len(set(venues)) == len(venues)

    @rule
    def parts_sum_to_the_size(self) -> bool:
        """The parts of a split are of scored venues, each once, and sum to the size exactly."""
        if self.split is None:
            return True
        venues = {part.venue for part in self.split.parts}
        sizes = sum(Decimal(part.size) for part in self.split.parts)
        is_scored = venues <= {each.venue for each in self.scores}
        return is_scored and len(venues) == len(self.split.parts) and sizes == Decimal(self.size)

    @rule
    def flips_to_another(self) -> bool:
        """flips_if names another venue than the choice."""
        return self.flips_if is None or self.flips_if.chosen != self.choice.venue
