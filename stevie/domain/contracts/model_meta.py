"""Model meta: a registered model, an item of what GET /api/models answers."""

from typing import Annotated, Literal

from msgspec import Meta

from stevie.domain.contracts.document import Document, rule
from stevie.domain.contracts.values import Code, Hash, Id, Metric, Timestamp

METRICS_MAX = 64
PARENTS_MAX = 16


class TrainingDocument(Document, frozen=True, kw_only=True):
    """The rows that a model was fitted on: events of a window, as they were known at a time."""

    train_from_at: Timestamp
    train_to_at: Timestamp
    known_at: Timestamp
    data_hash: Hash

    @rule
    def window_is_not_empty(self) -> bool:
        """train_from_at is before train_to_at."""
        return self.train_from_at < self.train_to_at

    @rule
    def known_after_it_happened(self) -> bool:
        """The window had ended when it was known: known_at is not before train_to_at."""
        return self.known_at >= self.train_to_at


class ModelDocument(Document, frozen=True, kw_only=True):
    """One version of a model. `training` is null for one that was not fitted to data."""

    id: Id
    created_at: Timestamp
    aliases: Annotated[
        tuple[Literal["active", "canary", "shadow", "previous"], ...], Meta(max_length=4)
    ]
    metrics: Annotated[dict[Code, Metric | None], Meta(max_length=METRICS_MAX)]
    parents: Annotated[tuple[Id, ...], Meta(max_length=PARENTS_MAX)]
    training: TrainingDocument | None

    @rule
    def aliases_differ(self) -> bool:
        """No alias stands here twice."""
        return len(set(self.aliases)) == len(self.aliases)

    @rule
    def parents_are_others(self) -> bool:
        """Parents are other models, each named once."""
        return len({*self.parents, self.id}) == len(self.parents) + 1

    @rule
    def created_from_what_was_known(self) -> bool:
        """What a model was fitted on was known when it was created."""
        return self.training is None or self.training.known_at <= self.created_at
