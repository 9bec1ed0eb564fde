"""What is told to whoever waits for a durable write, or asked what is durable."""

from stevie.domain.operations.write_queue import Durable
from stevie.messages.record import FlagRowsRead, HeadRead, RowsStored
from stevie.ports_record import WriteOutcome


def receipt(durable: Durable, outcome: WriteOutcome) -> RowsStored | HeadRead | FlagRowsRead:
    """The answer to one request of a batch that is durable."""
    if not durable.is_question:
        return RowsStored(receipt=durable.receipt)
    if durable.is_about_flags:
        return FlagRowsRead(rows=outcome.flags)
    assert outcome.head is not None, "a question is written alone"
    return HeadRead(receipt=durable.receipt, seq=outcome.head.seq, hash=outcome.head.hash)
