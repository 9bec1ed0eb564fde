"""How gunicorn serves Stevie: one gevent worker that owns the actor tree and dies with it.

This file runs in the arbiter, which is not monkey-patched. So `stevie` is imported in the hooks,
which run in the worker: imported up here, it would keep the unpatched locks and sockets it found.
"""

# ruff: noqa: PLC0415

import gc
import os
import sys
from typing import Any

import gevent

ROOT_DIED = 3  # gunicorn's WORKER_BOOT_ERROR: the one exit code that halts the arbiter, no respawn
ROOT_WATCH_S = 0.2
STOP_TIMEOUT_S = 2.0
DRAIN_S = 1

# `stevie up` has read the configuration and says here what it found; PORT is the process runner's.
_host = os.environ.get("STEVIE__HTTP__HOST", "127.0.0.1")
_port = os.environ.get("STEVIE__HTTP__PORT") or os.environ.get("PORT") or "5000"
bind = f"{_host}:{_port}"

workers = 1  # the tree lives in the worker: a second one would be a second tree
worker_class = "gevent"
worker_connections = 1000
timeout = 30
# An idle kept-alive connection counts as busy while we drain: this is how long one may hold us up.
keepalive = 2
# The arbiter kills its worker after this: below the 5 s after which honcho kills both.
graceful_timeout = 4
# The control socket has one path per user, which two instances would share.
control_socket_disable = True
accesslog = None


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Look for no garbage while everything is imported: there is none."""
    gc.disable()


def post_worker_init(worker: Any) -> None:
    """Start the actors: the worker is patched, has loaded the app and does not accept yet."""
    from stevie import bootstrap

    # The worker's own copy: it must be done draining before the arbiter's 4 s are over, or it is
    # killed and worker_exit, which stops the actors, never runs.
    worker.cfg.set("graceful_timeout", DRAIN_S)
    bootstrap.start()
    gevent.spawn(_drain_when_root_dies, worker)
    # PERF: what is there now stays. Walking its fifty thousand objects in every full collection
    # would hold the hub for tens of milliseconds.
    gc.freeze()
    gc.enable()


def _drain_when_root_dies(worker: Any) -> None:
    from stevie import bootstrap

    while not bootstrap.root_is_dead():
        gevent.sleep(ROOT_WATCH_S)
    worker.alive = False  # what gunicorn's SIGTERM handler does: drain, then worker_exit


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Stop the actors, and halt gunicorn if it was the death of their root that brought us here."""
    from stevie import bootstrap

    has_root_died = bootstrap.root_is_dead()  # asked first: a root that we stopped is dead as well
    bootstrap.stop(timeout_s=STOP_TIMEOUT_S)
    if has_root_died:
        sys.stderr.flush()
        os._exit(ROOT_DIED)
