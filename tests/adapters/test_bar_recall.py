from gevent.event import Event

from stevie.adapters.bar_recall import SLICE, ArchiveRecall
from stevie.adapters.store.memory import MemoryStore
from stevie.domain.contracts.rows import BarRow
from stevie.ports_bars import BarKey
from stevie.ports_record import ArchiveDownError
from tests.adapters.store.rows import bar

BTC = BarKey("binance", "BTCUSDT", "1m")
ETH = BarKey("binance", "ETHUSDT", "1m")
SOL = BarKey("binance", "SOLUSDT", "1m")


class Archive(MemoryStore):
    """So many bars of each symbol; those of ETH cannot be read."""

    def bars(self, venue: str, symbol: str, timeframe: str, limit: int) -> tuple[BarRow, ...]:
        if symbol == "ETHUSDT":
            raise ArchiveDownError("disk I/O error")
        return tuple(bar(n, symbol=symbol) for n in range(250))[-limit:]


class Told:
    """What was told, by key and in order."""

    def __init__(self, *keys: BarKey, limit: int) -> None:
        self.slices: list[tuple[BarKey, tuple[BarRow, ...], bool]] = []
        self._keys, self._is_over = list(keys), Event()
        ArchiveRecall(Archive()).read(keys, limit=limit, on_rows=self._on_rows)
        assert self.slices == []  # the caller goes on first
        assert self._is_over.wait(5.0)

    def _on_rows(self, key: BarKey, rows: tuple[BarRow, ...], is_last: bool) -> None:
        self.slices.append((key, rows, is_last))
        if is_last:
            self._keys.remove(key)
        if not self._keys:
            self._is_over.set()

    def rows(self, key: BarKey) -> list[BarRow]:
        return [row for each, rows, _ in self.slices if each == key for row in rows]


def test_stored_bars_are_told_in_slices_and_the_last_one_says_so():
    told = Told(BTC, SOL, limit=230)

    assert told.rows(BTC) == [bar(n) for n in range(20, 250)]
    assert len(told.rows(SOL)) == 230
    assert all(len(rows) <= SLICE for _, rows, _ in told.slices)
    assert [key for key, _, is_last in told.slices if is_last] == [BTC, SOL]


def test_bars_that_cannot_be_read_are_told_as_none_and_do_not_keep_the_others():
    told = Told(ETH, BTC, limit=10)

    assert told.slices[0] == (ETH, (), True)
    assert len(told.rows(BTC)) == 10
