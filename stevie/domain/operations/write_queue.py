"""WriteQueue: what waits to be written, in two lanes, and what to do about a write that failed.

Durable rows go first, many requests in one batch; bulk rows take what is left, and are dropped when
too many wait. A batch that failed is written again before anything else, so that whoever writes can
tell by its number that it was done after all. A batch that is refused is written in parts, until
what is at fault stands alone; that is given up.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from stevie.domain.contracts.rows import Row

BATCH_ROWS_MAX = 2000  # some 20 ms of writing: durable rows wait no longer for a batch of bulk
BATCH_BYTES_MAX = 4 * 2**20
DURABLES_MAX = 64  # requests that wait; a sender has two under way, and there are few senders
BULK_ROWS_MAX = 50_000
BULK_BYTES_MAX = 32 * 2**20  # half a minute of what the books log while the database is away
PAUSE_MIN_S = 0.1
PAUSE_MAX_S = 2.0  # so soon after the database is back, writing goes on


class Chance(Protocol):
    """Where jitter comes from."""

    def uniform(self, a: float, b: float, /) -> float:
        """A float between a and b."""
        ...


class Durable(NamedTuple):
    """Rows that somebody waits to hear of; a question has none, and is written alone."""

    rows: tuple[Row, ...]
    reply_to: str
    receipt: int
    is_question: bool = False
    is_about_flags: bool = False


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction writes: durable requests as a whole, or bulk rows."""

    number: int
    rows: tuple[Row, ...]
    durables: tuple[Durable, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What its rows weigh."""
        return weight(self.rows)


def weight(rows: Sequence[Row]) -> int:
    """What rows weigh while they wait."""
    return sum(row.size_bytes() for row in rows)


class WriteQueue:
    """Two lanes, one batch under way, and the trouble with it."""

    def __init__(self) -> None:
        self.trouble = ""
        """Why writing fails, "" if it does not."""
        self.written_rows = 0
        self.lost_rows = 0
        self.waiting_rows = 0
        self.waiting_bytes = 0
        self._told: dict[str, str] = {}  # who waits for receipts, and the trouble they know of
        self._durables: deque[Durable] = deque()  # bounded by DURABLES_MAX
        self._bulk: deque[Row] = deque()  # bounded by BULK_ROWS_MAX and BULK_BYTES_MAX
        self._bulk_bytes = 0
        self._parts: deque[Batch] = deque()  # of a refused one; bounded by DURABLES_MAX, or halves
        self._under_way: Batch | None = None
        self._is_writing = False
        self._failures = 0
        self._numbers = 0

    # -- what comes in ----------------------------------------------------------------------------

    def add_durable(self, durable: Durable) -> None:
        """Let rows wait that are kept whatever it takes."""
        assert len(self._durables) < DURABLES_MAX, f"{durable.reply_to} does not wait for receipts"
        self._durables.append(durable)
        self._waits(durable.rows, sign=1)

    def add_bulk(self, rows: Sequence[Row]) -> int:
        """Let rows wait; returns how many are lost, because too many wait already."""
        for index, row in enumerate(rows):
            size_bytes = row.size_bytes()
            is_over = self._bulk_bytes + size_bytes > BULK_BYTES_MAX
            if is_over or len(self._bulk) >= BULK_ROWS_MAX:
                # The rest goes as well: what is kept of a story has no holes.
                self.lose(len(rows) - index)
                return len(rows) - index
            self._bulk.append(row)
            self._bulk_bytes += size_bytes
            self._waits((row,), sign=1)
        return 0

    def lose(self, count: int) -> None:
        """Declare bulk rows lost."""
        self.lost_rows += count

    # -- what goes out ----------------------------------------------------------------------------

    @property
    def under_way(self) -> Batch | None:
        """The batch that is being written."""
        return self._under_way if self._is_writing else None

    def next_batch(self) -> Batch | None:
        """What to write now; None if nothing waits, or a write is under way."""
        if self._is_writing:
            return None
        if self._under_way is None:
            self._under_way = self._take_next()
        self._is_writing = self._under_way is not None
        return self._under_way

    def _take_next(self) -> Batch | None:
        if self._parts:
            return self._parts.popleft()
        return self._durable_batch() if self._durables else self._bulk_batch()

    def _durable_batch(self) -> Batch:
        taken = [self._durables.popleft()]
        rows, size_bytes = len(taken[0].rows), weight(taken[0].rows)
        while self._durables and not (taken[0].is_question or self._durables[0].is_question):
            rows += len(self._durables[0].rows)
            size_bytes += weight(self._durables[0].rows)
            if rows > BATCH_ROWS_MAX or size_bytes > BATCH_BYTES_MAX:
                break
            taken.append(self._durables.popleft())
        return self._batch([row for each in taken for row in each.rows], taken)

    def _bulk_batch(self) -> Batch | None:
        rows: list[Row] = []
        size_bytes = 0
        while self._bulk and len(rows) < BATCH_ROWS_MAX and size_bytes < BATCH_BYTES_MAX:
            rows.append(self._bulk.popleft())
            size_bytes += rows[-1].size_bytes()
        self._bulk_bytes -= size_bytes
        return self._batch(rows, ()) if rows else None

    def _batch(self, rows: Sequence[Row], durables: Sequence[Durable]) -> Batch:
        self._numbers += 1
        return Batch(number=self._numbers, rows=tuple(rows), durables=tuple(durables))

    # -- what became of it ------------------------------------------------------------------------

    def on_stored(self) -> Batch:
        """The batch under way is durable; returns it."""
        batch = self._finish()
        self.written_rows += len(batch.rows)
        self._failures, self.trouble = 0, ""
        return batch

    def on_failed(self, reason: str) -> None:
        """The batch is to be written again after a pause."""
        assert self._is_writing, reason
        self._is_writing = False
        self._failures += 1
        self.trouble = reason

    def on_refused(self) -> Batch | None:
        """Rows are at fault, not the database; returns them if they are known, else goes on."""
        batch = self._under_way
        assert batch is not None, "no batch is under way"
        self._failures, self.trouble = 0, ""
        parts = self._split(batch)
        if parts:
            self._under_way, self._is_writing = None, False
            self._parts.extendleft(reversed(parts))
            return None
        if not batch.durables:
            self.lose(len(batch.rows))
        return self._finish()

    def _split(self, batch: Batch) -> list[Batch]:
        """A batch in smaller ones, none if it cannot be."""
        if batch.durables:
            several = batch.durables if len(batch.durables) > 1 else ()
            return [self._batch(each.rows, (each,)) for each in several]
        middle = len(batch.rows) // 2
        halves = (batch.rows[:middle], batch.rows[middle:]) if middle else ()
        return [self._batch(half, ()) for half in halves]

    def on_overdue(self, reason: str) -> None:
        """The write takes too long; it may still end well."""
        assert self._is_writing, reason
        self.trouble = reason

    def pause_s(self, chance: Chance) -> float:
        """How long to wait before the batch that failed is written again."""
        ceiling_s = min(PAUSE_MAX_S, PAUSE_MIN_S * 2.0 ** min(self._failures - 1, 16))
        return ceiling_s * chance.uniform(0.5, 1.0)

    def who_waits(self) -> tuple[str, ...]:
        """Who waits for a receipt, each once."""
        durables = (*(self._under_way.durables if self._under_way else ()), *self._durables)
        return tuple(dict.fromkeys(durable.reply_to for durable in durables))

    def news(self) -> tuple[tuple[str, str], ...]:
        """Whom to tell of what trouble, "" when it is over: each who waits, once."""
        names = self.who_waits() if self.trouble else tuple(self._told)
        news = tuple((n, self.trouble) for n in names if self._told.get(n, "") != self.trouble)
        self._told = {**self._told, **dict(news)} if self.trouble else {}
        return news

    def _finish(self) -> Batch:
        batch = self._under_way
        assert batch is not None, "no batch is under way"
        self._under_way = None
        self._is_writing = False
        self._waits(batch.rows, sign=-1)
        return batch

    def _waits(self, rows: Sequence[Row], *, sign: int) -> None:
        self.waiting_rows += sign * len(rows)
        self.waiting_bytes += sign * weight(rows)
