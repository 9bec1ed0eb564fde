"""Quarantine: what broke a contract on its way in, and why; evidence, and nothing acts on it."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from stevie.domain.contracts.rows import QuarantineRow
from stevie.domain.market.core import FrameKind

BODY_BYTES_MAX = 4096  # of what is kept: enough to see what it was, and a flood stays small
REASON_LENGTH_MAX = 512
CONTRACT_LENGTH_MAX = 64
FRAMES_EXPLAINED_MAX = 16  # of one batch: explaining costs fifty times what reading does

Border = Literal["http", "wire", "rest", "store"]
Scan = Callable[[bytes], tuple[int, int, int]]
Explain = Callable[[bytes], str]


class Malformed(NamedTuple):
    """A frame that no book could read, and why."""

    frame: bytes
    reason: str


class Findings(NamedTuple):
    """What was found of the malformed frames of a batch; the rest is only counted."""

    found: tuple[Malformed, ...]
    unexplained_count: int


def quarantined(
    border: Border, contract: str, reason: str, body: bytes, *, at_ns: int
) -> QuarantineRow:
    """The row that keeps it: its whole size, its beginning, the reason cut to what a row takes."""
    return QuarantineRow(
        at_ns=at_ns,
        border=border,
        contract=contract[:CONTRACT_LENGTH_MAX],
        reason=reason[:REASON_LENGTH_MAX],
        size=len(body),
        body=body[:BODY_BYTES_MAX],
    )


def malformed_among(
    frames: Sequence[bytes], malformed_count: int, *, scan: Scan, explain: Explain
) -> Findings:
    """Which of these frames a core counted as malformed, and why.

    `scan` is the core's own. `explain` decodes as the reference does and answers why it cannot, or
    "" where it can; it is asked about readable frames only when those that `scan` found do not make
    up the count: then numbers were at fault that are well written and do not fit the book.
    """
    suspects = [frame for frame in frames if scan(frame)[0] == FrameKind.MALFORMED]
    found = [Malformed(frame, explain(frame)) for frame in suspects[:FRAMES_EXPLAINED_MAX]]
    if len(suspects) < malformed_count:
        found += _unfitting(frames, FRAMES_EXPLAINED_MAX - len(found), scan, explain)
    return Findings(tuple(found), max(0, malformed_count - len(found)))


def _unfitting(
    frames: Sequence[bytes], count_max: int, scan: Scan, explain: Explain
) -> list[Malformed]:
    readable = [frame for frame in frames if scan(frame)[0] != FrameKind.MALFORMED]
    recent = readable[len(readable) - min(len(readable), FRAMES_EXPLAINED_MAX) :]
    explained = (Malformed(frame, explain(frame)) for frame in recent)
    return [each for each in explained if each.reason][:count_max]
