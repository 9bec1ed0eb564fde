"""The audit log: sealing and verifying, and 2,000 rows a second beside an idle run.

Idle and busy runs take turns in one process, both with a client that reads the latest 50 rows over
HTTP, from another process; the database is a file. Lag is that of a timer due every millisecond.
"""

from gevent import monkey

monkey.patch_all()  # a second time changes nothing; `python -m bench.audit` needs it

import hashlib
import json
import logging
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import falcon
import gevent
from gevent.pywsgi import WSGIServer

from bench.rounds import ROUNDS, Figure, Pair, compare
from stevie.actors.auditor import STORE, Auditor
from stevie.actors.store_keeper import StoreKeeper
from stevie.adapters.clock import LiveClock
from stevie.adapters.rng import SeededRng
from stevie.adapters.store.store import open_store
from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.audit import AuditEntry, AuditKind, InputRange, payload
from stevie.domain.operations.backlog import Tally
from stevie.domain.operations.chain import GENESIS, Chain, Head
from stevie.domain.operations.provenance import ProvenanceFacts, provenance
from stevie.domain.operations.verify import RawRow, verify
from stevie.http.audit import LatestAuditResource
from stevie.messages.record import AuditWanted, ReadAudit
from stevie.runtime.supervision import ChildSpec, Plan
from stevie.runtime.supervisor import supervise
from stevie.runtime.system import ActorSystem

ROWS = 2_000
RATE = 2_000  # rows a second
TELLS_PER_S = 500  # in messages of four entries
READS_PER_S = 50
RUN_S = 6.0
TICK_S = 0.001

FACTS = ProvenanceFacts(
    code="0.1.0+0123456789ab",
    config_hash="c0" * 32,
    kernel_hash="ab" * 32,
    features_hash="fe" * 32,
)
INPUT = InputRange(kind="l2_log", venue="binance", symbol="BTCUSDT", first_seq=1, last_seq=9)


def entry(number: int) -> AuditEntry:
    """What a change of a book tells."""
    return AuditEntry(
        at_ns=1_732_320_000_000_000_000 + number,
        kind=AuditKind.BOOK_STATE,
        actor="book/binance/BTCUSDT",
        payload=payload(
            venue="binance", symbol="BTCUSDT", state="SYNCING", reason="gap", seq=number
        ),
        input=INPUT,
    )


def rows() -> Iterator[Pair | Figure]:
    """What `make bench` shows."""
    yield compare(
        "seal audit rows",
        unit="rows/s",
        count=ROWS,
        ours=("Stevie, provenance and hash", seal_ours),
        peer=("json.dumps(sort_keys), hashlib", seal_peers),
    )
    log = [raw(row) for row in seal_ours()]
    yield compare(
        "verify an audit log",
        unit="rows/s",
        count=ROWS,
        ours=("Stevie, raw columns", lambda: verify(log)),
        peer=("json.dumps, hashlib, links alone", lambda: verify_peers(log)),
    )
    yield from figures(measure(ROUNDS))


# -- sealing -------------------------------------------------------------------------------------


def seal_ours() -> list[AuditRow]:
    chain = Chain(GENESIS)
    return [
        chain.seal(each, provenance(FACTS, each, ("trading",))) for each in map(entry, range(ROWS))
    ]


def seal_peers() -> list[dict[str, object]]:
    """The same rows by the standard library."""
    sealed: list[dict[str, object]] = []
    prev_hash = GENESIS.hash
    for number in range(ROWS):
        facts = {"venue": "binance", "symbol": "BTCUSDT", "state": "SYNCING", "reason": "gap"}
        base = {name: getattr(FACTS, name) for name in FACTS.__struct_fields__}
        used = {name: getattr(INPUT, name) for name in INPUT.__struct_fields__ if name != "sha256"}
        columns = [
            number + 1,
            1_732_320_000_000_000_000 + number,
            "book_state",
            "book/binance/BTCUSDT",
            json.dumps({**facts, "seq": number}, sort_keys=True, separators=(",", ":")),
            json.dumps({**base, "model": None, "input": used, "flags": ["trading"]}),
        ]
        row_hash = peer_hash(prev_hash, columns)
        sealed.append({"columns": columns, "prev_hash": prev_hash, "hash": row_hash})
        prev_hash = row_hash
    return sealed


def peer_hash(prev_hash: str, columns: list[object]) -> str:
    content = json.dumps(columns, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{prev_hash}\n{content}".encode()).hexdigest()


def verify_peers(log: list[RawRow]) -> None:
    prev_hash = GENESIS.hash
    for row in log:
        columns = [each.decode() if isinstance(each, bytes) else each for each in row]
        assert columns[6] == prev_hash
        prev_hash = peer_hash(prev_hash, columns[:6])
        assert prev_hash == columns[7]


def raw(row: AuditRow) -> RawRow:
    columns = (getattr(row, name) for name in RawRow._fields)
    return RawRow(*(each.encode() if isinstance(each, str) else each for each in columns))


# -- 2,000 rows a second -------------------------------------------------------------------------


class Run(NamedTuple):
    """What one run saw."""

    rows_per_s: float
    lag_p99_ms: float
    lag_p999_ms: float
    lag_max_ms: float
    read_p50_ms: float
    read_p99_ms: float


def measure(rounds: int) -> tuple[list[Run], list[Run]]:
    """Idle and busy runs in turn."""
    idle: list[Run] = []
    busy: list[Run] = []
    with _record_stage() as (system, port):
        _run(system, port, rate=RATE, run_s=1.0)  # to warm up, and so that there are rows to read
        for _ in range(rounds):
            idle.append(_run(system, port, rate=0))
            busy.append(_run(system, port, rate=RATE))
    return idle, busy


def figures(runs: tuple[list[Run], list[Run]]) -> Iterator[Figure]:
    """Each figure of both sides."""
    for name, side in zip(("idle", f"{RATE} audit rows/s"), runs, strict=True):
        for field, unit in (
            ("rows_per_s", "rows/s"),
            ("lag_p99_ms", "ms"),
            ("lag_p999_ms", "ms"),
            ("read_p50_ms", "ms"),
            ("read_p99_ms", "ms"),
        ):
            values = [getattr(run, field) for run in side]
            best = max(values) if unit == "rows/s" else min(values)
            yield Figure(f"{name}: {field}", unit, statistics.median(values), best)


@contextmanager
def _record_stage() -> Iterator[tuple[ActorSystem, int]]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/bench.db")
        system = ActorSystem(clock=LiveClock(), rng=SeededRng(1))
        keeper = ChildSpec(name=STORE, factory=StoreKeeper, arguments={"writer": store.writer})
        auditor = ChildSpec(
            name="auditor", factory=Auditor, arguments={"facts": FACTS, "tally": Tally()}
        )
        app = falcon.App()
        app.add_route("/api/audit/latest", LatestAuditResource(store.archive))
        server = WSGIServer(("127.0.0.1", 0), app, log=None)
        server.start()
        # Inherited by what it accepts; else a client's delayed ACK is most of what is measured.
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        system.start(supervise("record", Plan(children=(keeper, auditor))))
        try:
            yield system, server.server_port
            head = store.archive.audit_head()
            assert head is not None
            log = [
                row for at in range(1, head.seq, 5000) for row in store.archive.audit_rows(at, 5000)
            ]
            assert verify(map(raw, log)).head == Head(head.seq, head.hash)
        finally:
            system.stop()
            server.stop()
            store.close()


def _run(system: ActorSystem, port: int, *, rate: int, run_s: float = RUN_S) -> Run:
    lags: list[float] = []
    ticker = gevent.spawn(_tick, lags)
    client = subprocess.Popen(
        [sys.executable, "-c", _CLIENT, str(port), str(run_s), str(READS_PER_S)],
        stdout=subprocess.PIPE,
        text=True,
    )
    began_s, before = time.monotonic(), _durable_seq(system)
    if rate:
        _tell(system, rate, run_s)
    assert client.stdout is not None
    reads = json.loads(client.stdout.read())
    client.wait()
    stored = _durable_seq(system) - before
    ticker.kill()
    return Run(
        stored / (time.monotonic() - began_s if not rate else run_s),
        *(1000 * _percentile(lags, share) for share in (0.99, 0.999, 1.0)),
        *(1000 * _percentile(reads, share) for share in (0.5, 0.99)),
    )


def _tell(system: ActorSystem, rate: int, run_s: float) -> None:
    began_s, told = time.monotonic(), 0
    while told < rate * run_s:
        due = int((time.monotonic() - began_s) * rate)
        while told < due:
            count = rate // TELLS_PER_S
            entries = tuple(entry(told + index) for index in range(count))
            assert system.directory.tell("auditor", AuditWanted(entries=entries))
            told += count
        gevent.sleep(1 / TELLS_PER_S)


def _durable_seq(system: ActorSystem) -> int:
    seq: int = system.directory.ask("auditor", ReadAudit(), timeout_s=5.0).durable_seq
    return seq


def _tick(lags: list[float]) -> None:
    while True:
        due_s = time.perf_counter() + TICK_S
        gevent.sleep(TICK_S)
        lags.append(max(0.0, time.perf_counter() - due_s))


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


_CLIENT = """
import http.client, json, sys, time
port, run_s, per_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
connection = http.client.HTTPConnection("127.0.0.1", port)
took, ends = [], time.monotonic() + run_s
while time.monotonic() < ends:
    began = time.perf_counter()
    connection.request("GET", "/api/audit/latest")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    took.append(time.perf_counter() - began)
    time.sleep(1 / per_s)
print(json.dumps(took))
"""


def main() -> None:
    logging.disable(logging.CRITICAL)
    for figure in figures(measure(ROUNDS)):
        print(f"{figure.name:36} {figure.median:10.2f} {figure.best:10.2f} {figure.unit}")


if __name__ == "__main__":
    main()
