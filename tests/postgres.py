"""A private PostgreSQL for tests: a cluster in a temporary folder, reached by a Unix socket alone.

PostgreSQL refuses to run as root: there its programs run as the user `postgres`.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import psycopg
import pytest

PORT = 54329  # names the socket's file; nobody listens on a network
START_S = 30.0
USER = "stevie"


def programs() -> Path | None:
    """Where initdb and its like are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Cluster:
    """One server; `start` and `stop` as often as wanted, with the data kept."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        self._folder = Path(tempfile.mkdtemp(prefix="stevie-pg-"))
        self._names = count(1)
        if os.geteuid() == 0:
            os.chown(self._folder, pwd.getpwnam("postgres").pw_uid, -1)
        data = str(self._folder / "data")
        locale = ["-E", "UTF8", "--locale=C"]
        self._run("initdb", "-D", data, "-A", "trust", "-U", USER, "--no-sync", *locale)

    def start(self) -> None:
        """Serve."""
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self._folder} -p {PORT} "
            "-c fsync=off -c full_page_writes=off"
        )
        self._control("-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Break all connections and end."""
        self._control("-m", "fast", "stop")

    def kill(self) -> None:
        """End as a crash does, with recovery at the next start."""
        self._control("-m", "immediate", "stop")

    def new_url(self) -> str:
        """The URL of a database that nobody has used."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://{USER}@/{database}?host={self._folder}&port={PORT}"

    def remove(self) -> None:
        """Leave nothing of it."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self._folder)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        with tempfile.TemporaryFile("w+") as out:  # not a pipe: the server would keep it open
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=START_S,
                cwd="/",
            )
            out.seek(0)
            said = out.read()
        assert done.returncode == 0, f"{' '.join(command)}: {said}"


def new_cluster() -> Cluster:
    """A running server; the test is skipped where PostgreSQL is not installed."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    cluster = Cluster()
    try:
        cluster.start()
    except BaseException:
        cluster.remove()
        raise
    return cluster
