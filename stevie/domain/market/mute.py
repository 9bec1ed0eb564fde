"""MuteWatch: sockets that opened and then said nothing; pure.

A venue accepts a stream that it does not have, or has elsewhere, and sends nothing on it for ever,
while it answers every ping. So the first frame is waited for, and no longer than this.
"""

from collections.abc import Iterable

MUTE_AFTER_S = 10.0  # a hundred times the pause between frames of a live symbol


class MuteWatch:
    """The newest socket of each line until its first frame; times are monotonic nanoseconds."""

    def __init__(self, after_s: float = MUTE_AFTER_S) -> None:
        self._after_ns = after_s * 1e9
        self._opened: dict[int, tuple[int, int]] = {}  # socket -> its line, when; one a line
        self._mute: set[int] = set()

    @property
    def mute(self) -> frozenset[int]:
        """The lines whose socket is open and has been silent from the beginning."""
        return frozenset(self._mute)

    def on_open(self, line: int, socket: int, now_ns: int) -> None:
        """A line has a new socket in use."""
        self.on_lost(line)
        self._opened[socket] = line, now_ns

    def on_lost(self, line: int) -> None:
        """A line has none."""
        self._opened = {s: entry for s, entry in self._opened.items() if entry[0] != line}
        self._mute.discard(line)

    def on_frames(self, sockets: Iterable[int]) -> None:
        """Frames came on these."""
        if not self._opened:
            return
        for socket in sockets:
            if (entry := self._opened.pop(socket, None)) is not None:
                self._mute.discard(entry[0])

    def check(self, now_ns: int) -> frozenset[int]:
        """The lines that have fallen mute since this was last called."""
        open_ns = {line: now_ns - at_ns for line, at_ns in self._opened.values()}
        late = {line for line, ns in open_ns.items() if ns >= self._after_ns} - self._mute
        self._mute |= late
        return frozenset(late)
