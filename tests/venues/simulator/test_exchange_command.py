"""`stevie exchange` with a recording, with faults, with the truth: a process and its exit code."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from simulator_client import WireClient

from tests.e2e.processes import Process, eventually, free_ports
from tests.replay.captures import delta, snapshot, texts, write

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[3]
URL = "wss://stream.binance.com:9443/ws/abc@depth@100ms"


def refused(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("STEVIE", "PORT"))}
    done = subprocess.run(
        [sys.executable, "-m", "stevie", "exchange", *arguments],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "Traceback" not in done.stderr
    return done


def start(tmp_path: Path, *arguments: str) -> tuple[Process, int]:
    (port,) = free_ports(1)
    log = tmp_path / "exchange.log"
    process = Process(["stevie", "exchange", "--port", str(port), *arguments], {}, log)
    eventually(lambda: "exchange_listening" in process.said(), "it listens")
    return process, port


def test_a_recording_is_served_to_its_end_and_then_the_process_ends_well(tmp_path):
    lines = [{**delta(1, 2), "url": URL}, snapshot(2), {**delta(3, 4), "url": URL}]
    path = write(tmp_path / "capture.jsonl.gz", texts(lines))
    process, port = start(tmp_path, "--replay", str(path), "--speed", "max", "--at-end", "close")
    client = WireClient(port, "/ws/abc@depth@100ms")

    frames = [json.loads(client.receive())["U"] for _ in range(2)]

    assert frames == [1, 3]
    assert client.receive() is None
    assert client.close_code == 1000
    client.close()
    assert process.wait(10.0) == 0


def test_faults_and_the_truth_are_options_of_the_command(tmp_path):
    process, port = start(tmp_path, "--faults", "drop", "--truth")
    client = WireClient(port, "/ws/btcusdt@depth@100ms")
    answer = client.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})  # no frame came before it

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/truth/binance/BTCUSDT") as response:
        truth = json.loads(response.read())

    assert answer["result"] == ["btcusdt@depth@100ms"]
    assert truth["bids"][0] > truth["bids"][1]
    client.close()
    process.end()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--faults", "explode"), 2, "kinds: drop, duplicate"),
        (("--faults", "checksum"), 2, "Binance publishes none"),
        (("--replay", "none.jsonl"), 4, "No such file"),
        (("--replay", __file__), 4, "not a capture line"),
        (("--replay", __file__, "--speed", "fast"), 2, "a number from 0 to"),
        (("--replay", __file__, "--at-end", "explode"), 2, "stay"),
    ],
)
def test_what_cannot_be_done_is_an_exit_code_and_a_sentence(arguments, code, said):
    done = refused("--port", "1", *arguments)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
