"""Playback: a capture served again, its frames in order and at their spacing, or faster.

Time begins with the first connection. At full speed there is no spacing: a frame goes out as soon
as every client has room, and at a recorded snapshot the playback waits for who needs one to ask.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from stevie.capture import CaptureError, TimedLine, read_capture
from stevie.venues.registry import venue_of
from stevie.venues.simulator.venue import Frame, Venue

HOLD_MAX_NS = 2_000_000_000  # for a client that follows a book and never asks for its snapshot
LINES_AT_ONCE = 2_000  # then others get their turn

log = structlog.get_logger()


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What to play, and how."""

    path: Path
    speed: float = 1.0
    """Times the recorded speed; 0 as fast as it is taken."""
    at_end: str = "stay"
    """stay: connections stay open and silent; close: they are closed with code 1000, and the
    exchange is done; loop: they are closed, and the next connection hears it from the start."""


class ReplayedVenue(Venue, Protocol):
    """A venue whose frames and answers were recorded."""

    def learn(self, line: TimedLine) -> None:
        """Take note of what a line says of symbols, steps and streams, before it is played."""

    def has_books(self) -> bool:
        """Say whether something can be played."""

    def frame(self, line: TimedLine) -> Frame | None:
        """Return the frame of a line, None for what is not a stream's."""

    def is_missed(self, line: TimedLine, wanted: Container[str]) -> bool:
        """Say whether somebody follows the book of a recorded answer and has not asked for it."""

    def publish(self, line: TimedLine) -> None:
        """Let a recorded answer be the answer from now on."""

    def rewind(self) -> None:
        """Forget the answers: the recording begins anew."""


class PlaybackError(Exception):
    """A capture that cannot be played; says why."""


def learned(path: Path, venues: Mapping[str, ReplayedVenue]) -> dict[str, ReplayedVenue]:
    """Read a capture once, and return the venues that it can be played for."""
    lines = _to_the_break(path)
    for line in lines:
        venue = venues.get(venue_of(line.url))
        if venue is not None:
            venue.learn(line)
    playable = {name: venue for name, venue in venues.items() if venue.has_books()}
    if not playable:
        raise PlaybackError(f"{path}: no depth frames of {', '.join(venues)}")
    return playable


def _to_the_break(path: Path) -> Iterator[TimedLine]:
    """The lines up to where the file breaks; there is at least one, or CaptureError says why."""
    lines = read_capture(path)
    yield from islice(lines, 1)
    try:
        yield from lines
    except CaptureError as broken:
        log.warning("recording_broken", reason=str(broken))


class Playback:
    """The stage of a recording: what is heard now of each venue."""

    def __init__(self, replay: Replay, venues: Mapping[str, ReplayedVenue]) -> None:
        self.venues = venues
        self.is_over = False
        self.played = 0
        self._replay = replay
        self._is_full_speed = replay.speed == 0
        self.rewind()

    def rewind(self) -> None:
        """Begin anew with the next connection."""
        for venue in self.venues.values():
            venue.rewind()
        self._lines = _to_the_break(self._replay.path)
        self._next: TimedLine | None = next(self._lines, None)
        self._position_ns = -1
        self._asked_ns = 0
        self._held_since_ns = -1
        self.is_over = False

    def advance(
        self, to_ns: int, audience: Mapping[str, Container[str]], *, has_room: bool
    ) -> Iterator[tuple[str, Frame]]:
        """Yield what is due up to a time, by venue."""
        if self._next is None or not self._has_begun(to_ns, audience):
            return
        elapsed_ns, self._asked_ns = to_ns - self._asked_ns, to_ns
        if self._is_full_speed:
            budget = LINES_AT_ONCE if has_room else 0
        else:
            self._position_ns += int(elapsed_ns * self._replay.speed)
            budget = -1
        while self._next is not None and budget and self._is_due(self._next, to_ns, audience):
            yield from self._play(self._next)
            self._next = next(self._lines, None)
            budget -= 1
        self.is_over = self._next is None

    def _has_begun(
        self, to_ns: int, audience: Mapping[str, Sequence[str] | Container[str]]
    ) -> bool:
        if self._position_ns >= 0:
            return True
        if any(audience.values()) and self._next is not None:
            self._position_ns, self._asked_ns = self._next.at_ns, to_ns
            log.info("playback_begins", speed=self._replay.speed or "full")
        return self._position_ns >= 0

    def _is_due(self, line: TimedLine, now_ns: int, audience: Mapping[str, Container[str]]) -> bool:
        if not self._is_full_speed:
            return line.at_ns <= self._position_ns
        venue = self.venues.get(venue_of(line.url)) if line.kind == "rest" else None
        if venue is None or not venue.is_missed(line, audience.get(venue.name, ())):
            self._held_since_ns = -1
            return True
        if self._held_since_ns < 0:
            self._held_since_ns = now_ns
        return now_ns - self._held_since_ns > HOLD_MAX_NS

    def _play(self, line: TimedLine) -> Iterator[tuple[str, Frame]]:
        venue = self.venues.get(venue_of(line.url))
        if venue is None:
            return
        self.played += 1
        if line.kind == "rest":
            venue.publish(line)
        elif line.kind == "ws_in":
            frame = venue.frame(line)
            if frame is not None:
                yield venue.name, frame
