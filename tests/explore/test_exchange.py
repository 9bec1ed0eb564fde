"""The exchange without sockets: what it brings, when, and what a fault does to it."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest

from stevie.adapters.rng import SeededRng
from stevie.explore.exchange import Exchange
from stevie.explore.faults import ActiveFaults, read_plan
from stevie.explore.tape import START_NS, Tape, Truth
from stevie.ports import HttpAnswer
from stevie.runtime.deterministic import VirtualClock

SPOT_URL = "ws://exchange/stream?streams=btcusdt@depth@100ms/btcusdt@trade"
DEPTH_URL = "http://exchange/api/v3/depth?symbol=BTCUSDT&limit=100"
SECOND_NS = 1_000_000_000


class Listener:
    """Writes down what a socket brings."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.heard: list[tuple[float, str]] = []
        self.frames: list[tuple[float, bytes]] = []

    def on_open(self) -> None:
        self.heard.append((self.at_s(), "open"))

    def on_frames(self, frames: Sequence[bytes], received_ns: int) -> None:
        assert received_ns == self.clock.monotonic_ns()
        self.frames += [(self.at_s(), frame) for frame in frames]

    def on_heard(self) -> None:
        self.heard.append((self.at_s(), "pong"))

    def on_close(self, code: int, reason: str) -> None:
        self.heard.append((self.at_s(), f"closed {code}"))

    def at_s(self) -> float:
        return (self.clock.monotonic_ns() - START_NS) / SECOND_NS


class Stage:
    """One exchange, one socket, one plan."""

    def __init__(self, tape: Tape, plan: str = "") -> None:
        self.clock = VirtualClock(START_NS)
        faults = ActiveFaults(read_plan(plan), start_ns=START_NS)
        self.exchange = Exchange(tape, "binance", clock=self.clock, rng=SeededRng(1), faults=faults)
        self.listener = Listener(self.clock)
        self.socket = self.exchange.connect(SPOT_URL, self.listener)
        self.answers: list[HttpAnswer] = []

    def live(self, to_s: float) -> "Stage":
        self.clock.advance(START_NS + int(to_s * SECOND_NS))
        return self

    def deltas(self) -> list[dict]:
        return [
            json.loads(frame)["data"] for _, frame in self.listener.frames if b"depthUpd" in frame
        ]

    def get(self, url: str = DEPTH_URL) -> HttpAnswer:
        self.exchange.get(url, self.answers.append)
        self.live(self.listener.at_s() + 0.3)
        return self.answers[-1]


def holes(deltas: list[dict]) -> int:
    return sum(b["U"] != a["u"] + 1 for a, b in pairwise(deltas))


def test_without_a_fault_frames_come_late_whole_and_in_order(tape: Tape):
    stage = Stage(tape).live(8)
    times = [at_s for at_s, _ in stage.listener.frames]

    assert stage.listener.heard[0][1] == "open"
    assert len(stage.deltas()) > 70
    assert holes(stage.deltas()) == 0
    assert times == sorted(times)


def test_a_snapshot_is_of_the_moment_when_the_request_arrives(tape: Tape):
    stage = Stage(tape).live(3)
    body = json.loads(stage.get().body)
    listing = tape.listings["binance", "BTCUSDT"]

    assert listing.last_id(START_NS + 3 * SECOND_NS) <= body["lastUpdateId"]
    assert body["lastUpdateId"] <= listing.last_id(START_NS + 3_300_000_000)
    price, size = Truth(listing).view(body["lastUpdateId"], 1).bids[0]
    assert body["bids"][0] == [f"{price / 100:.2f}", f"{size / 1000:.5f}"]
    assert len(body["asks"]) == 100
    assert json.loads(stage.get("http://exchange/api/v3/exchangeInfo").body)["symbols"]


@pytest.mark.parametrize(
    ("fault", "hole_count"),
    [
        ("drop@3000+500:binance/BTCUSDT*2~0", 1),
        ("reorder@3000+500:binance/BTCUSDT*1~150", 2),
        ("duplicate@3000+500:binance/BTCUSDT*1~150", 2),
        ("alter@3000+500:binance/BTCUSDT*1~-40", 2),
        ("alter@3000+500:binance/BTCUSDT*1~900000000", 1),
    ],
)
def test_a_fault_of_frames_leaves_its_hole_in_the_chain(tape: Tape, fault: str, hole_count: int):
    assert holes(Stage(tape, fault).live(8).deltas()) >= hole_count


def test_a_truncated_and_a_garbage_frame_are_no_json(tape: Tape):
    def broken(plan: str) -> int:
        count = 0
        for _, frame in Stage(tape, plan).live(8).listener.frames:
            try:
                json.loads(frame)
            except ValueError:
                count += 1
        return count

    assert broken("") == 0
    assert broken("truncate@3000+900:binance/BTCUSDT*2~0") == 2
    assert broken("garbage@3000+900:binance/BTCUSDT*3~0") == 3


def test_a_crossing_frame_bids_above_the_best_ask_of_its_update(tape: Tape):
    stage = Stage(tape, "cross@3000+900:binance/BTCUSDT*1~300").live(8)
    ((last, price),) = stage.exchange.crossings["BTCUSDT"].items()
    (crossing,) = [delta for delta in stage.deltas() if delta["u"] == last]
    best_ask, _ = Truth(tape.listings["binance", "BTCUSDT"]).view(last, 1).asks[0]

    assert crossing["b"][-1] == [price, "1.00000"]
    assert float(price) == pytest.approx((best_ask + 300) / 100)


def test_a_stalled_way_brings_nothing_and_then_everything_at_once(tape: Tape):
    stage = Stage(tape, "stall@3000+2000:binance*0~0").live(4)
    stage.socket.ping()
    stage.live(8)
    times = [at_s for at_s, _ in stage.listener.frames]

    assert not [at_s for at_s in times if 3.0 <= at_s < 5.0]
    assert len([at_s for at_s in times if 5.0 <= at_s < 5.01]) > 10
    assert holes(stage.deltas()) == 0
    assert stage.listener.heard[-1][1] == "pong"
    assert stage.listener.heard[-1][0] >= 5.0


def test_a_slow_way_delays_and_a_skewed_venue_dates_falsely(tape: Tape):
    plain, slow = Stage(tape).live(4), Stage(tape, "slow@3000+900:binance*0~400").live(4)
    skewed = Stage(tape, "skew@3000+9000:binance*0~60000").live(8)

    assert len(slow.deltas()) < len(plain.deltas())
    assert skewed.deltas()[-1]["E"] - skewed.deltas()[0]["E"] > 60_000


def test_a_venue_that_lets_nobody_in_refuses_until_the_fault_is_over(tape: Tape):
    stage = Stage(tape, "disconnect@3000+1000:binance*0~1006").live(3.1)
    stage.exchange.disconnect(1006)
    again = Listener(stage.clock)
    stage.exchange.connect(SPOT_URL, again)
    stage.live(3.9)
    later = Listener(stage.clock)
    stage.live(4.1).exchange.connect(SPOT_URL, later)
    stage.live(5)

    assert stage.listener.heard[-1][1] == "closed 1006"
    assert [what for _, what in again.heard] == ["closed 1006"]
    assert [what for _, what in later.heard] == ["open"]


@pytest.mark.parametrize(("status", "retry_after"), [(429, "1"), (503, None), (0, None)])
def test_a_refused_snapshot_says_how_it_was_refused(tape: Tape, status: int, retry_after):
    plan = f"refuse_snapshot@0+9000:binance/BTCUSDT*0~{status}"
    answer = Stage(tape, plan).live(3).get()

    assert answer.status == status
    assert answer.headers.get("retry-after") == retry_after


def test_a_stale_snapshot_is_of_an_earlier_moment(tape: Tape):
    plan = "stale_snapshot@0+9000:binance/BTCUSDT*0~1500"
    body = json.loads(Stage(tape, plan).live(3).get().body)

    listing = tape.listings["binance", "BTCUSDT"]
    assert body["lastUpdateId"] <= listing.last_id(START_NS + 1_800_000_000)


def test_a_socket_closed_by_us_brings_nothing_more(tape: Tape):
    stage = Stage(tape).live(3)
    stage.socket.close()
    count = len(stage.listener.frames)
    stage.live(5).socket.ping()

    assert len(stage.listener.frames) == count
    assert stage.listener.heard[-1][1] == "closed 1000"
