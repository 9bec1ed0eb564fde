"""`stevie up` from the command to a LIVE book, by what its log tells on the way."""

import signal

import pytest

from tests.e2e.processes import UP_S, Process, eventually, fetch, free_ports

STAGES = ("stevie_starting", "kernel_loaded", "tree_started", "feed_connected", "state=LIVE")
RUNNER_STOPPED = 143  # by SIGTERM


@pytest.mark.slow
def test_a_start_tells_its_stages_in_order_and_ends_in_a_live_book(tmp_path):
    port, exchange_port = free_ports(2)
    environ = {
        "STEVIE__SIMULATOR__PORT": str(exchange_port),
        "STEVIE__STORE__URL": f"sqlite:///{tmp_path}/stevie.db",
    }
    runner = Process(["stevie", "up", "--port", str(port)], environ, tmp_path / "up.log")
    try:
        url = f"http://127.0.0.1:{port}/api/l2/binance/BTCUSDT"
        eventually(lambda: fetch(url).status == 200, "the book is LIVE", within_s=UP_S)
    finally:
        runner.send(signal.SIGTERM)  # alone: it ends its processes, which a kill would leave behind
        code = runner.wait(UP_S)

    said = runner.said()
    at = [said.find(stage) for stage in STAGES]
    assert -1 not in at, said
    assert at == sorted(at), said
    assert "process_ms=" in said
    assert code == RUNNER_STOPPED
