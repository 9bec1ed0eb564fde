"""A feed's frames, sorted by the book that each is for; order is kept within a book."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from stevie.messages.market import FramesReceived
from stevie.ports import FrameRoute

OTHER_SYMBOL = "other_symbol"  # what a frame is about that names a symbol nobody follows
_native_of: Callable[[FrameRoute], str] = itemgetter(0)
_is_trade: Callable[[FrameRoute], bool] = itemgetter(2)


class SortedFrames(NamedTuple):
    """A batch for each book that is in it, and the frames of none with what they are about.

    `trades` are those frames of books that tell of trades, if they are wanted.
    """

    batches: Mapping[str, FramesReceived]
    strays: Sequence[tuple[str, bytes]]
    trades: Sequence[bytes] = ()


def sort_frames(
    received: FramesReceived,
    routes: Sequence[FrameRoute],
    books: Mapping[str, str],
    *,
    wants_trades: bool = False,
) -> SortedFrames:
    """Sort by the routes of the frames; `books` is the names of books by native symbol."""
    first = routes[0]
    name = books.get(first.native_symbol)
    # PERF: one stream alone, as on a calm market: nothing to sort, nothing to look at.
    if name is not None and routes.count(first) == len(routes):
        trades = received.frames if wants_trades and first.is_trade else ()
        return SortedFrames({name: received}, (), trades)
    trades = _trades(received.frames, routes, books) if wants_trades else ()
    # PERF: one symbol a connection: nothing to copy.
    if name is not None and len(set(map(_native_of, routes))) == 1:
        return SortedFrames({name: received}, (), trades)
    batches, strays = _sort_mixed(received, routes, books)
    return SortedFrames(batches, strays, trades)


def _trades(
    frames: Sequence[bytes], routes: Sequence[FrameRoute], books: Mapping[str, str]
) -> tuple[bytes, ...]:
    # PERF: what is a trade stands in its route: 25 ns a frame if there is none.
    if not any(map(_is_trade, routes)):
        return ()
    paired = zip(routes, frames, strict=True)
    return tuple(frame for route, frame in paired if route.is_trade and route[0] in books)


def _sort_mixed(
    received: FramesReceived, routes: Sequence[FrameRoute], books: Mapping[str, str]
) -> tuple[Mapping[str, FramesReceived], Sequence[tuple[str, bytes]]]:
    piles: dict[str, tuple[list[bytes], list[int]]] = {}
    strays: list[tuple[str, bytes]] = []
    arrived = zip(routes, received.frames, received.received_ns, strict=True)
    for (native, control, _), frame, at_ns in arrived:
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
    return batches, strays
