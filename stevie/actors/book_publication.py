"""BookPublication: when a book is told to the others, and what."""

from collections.abc import Callable

from stevie.actors.market_counters import MarketCounter
from stevie.domain.market.book import Book
from stevie.domain.market.link import SECOND_NS
from stevie.messages.market import BookChanged, FeaturesChanged, PublishDue
from stevie.runtime.clock import Timer
from stevie.runtime.context import ActorContext
from stevie.runtime.message import Message

PUBLISH_GAP_NS = SECOND_NS // 20  # at most 20 publications a second
PUBLISH_IDLE_S = 1.0  # after so long an unchanged book is published too: newcomers hear of it
MARKET_DATA = "market_data"

States = tuple[str, str]
"""A state and its reason."""


class BookPublication:
    """One book's publications; changes between two of them are folded."""

    def __init__(
        self,
        context: ActorContext,
        after: Callable[[float, Message], Timer],
        *,
        book: Book,
        venue: str,
        symbol: str,
        window_ns: int,
    ) -> None:
        self._context, self._after, self._book = context, after, book
        self._venue, self._symbol, self._window_ns = venue, symbol, window_ns
        self._is_armed = False
        self._at_ns = -PUBLISH_GAP_NS
        self._states: States = ("", "")

    def begin(self) -> None:
        """From now on publish whenever nothing was for long."""
        self._after(PUBLISH_IDLE_S, PublishDue(is_idle=True))

    def is_due(self, message: PublishDue) -> bool:
        """Whether a timer calls for a publication."""
        if not message.is_idle:
            self._is_armed = False
            return True
        wait_s = PUBLISH_IDLE_S - (self._now_ns() - self._at_ns) / SECOND_NS
        is_due = wait_s < PUBLISH_IDLE_S / 2  # a book that moves is heard of anyway
        self._after(PUBLISH_IDLE_S if is_due else wait_s, PublishDue(is_idle=True))
        return is_due

    def publish_if_due(self, *, is_moved: bool = True) -> States | None:
        """Publish a change of state at once, other changes at most 20 times a second.

        What has not moved is not published: the next frame would have to wait for it, up to 50 ms.
        The state before and its reason, if they changed.
        """
        now_ns = self._now_ns()
        before, states = self._states, (self._book.state.value, self._book.reason.value)
        wait_ns = self._at_ns + PUBLISH_GAP_NS - now_ns
        if states != before or (is_moved and wait_ns <= 0):
            self._publish(now_ns)
            self._states = states
        elif is_moved and not self._is_armed:
            self._is_armed = True
            self._after(wait_ns / SECOND_NS, PublishDue())
        return before if states != before else None

    def _publish(self, now_ns: int) -> None:
        venue, symbol, book = self._venue, self._symbol, self._book
        self._at_ns = now_ns
        fresh = book.fresh_book(venue, symbol)
        changed = BookChanged(
            venue=venue, symbol=symbol, state=book.state, reason=book.reason, book=fresh
        )
        self._context.directory.tell(MARKET_DATA, changed)
        self._context.counters.add(MarketCounter.PUBLICATIONS, venue)
        if fresh is not None:
            features = self._features(fresh.scale.price_decimals, now_ns)
            self._context.directory.tell(MARKET_DATA, features)

    def _features(self, price_decimals: int, now_ns: int) -> FeaturesChanged:
        return FeaturesChanged(
            venue=self._venue,
            symbol=self._symbol,
            features=self._book.core.features(now_ns),
            price_decimals=price_decimals,
            window_ns=self._window_ns,
            at_ns=now_ns,
        )

    def _now_ns(self) -> int:
        return self._context.clock.monotonic_ns()
