"""A feed's frames, sorted by the book that each is for; order is kept within a book."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stevie.messages import FramesReceived
from stevie.ports import FrameRoute

OTHER_SYMBOL = "other_symbol"  # what a frame is about that names a symbol nobody follows


class SortedFrames(NamedTuple):
    """A batch for each book that is in it, and the frames of none with what they are about."""

    batches: Mapping[str, FramesReceived]
    strays: Sequence[tuple[str, bytes]]


def sort_frames(
    received: FramesReceived, routes: Sequence[FrameRoute], books: Mapping[str, str]
) -> SortedFrames:
    """Sort by the routes of the frames; `books` is the names of books by native symbol."""
    first = routes[0]
    name = books.get(first.native_symbol)
    # PERF: one symbol a connection, or a calm market: nothing to sort, nothing to copy.
    if name is not None and routes.count(first) == len(routes):
        return SortedFrames({name: received}, ())
    return _sort_mixed(received, routes, books)


def _sort_mixed(
    received: FramesReceived, routes: Sequence[FrameRoute], books: Mapping[str, str]
) -> SortedFrames:
    piles: dict[str, tuple[list[bytes], list[int]]] = {}
    strays: list[tuple[str, bytes]] = []
    arrived = zip(routes, received.frames, received.received_ns, strict=True)
    for (native, control), frame, at_ns in arrived:
        pile = piles.get(native)
        if pile is None:
            if native not in books:
                strays.append((control or OTHER_SYMBOL, frame))
                continue
            pile = piles[native] = ([], [])
        pile[0].append(frame)
        pile[1].append(at_ns)
    batches = {
        books[native]: FramesReceived(
            frames=tuple(frames), received_ns=tuple(times), connections=received.connections
        )
        for native, (frames, times) in piles.items()
    }
    return SortedFrames(batches, strays)
