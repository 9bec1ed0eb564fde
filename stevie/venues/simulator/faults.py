"""Faults on the way from the venue to its clients: a plan as data, drawn by seed.

A plan is written `KIND[:KEY=VALUE[,KEY=VALUE]...]`, several joined by `;`:

    drop:p=0.01,scope=binance/BTCUSDT/*; stall:at=10,for=3,scope=binance_usdm; skew:ms=900

Keys: `p` chance of each frame or answer · `at` seconds from the start of the plan · `for` seconds
it lasts, 0 without end · `every` mean seconds from one such time to the next, drawn by seed ·
`scope` · `ms` of skew · `rate` bytes a second of slow · `span` frames that overtake one.

A scope is a pattern over `VENUE/SYMBOL/STREAM` for a frame, `VENUE/SYMBOL/rest/PATH` for an answer
(`-` without a symbol) and `VENUE/socket` for a whole connection; a venue alone means all of it.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from stevie.venues.simulator.market.dice import dice

NS_PER_S = 1_000_000_000
PLAN_MAX = 64  # faults; each frame is held against all of them
NO_SYMBOL = "-"
SOCKET = "socket"
ANY_PACE = math.inf


class Kind(StrEnum):
    """What can go wrong. Not every venue can show every kind: see `Venue.cannot`."""

    DROP = "drop"  # a frame does not come; an answer neither, its connection ends
    DUPLICATE = "duplicate"  # a frame comes twice
    REORDER = "reorder"  # a frame comes after those that follow it
    TRUNCATE = "truncate"  # the text of a frame ends early; so does the body of an answer
    CUT = "cut"  # the connection ends in the middle of a frame
    CROSS = "cross"  # a depth frame whose best bid is above the best ask
    CHECKSUM = "checksum"  # a frame whose checksum is wrong
    STALL = "stall"  # the socket stays open and nothing comes
    SLOW = "slow"  # bytes trickle
    SKEW = "skew"  # the venue's clock is wrong
    BLOCK = "block"  # HTTP 451
    OUTAGE = "outage"  # connections end, and new ones are reset


SINGLE = frozenset(
    {Kind.DROP, Kind.DUPLICATE, Kind.REORDER, Kind.TRUNCATE, Kind.CUT, Kind.CROSS, Kind.CHECKSUM}
)
OF_CONNECTIONS = frozenset({Kind.STALL, Kind.SLOW, Kind.BLOCK, Kind.OUTAGE})
_WRITTEN = {"p": "p", "at": "at_s", "for": "for_s", "every": "every_s", "scope": "scope"}
_WRITTEN |= {"ms": "ms", "rate": "rate", "span": "span"}

_Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong: of single frames by chance, or for a time."""

    kind: Kind
    p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    at_s: _Seconds = 0.0
    for_s: _Seconds = 0.0
    every_s: _Seconds = 0.0
    scope: str = "*"
    ms: Annotated[int, Meta(ge=-86_400_000, le=86_400_000)] = 1_000
    rate: Annotated[int, Meta(ge=1, le=2**30)] = 64
    span: Annotated[int, Meta(ge=1, le=100)] = 1

    def concerns(self, target: str) -> bool:
        """Say whether a target is in this fault's scope."""
        scope = self.scope if "/" in self.scope or self.scope == "*" else f"{self.scope}/*"
        return fnmatchcase(target, scope)


class FaultSpecError(ValueError):
    """A plan that cannot be: says which part, and what is allowed."""


def parse_plan(text: str) -> tuple[Fault, ...]:
    """Read a plan; FaultSpecError names what is wrong with it."""
    return tuple(_parse(part.strip()) for part in text.split(";") if part.strip())


def _parse(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    fields: dict[str, str] = {"kind": kind.strip()}
    for pair in filter(None, (each.strip() for each in rest.split(","))):
        key, _, value = pair.partition("=")
        if key.strip() not in _WRITTEN:
            raise FaultSpecError(f"{text!r}: unknown key {key!r}, allowed: {', '.join(_WRITTEN)}")
        fields[_WRITTEN[key.strip()]] = value.strip()
    try:
        return msgspec.convert(fields, Fault, strict=False)
    except msgspec.ValidationError as error:
        hint = f"; kinds: {', '.join(Kind)}" if "kind" in str(error) else ""
        raise FaultSpecError(f"{text!r}: {error}{hint}") from error


class _Window:
    """When a fault is there: from `at` on for its time, and again and again by seed."""

    def __init__(self, fault: Fault, rng: Random, begun_ns: int) -> None:
        self._fault, self._rng = fault, rng
        self._begin_ns = begun_ns + int(fault.at_s * NS_PER_S)
        self._end_ns = self._end()
        self.is_counted = False

    def is_open(self, now_ns: int) -> bool:
        while self._fault.every_s and now_ns >= self._end_ns:
            gap_s = self._rng.expovariate(1.0 / self._fault.every_s)
            self._begin_ns = int(self._end_ns + max(gap_s, 0.001) * NS_PER_S)
            self._end_ns = self._end()
            self.is_counted = False
        return self._begin_ns <= now_ns < self._end_ns

    def _end(self) -> float:
        lasts_s = self._fault.for_s
        return self._begin_ns + lasts_s * NS_PER_S if lasts_s else math.inf


class Faults:
    """The plan in force. `set` and `clear` change it at any time; `counts` says what was done."""

    def __init__(
        self,
        *,
        seed: int,
        now_ns: Callable[[], int],
        cannot: Mapping[str, Mapping[Kind, str]],
        plan: Iterable[Fault] = (),
    ) -> None:
        self._seed = seed
        self._now_ns = now_ns
        self._cannot = cannot
        self._standing = self._checked(plan)
        self.counts: Counter[Kind] = Counter()
        self._number = 0  # of the plan in force
        self.clear()

    def set(self, plan: str | Iterable[Fault]) -> None:
        """Put a plan in force from now on, instead of the one before; standing faults stay."""
        faults = parse_plan(plan) if isinstance(plan, str) else tuple(plan)
        self._begin((*self._standing, *self._checked(faults)))

    def clear(self) -> None:
        """Let nothing go wrong but what the venues' profiles say."""
        self._begin(self._standing)

    def lasting(self, kind: Kind, target: str) -> Fault | None:
        """Return the fault of a kind that lies upon a target now; it is counted once a time."""
        for _, fault, window in self._open(target):
            if fault.kind is kind:
                self.counts[kind] += not window.is_counted
                window.is_counted = True
                return fault
        return None

    def pace(self, target: str) -> float:
        """Return how many bytes a second a line carries now: 0 while it is stalled."""
        if self.lasting(Kind.STALL, target):
            return 0
        slow = self.lasting(Kind.SLOW, target)
        return ANY_PACE if slow is None else slow.rate

    def are_none(self) -> bool:
        """Say whether the plan is empty."""
        return not self._plan

    def striking(self, target: str, dealer: "Dealer") -> Iterator[Fault]:
        """Draw which faults strike one frame or answer."""
        for index, fault, _ in self._open(target):
            if fault.kind in SINGLE and dealer.draws(self._number, index, fault.p):
                yield fault

    def dealer(self, *path: str) -> "Dealer":
        """Return the chances of one connection."""
        return Dealer(self._seed, path)

    def _begin(self, plan: tuple[Fault, ...]) -> None:
        now_ns = self._now_ns()
        self._number += 1
        self._plan = tuple(
            (index, fault, _Window(fault, dice(self._seed, "fault times", str(index)), now_ns))
            for index, fault in enumerate(plan)
        )

    def _open(self, target: str) -> Iterator[tuple[int, Fault, _Window]]:
        if not self._plan:
            return
        now_ns = self._now_ns()
        for index, fault, window in self._plan:
            if fault.concerns(target) and window.is_open(now_ns):
                yield index, fault, window

    def _checked(self, plan: Iterable[Fault]) -> tuple[Fault, ...]:
        faults = tuple(plan)
        if len(faults) > PLAN_MAX:
            raise FaultSpecError(f"{len(faults)} faults, allowed: {PLAN_MAX}")
        for fault in faults:
            self._check(fault)
        return faults

    def _check(self, fault: Fault) -> None:
        pattern = fault.scope.partition("/")[0]
        concerned = [venue for venue in self._cannot if fnmatchcase(venue, pattern)]
        if not concerned:
            known = ", ".join(self._cannot)
            raise FaultSpecError(f"scope {fault.scope!r}: no such venue, allowed: {known}")
        if fault.every_s and not fault.for_s:
            raise FaultSpecError(f"{fault.kind}: every needs a time that it lasts, for=SECONDS")
        for venue in concerned:
            if fault.kind in self._cannot[venue]:
                why = self._cannot[venue][fault.kind]
                raise FaultSpecError(f"{fault.kind} cannot be shown by {venue}: {why}")
        is_whole = any(fault.concerns(f"{venue}/{SOCKET}") for venue in concerned)
        if fault.kind in OF_CONNECTIONS and not is_whole and "rest" not in fault.scope:
            raise FaultSpecError(
                f"{fault.kind} is of whole connections or of REST: scope VENUE, VENUE/{SOCKET} or "
                f"VENUE/*/rest/*, was {fault.scope!r}"
            )


class Dealer:
    """The chances of one connection: each fault has its own, so none disturbs another."""

    def __init__(self, seed: int, path: tuple[str, ...]) -> None:
        self._seed, self._path = seed, path
        self._plan_number = 0
        self._dice: dict[int, Random] = {}  # bounded by PLAN_MAX

    def draws(self, plan_number: int, index: int, p: float) -> bool:
        """Draw whether a fault of a plan strikes this time."""
        if plan_number != self._plan_number:
            self._plan_number, self._dice = plan_number, {}
        if index not in self._dice:
            self._dice[index] = dice(self._seed, "faults", str(index), *self._path)
        return self._dice[index].random() < p


class Delivery(NamedTuple):
    """A text to send; after a cut one nothing more comes."""

    text: str
    is_cut: bool = False


class Painter(NamedTuple):
    """How a venue's texts are spoilt."""

    crossed: Callable[[], str]
    shifted: Callable[[str, int], str]


class FaultyLine:
    """What becomes of the frames of one connection."""

    def __init__(self, faults: Faults, number: int) -> None:
        self._faults = faults
        self._dealer = faults.dealer("connection", str(number))
        self._held: list[tuple[int, str]] = []  # at most one for each frame of the longest span

    def is_calm(self) -> bool:
        """Say whether frames pass as they are."""
        return not self._held and self._faults.are_none()

    def through(self, target: str, text: str, painter: Painter) -> list[Delivery]:
        """Return what comes of a frame: nothing, itself, something else, or more."""
        struck = {fault.kind: fault for fault in self._faults.striking(target, self._dealer)}
        skew = self._faults.lasting(Kind.SKEW, target)
        if not struck and skew is None and not self._held:
            return [Delivery(text)]
        if Kind.CROSS in struck:
            crossed = painter.crossed()
            if crossed == text:
                del struck[Kind.CROSS]  # no depth frame: there is nothing to cross
            text = crossed
        if skew is not None:
            text = painter.shifted(text, skew.ms)
        return self._spoilt(text, struck)

    def _spoilt(self, text: str, struck: dict[Kind, Fault]) -> list[Delivery]:
        self._faults.counts.update(struck.keys())
        if Kind.DROP in struck:
            return []
        if Kind.TRUNCATE in struck:
            text = text[: len(text) // 2]
        if Kind.REORDER in struck:
            released = self._released()
            self._held.append((struck[Kind.REORDER].span, text))
            return released
        copies = 2 if Kind.DUPLICATE in struck else 1
        frames = [Delivery(text, is_cut=Kind.CUT in struck)] * copies
        return [*frames, *self._released()]

    def _released(self) -> list[Delivery]:
        """Count one frame for those that wait to be overtaken, and let go who has waited enough."""
        waiting = [(left - 1, text) for left, text in self._held]
        self._held = [(left, text) for left, text in waiting if left > 0]
        return [Delivery(text) for left, text in waiting if left <= 0]
