"""Backlog: audit entries on their way into the store, in order, and what is said while they wait.

Entries wait unsealed until there is room for a batch in flight; sealed, they are in a batch until
the store has it. So a chain is never ahead of the store by more than BATCHES_MAX batches, and an
entry that did not fit leaves its place to a row that says how many are missing there.

What must outlive an incarnation of the auditor is in a `Tally`: it tells the next one how many
entries its predecessor took and never got into the log.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from stevie.domain.contracts.rows import AuditRow, Row
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.domain.operations.chain import Chain, Head
from stevie.domain.operations.provenance import ProvenanceFacts, provenance

SECOND_NS = 1_000_000_000

ROWS_MAX = 100_000  # 2,000 rows a second for 50 s: a database that is gone for 30 s costs no row
BYTES_MAX = 64 * 2**20  # 100,000 entries with payloads of some 150 bytes
BATCHES_MAX = 2  # one being written, one ready when that is done
BATCH_ROWS_MAX = 250  # sealed within 2 ms, the slice that one actor may take of the hub
BATCH_BYTES_MAX = 2**20  # so that rows with bodies do not hold it longer
LAST_BATCHES_MAX = 32  # 8,000 rows: more than a store writes in the second that it has to stop in

TROUBLE_NS = SECOND_NS  # a write that was only late has succeeded by then
STALL_NS = 5 * SECOND_NS  # a store that says neither yes nor no for so long is no better


class Acknowledged(NamedTuple):
    """Who waits for an entry to be durable, and as which row it is."""

    reply_to: str
    receipt: int
    seq: int


class Batch(NamedTuple):
    """Rows for one transaction."""

    receipt: int
    rows: tuple[Row, ...]


class Settling(NamedTuple):
    """What a batch settles once the log holds its last row."""

    seq: int
    entries: int
    lost: int  # of these, by rows that tell of a loss


class Tally:
    """What all incarnations of one auditor took, and what became of it."""

    def __init__(self, flags: tuple[str, ...] = (), opening: tuple[AuditEntry, ...] = ()) -> None:
        self._opening = opening
        self.flags = flags
        """The names of the flags that are on, sorted."""
        self.owed = 0
        """Entries taken: each becomes a row, or is counted in a row that tells of a loss."""
        self.lost = 0
        """Entries that are no row and never will be."""
        self.in_flight: list[Settling] = []  # at most BATCHES_MAX, and LAST_BATCHES_MAX at an end
        self._settled = self._lost_settled = 0

    def take_opening(self) -> tuple[AuditEntry, ...]:
        """What the first incarnation records before anything that it is told; once."""
        opening, self._opening = self._opening, ()
        return opening

    def settle(self, durable_seq: int) -> None:
        """The log holds the rows up to this one."""
        done = [each for each in self.in_flight if each.seq <= durable_seq]
        self._settled += sum(each.entries for each in done)
        self._lost_settled += sum(each.lost for each in done)
        self.in_flight = [each for each in self.in_flight if each.seq > durable_seq]

    def find_lost(self, *, held: int, held_lost: int) -> int:
        """How many entries went with the incarnation before, now that nothing is in flight.

        `held` are those that wait now, `held_lost` those of them that stand for lost ones.
        """
        self.in_flight = []
        gone = self.owed - self._settled - held
        self.lost = self._lost_settled + held_lost + gone
        return gone


class _Item:
    """One entry that waits, with all that goes with it."""

    __slots__ = ("_entry", "flags", "receipt", "reply_to", "rows", "settles", "size_bytes")

    lost = 0

    def __init__(
        self,
        entry: AuditEntry,
        flags: tuple[str, ...],
        rows: tuple[Row, ...] = (),
        *,
        reply_to: str = "",
        receipt: int = 0,
    ) -> None:
        self._entry, self.flags, self.rows = entry, flags, rows
        self.reply_to, self.receipt = reply_to, receipt
        self.settles = 1
        self.size_bytes = entry.size_bytes()
        if rows:
            self.size_bytes += sum(row.size_bytes() for row in rows)

    def entry(self) -> AuditEntry:
        """What is to be sealed."""
        return self._entry


class _Loss(_Item):
    """The place of entries that are lost; it grows while it is the last to wait."""

    __slots__ = ("_lost_bytes", "where")

    def __init__(self, at_ns: int, actor: str, flags: tuple[str, ...], where: str) -> None:
        entry = AuditEntry(at_ns=at_ns, kind=AuditKind.AUDIT_LOST, actor=actor, payload=b"")
        super().__init__(entry, flags)
        self.where = where
        self.settles = self._lost_bytes = 0

    @property
    def lost(self) -> int:  # type: ignore[override]  # it grows
        return self.settles

    def grow(self, count: int, lost_bytes: int) -> None:
        self.settles += count
        self._lost_bytes += lost_bytes

    def entry(self) -> AuditEntry:
        # A batch of several entries may have been lost as one message: hence "at least".
        facts = payload(where=self.where, at_least=self.settles, bytes=self._lost_bytes)
        return msgspec.structs.replace(self._entry, payload=facts)


class _InFlight(NamedTuple):
    sent_ns: int
    seq: int
    row_count: int
    size_bytes: int
    acknowledged: tuple[Acknowledged, ...]


class Backlog:
    """All that one incarnation of the auditor knows; `receipts` are numbers no other one uses."""

    def __init__(
        self,
        *,
        facts: ProvenanceFacts,
        tally: Tally,
        actor: str,
        receipts: Iterable[int],
        now_ns: int,
    ) -> None:
        self.rows = 0
        """Entries taken and the rows that belong to them, until they are durable."""
        self.bytes = 0
        self.durable_seq = 0
        self._facts, self._tally, self._actor = facts, tally, actor
        self._receipts = iter(receipts)
        self._chain: Chain | None = None
        self._waiting: deque[_Item] = deque()  # within ROWS_MAX and BYTES_MAX
        self._in_flight: dict[int, _InFlight] = {}
        self._trouble, self._trouble_since_ns = "", now_ns
        self._began_ns = now_ns

    @property
    def head(self) -> Head | None:
        """The last row that was sealed; None until the store has told where the log ends."""
        return self._chain.head if self._chain else None

    # -- what comes in

    def take(self, entries: Sequence[AuditEntry], *, at_ns: int) -> None:
        """Let entries wait."""
        self._tally.owed += len(entries)
        for entry in entries:
            self._add(_Item(entry, self._tally.flags), at_ns)

    def take_record(
        self,
        entry: AuditEntry,
        rows: tuple[Row, ...],
        *,
        reply_to: str,
        receipt: int,
        at_ns: int,
    ) -> None:
        """Let an entry wait with its rows, for one who wants to know when it is durable."""
        self._tally.owed += 1
        flags = self._tally.flags
        self._add(_Item(entry, flags, rows, reply_to=reply_to, receipt=receipt), at_ns)

    def lose(self, *, count: int, lost_bytes: int, where: str, at_ns: int) -> None:
        """Say in the log that here at least so many entries are missing."""
        self._tally.owed += count
        self._mark_loss(count, lost_bytes, where, at_ns)

    def begin(self, head: Head, *, at_ns: int) -> None:
        """Continue the log from here: no row of an earlier incarnation is under way any more."""
        assert self._chain is None, self._chain
        self._chain = Chain(head)
        self.durable_seq = head.seq
        self._tally.settle(head.seq)
        gone = self._tally.find_lost(
            held=sum(item.settles for item in self._waiting),
            held_lost=sum(item.lost for item in self._waiting),
        )
        if gone:
            loss = self._new_loss("restart", at_ns)
            loss.grow(gone, 0)
            self._waiting.appendleft(loss)

    def _add(self, item: _Item, at_ns: int) -> None:
        row_count = 1 + len(item.rows)
        if self.rows + row_count > ROWS_MAX or self.bytes + item.size_bytes > BYTES_MAX:
            self._mark_loss(1, item.size_bytes, "backlog", at_ns)
            return
        self._waiting.append(item)
        self._hold(item)

    def _mark_loss(self, count: int, lost_bytes: int, where: str, at_ns: int) -> None:
        self._tally.lost += count
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, _Loss) or last.where != where:
            last = self._new_loss(where, at_ns)
            self._waiting.append(last)
        last.grow(count, lost_bytes)

    def _new_loss(self, where: str, at_ns: int) -> _Loss:
        # NOTE: beyond the bound, by one row at most for each entry that was taken since.
        loss = _Loss(at_ns, self._actor, self._tally.flags, where)
        self._hold(loss)
        return loss

    def _hold(self, item: _Item) -> None:
        self.rows += 1 + len(item.rows)
        self.bytes += item.size_bytes

    # -- what goes to the store

    def next_batch(self, now_ns: int) -> Batch | None:
        """Seal what may go out now, if anything may; it stays in flight until `on_stored`."""
        if self._chain is None or not self._is_worth_sending():
            return None
        return self._next_batch(self._chain, now_ns)

    def rest(self, now_ns: int) -> Iterator[Batch]:
        """Seal what waits, whatever is in flight: the auditor ends, and its store soon after."""
        for _ in range(LAST_BATCHES_MAX):
            if self._chain is not None and self._waiting:
                yield self._next_batch(self._chain, now_ns)

    def _next_batch(self, chain: Chain, now_ns: int) -> Batch:
        items = self._take_items()
        receipt = next(self._receipts)
        rows, acknowledged = self._sealed(items, chain)
        seq = chain.head.seq
        size_bytes = sum(item.size_bytes for item in items)
        self._in_flight[receipt] = _InFlight(now_ns, seq, len(rows), size_bytes, acknowledged)
        entries, lost = sum(item.settles for item in items), sum(item.lost for item in items)
        self._tally.in_flight.append(Settling(seq, entries, lost))
        return Batch(receipt, rows)

    def _is_worth_sending(self) -> bool:
        """Whether anything may go out: at once if the store is idle, else as a full batch."""
        # PERF: a small one would wait for the write under way all the same; together they are one.
        if not self._waiting or len(self._in_flight) >= BATCHES_MAX:
            return False
        rows = self.rows - sum(each.row_count for each in self._in_flight.values())
        size_bytes = self.bytes - sum(each.size_bytes for each in self._in_flight.values())
        is_full = rows >= BATCH_ROWS_MAX or size_bytes >= BATCH_BYTES_MAX
        return is_full or not self._in_flight

    def _take_items(self) -> list[_Item]:
        """The next ones within the bounds of a batch, but at least one."""
        items: list[_Item] = []
        row_count = size_bytes = 0
        while self._waiting:
            row_count += 1 + len(self._waiting[0].rows)
            size_bytes += self._waiting[0].size_bytes
            if items and (row_count > BATCH_ROWS_MAX or size_bytes > BATCH_BYTES_MAX):
                break
            items.append(self._waiting.popleft())
        return items

    def _sealed(
        self, items: list[_Item], chain: Chain
    ) -> tuple[tuple[Row, ...], tuple[Acknowledged, ...]]:
        rows: list[Row] = []
        acknowledged: list[Acknowledged] = []
        for item in items:
            entry = item.entry()
            row = chain.seal(entry, provenance(self._facts, entry, item.flags))
            rows.append(row)
            rows.extend(_with_audit_seq(each, row) for each in item.rows)
            if item.reply_to:
                acknowledged.append(Acknowledged(item.reply_to, item.receipt, row.seq))
        return tuple(rows), tuple(acknowledged)

    def is_in_flight(self, receipt: int) -> bool:
        """Whether this batch is on its way; one of an earlier incarnation is not."""
        return receipt in self._in_flight

    def on_stored(self, receipt: int) -> tuple[Acknowledged, ...]:
        """A batch is durable; return who waited for what of it."""
        batch = self._in_flight.get(receipt)
        if batch is None:
            return ()  # it was in flight when an earlier incarnation ended
        oldest = next(iter(self._in_flight))
        assert receipt == oldest, f"expected batch {oldest} to be stored first, was {receipt}"
        del self._in_flight[receipt]
        self.rows -= batch.row_count
        self.bytes -= batch.size_bytes
        self.durable_seq = batch.seq
        self._trouble = ""
        self._tally.settle(batch.seq)
        return batch.acknowledged

    def on_trouble(self, reason: str, *, now_ns: int) -> None:
        """Writing fails, or no longer does ("")."""
        if reason and not self._trouble:
            self._trouble_since_ns = now_ns
        self._trouble = reason

    # -- what it says of itself

    def blocked_reason(self, now_ns: int) -> str:
        """Why nothing that must be recorded may be begun now, "" if it may."""
        why = self._why_blocked(now_ns)
        return f"audit_backpressure: {why}" if why else ""

    def _why_blocked(self, now_ns: int) -> str:
        if self._trouble and now_ns - self._trouble_since_ns > TROUBLE_NS:
            return self._trouble
        if self._chain is None and now_ns - self._began_ns > TROUBLE_NS:
            return "where the log ends is not known yet"
        sent_ns = next((each.sent_ns for each in self._in_flight.values()), now_ns)
        if now_ns - sent_ns > STALL_NS:
            return f"nothing was stored for {(now_ns - sent_ns) // SECOND_NS} s"
        if self.rows > ROWS_MAX // 2 or self.bytes > BYTES_MAX // 2:
            return f"{self.rows} rows wait ({self.bytes} bytes)"
        return ""


def _with_audit_seq(row: Row, audit: AuditRow) -> Row:
    """The row, pointing at the row of the log that tells of it, if it is of a table that does."""
    if "audit_seq" not in row.__struct_fields__:
        return row
    return msgspec.structs.replace(row, audit_seq=audit.seq)
