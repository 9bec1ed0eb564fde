"""The outcome of a replay, for programs (JSON) and for people (tables)."""

from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from stevie.domain.market.fixed_point import to_text
from stevie.domain.market.ladder import Level
from stevie.messages.market import BookRead
from stevie.replay.job import Outcome


def as_json(outcome: Outcome, *, file: str, expect: str | None, kernel: str) -> dict[str, Any]:
    """The whole outcome as plain values."""
    replayed, elapsed_s = outcome.replayed, outcome.elapsed_s
    return {
        "file": file,
        "venue": outcome.venue,
        "kernel": kernel,
        "frames": replayed.frames,
        "elapsed_s": round(elapsed_s, 6),
        "frames_per_s": round(replayed.frames / elapsed_s) if elapsed_s > 0 else None,
        "broken": replayed.broken or None,
        "expect": expect,
        "differences": None if outcome.differences is None else list(outcome.differences),
        "books": [book_as_json(book) for book in replayed.books],
    }


def book_as_json(book: BookRead) -> dict[str, Any]:
    """One book; prices and sizes as decimal strings."""
    view, counts = book.view, book.counts
    return {
        "venue": book.instrument.venue,
        "symbol": book.instrument.symbol,
        "native_symbol": book.instrument.native,
        "state": book.state,
        "reason": book.reason or None,
        "seq": view.last_seq if view.last_seq >= 0 else None,
        "bids": _texts(book.bids, book),
        "asks": _texts(book.asks, book),
        "bid_levels": view.bid_levels,
        "ask_levels": view.ask_levels,
        "frames": view.frames,
        "deltas": counts.deltas,
        "applied": view.applied,
        "stale_dropped": view.stale,
        "buffered_before_snapshot": counts.buffered_before_snapshot,
        "snapshots": counts.snapshots,
        "trades": view.trades,
        "other": view.other,
        "malformed": view.malformed,
        "level_changes": view.level_changes,
        "delete_unknown": view.delete_unknown,
        "gaps": counts.gaps,
        "resyncs": counts.resyncs,
        "crossed": counts.crossed,
        "checksums": {"checked": 0, "failed": 0},  # Binance sends none
    }


def print_outcome(console: Console, outcome: Outcome, *, expect: str | None, kernel: str) -> None:
    """A table a book, the pace, and what differs."""
    replayed, elapsed_s = outcome.replayed, outcome.elapsed_s
    for book in replayed.books:
        console.print(_book_view(book))
    pace = f"{replayed.frames / elapsed_s:,.0f} frames/s" if elapsed_s > 0 else "no time at all"
    text = f"{replayed.frames:,} frames in {elapsed_s:.2f} s: {pace} ({kernel} kernel)"
    console.print(text, highlight=False)
    if outcome.differences is None:
        return
    for difference in outcome.differences:
        console.print(f"differs: {difference}", style="red", markup=False, highlight=False)
    count = len(outcome.differences)
    verdict = f"{count} differences from" if count else "exactly as in"
    console.print(f"{verdict} {expect}", markup=False, highlight=False, soft_wrap=True)


def _book_view(book: BookRead) -> Group:
    view, counts, state = book.view, book.counts, str(book.state)
    because = f" ({book.reason})" if book.reason else ""
    title = f"{book.instrument.venue} {book.instrument.symbol}  {state}{because}"
    table = Table(title=Text(f"{title}  seq {view.last_seq}"), title_justify="left")
    for column in ("bid size", "bid", "ask", "ask size"):
        table.add_column(column, justify="right")
    bids, asks = _texts(book.bids, book), _texts(book.asks, book)
    for index in range(max(len(bids), len(asks))):
        bid = bids[index] if index < len(bids) else ["", ""]
        ask = asks[index] if index < len(asks) else ["", ""]
        table.add_row(bid[1], bid[0], ask[0], ask[1])
    return Group(
        table,
        f"frames {view.frames:,}  deltas {counts.deltas:,}  applied {view.applied:,}  "
        f"stale dropped {view.stale:,}  snapshots {counts.snapshots}",
        f"gaps {counts.gaps}  resyncs {counts.resyncs}  crossed {counts.crossed}  "
        f"malformed {view.malformed}  checksums none\n",
    )


def _texts(levels: tuple[Level, ...], book: BookRead) -> list[list[str]]:
    view = book.view
    return [
        [to_text(ticks, view.price_decimals), to_text(lots, view.size_decimals)]
        for ticks, lots in levels
    ]
