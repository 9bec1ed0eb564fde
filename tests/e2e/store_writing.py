"""A process that writes chained rows as fast as the store takes them, and says what is durable.

Each transaction is three audit rows and the bars of the same numbers: half of one would show. It
goes on from what it finds, as an auditor does, and prints each head once it was acknowledged.
"""

import sys
from collections.abc import Iterator
from itertools import count

from gevent import monkey

monkey.patch_all()
# ruff: noqa: E402 - nothing may be imported before the line above

from gevent.event import AsyncResult

from stevie import logs
from stevie.adapters.clock import LiveClock
from stevie.adapters.store.store import open_store
from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.chain import GENESIS, Chain, Head
from stevie.ports_record import StoreWriter, WriteOutcome
from tests.adapters.store.rows import bar, entry

GROUP = 3
IN_FLIGHT = 2  # as the auditor has


def groups(head: Head) -> Iterator[tuple[AuditRow, ...]]:
    chain = Chain(head)
    for number in count():
        yield tuple(chain.seal(entry(number), b"{}") for _ in range(GROUP))


def begin(writer: StoreWriter, rows: tuple[AuditRow, ...]) -> "AsyncResult[WriteOutcome]":
    result: AsyncResult[WriteOutcome] = AsyncResult()
    together = (*rows, *(bar(row.seq, symbol="S") for row in rows))
    writer.write(together, mark=str(rows[-1].seq), on_done=result.set)
    return result


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(url: str) -> None:
    logs.configure(clock=LiveClock(), format="json", level="error")
    store = open_store(url)
    last = store.archive.audit_head()
    say("up", last.seq if last else 0)
    under_way = []
    for rows in groups(Head(last.seq, last.hash) if last else GENESIS):
        under_way.append((rows[-1], begin(store.writer, rows)))
        if len(under_way) == IN_FLIGHT:
            row, result = under_way.pop(0)
            outcome = result.get()
            assert not outcome.reason, outcome
            say("ack", row.seq, row.hash)


if __name__ == "__main__":
    main(sys.argv[1])
