"""The JSON text of each stream's payload, keys in Binance's documented order."""

from collections.abc import Iterable, Sequence

from stevie.venues.simulator.binance.klines import NS_PER_MS, kline_object
from stevie.venues.simulator.binance.listings import SPOT
from stevie.venues.simulator.binance.numerals import Numerals
from stevie.venues.simulator.market.bars import Bar
from stevie.venues.simulator.market.book import BookView, Change
from stevie.venues.simulator.market.listing import Listing
from stevie.venues.simulator.market.takers import Trade


class Scribe:
    """Writes the frames of one listing."""

    def __init__(self, listing: Listing) -> None:
        self.numerals = Numerals(listing)
        self.symbol = listing.symbol
        self._is_spot = listing.venue == SPOT

    def diff(self, changes: Sequence[Change], *, previous_id: int, now_ns: int) -> str:
        """Write a diff depth frame: each changed level once, with its last size."""
        bids = {c.ticks: c.lots for c in changes if c.is_bid}
        asks = {c.ticks: c.lots for c in changes if not c.is_bid}
        return self._depth(
            first_id=changes[0].update_id,
            last_id=changes[-1].update_id,
            previous_id=previous_id,
            bids=sorted(bids.items(), reverse=True),
            asks=sorted(asks.items()),
            now_ns=now_ns,
        )

    def top(self, view: BookView, *, first_id: int, previous_id: int, now_ns: int) -> str:
        """Write a partial depth frame: a full copy of the top of the book."""
        if self._is_spot:
            return (
                f'{{"lastUpdateId":{view.update_id},"bids":{self.numerals.levels(view.bids)},'
                f'"asks":{self.numerals.levels(view.asks)}}}'
            )
        return self._depth(
            first_id=first_id,
            last_id=view.update_id,
            previous_id=previous_id,
            bids=view.bids,
            asks=view.asks,
            now_ns=now_ns,
        )

    def snapshot(self, view: BookView, *, now_ns: int) -> str:
        """Write what REST answers for the book."""
        ms = now_ns // NS_PER_MS
        times = "" if self._is_spot else f'"E":{ms},"T":{ms},'
        return (
            f'{{"lastUpdateId":{view.update_id},{times}"bids":{self.numerals.levels(view.bids)},'
            f'"asks":{self.numerals.levels(view.asks)}}}'
        )

    def touch(self, view: BookView, *, now_ns: int) -> str:
        """Write a book ticker frame."""
        (bid, bid_lots), (ask, ask_lots) = view.bids[0], view.asks[0]
        price, size = self.numerals.price, self.numerals.size
        quotes = (
            f'"b":"{price(bid)}","B":"{size(bid_lots)}","a":"{price(ask)}","A":"{size(ask_lots)}"'
        )
        if self._is_spot:
            return f'{{"u":{view.update_id},"s":"{self.symbol}",{quotes}}}'
        ms = now_ns // NS_PER_MS
        return (
            f'{{"e":"bookTicker","u":{view.update_id},"E":{ms},"T":{ms},'
            f'"s":"{self.symbol}",{quotes}}}'
        )

    def trade(self, trade: Trade, *, now_ns: int) -> str:
        """Write a trade frame."""
        ms = trade.at_ns // NS_PER_MS
        head = f'{{"e":"trade","E":{now_ns // NS_PER_MS}'
        body = (
            f'"t":{trade.trade_id},"p":"{self.numerals.price(trade.ticks)}",'
            f'"q":"{self.numerals.size(trade.lots)}"'
        )
        maker = _boolean(trade.buyer_is_maker)
        if self._is_spot:
            return f'{head},"s":"{self.symbol}",{body},"T":{ms},"m":{maker},"M":true}}'
        return f'{head},"T":{ms},"s":"{self.symbol}",{body},"X":"MARKET","m":{maker}}}'

    def aggregate(self, trades: Sequence[Trade], *, now_ns: int) -> str:
        """Write an aggregate trade frame: one taker's fills at one price."""
        first, last = trades[0], trades[-1]
        size = self.numerals.size(sum(trade.lots for trade in trades))
        price = self.numerals.price(first.ticks)
        times = f'"T":{first.at_ns // NS_PER_MS},"m":{_boolean(first.buyer_is_maker)}'
        head = f'{{"e":"aggTrade","E":{now_ns // NS_PER_MS}'
        ids = f'"f":{first.trade_id},"l":{last.trade_id}'
        if self._is_spot:
            return (
                f'{head},"s":"{self.symbol}","a":{first.aggregate_id},"p":"{price}","q":"{size}",'
                f'{ids},{times},"M":true}}'
            )
        return (
            f'{head},"a":{first.aggregate_id},"s":"{self.symbol}","p":"{price}","q":"{size}",'
            f'"nq":"{size}",{ids},{times},"st":1}}'
        )

    def kline(self, bar: Bar, *, interval: str, is_closed: bool, now_ns: int) -> str:
        """Write a kline frame."""
        body = kline_object(bar, interval, self.numerals, symbol=self.symbol, is_closed=is_closed)
        return f'{{"e":"kline","E":{now_ns // NS_PER_MS},"s":"{self.symbol}","k":{body}}}'

    def recent_trades(self, trades: Iterable[Trade]) -> str:
        """Write what REST answers for trades."""
        return "[" + ",".join([self._recent_trade(trade) for trade in trades]) + "]"

    def recent_aggregates(self, fills: Iterable[Sequence[Trade]]) -> str:
        """Write what REST answers for aggregate trades."""
        return "[" + ",".join([self._recent_aggregate(trades) for trades in fills]) + "]"

    def _recent_aggregate(self, trades: Sequence[Trade]) -> str:
        first, last = trades[0], trades[-1]
        size = self.numerals.size(sum(trade.lots for trade in trades))
        tail = ',"M":true' if self._is_spot else ""
        return (
            f'{{"a":{first.aggregate_id},"p":"{self.numerals.price(first.ticks)}","q":"{size}",'
            f'"f":{first.trade_id},"l":{last.trade_id},"T":{first.at_ns // NS_PER_MS},'
            f'"m":{_boolean(first.buyer_is_maker)}{tail}}}'
        )

    def _recent_trade(self, trade: Trade) -> str:
        tail = '"isBestMatch":true' if self._is_spot else '"isRPITrade":false'
        return (
            f'{{"id":{trade.trade_id},"price":"{self.numerals.price(trade.ticks)}",'
            f'"qty":"{self.numerals.size(trade.lots)}",'
            f'"quoteQty":"{self.numerals.value(trade.ticks * trade.lots)}",'
            f'"time":{trade.at_ns // NS_PER_MS},'
            f'"isBuyerMaker":{_boolean(trade.buyer_is_maker)},{tail}}}'
        )

    def _depth(
        self,
        *,
        first_id: int,
        last_id: int,
        previous_id: int,
        bids: Iterable[tuple[int, int]],
        asks: Iterable[tuple[int, int]],
        now_ns: int,
    ) -> str:
        ms = now_ns // NS_PER_MS
        levels = f'"b":{self.numerals.levels(bids)},"a":{self.numerals.levels(asks)}}}'
        head = f'{{"e":"depthUpdate","E":{ms}'
        if self._is_spot:
            return f'{head},"s":"{self.symbol}","U":{first_id},"u":{last_id},{levels}'
        return (
            f'{head},"T":{ms},"s":"{self.symbol}","ps":"{self.symbol}","st":1,'
            f'"U":{first_id},"u":{last_id},"pu":{previous_id},{levels}'
        )


def _boolean(flag: bool) -> str:  # noqa: FBT001  there is nothing it could be swapped with
    return "true" if flag else "false"
