"""Rows for tests, and the writing of them."""

from collections.abc import Sequence
from contextlib import closing
from itertools import count
from typing import Any

import gevent
import msgspec
from gevent.event import AsyncResult

from stevie.adapters.store.store import Store
from stevie.domain.contracts.rows import AuditRow, BarRow, FlagRow, L2LogRow, QuarantineRow, Row
from stevie.domain.operations.audit import AuditEntry
from stevie.domain.operations.chain import GENESIS, Chain, Head
from stevie.ports_record import HouseReport, StoreWriter, TableLimit, WriteOutcome

WITHIN_S = 20.0
MINUTE_NS = 60_000_000_000
OK = WriteOutcome()

_marks = count(1)


def audit_rows(number: int, *, after: Head = GENESIS, size: int = 40) -> tuple[AuditRow, ...]:
    """The next rows of a chain."""
    chain = Chain(after)
    return tuple(chain.seal(entry(index, size=size), b'{"code":"test"}') for index in range(number))


def entry(number: int, *, size: int = 40) -> AuditEntry:
    payload = b'{"n":%d,"text":"%s"}' % (number, b"x" * size)
    return AuditEntry(at_ns=number, kind="test", actor="test", payload=payload)


def head(rows: Sequence[AuditRow]) -> Head:
    return Head(rows[-1].seq, rows[-1].hash)


def bar(minute: int = 0, **changed: Any) -> BarRow:
    values: dict[str, Any] = {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "timeframe": "1m",
        "opened_ns": minute * MINUTE_NS,
        "closed_ns": (minute + 1) * MINUTE_NS,
        "known_ns": (minute + 1) * MINUTE_NS + 5,
        "open_ticks": 100,
        "high_ticks": 120,
        "low_ticks": 90,
        "close_ticks": 110,
        "volume_lots": 7,
        "trades": 3,
        "price_decimals": 2,
        "size_decimals": 5,
        "source": "trades",
    }
    return BarRow(**{**values, **changed})


def l2(seq: int, **changed: Any) -> L2LogRow:
    values: dict[str, Any] = {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "seq": seq,
        "first_seq": seq - 9,
        "epoch": 1,
        "kind": "frames",
        "event_ns": seq,
        "known_ns": seq + 1,
        "frames": 10,
        "body": b"\x00\xff'" * 10,
    }
    return L2LogRow(**{**values, **changed})


def flag(name: str = "no_orders", value: str = "true", audit_seq: int = 1) -> FlagRow:
    return FlagRow(name=name, value=value, changed_ns=5, audit_seq=audit_seq)


def quarantined(number: int = 1, size: int = 10) -> QuarantineRow:
    return QuarantineRow(
        at_ns=number,
        border="wire_in",
        contract="l2",
        reason="Expected `int`, was `str` - at `$.seq`",
        size=size,
        body=b"\x00" * size,
    )


def one_of_each() -> tuple[Row, ...]:
    return (*audit_rows(1), bar(), l2(10), flag(), quarantined())


def outcome_of(writer: StoreWriter, *rows: Row, mark: str = "") -> WriteOutcome:
    """What became of a write."""
    result: AsyncResult[WriteOutcome] = AsyncResult()
    writer.write(rows, mark=mark or f"test.{next(_marks)}", on_done=result.set)
    outcome: WriteOutcome = result.get(timeout=WITHIN_S)
    return outcome


def written(writer: StoreWriter, *rows: Row, mark: str = "") -> WriteOutcome:
    """What became of a write, wherever the audit log ends; OK if all is well."""
    return msgspec.structs.replace(outcome_of(writer, *rows, mark=mark), head=None)


def tampered(store: Store, sql: str) -> None:
    """Change the database behind the writer's back."""

    def change() -> None:
        database = store.engine.database(is_reader=False)
        with closing(database):
            database.connect()
            database.execute_sql(sql)

    store.writer.call(change)


def written_at_last(writer: StoreWriter, *rows: Row) -> list[str]:
    """Write as a keeper does, again and again under one mark; why it failed until then."""
    mark, reasons = f"test.{next(_marks)}", []
    with gevent.timeout.Timeout(WITHIN_S, TimeoutError(reasons)):
        while (outcome := written(writer, *rows, mark=mark)) != OK:
            assert not outcome.is_lasting, outcome
            reasons.append(outcome.reason)
            gevent.sleep(0.02)
    return reasons


def kept_house(writer: StoreWriter, *limits: TableLimit) -> HouseReport:
    result: AsyncResult[HouseReport] = AsyncResult()
    writer.keep_house(limits, result.set)
    report: HouseReport = result.get(timeout=WITHIN_S)
    return report
