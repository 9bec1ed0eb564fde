"""The command line as a person or a program meets it: a process, its output and its exit code."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gevent.socket import wait_read

from tests.replay.captures import BINANCE, CHECKOUT, delta, recording, snapshot, texts, write

pytestmark = pytest.mark.slow

SYNCED = [delta(99, 100), snapshot(100), delta(101, 102, bids=[["9.75", "3"]])]
ESCAPE = "\x1b"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stevie", *arguments]


def _environ(**more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("STEVIE", "PORT"))}
    return {**clean, "STEVIE__KERNEL__MODE": "python", **more}


def _stevie(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        _command(*arguments),
        cwd=CHECKOUT,
        env=_environ(**environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def capture(tmp_path) -> Path:
    return write(tmp_path / "capture.jsonl.gz", texts(SYNCED))


@pytest.mark.parametrize("command", [[], ["up"], ["exchange"], ["replay"], ["doctor"]])
def test_each_command_explains_itself(command):
    done = _stevie(*command, "--help")

    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_the_exit_codes_are_documented():
    said = " ".join(_stevie("--help").stdout.split())

    for code in ("0 well", "1 the answer is no", "2 wrong use", "3 the", "4 unreadable"):
        assert code in said


def test_the_version_is_told():
    assert _stevie("--version").stdout.startswith("stevie ")


def test_a_replay_prints_the_book_and_its_counts(capture):
    done = _stevie("replay", str(capture))

    assert done.returncode == 0
    for text in ("ABC", "LIVE", "9.75", "10.5", "stale dropped 1", "frames/s", "python kernel"):
        assert text in done.stdout
    assert ESCAPE not in done.stdout + done.stderr
    assert done.stderr == ""  # no progress bar for a program, and no log


def test_a_replay_prints_json_for_programs(capture):
    done = _stevie("replay", str(capture), "--json")
    document = json.loads(done.stdout)

    (book,) = document["books"]
    assert done.returncode == 0
    assert (document["venue"], document["frames"], document["kernel"]) == ("binance", 3, "python")
    assert (book["symbol"], book["state"], book["seq"], book["reason"]) == (
        "ABC",
        "LIVE",
        102,
        None,
    )
    assert book["bids"][0] == ["9.75", "3"]
    assert document["differences"] is None


def test_json_of_the_same_capture_is_the_same_but_for_its_pace(capture):
    documents = [json.loads(_stevie("replay", str(capture), "--json").stdout) for _ in range(2)]

    for document in documents:
        del document["elapsed_s"], document["frames_per_s"]
    assert documents[0] == documents[1]


def test_a_book_that_is_not_live_is_printed_with_its_reason(tmp_path):
    path = write(tmp_path / "capture.jsonl", texts([*SYNCED, delta(110, 111)]))

    done = _stevie("replay", str(path))

    assert done.returncode == 0
    assert "SYNCING (gap)" in done.stdout


def test_an_expectation_decides_the_exit_code(tmp_path, capture):
    right, wrong = tmp_path / "right.json", tmp_path / "[wrong].json"
    book = {"counts": {"applied": 1}, "final_seq": 102, "bids": [["9.75", "3"]]}
    right.write_text(json.dumps({"symbols": {"ABC": book}}))
    wrong.write_text(json.dumps({"symbols": {"ABC": {**book, "final_seq": 103}}}))

    met = _stevie("replay", str(capture), "--expect", str(right))
    unmet = _stevie("replay", str(capture), "--expect", str(wrong))

    assert (met.returncode, unmet.returncode) == (0, 1)
    assert f"exactly as in {right}" in met.stdout
    assert "differs: ABC: final seq expected 103, was 102" in unmet.stdout
    assert f"1 differences from {wrong}" in unmet.stdout
    as_json = _stevie("replay", str(capture), "--expect", str(wrong), "--json")
    assert as_json.returncode == 1
    assert len(json.loads(as_json.stdout)["differences"]) == 1


def test_a_broken_capture_is_named_by_its_line_and_what_came_before_is_kept(tmp_path):
    path = write(tmp_path / "[odd] [red]name.jsonl", [*texts(SYNCED), "garbage"])

    done = _stevie("replay", str(path), "--json")

    assert done.returncode == 4
    assert f"{path}, line 4: not a capture line" in done.stderr
    document = json.loads(done.stdout)
    assert document["books"][0]["seq"] == 102
    assert "line 4" in document["broken"]


def test_what_cannot_be_read_at_all_is_exit_4(tmp_path, capture):
    empty = write(tmp_path / "empty.jsonl", [])
    none = str(tmp_path / "none.jsonl")
    for arguments in (
        [none],
        [str(tmp_path)],
        [str(empty)],
        [str(capture), "--expect", none],
        [str(capture), "--instruments", none],
        [str(capture), "--instruments", str(capture)],
    ):
        done = _stevie("replay", *arguments)
        assert done.returncode == 4, (arguments, done)
        assert done.stderr.startswith("stevie: ")
        assert done.stdout == ""


def test_a_wrong_command_line_or_configuration_is_exit_2(capture):
    assert _stevie("replay", str(capture), "--venue", "nowhere").returncode == 2
    assert _stevie("replay").returncode == 2
    assert _stevie("fly").returncode == 2
    assert _stevie("exchange", "--port", "99999").returncode == 2
    wrong = _stevie("replay", str(capture), STEVIE__KERNEL__MODE="fast", STEVIE__HTTP__PORT="x")
    assert wrong.returncode == 2
    assert "kernel.mode" in wrong.stderr
    assert "http.port" in wrong.stderr


def test_an_exchange_of_unknown_symbols_alone_is_exit_2_with_what_is_known():
    done = _stevie("exchange", STEVIE__SYMBOLS="DOGEUSDT")

    assert done.returncode == 2
    assert "BTCUSDT" in done.stderr


def test_an_exchange_whose_port_is_taken_says_so():
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD_A_PORT], stdout=subprocess.PIPE, text=True
    ) as holder:
        port = holder.stdout.readline().strip()
        done = _stevie("exchange", "--port", port)
        holder.terminate()

    assert done.returncode == 1
    assert port in done.stderr
    assert "in use" in done.stderr


_HOLD_A_PORT = """
import socket, time
held = socket.create_server(("127.0.0.1", 0))
print(held.getsockname()[1], flush=True)
time.sleep(60)
"""


def _on_a_terminal(*arguments: str, **environ: str) -> str:
    """Return all that a command writes to a terminal."""
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm-256color", "COLUMNS": "200"}
    with subprocess.Popen(
        _command(*arguments),
        cwd=CHECKOUT,
        env=_environ(**terminal, **environ),
        stdout=theirs,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        said = b""
        try:
            while True:
                wait_read(ours, timeout=30)
                said += os.read(ours, 65_536)
        except OSError:
            pass  # the end of a terminal
        child.wait(60)
    os.close(ours)
    return said.decode()


def test_a_person_at_a_terminal_sees_a_progress_bar(capture):
    assert "frames" in _on_a_terminal("replay", str(capture)).split("ABC")[0]


def test_colors_are_for_terminals_that_want_them(tmp_path):
    missing = str(tmp_path / "none.jsonl")

    assert f"{ESCAPE}[31m" in _on_a_terminal("replay", missing)
    assert f"{ESCAPE}[31m" not in _on_a_terminal("replay", missing, NO_COLOR="1")


@pytest.mark.parametrize("after_s", [0.2, 1.0, 1.8, 2.6])
def test_ctrl_c_ends_a_replay_with_130_and_without_a_word(after_s):
    child = subprocess.Popen(
        _command("replay", str(recording(BINANCE[2])), "--json"),
        cwd=CHECKOUT,
        env=_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(after_s)  # wherever it is then

    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)

    assert child.returncode == 130 or out  # a quick machine may have been done
    assert b"Traceback" not in err
    assert b"KeyboardInterrupt" not in err


@pytest.mark.parametrize("name", BINANCE)
def test_a_recording_is_exactly_as_expected(name):
    expected = recording(name, ending=".expected.json")

    done = _stevie(
        "replay",
        str(recording(name)),
        "--expect",
        str(expected),
        STEVIE__KERNEL__MODE="native",
    )

    assert done.returncode == 0, done.stdout
    assert f"exactly as in {expected}" in done.stdout
    assert "native kernel" in done.stdout
