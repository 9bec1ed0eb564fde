"""Campaign: many seeds, one after the other, to the first failure and its smallest plan."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from stevie.adapters.clock import LiveClock
from stevie.explore.exploration import SECONDS_MIN, Explorer, Outcome, Scenario
from stevie.explore.faults import FORMS, Plan, PlanError, read_plan, to_text
from stevie.explore.shrink import shrink
from stevie.explore.tape import STREAMS, SYMBOLS
from stevie.ports import Kernel


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A failure: as it came, and with the smallest plan that still brings it about."""

    first: Outcome
    smallest: Outcome
    attempts: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a campaign; `digest` is over the digests of its seeds."""

    scenario: Scenario
    kernel: str
    first_seed: int
    seeds: int
    steps: int
    checked: int
    resyncs: int
    virtual_s: float
    elapsed_s: float
    faults: dict[str, int]
    digest: str
    finding: Finding | None

    @property
    def virtual_minutes_per_s(self) -> float:
        """How fast it went."""
        return self.virtual_s / 60.0 / self.elapsed_s if self.elapsed_s > 0 else 0.0


class RequestError(ValueError):
    """What is asked for cannot be explored; says what can."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as asked for on the command line; without a plan each seed has its own."""

    first_seed: int
    seeds: int
    seconds: int
    symbols: tuple[str, ...]
    venues: tuple[str, ...]
    plan: str | None = None

    def scenario(self) -> Scenario:
        """What every seed is lived through with; RequestError if that cannot be."""
        for what, asked, allowed in (
            ("symbols", self.symbols, SYMBOLS),
            ("venues", self.venues, tuple(STREAMS)),
        ):
            if not set(asked) <= set(allowed) or len(set(asked)) < len(asked):
                raise RequestError(f"{what}: expected some of {', '.join(allowed)}, was {asked}")
        if self.seconds < SECONDS_MIN:
            raise RequestError(f"expected at least {SECONDS_MIN} s, was {self.seconds}")
        return Scenario(seconds=self.seconds, symbols=self.symbols, venues=self.venues)

    def fixed_plan(self, scenario: Scenario) -> Plan | None:
        """The plan for every seed; RequestError if it is none, or hits nobody."""
        if self.plan is None:
            return None
        try:
            plan = read_plan(self.plan)
        except PlanError as error:
            raise RequestError(f"plan: {error}") from error
        for fault in plan:
            allowed = scenario.targets.of(FORMS[fault.kind].scope)
            if fault.target not in allowed:
                raise RequestError(f"plan: {fault} hits none of {', '.join(allowed)}")
        return plan


def explore(request: Request, kernel: Kernel, on_progress: Callable[[int], None]) -> Summary:
    """Explore every seed asked for, up to the first failure; RequestError if that cannot be."""
    scenario = request.scenario()
    plan = request.fixed_plan(scenario)
    explorer = Explorer(scenario, kernel)
    started_ns = LiveClock.monotonic_ns()
    outcomes: list[Outcome] = []
    for seed in range(request.first_seed, request.first_seed + request.seeds):
        outcomes.append(explorer.explore(seed, plan))
        on_progress(len(outcomes))
        if outcomes[-1].failure is not None:
            break
    elapsed_s = (LiveClock.monotonic_ns() - started_ns) / 1e9
    finding = _shrunk(explorer, outcomes[-1]) if outcomes[-1].failure is not None else None
    return _summary(scenario, kernel, outcomes, elapsed_s, finding)


def _summary(
    scenario: Scenario,
    kernel: Kernel,
    outcomes: Sequence[Outcome],
    elapsed_s: float,
    finding: Finding | None,
) -> Summary:
    return Summary(
        scenario=scenario,
        kernel=kernel.name,
        first_seed=outcomes[0].seed,
        seeds=len(outcomes),
        steps=sum(outcome.steps for outcome in outcomes),
        checked=sum(outcome.checked for outcome in outcomes),
        resyncs=sum(outcome.resyncs for outcome in outcomes),
        virtual_s=sum(outcome.virtual_s for outcome in outcomes),
        elapsed_s=elapsed_s,
        faults=_added(outcome.faults for outcome in outcomes),
        digest=sha256("".join(outcome.digest for outcome in outcomes).encode()).hexdigest(),
        finding=finding,
    )


def _shrunk(explorer: Explorer, first: Outcome) -> Finding:
    assert first.failure is not None, first.seed
    invariant = first.failure.invariant

    def fails(plan: Plan) -> bool:
        failure = explorer.explore(first.seed, plan).failure
        return failure is not None and failure.invariant == invariant

    smallest, attempts = shrink(first.plan, fails)
    return Finding(first=first, smallest=explorer.explore(first.seed, smallest), attempts=attempts)


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for kind, count in each.items():
            total[kind] = total.get(kind, 0) + count
    return dict(sorted(total.items()))


def reproduction(scenario: Scenario, outcome: Outcome) -> str:
    """The command that brings a failure about again."""
    minutes = f"{scenario.seconds / 60:g}"
    symbols, venues = ",".join(scenario.symbols), ",".join(scenario.venues)
    return (
        f"stevie explore --seeds 1 --seed {outcome.seed} --minutes {minutes} "
        f'--symbols {symbols} --venues {venues} --plan "{to_text(outcome.plan)}"'
    )


def as_json(summary: Summary) -> dict[str, Any]:
    """The whole summary as plain values."""
    scenario = summary.scenario
    return {
        "seed": summary.first_seed,
        "seeds": summary.seeds,
        "minutes": scenario.seconds / 60,
        "symbols": list(scenario.symbols),
        "venues": list(scenario.venues),
        "kernel": summary.kernel,
        "virtual_minutes": round(summary.virtual_s / 60, 3),
        "elapsed_s": round(summary.elapsed_s, 3),
        "virtual_minutes_per_s": round(summary.virtual_minutes_per_s, 3),
        "steps": summary.steps,
        "books_checked": summary.checked,
        "resyncs": summary.resyncs,
        "faults": summary.faults,
        "digest": summary.digest,
        "failure": _finding_as_json(scenario, summary.finding),
    }


def _finding_as_json(scenario: Scenario, finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    failure = finding.smallest.failure or finding.first.failure
    assert failure is not None, finding
    return {
        "seed": finding.first.seed,
        "invariant": failure.invariant,
        "detail": failure.detail,
        "at_ms": failure.at_ms,
        "plan": to_text(finding.first.plan),
        "smallest_plan": to_text(finding.smallest.plan),
        "attempts": finding.attempts,
        "events": list(failure.events),
        "reproduce": reproduction(scenario, finding.smallest),
    }


def print_summary(console: Console, summary: Summary) -> None:
    """The counts, the pace, and the failure if there is one."""
    if summary.faults:
        table = Table("fault", "hits")
        for kind, count in summary.faults.items():
            table.add_row(kind, f"{count:,}")
        console.print(table)
    lines = (
        f"seeds {summary.first_seed} to {summary.first_seed + summary.seeds - 1}: "
        f"{summary.steps:,} steps, LIVE books compared {summary.checked:,} times, "
        f"{summary.resyncs:,} resyncs",
        f"{summary.virtual_s / 60:,.1f} virtual minutes in {summary.elapsed_s:,.1f} s: "
        f"{summary.virtual_minutes_per_s:.2f} a second ({summary.kernel} kernel)",
        f"digest {summary.digest}",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    if summary.finding is not None:
        _print_finding(console, summary.scenario, summary.finding)


def _print_finding(console: Console, scenario: Scenario, finding: Finding) -> None:
    told = _finding_as_json(scenario, finding)
    assert told is not None, finding
    lines = [
        f"\nseed {told['seed']} fails at {told['at_ms']} ms: {told['invariant']}",
        f"  {told['detail']}",
        f"its plan: {told['plan'] or 'no fault'}",
        f"smallest ({told['attempts']} runs): {told['smallest_plan'] or 'no fault'}",
        "the last events:",
        *(f"  {event}" for event in told["events"]),
        f"again: {told['reproduce']}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
