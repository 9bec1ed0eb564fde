"""Journal: what a book was given, in order, as rows from which it can be built again; pure.

It begins with a snapshot and goes on with every frame that the book's core has taken, trades and
unreadable ones too, and ends where the book lost its place. A fresh snapshot that the book takes
over begins it anew, with the frames that led from there to where the book stood. So the state at
the end of each row is that of the book, and a row that is lost spoils those up to the next snapshot
and no others.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from stevie.domain.contracts.rows import L2LogRow
from stevie.domain.market.core import BookCore, Code, CoreView

# Of the frames of one row, before compression: zlib takes 0.12 ms for it, on the hub. A row of
# 256 kB would take 1.9 ms, and is no smaller (generated frames, a quiet machine).
ROW_BYTES = 24 * 1024
WAITING_BYTES_MAX = 32 * 2**20  # twice what a book may hold back while it waits for a snapshot
COMPRESSION = 1  # 3.4 times smaller; level 6: 4.3 times, in five times the time


class JournalError(ValueError):
    """Rows from which no book can be built."""


class Entry(NamedTuple):
    """A row to be: its parts as they came, and where the book stood."""

    kind: Literal["snapshot", "frames"]
    epoch: int
    first_seq: int
    seq: int
    event_ns: int
    parts: Sequence[bytes]
    size: int


class Journal:
    """Entries that wait to become rows; only what follows a snapshot is kept."""

    def __init__(self) -> None:
        self.began_ns = -1  # when the last snapshot was taken in; -1: there is none to go on from
        self.overflows = 0
        self._epoch = self._seq = 0
        self._frames: list[bytes] = []
        self._size = 0
        self._entries: deque[Entry] = deque()  # within WAITING_BYTES_MAX
        self._waiting_bytes = 0

    @property
    def has_begun(self) -> bool:
        """Whether there is a snapshot that frames can follow."""
        return self.began_ns >= 0

    @property
    def has_rows(self) -> bool:
        """Whether a row can be taken."""
        return bool(self._entries)

    @property
    def has_frames(self) -> bool:
        """Whether there are frames that no row holds yet."""
        return bool(self._frames)

    # -- what the book is given -----------------------------------------------------------------

    def begin(self, body: bytes, view: CoreView, *, epoch: int, now_ns: int) -> None:
        """The book was built anew from this snapshot; `view` is of just afterwards."""
        self.began_ns, self._epoch = now_ns, epoch
        seq = max(0, view.snapshot_seq)
        self._append(Entry("snapshot", epoch, seq, seq, view.event_ns, (body,), len(body)))

    def feed(
        self, core: BookCore, frames: Sequence[bytes], received_ns: Sequence[int], start: int
    ) -> tuple[int, int]:
        """Apply frames as `BookCore.apply_frames` does, up to the end of a row, and keep them."""
        end = self._row_end(frames, start)
        if end - start < len(frames):
            frames, received_ns = frames[start:end], received_ns[start:end]
        taken, code = core.apply_frames(frames, received_ns, 0)
        if self.has_begun:
            self._keep(frames if taken == len(frames) else frames[:taken])
            if self._size >= ROW_BYTES:
                self.cut(core.view())
        return start + taken, code

    def cut(self, view: CoreView) -> None:
        """Make a row of the frames so far; `view` is of the book that has taken them."""
        if not self._frames:
            return
        seq = max(self._seq, view.last_seq)
        first_seq = min(self._seq + 1, seq)
        frames, size, self._frames, self._size = self._frames, self._size, [], 0
        self._append(Entry("frames", self._epoch, first_seq, seq, view.event_ns, frames, size))

    def end(self, view: CoreView) -> None:
        """The book lost its place: nothing that comes now continues this."""
        self.cut(view)
        self.began_ns = -1

    def go_on_with(self, other: "Journal") -> None:
        """Continue with what another journal tells, which begins with a snapshot."""
        for entry in other._entries:
            self._append(entry)
        self.began_ns, self._epoch = other.began_ns, other._epoch

    def _row_end(self, frames: Sequence[bytes], start: int) -> int:
        """The first frame that the present row has no more room for."""
        size = self._size
        for index in range(start, len(frames)):
            size += len(frames[index]) + 1
            if size >= ROW_BYTES:
                return index + 1
        return len(frames)

    def _keep(self, frames: Sequence[bytes]) -> None:
        self._frames += frames
        self._size += sum(map(len, frames)) + len(frames)

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._waiting_bytes += entry.size
        self._seq = entry.seq
        if self._waiting_bytes > WAITING_BYTES_MAX:
            self._overflow()

    def _overflow(self) -> None:
        """Nobody takes rows: drop all, and begin anew with the next snapshot."""
        self.overflows += 1
        self._entries.clear()
        self._waiting_bytes = 0
        self.began_ns = -1

    # -- what comes of it -----------------------------------------------------------------------

    def take(self, venue: str, symbol: str, *, known_ns: int) -> L2LogRow:
        """The oldest row."""
        entry = self._entries.popleft()
        self._waiting_bytes -= entry.size
        is_frames = entry.kind == "frames"
        return L2LogRow(
            venue=venue,
            symbol=symbol,
            seq=entry.seq,
            first_seq=entry.first_seq,
            epoch=entry.epoch,
            kind=entry.kind,
            event_ns=entry.event_ns,
            known_ns=known_ns,
            frames=len(entry.parts) if is_frames else 0,
            body=zlib.compress(_lines(entry.parts) if is_frames else entry.parts[0], COMPRESSION),
        )


def _lines(frames: Sequence[bytes]) -> bytes:
    """One frame a line. A line feed inside a frame becomes a carriage return.

    To JSON the two are the same: white space between values, forbidden within a text.
    """
    joined = b"\n".join(frames)
    if joined.count(b"\n") == len(frames) - 1:
        return joined
    return b"\n".join(frame.replace(b"\n", b"\r") for frame in frames)


# -- the way back ----------------------------------------------------------------------------------


def rebuilt(rows: Iterable[L2LogRow], core: BookCore, *, level_limit: int) -> Iterator[L2LogRow]:
    """Give a core what the rows tell, and yield each row once the core stands where it ended.

    Rows come by sequence, as the archive has them; `level_limit` is the depth that the snapshots
    were asked for with. Frames of another epoch than that of the snapshot before them are passed
    over. JournalError if rows are missing or unreadable.
    """
    epoch = -1
    for row in rows:
        if row.kind == "snapshot":
            epoch = row.epoch
            _check(core.load_snapshot(_body(row), level_limit, row.known_ns), row)
        elif epoch < 0:
            raise JournalError(f"expected a snapshot first, was frames up to {row.seq}")
        elif row.epoch == epoch:
            frames = _body(row).split(b"\n")
            index, code = core.apply_frames(frames, (row.known_ns,) * len(frames), 0)
            while code == Code.CROSSED and index < len(frames):
                index, code = core.apply_frames(frames, (row.known_ns,) * len(frames), index)
            _check(code, row)
            if core.view().last_seq < row.seq:
                raise JournalError(f"expected to reach {row.seq}, was {core.view().last_seq}")
        else:
            continue
        yield row


def _check(code: int, row: L2LogRow) -> None:
    if code not in {Code.OK, Code.CROSSED}:
        name = Code(code).name
        raise JournalError(f"{name} in the row of {row.first_seq} to {row.seq}: one is missing")


def _body(row: L2LogRow) -> bytes:
    try:
        return zlib.decompress(row.body)
    except zlib.error as error:
        raise JournalError(f"row of {row.first_seq} to {row.seq}: {error}") from error
