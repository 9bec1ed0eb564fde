"""Contracts at the borders: what leaves keeps its schema, what comes in broken goes no further.

The witness is jsonschema, which knows nothing of the structs, on the committed schema files.
Answers come from the real application over real actors, whose market is played by the test.
"""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import falcon
import pytest
from falcon import testing
from jsonschema import Draft202012Validator

from stevie import rfc3339
from stevie.actors.quarantine import ROWS_PER_MINUTE_MAX
from stevie.actors.venue_book import BookSettings
from stevie.actors.venue_feed import FeedSettings
from stevie.adapters.store.memory import MemoryStore
from stevie.domain.contracts.catalog import (
    AUDIT_ROW,
    CONTRACTS,
    EXECUTION_IN,
    FLAG_IN,
    FLAG_OUT,
    L2,
    MICROSTRUCTURE,
    OHLCV,
    ROUTER_IN,
)
from stevie.domain.contracts.contract import Contract
from stevie.domain.market.instrument import SymbolTable
from stevie.domain.market.sequencer import SequenceRule
from stevie.domain.operations.audit import AuditEntry, InputRange, payload
from stevie.domain.operations.provenance import ProvenanceFacts, provenance
from stevie.http.app import create_app
from stevie.http.edge import Edge, KernelFact
from stevie.runtime.counters import Counters
from tests.actors.told import Told
from tests.actors.world import World
from tests.domain.contracts import schemas
from tests.domain.contracts.documents import good, mutated, verdict
from tests.domain.market.depth_chains import KERNELS, generated, trade_frame
from tests.http.fakes import BTC, Site
from tests.parity.frames import BAD_NUMBERS

CHAIN = generated(SequenceRule.SPOT)
BOOK = "/api/l2/binance/BTCUSDT"

# Every route that answers a GET with JSON: its contract, or why it has none.
CONTRACT_OF: dict[str, Contract[Any]] = {
    "/api/l2/{venue}/{symbol}": L2,
    "/api/microstructure/{symbol}": MICROSTRUCTURE,
    "/api/bars/{venue}/{symbol}": OHLCV,
    "/api/audit/latest": AUDIT_ROW,
    "/api/audit/{seq}": AUDIT_ROW,
    "/api/flags": FLAG_OUT,
}
WITHOUT_CONTRACT = {
    "/api/system/tree": "for people: what actors there are",
    "/healthz": "its status is the answer",
    "/readyz": "its status is the answer",
    "/metrics": "Prometheus' text format",
}


def witness(contract: Contract[Any]) -> Draft202012Validator:
    """Judges by the committed schema alone."""
    return Draft202012Validator(json.loads(schemas.committed(contract)))


# -- HTTP out --------------------------------------------------------------------------------------


@pytest.fixture(params=KERNELS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One LIVE book over real actors."""
    world = World(kernel=request.param)
    world.go_live(CHAIN.start, *(delta.frame for delta in CHAIN.deltas[:3]), trade_frame(1))
    yield world
    world.system.stop()


@pytest.fixture
def client(world: World) -> testing.TestClient:
    """The real application over the world's actors."""
    edge = Edge(
        directory=world.system.directory,
        clock=world.clock,
        tables={"binance": SymbolTable((BTC,))},
        kernel=KernelFact(name="native", source_hash="ab" * 32),
        counters=Counters(),
        version="0.1.0",
        profile="dev",
        started_at_ns=world.clock.wall_ns(),
        started_monotonic_ns=world.clock.monotonic_ns(),
        archive=MemoryStore(),
        hub_lag_s=lambda: 0.001,
    )
    return testing.TestClient(create_app(edge), headers={"Host": "localhost:5000"})


def test_every_route_has_a_contract_or_a_reason_to_have_none() -> None:
    routes = {each["route"] for each in Site().get("/").json["routes"]}

    assert routes == {*CONTRACT_OF, *WITHOUT_CONTRACT}


@pytest.mark.parametrize("depth", [1, 5, 20, 1000])
def test_a_book_keeps_its_contract_while_it_moves(
    world: World, client: testing.TestClient, depth: int
) -> None:
    for delta in CHAIN.deltas[3:]:
        world.bring(delta.frame)
        text = client.simulate_get(BOOK, query_string=f"depth={depth}").text

        assert L2.vouched(text) == text
        witness(L2).validate(json.loads(text))


def test_features_keep_their_contract_from_the_first_event_on(
    world: World, client: testing.TestClient
) -> None:
    for number, delta in enumerate(CHAIN.deltas[3:]):
        world.bring(delta.frame, trade_frame(2 + number))
        world.advance(0.1)
        text = client.simulate_get("/api/microstructure/BTCUSDT").text

        assert MICROSTRUCTURE.vouched(text) == text
        witness(MICROSTRUCTURE).validate(json.loads(text))


def test_a_book_that_is_not_live_is_no_document_at_all(
    world: World, client: testing.TestClient
) -> None:
    world.socket.drop()
    world.settle()

    answer = client.simulate_get(BOOK)

    assert answer.status_code == 503
    assert not witness(L2).is_valid(answer.json)


INPUTS = (
    InputRange(),
    InputRange(kind="capture", sha256="ab" * 32),
    InputRange(kind="l2_log", venue="binance", symbol="BTCUSDT", first_seq=5, last_seq=9),
)


@pytest.mark.parametrize("used", INPUTS, ids=lambda used: used.kind)
def test_what_the_log_keeps_of_a_decision_is_an_audit_row(used: InputRange) -> None:
    entry = AuditEntry(
        at_ns=CHAIN.start.seq,
        kind="book_state",
        actor="book/binance/BTCUSDT",
        payload=payload(state="LIVE", price="60000.10", levels=[1, None, {"is_live": True}]),
        input=used,
    )
    facts = ProvenanceFacts(
        code="0.1.0+0123456789ab",
        config_hash="1" * 64,
        kernel_hash="2" * 64,
        features_hash="3" * 64,
    )
    document = {
        "seq": 1,
        "at": rfc3339.text(entry.at_ns),
        "at_ns": entry.at_ns,
        "kind": entry.kind,
        "actor": entry.actor,
        "payload": json.loads(entry.payload),
        "provenance": json.loads(provenance(facts, entry, ("demo.flow", "shadow"))),
        "prev_hash": "0" * 64,
        "hash": "f" * 64,
    }

    witness(AUDIT_ROW).validate(document)
    AUDIT_ROW.vouched(json.dumps(document))


# -- HTTP in ---------------------------------------------------------------------------------------


class Asked:
    """A route that takes one contract, as every route with a body does."""

    def __init__(self, contract: Contract[Any]) -> None:
        self.contract = contract
        self.heard: list[Any] = []

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self.heard.append(self.contract.read(req.bounded_stream.read()))


def post(contract: Contract[Any], *bodies: bytes) -> tuple[list[int], list[Any]]:
    """The statuses that the application answers, and what came through."""
    site, route = Site(changes_per_s=1e6), Asked(contract)
    site.app.add_route("/asked", route)
    answers = [site.client.simulate_post("/asked", body=body) for body in bodies]
    assert all(each.json["status"] == each.status_code for each in answers if each.text)
    return [each.status_code for each in answers], route.heard


INCOMING = [FLAG_IN, ROUTER_IN, EXECUTION_IN]
ASKED = pytest.mark.parametrize("contract", INCOMING, ids=lambda each: each.name)


def test_every_contract_that_callers_write_is_posted_here() -> None:
    incoming = [contract for contract in CONTRACTS if contract.direction == "in"]

    assert {each.name for each in incoming} == {each.name for each in INCOMING}


@ASKED
def test_good_bodies_come_through(contract: Contract[Any]) -> None:
    bodies = [json.dumps(good(contract, Random(seed))).encode() for seed in range(50)]

    statuses, heard = post(contract, *bodies)

    assert set(statuses) == {200}
    assert len(heard) == 50


@ASKED
def test_bodies_that_break_the_contract_are_answered_422_and_go_no_further(
    contract: Contract[Any],
) -> None:
    made = [mutated(good(contract, rng), rng) for rng in map(Random, range(300))]
    broken = [document for document in made if verdict(contract, document) != "good"]

    statuses, heard = post(contract, *(json.dumps(each).encode() for each in broken))

    assert len(broken) > 100
    assert set(statuses) == {422}
    assert heard == []


@ASKED
def test_bodies_that_are_no_json_are_answered_400_and_go_no_further(
    contract: Contract[Any],
) -> None:
    text = json.dumps(good(contract, Random(1))).encode()
    broken = [text[:cut] for cut in range(len(text))] + [text + b"x", text.replace(b":", b"=")]
    broken += [b"\xff" + text, b'{"size":NaN}', text[:-1] + b"," + text[1:]]
    broken += [b"[" * 10**5, b"[" * 10**5 + b"]" * 10**5]

    statuses, heard = post(contract, *broken)

    assert set(statuses) == {400}
    assert heard == []


# -- the wire --------------------------------------------------------------------------------------

DELTA = CHAIN.deltas[3]
BROKEN_FRAMES = (
    DELTA.frame[:-1],
    DELTA.frame + b"}",
    DELTA.frame.replace(b'"U":', b'"u":'),
    DELTA.frame.replace(b'"b":[', b'"b":[null,'),
    DELTA.frame.replace(b'"b":[', b'"b":[["0","1"],'),
    DELTA.frame.replace(b'"b":[', b'"b":[[1.5,"1"],'),
    *(DELTA.frame.replace(b'"b":[', f'"b":[["{n}","1"],'.encode()) for n in BAD_NUMBERS),
)


def test_malformed_frames_never_reach_a_book(world: World) -> None:
    before = world.book()
    world.bring(*BROKEN_FRAMES)
    after = world.book()

    assert after.view.malformed - before.view.malformed == len(BROKEN_FRAMES)
    assert (after.bids, after.asks) == (before.bids, before.asks)
    assert (after.state, after.view.last_seq) == ("LIVE", before.view.last_seq)

    world.bring(DELTA.frame)
    assert world.book().view.last_seq == DELTA.last_seq


@pytest.mark.parametrize("kernel", KERNELS)
def test_malformed_frames_are_quarantined_each_with_its_reason(kernel: str) -> None:
    world = World(kernel=kernel, book=BookSettings(records=True), feed=FeedSettings(records=True))
    told = Told(world)
    try:
        world.go_live(CHAIN.start, *(delta.frame for delta in CHAIN.deltas[:3]))
        for frame in BROKEN_FRAMES:
            world.bring(frame)
        world.settle()
        rows = told.quarantined()
    finally:
        world.system.stop()

    assert len(BROKEN_FRAMES) <= ROWS_PER_MINUTE_MAX
    assert [row.body for row in rows] == list(BROKEN_FRAMES)
    assert all(row.reason and row.size == len(row.body) for row in rows)
    assert {row.border for row in rows} == {"wire"}
