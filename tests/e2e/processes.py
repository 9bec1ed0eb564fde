"""The processes of a running Stevie, as a test starts, hits and ends them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
UP_S = 20.0  # a machine that runs other things too
WITHIN_S = 15.0
POLL_S = 0.05


class Answer(NamedTuple):
    """An HTTP answer, its body as JSON."""

    status: int
    document: Any


class Process:
    """A child with its own process group and its output in a file."""

    def __init__(self, arguments: list[str], environ: dict[str, str], log: Path) -> None:
        self.log = log
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("STEVIE", "PORT"))}
        with log.open("a") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=CHECKOUT,
                env={**clean, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.pid = self._child.pid

    def send(self, number: int) -> None:
        """Send a signal to the child alone."""
        self._child.send_signal(number)

    def wait(self, within_s: float) -> int:
        """The exit code; the test fails, with the log, if it does not come in time."""
        try:
            return self._child.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {within_s} s:\n{self.said()}") from None

    def has_ended(self) -> bool:
        """Whether the child is gone."""
        return self._child.poll() is not None

    def group_is_gone(self) -> bool:
        """Whether no process of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def said(self) -> str:
        """Return all of its output so far."""
        return self.log.read_text(errors="replace")

    def end(self) -> None:
        """Leave nothing of it, whatever its state."""
        if not self.group_is_gone():
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()


class Stack:
    """A simulated exchange and gunicorn, each on a free port."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._directory = directory
        self.port, self.exchange_port = free_ports(2)
        self._settings = settings
        self._processes: list[Process] = []

    def start_exchange(self) -> Process:
        """Start the simulator, on the same port each time."""
        arguments = ["stevie", "exchange", "--port", str(self.exchange_port)]
        return self._start(arguments, {}, "exchange.log")

    def start_web(self, config: str = "gunicorn.conf.py") -> Process:
        """Start gunicorn as the Procfile does."""
        arguments = ["gunicorn", "-c", config, "stevie.bootstrap:wsgi()"]
        url = f"http://127.0.0.1:{self.exchange_port}"
        environ = {
            "PORT": str(self.port),
            "STEVIE__SIMULATOR__URL": url,
            "STEVIE__STORE__URL": f"sqlite:///{self._directory}/stevie.db",
            **self._settings,
        }
        return self._start(arguments, environ, "web.log")

    def get(self, path: str) -> Answer:
        """GET; status 0 if nobody answers."""
        return fetch(f"http://127.0.0.1:{self.port}{path}")

    def metric(self, line: str) -> float:
        """Return a sample by its name and labels as /metrics writes them; 0 if there is none."""
        text = str(self.get("/metrics").document)
        return next((float(x.split()[-1]) for x in text.splitlines() if x.startswith(line)), 0.0)

    def end(self) -> None:
        """End whatever still runs."""
        for process in self._processes:
            process.end()

    def _start(self, arguments: list[str], environ: dict[str, str], log: str) -> Process:
        process = Process(arguments, environ, self._directory / log)
        self._processes.append(process)
        return process


def fetch(url: str) -> Answer:
    """Ask once; status 0 if nobody answers. The document is text where it is not JSON."""
    try:
        with urllib.request.urlopen(url, timeout=5.0) as response:
            return Answer(response.status, _document(response.read()))
    except urllib.error.HTTPError as error:
        return Answer(error.code, _document(error.read()))
    except OSError as error:
        return Answer(0, str(error))


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def eventually(condition: Any, what: str, *, within_s: float = WITHIN_S) -> Any:
    """Return what the condition gives once it holds."""
    deadline_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        time.sleep(POLL_S)
    return found
