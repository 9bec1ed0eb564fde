"""Counts of what happened, each declared once with a sentence.

A registry is a class whose attributes are `Counter`s; the runtime's own is below, others declare
theirs in the same form. An exporter reads `Counters.snapshot()`.
"""

from typing import NamedTuple

# Distinct label sets that all counters together may have: the series budget of one process.
LABEL_SETS_MAX = 3000
OVERFLOW_LABEL = "other"  # where counts go once the budget is spent


class Counter:
    """A name, a sentence, and the labels that it is split by."""

    __slots__ = ("help", "labels", "name")

    def __init__(self, name: str, sentence: str, *, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.help = sentence
        self.labels = labels

    def __repr__(self) -> str:
        return f"Counter({self.name})"


class RuntimeCounter:
    """Everything that the runtime itself counts; mailboxes count on their own (`ActorView`)."""

    INCARNATIONS_STARTED = Counter(
        "stevie_actor_starts_total",
        "Incarnations of actors that came up, first starts and restarts alike.",
        labels=("actor_class",),
    )
    INCARNATIONS_ENDED = Counter(
        "stevie_actor_ends_total",
        "Incarnations of actors that ended, by what they were doing and why.",
        labels=("actor_class", "phase", "cause"),
    )
    RESTARTS = Counter(
        "stevie_actor_restarts_total",
        "Restarts that a supervisor ordered because a child died.",
        labels=("supervisor",),
    )
    ESCALATIONS = Counter(
        "stevie_supervisor_escalations_total",
        "Times that a supervisor gave up and died with all its children.",
        labels=("supervisor",),
    )
    KILLS = Counter(
        "stevie_actor_kills_total",
        "Children killed by their supervisor: hung, or past a deadline to start or stop.",
        labels=("actor_class",),
    )
    ABANDONED = Counter(
        "stevie_actor_abandoned_total",
        "Children that outlived a kill and were left behind, fenced off.",
        labels=("actor_class",),
    )
    DEAD_LETTERS = Counter(
        "stevie_dead_letters_total",
        "Messages that no actor will ever handle, by the reason.",
        labels=("reason",),
    )


class Sample(NamedTuple):
    """One count at one moment."""

    counter: Counter
    labels: tuple[str, ...]
    value: int


def declared(registry: type) -> tuple[Counter, ...]:
    """List the counters that a registry class declares, in its order."""
    return tuple(value for value in vars(registry).values() if isinstance(value, Counter))


class Counters:
    """The counts of one running system."""

    def __init__(self, *registries: type) -> None:
        self._counts: dict[tuple[Counter, tuple[str, ...]], int] = {}
        for registry in (RuntimeCounter, *registries):
            self._declare(registry)

    def _declare(self, registry: type) -> None:
        for counter in declared(registry):
            if not counter.labels:
                self._counts[counter, ()] = 0

    def add(self, counter: Counter, *labels: str, by: int = 1) -> None:
        """Count `by` more of these labels."""
        assert len(labels) == len(counter.labels), (counter, labels)
        key = (counter, labels)
        count = self._counts.get(key)
        if count is None and len(self._counts) >= LABEL_SETS_MAX:
            key = (counter, (OVERFLOW_LABEL,) * len(labels))
            count = self._counts.get(key)
        self._counts[key] = (count or 0) + by

    def value(self, counter: Counter, *labels: str) -> int:
        """Return the count of these labels, 0 if there was none."""
        return self._counts.get((counter, labels), 0)

    def snapshot(self) -> tuple[Sample, ...]:
        """Return every count as it stands."""
        return tuple(Sample(c, labels, n) for (c, labels), n in self._counts.items())
