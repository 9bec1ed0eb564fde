"""FeedSnapshots: a feed's snapshot requests, within what its venue allows."""

from collections.abc import Callable

from stevie.actors.feed_answers import snapshot_answered
from stevie.actors.market_counters import MarketCounter
from stevie.domain.market.snapshot_queue import SnapshotQueue
from stevie.messages.market import FetchNext, SnapshotAnswered
from stevie.ports import HttpAnswer, Transport, VenueCodec
from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message


class FeedSnapshots:
    """The requests that wait and those under way."""

    def __init__(
        self,
        context: ActorContext,
        after: Callable[[float, Message], Timer],
        *,
        codec: VenueCodec,
        transport: Transport,
        in_flight_max: int,
    ) -> None:
        self._context, self._after = context, after
        self._codec, self._transport = codec, transport
        self._queue = SnapshotQueue(in_flight_max=in_flight_max)
        self._is_armed = False
        self.requested = 0

    def want(self, native: str) -> None:
        """A book asks for one."""
        self._queue.want(native)
        self._fetch()

    def resume(self) -> None:
        """The pause is over."""
        self._is_armed = False
        self._fetch()

    def on_answered(self, message: SnapshotAnswered) -> None:
        """A request has ended."""
        self._queue.on_answer(
            message.native_symbol, pause_s=message.retry_after_s, now_ns=self._now_ns()
        )
        if message.refusal:
            self._context.counters.add(MarketCounter.SNAPSHOT_REFUSALS, self._codec.venue)
        self._fetch()

    def _fetch(self) -> None:
        """Send the next request, if one waits and may go out."""
        now_ns = self._now_ns()
        wait_s = self._queue.wait_s(now_ns)
        if wait_s is None:
            return
        if wait_s > 0:
            if not self._is_armed:
                self._is_armed = True
                self._after(wait_s, FetchNext())
            return
        native = self._queue.take(now_ns)
        self.requested += 1
        self._context.counters.add(MarketCounter.SNAPSHOT_REQUESTS, self._codec.venue)
        url = self._codec.snapshot_url(native)
        self._transport.get(url, lambda answer: self._on_body(native, answer))
        self._fetch()

    def _on_body(self, native: str, answer: HttpAnswer) -> None:
        told = snapshot_answered(self._codec, native, answer)
        self._context.directory.tell(self._context.name, told)

    def _now_ns(self) -> int:
        return self._context.clock.monotonic_ns()
