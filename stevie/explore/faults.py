"""Faults as data: what goes wrong when, to whom; a plan is a tuple of them.

A plan follows from a seed, can be printed and read back, and is re-run exactly. By the swarm rule
each seed draws a random subset of the kinds: rare combinations come up that a mixture of everything
would never show.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from stevie.runtime.clock import Rng

MS_NS = 1_000_000
FAULTS_MAX = 12  # of a plan: more hide one another
CLUSTERED_SHARE = 0.5
CLUSTER_MS = 1_500  # a resync takes less: the next fault falls into it
QUIET_MS = 14_000  # at the end nothing is injected: recovery is watched
KINDS_MAX = 8  # that one seed draws, less one


class Kind(StrEnum):
    """What can go wrong."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    TRUNCATE = "truncate"
    GARBAGE = "garbage"
    ALTER = "alter"
    CROSS = "cross"
    STALL = "stall"
    SLOW = "slow"
    DISCONNECT = "disconnect"
    STALE_SNAPSHOT = "stale_snapshot"
    REFUSE_SNAPSHOT = "refuse_snapshot"
    SKEW = "skew"
    CRASH = "crash"
    BUSY = "busy"
    OVERFLOW = "overflow"


_LATE = frozenset({Kind.DUPLICATE, Kind.REORDER, Kind.SLOW})  # whose `amount` is a delay
RETRY_AFTER_MS = 1_000  # what a refusing venue asks for


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: from `at_ms` after the start, for `for_ms`, at most `count` times."""

    kind: Kind
    at_ms: int
    for_ms: int
    target: str  # "venue/symbol", a venue, or an actor's name
    count: int = 0  # of frames that are hit
    amount: int = 0  # milliseconds, ticks, a close code, a status, ...: see FORMS

    @property
    def end_ms(self) -> int:
        """When the last that it does itself is over."""
        late_ms = self.amount if self.kind in _LATE else 0
        late_ms += RETRY_AFTER_MS if self.kind is Kind.REFUSE_SNAPSHOT else 0
        return self.at_ms + self.for_ms + late_ms

    def __str__(self) -> str:
        return f"{self.kind}@{self.at_ms}+{self.for_ms}:{self.target}*{self.count}~{self.amount}"


Plan = tuple[Fault, ...]

_TEXT = re.compile(
    r"(?P<kind>\w+)@(?P<at_ms>\d+)\+(?P<for_ms>\d+):(?P<target>[\w/-]+)"
    r"\*(?P<count>\d+)~(?P<amount>-?\d+)"
)


class PlanError(ValueError):
    """A text that is no plan; says what is expected."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What faults of a kind look like: whom they hit, and the ranges that are drawn from."""

    scope: str  # "symbol", "venue", "actor", "book"
    for_ms: tuple[int, int]
    count: tuple[int, int] = (0, 0)
    amount: tuple[int, ...] = (0,)  # one of these


# Actors are crashed no oftener than their supervisors bear (CRASHES_MAX), and refusals and pauses
# are so short that the venue's own back-off leaves time to recover.
FORMS = {
    Kind.DROP: Form(scope="symbol", for_ms=(200, 1_500), count=(1, 6)),
    Kind.DUPLICATE: Form(
        scope="symbol", for_ms=(200, 2_000), count=(1, 6), amount=(0, 1, 90, 400, 3_000)
    ),
    Kind.REORDER: Form(
        scope="symbol", for_ms=(200, 2_000), count=(1, 4), amount=(60, 150, 400, 2_500)
    ),
    Kind.TRUNCATE: Form(scope="symbol", for_ms=(200, 1_000), count=(1, 3)),
    Kind.GARBAGE: Form(scope="symbol", for_ms=(200, 1_000), count=(1, 5)),
    Kind.ALTER: Form(
        scope="symbol",
        for_ms=(200, 1_000),
        count=(1, 2),
        amount=(-1_000_000, -40, -3, 1_000_000, 900_000_000),
    ),
    Kind.CROSS: Form(scope="symbol", for_ms=(200, 1_000), count=(1, 2), amount=(1, 300, 5_000)),
    Kind.STALL: Form(scope="venue", for_ms=(200, 9_000)),
    Kind.SLOW: Form(scope="venue", for_ms=(500, 6_000), amount=(100, 400, 1_500)),
    # Count 0: once, and nobody is let in for so long; else so many times, evenly spread.
    Kind.DISCONNECT: Form(
        scope="venue", for_ms=(500, 4_000), count=(0, 4), amount=(1_000, 1_001, 1_006)
    ),
    Kind.STALE_SNAPSHOT: Form(
        scope="symbol", for_ms=(1_000, 6_000), amount=(150, 500, 1_500, 5_000)
    ),
    Kind.REFUSE_SNAPSHOT: Form(scope="symbol", for_ms=(500, 5_000), amount=(0, 429, 503)),
    Kind.SKEW: Form(scope="venue", for_ms=(1_000, 9_000), amount=(-5_000, -40, 700, 60_000)),
    Kind.CRASH: Form(scope="actor", for_ms=(0, 0), amount=(0, 1)),
    Kind.BUSY: Form(scope="actor", for_ms=(30, 1_200)),
    Kind.OVERFLOW: Form(scope="book", for_ms=(400, 1_500), amount=(600, 2_500, 6_000)),
}
CRASHES_MAX = 2  # in a plan: a venue's supervisor bears three restarts in a minute


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """Whom faults can hit, by scope."""

    symbols: tuple[str, ...]
    venues: tuple[str, ...]

    def of(self, scope: str) -> Sequence[str]:
        """The targets of one scope."""
        books = [f"book/{symbol}" for symbol in self.symbols]
        feeds = [f"feed/{venue}" for venue in self.venues]
        return {
            "symbol": self.symbols,
            "venue": self.venues,
            "book": books,
            "actor": [*feeds, *books],
        }[scope]


def draw_plan(rng: Rng, targets: Targets, *, length_ms: int) -> Plan:
    """The plan that a seed means."""
    kinds = list(Kind)
    chosen = [kinds.pop(rng.randrange(0, len(kinds))) for _ in range(rng.randrange(1, KINDS_MAX))]
    faults: list[Fault] = []
    for _ in range(rng.randrange(2, FAULTS_MAX + 1)):
        kind = chosen[rng.randrange(0, len(chosen))]
        if kind is Kind.CRASH and sum(it.kind is kind for it in faults) >= CRASHES_MAX:
            continue
        for_ms = rng.randrange(FORMS[kind].for_ms[0], FORMS[kind].for_ms[1] + 1)
        at_ms = _draw_begin_ms(rng, faults, last_ms=max(1, length_ms - QUIET_MS - for_ms))
        faults.append(_draw_fault(rng, kind, targets, at_ms=at_ms, for_ms=for_ms))
    return tuple(sorted(faults, key=lambda fault: (fault.at_ms, str(fault))))


def _draw_begin_ms(rng: Rng, earlier: Sequence[Fault], *, last_ms: int) -> int:
    """Trouble seldom comes alone: half of the faults begin soon after another."""
    if earlier and rng.random() < CLUSTERED_SHARE:
        before = earlier[rng.randrange(0, len(earlier))]
        return min(last_ms, before.at_ms + rng.randrange(0, CLUSTER_MS))
    return rng.randrange(0, last_ms)


def _draw_fault(rng: Rng, kind: Kind, targets: Targets, *, at_ms: int, for_ms: int) -> Fault:
    form = FORMS[kind]
    among = targets.of(form.scope)
    return Fault(
        kind=kind,
        at_ms=at_ms,
        for_ms=for_ms,
        target=among[rng.randrange(0, len(among))],
        count=rng.randrange(form.count[0], form.count[1] + 1),
        amount=form.amount[rng.randrange(0, len(form.amount))],
    )


def quiet_from_ms(plan: Plan) -> int:
    """When the last fault is over."""
    return max((fault.end_ms for fault in plan), default=0)


def to_text(plan: Plan) -> str:
    """The plan in one line, as `read_plan` takes it."""
    return " ".join(map(str, plan))


def read_plan(text: str) -> Plan:
    """The plan of a line; PlanError says which part is none."""
    return tuple(_read_fault(part) for part in text.split())


def _read_fault(part: str) -> Fault:
    match = _TEXT.fullmatch(part)
    if match is None or match["kind"] not in set(Kind):
        raise PlanError(
            f"{part!r} is no fault: expected KIND@AT_MS+FOR_MS:TARGET*COUNT~AMOUNT, "
            f"kinds: {', '.join(Kind)}"
        )
    return Fault(
        kind=Kind(match["kind"]),
        at_ms=int(match["at_ms"]),
        for_ms=int(match["for_ms"]),
        target=match["target"],
        count=int(match["count"]),
        amount=int(match["amount"]),
    )


class ActiveFaults:
    """Which faults of a plan hit at a moment, each no oftener than it may."""

    def __init__(self, plan: Plan, *, start_ns: int) -> None:
        self._start_ns = start_ns
        self._faults: dict[tuple[Kind, str], list[Fault]] = {}
        self._hits: dict[Fault, int] = {}
        for fault in plan:
            self._faults.setdefault((fault.kind, fault.target), []).append(fault)

    def hit(self, kind: Kind, target: str, at_ns: int) -> Fault | None:
        """The fault of this kind that hits this target now, and count the hit."""
        faults = self._faults.get((kind, target))
        if faults is None:
            return None
        at_ms = (at_ns - self._start_ns) / MS_NS
        for fault in faults:
            hits = self._hits.get(fault, 0)
            if fault.at_ms <= at_ms < fault.at_ms + fault.for_ms and hits < (
                fault.count or hits + 1
            ):
                self._hits[fault] = hits + 1
                return fault
        return None

    def note(self, fault: Fault) -> None:
        """Count a fault that is injected once."""
        self._hits[fault] = self._hits.get(fault, 0) + 1

    def counts(self) -> dict[str, int]:
        """How often each kind hit."""
        counts: dict[str, int] = {}
        for fault, hits in self._hits.items():
            counts[fault.kind] = counts.get(fault.kind, 0) + hits
        return counts
