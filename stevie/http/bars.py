"""GET /api/bars/{venue}/{symbol}: closed OHLCV bars, oldest first.

The bar under way is not among them: what may still change is no bar yet. The newest come from the
actor that keeps them; only what is older is read from the archive.
"""

from collections.abc import Sequence

import falcon
import msgspec
from gevent import sleep

from stevie import rfc3339
from stevie.domain.contracts.catalog import OHLCV
from stevie.domain.contracts.rows import BarRow, Timeframe
from stevie.domain.market.bars import BASE, TIMEFRAMES
from stevie.domain.market.fixed_point import to_text
from stevie.domain.market.instrument import Instrument
from stevie.http.edge import Edge, bars_name
from stevie.http.encoding import excerpt
from stevie.http.problems import Problem, not_ready
from stevie.http.requests import Bounds, Resource, check_query, find_instrument, whole_number
from stevie.messages.bars import BarsState, ReadBars
from stevie.ports_record import ArchiveError

SLICE = 100  # bars written and vouched for in one go: two or three milliseconds
LIMIT = Bounds(default=100, least=1, most=1000)


class BarsResource(Resource):
    """The bars of one venue and symbol."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Answer with the newest `limit` bars that are closed."""
        check_query(req, "timeframe", "limit")
        limit = whole_number(req, "limit", LIMIT)
        timeframe = _timeframe(req)
        instrument = find_instrument(self._edge.tables, path["venue"], path["symbol"])
        rows = self._rows(instrument, timeframe, limit)
        resp.text = _array(rows)

    def _rows(self, instrument: Instrument, timeframe: Timeframe, limit: int) -> tuple[BarRow, ...]:
        question = ReadBars(symbol=instrument.symbol, timeframe=timeframe, limit=limit)
        state: BarsState = self._edge.ask(bars_name(instrument.venue), question)
        if len(state.closed) >= limit:
            return state.closed
        return _merged(self._archived(instrument, timeframe, limit), state.closed)[-limit:]

    def _archived(
        self, instrument: Instrument, timeframe: Timeframe, limit: int
    ) -> tuple[BarRow, ...]:
        try:
            return self._edge.archive.bars(instrument.venue, instrument.symbol, timeframe, limit)
        except ArchiveError as error:
            raise not_ready("Bars cannot be read", f"{error}.") from error


def _timeframe(req: falcon.Request) -> Timeframe:
    value = req.params.get("timeframe", BASE)
    if not isinstance(value, str) or value not in TIMEFRAMES:
        detail = f"timeframe: expected one of {', '.join(TIMEFRAMES)}, was {excerpt(str(value))}."
        raise Problem(400, "Malformed parameter", detail, allowed=list(TIMEFRAMES))
    return value


def _merged(older: tuple[BarRow, ...], newer: tuple[BarRow, ...]) -> tuple[BarRow, ...]:
    """Both, each bar once: what the actor holds is what is believed now."""
    bars = {row.opened_ns: row for row in (*older, *newer)}
    return tuple(bars[at] for at in sorted(bars))


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """A bar as it leaves, in the words of its contract."""

    venue: str
    symbol: str
    timeframe: str
    opened_at: str
    closed_at: str
    known_at: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int
    source: str


_encode = msgspec.json.Encoder().encode


def _array(rows: Sequence[BarRow]) -> str:
    """All documents as one array; others have their turn between two slices."""
    slices = []
    for begin in range(0, len(rows), SLICE):
        documents = [_document(row) for row in rows[begin : begin + SLICE]]
        slices.append(OHLCV.vouched_each(_encode(documents).decode())[1:-1])
        sleep(0)
    return f"[{','.join(slices)}]"


def _document(row: BarRow) -> _Document:
    places = row.price_decimals
    return _Document(
        venue=row.venue,
        symbol=row.symbol,
        timeframe=row.timeframe,
        opened_at=rfc3339.text(row.opened_ns),
        closed_at=rfc3339.text(row.closed_ns),
        known_at=rfc3339.text(row.known_ns),
        open=to_text(row.open_ticks, places),
        high=to_text(row.high_ticks, places),
        low=to_text(row.low_ticks, places),
        close=to_text(row.close_ticks, places),
        volume=to_text(row.volume_lots, row.size_decimals),
        trades=row.trades,
        source=row.source,
    )
