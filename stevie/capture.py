"""Capture files: gzip'd JSON lines of raw frames, in receive order. One reader, one writer.

A line is `{"t": seconds or null, "kind": "rest"|"ws_in"|"ws_out", "url": ..., "raw": ...}`.
"""

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

GZIP_MAGIC = b"\x1f\x8b"
STEP_NS = 1_000_000  # what a line without a time of its own is taken to last
SECONDS_MAX = 2**63 // 10**9  # what nanoseconds in 64 bits can count
LINE_BYTES_MAX = 64 * 2**20
GZIP_LEVEL = 4  # twice as fast as the default, a tenth larger


class CaptureError(Exception):
    """A capture that cannot be read on; names the file, the line and why."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}")
        self.line = line


class CaptureLine(msgspec.Struct, frozen=True):
    """One recorded frame."""

    kind: Literal["rest", "ws_in", "ws_out"]
    url: str
    raw: str
    t: Annotated[float, Meta(ge=0, lt=SECONDS_MAX)] | None = None


class TimedLine(msgspec.Struct, frozen=True):
    """A line with its number and a time that never goes back."""

    number: int
    kind: str
    url: str
    raw: bytes
    at_ns: int


def read_capture(path: Path) -> Iterator[TimedLine]:
    """Read the lines one by one; CaptureError where the file is broken."""
    decoder = msgspec.json.Decoder(CaptureLine)
    at_ns = 0
    for number, text in _numbered_lines(path):
        try:
            line = decoder.decode(text)
            urlsplit(line.url)
        except (msgspec.MsgspecError, ValueError) as error:
            raise CaptureError(path, number, f"not a capture line: {error}") from error
        own_ns = at_ns + STEP_NS if line.t is None else int(line.t * 1e9)
        at_ns = max(at_ns, own_ns)
        yield TimedLine(number, line.kind, line.url, line.raw.encode(), at_ns)


class CaptureWriter:
    """Writes a capture, gzip'd, a frame a line as it comes; closing makes it whole."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wb", compresslevel=GZIP_LEVEL)  # noqa: SIM115
        self.lines = 0

    def write(self, kind: Literal["rest", "ws_in", "ws_out"], url: str, raw: str, t: float) -> None:
        """Append a frame that was received, or sent, at a time."""
        line = {"t": t, "kind": kind, "url": url, "raw": raw}
        self._file.write(msgspec.json.encode(line) + b"\n")
        self.lines += 1

    def flush(self) -> None:
        """Write out what is buffered, so that a reader may have it."""
        self._file.flush()

    def close(self) -> None:
        """Write out what is buffered, and the ending that tells a whole file from a cut one."""
        self._file.close()


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with _open(path) as file:
            while text := file.readline(LINE_BYTES_MAX):
                number += 1
                if not text.endswith(b"\n") and len(text) >= LINE_BYTES_MAX:
                    raise CaptureError(path, number, f"longer than {LINE_BYTES_MAX} bytes")
                if text.strip():
                    yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CaptureError(path, number + 1, f"the gzip stream is broken: {error}") from error
    except OSError as error:
        raise CaptureError(path, number + 1, error.strerror or str(error)) from error


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")
