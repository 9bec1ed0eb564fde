"""Book: when a book may be believed.

LIVE is the only state that is read. A book becomes LIVE by a snapshot that the buffered deltas
continue without a hole, and leaves it with a reason: a gap or a lost frame (SYNCING), a dead
connection (STALE), best bid above best ask (QUARANTINED). It is never repaired: each way back leads
through a new snapshot. Frames that arrive meanwhile wait in a bounded buffer and are judged by the
same rule as all others, the one that revealed a gap included.

A snapshot has a horizon: beyond its last level the venue told us nothing. The book asks for a fresh
snapshot when the touch has used up most of the way to it, and is not LIVE once the touch is past
it. Sources: the synchronization chapters of the venues' own documents.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from stevie.domain.market.core import BookCore, Code, CoreView, FrameKind, Scale
from stevie.domain.market.fixed_point import NumberError
from stevie.domain.market.frame_buffer import BufferLimits, FrameBuffer, far_ahead
from stevie.domain.market.fresh_book import LEVELS_MAX, Certificate, FreshBook, within
from stevie.domain.market.horizon import Horizon, is_past
from stevie.domain.market.journal import Journal

REJECTED_MAX = 8  # batches kept for the owner, who takes them after each call


class BookState(StrEnum):
    """Whether a book may be believed."""

    LIVE = "LIVE"
    SYNCING = "SYNCING"
    STALE = "STALE"
    QUARANTINED = "QUARANTINED"


class Reason(StrEnum):
    """Why a book is not LIVE."""

    NONE = ""
    NOT_CONNECTED = "not_connected"
    WAITING_FOR_DELTA = "waiting_for_delta"
    WAITING_FOR_SNAPSHOT = "waiting_for_snapshot"
    SNAPSHOT_TOO_OLD = "snapshot_too_old"
    SNAPSHOT_REFUSED = "snapshot_refused"
    SNAPSHOT_MALFORMED = "snapshot_malformed"
    NOT_LISTED = "not_listed"
    GAP = "gap"
    FRAMES_LOST = "frames_lost"
    BUFFER_OVERFLOW = "buffer_overflow"
    CROSSED = "crossed"
    HORIZON = "horizon"
    DISCONNECTED = "disconnected"
    SILENT = "silent"


class BookLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one book."""

    buffer: BufferLimits = BufferLimits()
    horizon_used_max: float = 0.75  # share of the way to the horizon that may be used up


class Checkpoint(msgspec.Struct, frozen=True):
    """The top of the book when so many deltas had been applied."""

    applied: int
    seq: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    price_decimals: int
    size_decimals: int


class BookCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a book so far, beside what its core counts."""

    deltas: int
    buffered_before_snapshot: int
    discarded_deltas: int
    snapshots: int
    gaps: int
    resyncs: int
    crossed: int
    buffer_overflows: int


class Rejected(NamedTuple):
    """What broke its contract: a snapshot, or a batch of frames with so many that did."""

    parts: Sequence[bytes]
    broken: int
    is_snapshot: bool = False


class Book:
    """The state machine of one book, around a core; pure: time comes as an argument.

    `snapshot_wanted` is what it asks of its owner: whoever sees it true fetches a snapshot and
    answers with `on_snapshot` or `on_snapshot_failed`. While it has a `journal`, it keeps there all
    that its core was given.
    """

    def __init__(self, new_core: Callable[[], BookCore], limits: BookLimits | None = None) -> None:
        self._new_core = new_core
        self._limits = limits or BookLimits()
        self.core = new_core()
        self.journal: Journal | None = None
        self.state = BookState.STALE
        self.reason = Reason.NOT_CONNECTED
        self.detail = ""
        self.epoch = 0
        self.snapshot_wanted = False
        self.resyncs = self.gaps = self.crossed = self.overflows = self.snapshots = 0
        self.discarded_deltas = self.buffered_before_snapshot = 0
        self.changed_ns = self.heard_ns = -1
        self.rejected: list[Rejected] = []
        self._malformed = 0  # that the core had counted when last looked at
        self._buffer = FrameBuffer(self._limits.buffer)
        self._is_refreshing = False
        self._blocker = b""  # the delta that the last snapshot was too old for
        self._horizon = Horizon(self._limits.horizon_used_max)
        self._checkpoints_at: list[int] = []
        self.checkpoints: list[Checkpoint] = []

    # -- what arrives ---------------------------------------------------------------------------

    def on_connected(self, now_ns: int) -> None:
        """A new connection is a new epoch: nothing of the one before is continued."""
        self.epoch += 1
        self._start_sync(BookState.SYNCING, Reason.WAITING_FOR_DELTA, now_ns)

    def on_disconnected(self, reason: Reason, now_ns: int) -> None:
        """The feed is gone or silent: what the book holds grows old from here."""
        self._start_sync(BookState.STALE, reason, now_ns)

    def on_frames(self, frames: Sequence[bytes], received_ns: Sequence[int]) -> None:
        """Frames of this book, in order."""
        if not frames:
            return
        self.heard_ns = received_ns[-1]
        if self._is_synced:
            self._apply(frames, received_ns)
        else:
            self._wait(frames, received_ns, 0)

    def on_frames_lost(self, now_ns: int) -> None:
        """Frames were dropped before they came here: a declared gap."""
        if self.state is not BookState.STALE:
            self._start_sync(BookState.SYNCING, Reason.FRAMES_LOST, now_ns)

    def on_snapshot(self, body: bytes, level_limit: int, now_ns: int) -> None:
        """A REST snapshot; whether it can be continued is for the buffered deltas to say.

        One that is not wanted any more was asked for before the last break: what happened in
        between is neither in it nor in the buffer.
        """
        if not self.snapshot_wanted:
            return
        self.snapshot_wanted = False
        if self._is_refreshing:
            self._refresh(body, level_limit, now_ns)
        else:
            self._sync(body, level_limit, now_ns)

    def on_snapshot_failed(self, reason: Reason, detail: str, now_ns: int) -> None:
        """The snapshot was refused; the owner tries again when it sees fit."""
        if self.snapshot_wanted and not self._is_synced:
            self._move(self.state, reason, now_ns, detail)

    def want_snapshot(self) -> None:
        """Ask without a delta seen: a quiet symbol has none, and its book is just the snapshot."""
        if self.is_waiting_for_delta:
            self._ask()

    def want_refresh(self) -> None:
        """Ask for a fresh snapshot beside a book that is in place."""
        if self._is_synced and not self._is_refreshing:
            self._is_refreshing = True
            self.snapshot_wanted = True

    def take_rejected(self) -> Sequence[Rejected]:
        """What broke its contract since this was last called."""
        rejected, self.rejected = self.rejected, []
        return rejected

    def watch_checkpoints(self, applied_counts: Sequence[int]) -> None:
        """Note the top of the book whenever so many deltas have been applied."""
        self._checkpoints_at = sorted(applied_counts, reverse=True)
        self._arm_checkpoint()

    # -- what can be read -----------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether the book may be believed."""
        return self.state is BookState.LIVE

    @property
    def is_waiting_for_delta(self) -> bool:
        """Whether it takes a delta, or `want_snapshot`, to get on."""
        is_connected = self.state is not BookState.STALE
        return is_connected and not self._is_synced and not self.snapshot_wanted

    def counts(self) -> BookCounts:
        """What happened so far; `deltas` are all that arrived, whatever became of them."""
        view = self.core.view()
        return BookCounts(
            deltas=view.applied + view.stale + self.discarded_deltas + self._waiting_deltas,
            buffered_before_snapshot=self.buffered_before_snapshot,
            discarded_deltas=self.discarded_deltas,
            snapshots=self.snapshots,
            gaps=self.gaps,
            resyncs=self.resyncs,
            crossed=self.crossed,
            buffer_overflows=self.overflows,
        )

    def certificate(self) -> Certificate:
        """What the book stands on."""
        view = self.core.view()
        return Certificate(
            epoch=self.epoch,
            snapshot_seq=view.snapshot_seq,
            first_seq=view.first_seq,
            last_seq=view.last_seq,
            applied_count=view.applied_since_snapshot,
            heard_ns=self.heard_ns,
            bid_floor_ticks=view.bid_floor,
            ask_ceiling_ticks=view.ask_ceiling,
        )

    def fresh_book(self, venue: str, symbol: str, levels: int = LEVELS_MAX) -> FreshBook | None:
        """The ladder for others to read, as far as it is known; None unless LIVE."""
        if not self.is_live:
            return None
        bids, asks = self.core.ladder(levels)
        view = self.core.view()
        return FreshBook(
            venue=venue,
            symbol=symbol,
            scale=Scale(view.price_decimals, view.size_decimals),
            certificate=self.certificate(),
            bids=within(bids, floor=view.bid_floor),
            asks=within(asks, ceiling=view.ask_ceiling),
        )

    # -- how it gets LIVE and stays so ----------------------------------------------------------

    @property
    def _is_synced(self) -> bool:
        return self.state is BookState.LIVE or self.reason is Reason.HORIZON

    @property
    def _waiting_deltas(self) -> int:
        return 0 if self._is_refreshing else self._buffer.delta_count

    def _sync(self, body: bytes, level_limit: int, now_ns: int) -> None:
        code = self.core.load_snapshot(body, level_limit, now_ns)
        if code == Code.MALFORMED:
            self._reject(Rejected((body,), 1, is_snapshot=True))
            self.snapshot_wanted = True
            self.on_snapshot_failed(Reason.SNAPSHOT_MALFORMED, "not a depth snapshot", now_ns)
            return
        if self.journal is not None:
            self.journal.begin(body, self.core.view(), epoch=self.epoch, now_ns=now_ns)
        if self.snapshots == 0:
            self.buffered_before_snapshot = self._buffer.delta_count
        self.snapshots += 1
        if code == Code.CROSSED:
            self.crossed += 1
            self._move(BookState.QUARANTINED, Reason.CROSSED, now_ns)
            self.snapshot_wanted = True
            return
        self._horizon.note(self.core.view())
        self._move(BookState.LIVE, Reason.NONE, now_ns)
        frames, received_ns = self._without_liars(*self._buffer.take())
        self._apply(frames, received_ns, is_joining=True)
        if self.is_live and not self._ends_with(frames):
            self._lose(Code.GAP, now_ns, is_joining=False)
        self._judge_horizon(now_ns, self.core.view())

    def _without_liars(
        self, frames: Sequence[bytes], received_ns: Sequence[int]
    ) -> tuple[Sequence[bytes], Sequence[int]]:
        """The buffered frames but those deltas that claim a place far ahead of later ones.

        Each of them would make this snapshot look too old. Leaving one out too many is harmless:
        the chain has a hole then, which is judged like any other.
        """
        spans = [self.core.scan(frame) for frame in frames]
        liars = far_ahead(spans, self.core.view().last_seq)
        self.discarded_deltas += len(liars)
        kept = [index for index in range(len(frames)) if index not in liars]
        return [frames[index] for index in kept], [received_ns[index] for index in kept]

    def _ends_with(self, frames: Sequence[bytes]) -> bool:
        """Whether the book stands at the newest of the deltas that it was joined with.

        If it was led past it, one of them lied about its place, and the others look old beside it.
        """
        view = self.core.view()
        if view.applied_since_snapshot == 0:
            return True
        scanned = (self.core.scan(frame) for frame in reversed(frames))
        newest_seq = next(last_seq for kind, _, last_seq in scanned if kind == FrameKind.DELTA)
        return newest_seq == view.last_seq

    def _apply(
        self, frames: Sequence[bytes], received_ns: Sequence[int], *, is_joining: bool = False
    ) -> None:
        index, code = 0, int(Code.OK)
        while index < len(frames) and code == Code.OK:
            index, code = self._feed(frames, received_ns, index)
            if code == Code.PAUSED:
                self._take_checkpoint()
                code = Code.OK
        view = self.core.view()
        if view.malformed > self._malformed:
            self._reject(Rejected(frames[:index], view.malformed - self._malformed))
            self._malformed = view.malformed
        if code != Code.OK:
            now_ns = received_ns[min(index, len(frames) - 1)]
            self._lose(code, now_ns, is_joining=is_joining)
            if self.reason is Reason.SNAPSHOT_TOO_OLD and self._blocks_again(frames[index]):
                self.discarded_deltas += 1
                index += 1
            self._wait(frames, received_ns, index)
            return
        if self._is_refreshing:
            self._hold(frames, received_ns, 0)
        if frames:
            self._judge_horizon(received_ns[-1], view)

    def _feed(
        self, frames: Sequence[bytes], received_ns: Sequence[int], start: int
    ) -> tuple[int, int]:
        """As `BookCore.apply_frames`; OK may leave frames for another call."""
        if self.journal is None:
            return self.core.apply_frames(frames, received_ns, start)
        return self.journal.feed(self.core, frames, received_ns, start)

    def _reject(self, rejected: Rejected) -> None:
        if len(self.rejected) < REJECTED_MAX:
            self.rejected.append(rejected)

    def _lose(self, code: int, now_ns: int, *, is_joining: bool) -> None:
        if code == Code.CROSSED:
            self.crossed += 1
            self._start_sync(BookState.QUARANTINED, Reason.CROSSED, now_ns)
        elif is_joining and self.core.view().applied_since_snapshot == 0:
            self._start_sync(BookState.SYNCING, Reason.SNAPSHOT_TOO_OLD, now_ns)
        else:
            self.gaps += 1
            self._start_sync(BookState.SYNCING, Reason.GAP, now_ns)

    def _blocks_again(self, frame: bytes) -> bool:
        """Whether one delta made two snapshots too old: it may lie about its place, far ahead."""
        blocker, self._blocker = self._blocker, frame
        return frame == blocker

    def _start_sync(self, state: BookState, reason: Reason, now_ns: int) -> None:
        self.resyncs += self._is_synced and reason is not Reason.SNAPSHOT_TOO_OLD
        self.discarded_deltas += self._waiting_deltas
        self._buffer.clear()
        self._is_refreshing = self.snapshot_wanted = False
        if self.journal is not None:
            self.journal.end(self.core.view())
        self._move(state, reason, now_ns)

    def _wait(self, frames: Sequence[bytes], received_ns: Sequence[int], start: int) -> None:
        """Buffer frames until a snapshot comes; the first delta is what asks for it."""
        if self.state is BookState.STALE:
            kinds = (self.core.scan(frame)[0] for frame in frames[start:])
            self.discarded_deltas += sum(kind == FrameKind.DELTA for kind in kinds)
            return
        self._hold(frames, received_ns, start)
        if self._buffer.delta_count and not self.snapshot_wanted:
            self._ask()

    def _ask(self) -> None:
        self.snapshot_wanted = True
        if self.reason is Reason.WAITING_FOR_DELTA:
            self.reason = Reason.WAITING_FOR_SNAPSHOT

    def _hold(self, frames: Sequence[bytes], received_ns: Sequence[int], start: int) -> None:
        for index in range(start, len(frames)):
            kind, _, _ = self.core.scan(frames[index])
            if self._is_refreshing and kind != FrameKind.DELTA:
                continue  # its trades are in the windows already
            is_delta = kind == FrameKind.DELTA
            self._buffer.add(frames[index], received_ns[index], is_delta=is_delta)
        if self._buffer.is_over:
            self._overflow()

    def _overflow(self) -> None:
        """Start over with an empty buffer: a hole in it could not be seen later."""
        self.overflows += 1
        self.discarded_deltas += self._waiting_deltas
        self._buffer.clear()
        self.snapshot_wanted = False
        if self._is_refreshing:
            self._is_refreshing = False
        else:
            self.reason = Reason.BUFFER_OVERFLOW

    # -- the horizon ----------------------------------------------------------------------------

    def _judge_horizon(self, now_ns: int, view: CoreView) -> None:
        """Ask for a new snapshot before the touch reaches the end of what is known."""
        if not self._is_synced:
            return
        if view.bid_floor < 0 and view.ask_ceiling < 0:
            return
        if is_past(view):
            self._move(BookState.SYNCING, Reason.HORIZON, now_ns)
        if not self._is_refreshing and self._horizon.is_near(view):
            self.want_refresh()

    def _refresh(self, body: bytes, level_limit: int, now_ns: int) -> None:
        """Build the fresh book beside the old one, and take it over once it has caught up."""
        fresh, story = self._new_core(), Journal()
        code = fresh.load_snapshot(body, level_limit, now_ns)
        if code == Code.MALFORMED:
            self._reject(Rejected((body,), 1, is_snapshot=True))
        elif code == Code.OK:
            story.begin(body, fresh.view(), epoch=self.epoch, now_ns=now_ns)
            code = self._catch_up(fresh, story)
        if code != Code.OK or not self._adopt(fresh, story):
            self.snapshot_wanted = True
            return
        self.snapshots += 1
        self._is_refreshing = False
        self._buffer.clear()
        view = self.core.view()
        self._horizon.note(view)
        self._move(BookState.LIVE, Reason.NONE, now_ns)
        self._judge_horizon(now_ns, view)

    def _catch_up(self, fresh: BookCore, story: Journal) -> int:
        frames, received_ns = self._buffer.read()
        index, code = 0, int(Code.OK)
        while index < len(frames) and code == Code.OK:
            index, code = story.feed(fresh, frames, received_ns, index)
        story.cut(fresh.view())
        return code

    def _adopt(self, fresh: BookCore, story: Journal) -> bool:
        """Never go back: a snapshot older than the book, with no delta after it, is too old."""
        before = self.core.view()
        if fresh.view().last_seq < before.last_seq:
            return False
        try:
            self.core.adopt(fresh)
        except NumberError:
            return False
        if self.journal is not None:
            self.journal.cut(before)
            self.journal.go_on_with(story)
        return True

    # -- small things ---------------------------------------------------------------------------

    def _move(self, state: BookState, reason: Reason, now_ns: int, detail: str = "") -> None:
        if state is not self.state or reason is not self.reason:
            self.changed_ns = now_ns
        self.state, self.reason, self.detail = state, reason, detail

    def _arm_checkpoint(self) -> None:
        self.core.pause_at(self._checkpoints_at[-1] if self._checkpoints_at else 0)

    def _take_checkpoint(self) -> None:
        view = self.core.view()
        bids, asks = self.core.top(3)
        self.checkpoints.append(
            Checkpoint(
                view.applied, view.last_seq, bids, asks, view.price_decimals, view.size_decimals
            )
        )
        while self._checkpoints_at and self._checkpoints_at[-1] <= view.applied:
            self._checkpoints_at.pop()
        self._arm_checkpoint()
