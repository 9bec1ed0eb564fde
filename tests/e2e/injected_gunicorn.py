"""The product's gunicorn configuration, with one fault injected into the worker once it is up.

`STEVIE_TEST_FAULT` names it: `root_dies`, `hub_spins`.
"""

# ruff: noqa: PLC0415 - as in the configuration itself: the arbiter is not patched

import os
from pathlib import Path

exec(compile((Path.cwd() / "gunicorn.conf.py").read_text(), "gunicorn.conf.py", "exec"))

AFTER_S = 0.5
WATCHDOG_S = 1.0

_product_post_worker_init = post_worker_init  # noqa: F821 - of the configuration above


def post_worker_init(worker):
    import gevent

    from stevie import bootstrap

    stevie = bootstrap._instances[-1]
    stevie._watchdog._limit_s = WATCHDOG_S
    _product_post_worker_init(worker)
    fault = {"root_dies": _kill_root, "hub_spins": _spin}[os.environ["STEVIE_TEST_FAULT"]]
    gevent.spawn_later(AFTER_S, fault, stevie.system)


def _kill_root(system):
    """Crash the market's supervisor more often than the root's intensity forgives."""
    from stevie.messages.market import ReadFeed
    from tests.inject import tell, wait_until

    while not system.root_is_dead():
        incarnation = system.directory.view("market").incarnation
        tell(system, "market", ReadFeed())
        wait_until(
            lambda: (
                system.root_is_dead() or system.directory.view("market").incarnation > incarnation  # noqa: B023
            )
        )


def _spin(_system):
    while True:
        pass
