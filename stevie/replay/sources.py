"""What a capture is about: its venue and its symbols, found by reading it through once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from stevie.capture import CaptureError, TimedLine, read_capture
from stevie.domain.market.instrument import Instrument, InstrumentKind
from stevie.ports import VenueCodec
from stevie.venues.registry import VENUES, venue_of


class SourceError(Exception):
    """A capture or instrument list that cannot be used; says what would help."""


class Subject(NamedTuple):
    """A venue, and the symbols whose books a capture can build, in order of first appearance."""

    venue: str
    native_symbols: tuple[str, ...]


def subject_of(path: Path, venue: str | None = None) -> Subject:
    """What a capture is about; without a venue, that of the URLs of its frames."""
    if venue not in {None, *VENUES}:
        raise SourceError(f"unknown venue {venue!r}; allowed: {', '.join(VENUES)}")
    codecs = {name: entry.codec(entry.live) for name, entry in VENUES.items()}
    urls: dict[str, str] = {}  # an example of each venue, and of none
    symbols: dict[str, dict[str, None]] = {name: {} for name in VENUES}
    for line in _readable(path):
        owner = venue_of(line.url)
        urls.setdefault(owner, line.url)
        for name in [owner] if owner else VENUES:
            if symbol := _book_symbol(line, codecs[name]):
                symbols[name][symbol] = None
    venue = venue or _only_venue(path, urls)
    return Subject(venue, tuple(symbols[venue]))


def _only_venue(path: Path, urls: Mapping[str, str]) -> str:
    known = sorted(venue for venue in urls if venue)
    if not urls:
        raise SourceError(f"{path} is empty")
    if len(known) == 1:
        return known[0]
    allowed = ", ".join(VENUES)
    if known:
        raise SourceError(
            f"{path} holds several venues ({', '.join(known)}): choose one by --venue"
        )
    raise SourceError(
        f"{path}: no venue known by its URLs (such as {urls['']!r}); --venue takes: {allowed}"
    )


def snapshot_symbol(url: str, codec: VenueCodec) -> str:
    """The native symbol of a snapshot request, "" for any other URL."""
    return codec.snapshot_request(url)[0] if urlsplit(url).path.endswith("/depth") else ""


def read_instrument_list(path: Path, codec: VenueCodec) -> tuple[Instrument, ...]:
    """Instruments from a capture of the venue's list, or from the list as plain JSON."""
    try:
        bodies = [line.raw for line in read_capture(path) if line.kind == "rest"]
    except CaptureError:
        bodies = [path.read_bytes()]
    try:
        return tuple(i for body in bodies for i in codec.read_instruments(body))
    except (ValueError, LookupError, TypeError) as error:
        raise SourceError(f"{path} is no instrument list of {codec.venue}: {error}") from error


def instruments_for(
    natives: Sequence[str], venue: str, listed: Iterable[Instrument]
) -> tuple[Instrument, ...]:
    """An instrument for each symbol; one that is not listed starts at whole units."""
    by_native = {instrument.native: instrument for instrument in listed}
    return tuple(by_native.get(native) or _unlisted(native, venue) for native in natives)


def _unlisted(native: str, venue: str) -> Instrument:
    suffix = VENUES[venue].symbol_suffix
    return Instrument(
        venue=venue,
        symbol=native + suffix,
        native=native,
        base="",
        quote="",
        kind=InstrumentKind.PERPETUAL if suffix else InstrumentKind.SPOT,
        tick_size="1",
        lot_size="1",
    )


def _book_symbol(line: TimedLine, codec: VenueCodec) -> str:
    if line.kind == "rest":
        return snapshot_symbol(line.url, codec)
    is_delta = line.kind == "ws_in" and b'"depthUpdate"' in line.raw
    return codec.route(line.raw).native_symbol if is_delta else ""


def _readable(path: Path) -> Iterator[TimedLine]:
    """The lines up to where the file breaks, which the replay will tell; there is at least one."""
    lines = read_capture(path)
    yield from islice(lines, 1)
    try:
        yield from lines
    except CaptureError:
        return
