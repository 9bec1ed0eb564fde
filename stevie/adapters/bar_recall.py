"""Stored bars for the actors that keep bars: read by a greenlet of its own, one key at a time."""

from collections.abc import Callable, Sequence

import structlog
from gevent import spawn

from stevie.domain.contracts.rows import BarRow
from stevie.ports_bars import BarKey
from stevie.ports_record import Archive, ArchiveError

log = structlog.get_logger()

SLICE = 100  # rows told at once: a millisecond of whoever takes them

OnRows = Callable[[BarKey, tuple[BarRow, ...], bool], None]


class ArchiveRecall:
    """Fulfils BarRecall."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def read(self, keys: Sequence[BarKey], *, limit: int, on_rows: OnRows) -> None:
        """The newest bars of each key, in slices."""
        # One after the other: the archive refuses more readers than it has room for.
        spawn(self._read_all, tuple(keys), limit, on_rows)

    def _read_all(self, keys: tuple[BarKey, ...], limit: int, on_rows: OnRows) -> None:
        for key in keys:
            rows = self._rows(key, limit)
            for begin in range(0, len(rows), SLICE):
                on_rows(key, rows[begin : begin + SLICE], False)  # noqa: FBT003 - the port's own
            on_rows(key, (), True)  # noqa: FBT003

    def _rows(self, key: BarKey, limit: int) -> tuple[BarRow, ...]:
        try:
            return self._archive.bars(*key, limit)
        except ArchiveError as error:
            log.warning("bars_not_recalled", venue=key.venue, symbol=key.symbol, reason=str(error))
            return ()
