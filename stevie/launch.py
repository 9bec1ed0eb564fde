"""Launch: the processes that run a configuration, for `stevie up` to become their runner.

Nothing here needs an event loop, an actor or an adapter: this is on the way of every start.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from stevie.config import FILE_DEFAULT, FILE_VARIABLE, Config

EXCHANGE_PORT_OFFSET = 100
CHECKOUT = Path(__file__).resolve().parents[1]


def process_plan(config: Config, environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command line and environment that run the processes of this configuration.

    What was decided here (a flag, a file found in this directory) is exported, so that every
    process reads the same. Whoever names a simulator by URL runs it himself.
    """
    binaries = Path(sys.executable).parent
    told = {**environ, "PATH": f"{binaries}:{environ.get('PATH', '')}"}
    file = Path(environ.get(FILE_VARIABLE) or FILE_DEFAULT)
    if file.is_file():
        told[FILE_VARIABLE] = str(file.resolve())
    told["STEVIE__MARKET"] = config.market
    told["STEVIE__HTTP__HOST"] = config.http.host
    told["STEVIE__HTTP__PORT"] = str(config.http.port)
    processes = ["web"]
    if config.market == "simulated" and "simulator.url" not in config.origins:
        processes.append("exchange")
        told.update(_exchange_address(config))
    honcho = [str(binaries / "honcho"), "start", "--port", str(config.http.port), *processes]
    return honcho, told


def _exchange_address(config: Config) -> dict[str, str]:
    """Where the exchange listens and is found: 100 above the HTTP port unless configured."""
    is_set = "simulator.port" in config.origins
    port = config.simulator.port if is_set else config.http.port + EXCHANGE_PORT_OFFSET
    return {
        "STEVIE__SIMULATOR__PORT": str(port),
        "STEVIE__SIMULATOR__URL": f"http://127.0.0.1:{port}",
    }
