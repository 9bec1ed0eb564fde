"""The `stevie` command."""

import os
import signal
import sys

INTERRUPTED = 130  # what a shell makes of Ctrl-C

# Until there is something to clean up, Ctrl-C has nothing to say.
signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
# ruff: noqa: E402, PLC0415 - the import of everything is most of a short command's time

# `up` reads the configuration and becomes the process runner: no event loop, a faster start.
IS_LAUNCHER = sys.argv[1:2] == ["up"]
if not IS_LAUNCHER:
    from gevent import monkey

    monkey.patch_all()  # before anything that opens a socket or starts a thread is imported

from types import FrameType


def main() -> None:
    """Run the command line."""
    from stevie.cli import app, mount

    mount("".join(sys.argv[1:2]))
    if not IS_LAUNCHER:
        _interrupt_the_caller()
    app()


def _interrupt_the_caller() -> None:
    """Let Ctrl-C interrupt this greenlet: an actor's would take it for a crash of its own."""
    import gevent

    caller = gevent.getcurrent()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if gevent.getcurrent() is caller:
            raise KeyboardInterrupt
        gevent.get_hub().loop.run_callback_threadsafe(caller.throw, KeyboardInterrupt)

    signal.signal(signal.SIGINT, interrupt)


if __name__ == "__main__":
    main()
