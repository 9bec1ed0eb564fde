"""Keeps this process's signal handlers while a library that installs its own is loaded.

Importing cppyy takes SIGCHLD, SIGALRM, SIGABRT, SIGSEGV, SIGUSR2 and others for itself. gevent then
never hears of the end of a child process, gunicorn's worker not of its arbiter's SIGABRT, and
faulthandler of no crash. Python's `signal` cannot put back what C code had installed: hence libc.
"""

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager

ACTION_BYTES = 512  # struct sigaction is 152 bytes on Linux x86-64, less elsewhere


@contextmanager
def signals_kept() -> Iterator[None]:
    """Restore every signal's disposition at the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    kept = {number: _action(libc, number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, action in kept.items():
            if action is not None:
                libc.sigaction(int(number), action, None)


def _action(libc: ctypes.CDLL, number: int) -> "ctypes.Array[ctypes.c_char] | None":
    """What is done about a signal; None for those that cannot be asked about."""
    action = ctypes.create_string_buffer(ACTION_BYTES)
    return action if libc.sigaction(int(number), None, action) == 0 else None
