"""Records what a transport receives, as a capture: every frame, every answer, as it comes."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stevie.capture import CaptureWriter
from stevie.ports import Connection, ConnectionListener, HttpAnswer, Transport


class Recorder:
    """A `Transport` around another one; several may share a file."""

    def __init__(self, inner: Transport, writer: CaptureWriter) -> None:
        self._inner, self._writer = inner, writer

    @classmethod
    def into(cls, path: Path) -> tuple[Callable[[Transport], Transport], CaptureWriter]:
        """Return what wraps a transport, and the file to close in the end."""
        writer = CaptureWriter(path)
        return lambda inner: cls(inner, writer), writer

    def connect(self, url: str, listener: ConnectionListener) -> Connection:
        return self._inner.connect(url, _Listener(url, listener, self._writer))

    def get(self, url: str, on_answer: Callable[[HttpAnswer], None]) -> None:
        def record(answer: HttpAnswer) -> None:
            if answer.status == 200:
                self._writer.write("rest", url, answer.body.decode(), time.time())
            on_answer(answer)

        self._inner.get(url, record)


class _Listener:
    def __init__(self, url: str, inner: ConnectionListener, writer: CaptureWriter) -> None:
        self._url, self._inner, self._writer = url, inner, writer
        self.on_open, self.on_heard, self.on_close = inner.on_open, inner.on_heard, inner.on_close

    def on_frames(self, frames: Sequence[bytes], received_ns: int) -> None:
        for frame in frames:
            self._writer.write("ws_in", self._url, frame.decode(), time.time())
        self._inner.on_frames(frames, received_ns)
