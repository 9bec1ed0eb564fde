"""The wire: from a WebSocket on loopback to the features, our CPU per frame beside other clients'.

A server in a process of its own plays one stream; each client follows it in a process of its own,
and its processor time over the frames counts once its book is right at the end. The others keep a
book and call back; ours goes through the whole tree, features and publication included.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from bench.rounds import ROUNDS, Pair, pair
from bench.wire_stream import (
    PHASES,
    PRICE_UNITS,
    SIZE_UNITS,
    TOP_LEVELS,
    Address,
    Result,
    Side,
    depth_frames,
    workload,
)

OURS, PEERS = "stevie", ("cryptofeed", "ccxt")
ROUNDS_MAX = 3  # a round of all clients takes a quarter of a minute
TIMEOUT_S = 30.0
TARGET_IN_BURSTS = 2.0  # one by one, the price of waking a process is most of anybody's frame


class Cost(NamedTuple):
    """The CPU seconds that one client took in one phase, round by round."""

    client: str
    cpu_s: list[float]


def rows() -> Iterator[Pair]:
    """Ours against each peer, phase by phase; the best peer stands first."""
    results = _results()
    for index, phase in enumerate(PHASES[1:], start=1):
        ours, *peers = (_cost(results[name], index) for name in (OURS, *PEERS))
        for peer in sorted(peers, key=lambda cost: statistics.median(cost.cpu_s)):
            yield pair(
                f"wire to features, {phase.name}",
                unit="frames/s",
                count=phase.frames,
                ours=ours,
                peer=peer,
                target=TARGET_IN_BURSTS if phase.per_write > 1 else None,
            )


def _cost(results: list[Result], phase: int) -> Cost:
    spans = [result.cpu_s[phase] - result.cpu_s[phase - 1] for result in results]
    return Cost(results[0].client, spans)


def _results() -> dict[str, list[Result]]:
    """What each client says, in turn round by round, once its book was found right."""
    expected = _expected_top()
    results: dict[str, list[Result]] = {name: [] for name in (OURS, *PEERS)}
    with _python("bench.wire_server") as server:
        try:
            address = _said(server)
            for _ in range(min(ROUNDS, ROUNDS_MAX)):
                for name, told in results.items():
                    told.append(_follow(name, address, expected))
        finally:
            server.kill()
    return results


def _follow(name: str, address: str, expected: tuple[Side, Side]) -> Result:
    with _python(f"bench.wire_{name}", address) as client:
        try:
            output, _ = client.communicate(timeout=TIMEOUT_S)
        finally:
            client.kill()
    result = Result(*json.loads(output.splitlines()[-1]))
    top = tuple([(price, size) for price, size in side] for side in (result.bids, result.asks))
    if top != expected:
        raise RuntimeError(f"{result.client} ends with another book: {top}, not {expected}")
    return result


def _python(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the server of bench.wire did not start")
    return json.dumps(Address(*json.loads(line)))


def _expected_top() -> tuple[Side, Side]:
    """The best levels at the end, by nothing but a dictionary a side."""
    work = workload()
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    snapshot = json.loads(work.snapshot)
    _set(sides, snapshot["bids"], snapshot["asks"])
    for frame in depth_frames(work):
        event = json.loads(frame)
        _set(sides, event["b"], event["a"])
    bids, asks = (sorted(_units(*level) for level in side.items()) for side in sides)
    return bids[: -TOP_LEVELS - 1 : -1], asks[:TOP_LEVELS]


def _set(sides: tuple[dict[str, str], dict[str, str]], *changes: list[tuple[str, str]]) -> None:
    for side, levels in zip(sides, changes, strict=True):
        for price, size in levels:
            side[price] = size
            if float(size) == 0:
                del side[price]


def _units(price: str, size: str) -> tuple[int, int]:
    return round(float(price) * PRICE_UNITS), round(float(size) * SIZE_UNITS)
