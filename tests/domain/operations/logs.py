"""Audit logs as they are stored, and what can be done to them."""

from collections.abc import Iterator, Sequence

from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.audit import AuditEntry, AuditKind, InputRange, payload
from stevie.domain.operations.chain import GENESIS, Chain, Head
from stevie.domain.operations.provenance import ProvenanceFacts, provenance
from stevie.domain.operations.verify import Claim, RawRow, Verdict, verify

NOW_NS = 1_732_320_000_123_456_789
FACTS = ProvenanceFacts(
    code="0.1.0+0123456789ab",
    config_hash="c0" * 32,
    kernel_hash="ab" * 32,
    features_hash="fe" * 32,
)
RANGE = InputRange(kind="l2_log", venue="binance", symbol="BTCUSDT", first_seq=5, last_seq=9)
INTEGER_COLUMNS = ("seq", "at_ns")


def entry(number: int, **fields: object) -> AuditEntry:
    """One of a series, each of them different."""
    return AuditEntry(
        at_ns=NOW_NS + number * 1_000_003,
        kind=list(AuditKind)[number % len(AuditKind)],
        actor=f"book/binance/S{number % 7}",
        payload=payload(number=number, price="60000.10", note="Zürich", **fields),
        input=RANGE,
        model="m1" if number % 2 else "",
    )


def sealed(count: int, after: Head = GENESIS) -> list[AuditRow]:
    """The first rows of a log."""
    chain = Chain(after)
    entries = map(entry, range(after.seq + 1, after.seq + count + 1))
    return [chain.seal(each, provenance(FACTS, each, ("trading",))) for each in entries]


def raw(row: AuditRow) -> RawRow:
    """A row as its columns are stored."""
    columns = (getattr(row, name) for name in RawRow._fields)
    return RawRow(*(each.encode() if isinstance(each, str) else each for each in columns))


def stored(count: int, after: Head = GENESIS) -> list[RawRow]:
    """A log as it is stored."""
    return [raw(row) for row in sealed(count, after)]


def head_of(rows: Sequence[RawRow]) -> Head:
    """The head that is noted of a stored log."""
    seq, row_hash = rows[-1].seq, rows[-1].hash
    assert isinstance(seq, int)
    assert isinstance(row_hash, bytes)
    return Head(seq, row_hash.decode())


def claim_of(rows: Sequence[RawRow]) -> Claim:
    return Claim(*head_of(rows))


def bit_flips(value: object) -> Iterator[object]:
    """A stored column with each of its bits flipped in turn."""
    if isinstance(value, int):
        for bit in range(64):
            flipped = (value ^ (1 << bit)) & (2**64 - 1)
            yield flipped - 2**64 if flipped >= 2**63 else flipped
    assert isinstance(value, int | bytes), value
    if isinstance(value, bytes):
        for index, byte in enumerate(value):
            for bit in range(8):
                yield value[:index] + bytes([byte ^ (1 << bit)]) + value[index + 1 :]


def edited(row: RawRow, column: str) -> RawRow:
    """A row of which one column was changed a little."""
    value = getattr(row, column)
    return row._replace(**{column: value + 1 if isinstance(value, int) else value + b" "})


def finding(rows: Sequence[RawRow], **options: object) -> tuple[str, int] | None:
    """The flaw and the row that verification names."""
    verdict: Verdict = verify(rows, **options)  # type: ignore[arg-type]
    found = verdict.finding
    return (found.flaw.value, found.seq) if found else None
