"""Capture files: gzip'd JSON lines of raw frames, in receive order. One reader, one writer.

A line is `{"t": seconds or null, "kind": "rest"|"ws_in"|"ws_out", "url": ..., "raw": ...}`.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
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
BLOCK_BYTES = 2**18  # read and decoded at once; of gzip it is what 8 KiB of the file unfold to
URLS_MAX = 1024  # kept as checked; a capture repeats its few sockets' URLs on every line
GZIP_LEVEL = 4  # twice as fast as the default, a tenth larger


class CaptureError(Exception):
    """A capture that cannot be read on; names the file, the line and why."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}")
        self.line = line


class CaptureLine(msgspec.Struct, frozen=True, gc=False):
    """One recorded frame."""

    kind: Literal["rest", "ws_in", "ws_out"]
    url: str
    raw: str
    t: Annotated[float, Meta(ge=0, lt=SECONDS_MAX)] | None = None


class TimedLine(msgspec.Struct, frozen=True, gc=False):
    """A line with its number and a time that never goes back."""

    number: int
    kind: str
    url: str
    raw: bytes
    at_ns: int


def read_capture(path: Path) -> Iterator[TimedLine]:
    """Read the lines one by one; CaptureError where the file is broken."""
    at_ns = 0
    for number, line in _decoded_lines(path):
        try:
            _check_url(line.url)
            raw = line.raw.encode()
        except ValueError as error:
            raise CaptureError(path, number, f"not a capture line: {error}") from error
        own_ns = at_ns + STEP_NS if line.t is None else int(line.t * 1e9)
        at_ns = max(at_ns, own_ns)
        yield TimedLine(number, line.kind, line.url, raw, at_ns)


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


@lru_cache(URLS_MAX)
def _check_url(url: str) -> None:
    """ValueError if it is none."""
    urlsplit(url)


def _decoded_lines(path: Path) -> Iterator[tuple[int, CaptureLine]]:
    """Every line that is not blank, with its number."""
    decoder = msgspec.json.Decoder(list[CaptureLine])
    number = 1
    for texts in _blocks(path):
        try:
            # PERF: as one list; line by line takes half as long again. (`decode_lines` would take
            # two values on a line for two lines.)
            lines = decoder.decode(b"[%b]" % b",".join(texts))
        except (msgspec.MsgspecError, ValueError):
            lines = []
        if len(lines) == len(texts):
            yield from enumerate(lines, number)
        else:
            yield from _one_by_one(path, texts, number)
        number += len(texts)


def _one_by_one(
    path: Path, texts: Sequence[bytes], number: int
) -> Iterator[tuple[int, CaptureLine]]:
    """The same of a block with blank lines, or with one that is broken."""
    decoder = msgspec.json.Decoder(CaptureLine)
    for at, text in enumerate(texts, number):
        if text.strip():
            try:
                line = decoder.decode(text)
            except (msgspec.MsgspecError, ValueError) as error:
                raise CaptureError(path, at, f"not a capture line: {error}") from error
            yield at, line


def _blocks(path: Path) -> Iterator[list[bytes]]:
    """The lines, a block of the file at a time."""
    number = 1
    begun: list[bytes] = []  # pieces of a line whose end did not come yet
    try:
        with _open(path) as file:
            while block := file.read1(BLOCK_BYTES):
                *texts, rest = block.split(b"\n")
                if texts:
                    texts[0] = b"".join((*begun, texts[0]))
                    begun = []
                    yield texts
                    number += len(texts)
                begun.append(rest)
                if sum(map(len, begun)) >= LINE_BYTES_MAX:
                    raise CaptureError(path, number, f"longer than {LINE_BYTES_MAX} bytes")
        yield [b"".join(begun)]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CaptureError(path, number, f"the gzip stream is broken: {error}") from error
    except OSError as error:
        raise CaptureError(path, number, error.strerror or str(error)) from error


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")
