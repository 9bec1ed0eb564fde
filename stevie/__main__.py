"""The `stevie` command."""

import os
import signal

INTERRUPTED = 130  # what a shell makes of Ctrl-C

# Until there is something to clean up, Ctrl-C has nothing to say.
signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
# ruff: noqa: E402 - the import of everything is most of a short command's time

from gevent import monkey

monkey.patch_all()  # before anything that opens a socket or starts a thread is imported

from types import FrameType

import gevent


def main() -> None:
    """Run the command line."""
    from stevie.cli import app  # noqa: PLC0415 - after the patch

    caller = gevent.getcurrent()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        """Interrupt this greenlet: an actor's would take it for a crash of its own."""
        if gevent.getcurrent() is caller:
            raise KeyboardInterrupt
        gevent.get_hub().loop.run_callback_threadsafe(caller.throw, KeyboardInterrupt)

    signal.signal(signal.SIGINT, interrupt)
    app()


if __name__ == "__main__":
    main()
