"""FeedRecords: what a feed leaves behind: connects, losses, mute lines, what it could not read."""

import structlog

from stevie.actors.market_counters import MarketCounter
from stevie.actors.quarantine import AUDITOR, Quarantine
from stevie.domain.contracts.quarantine import Malformed
from stevie.domain.market.core import Scale
from stevie.domain.market.mute import MUTE_AFTER_S
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.messages.market import BodyUnreadable
from stevie.messages.record import AuditWanted
from stevie.ports import VenueCodec
from stevie.runtime.context import ActorContext

log = structlog.get_logger()

MUTE_REASON = f"mute: open for {MUTE_AFTER_S:g} s without one frame"


class FeedRecords:
    """Without the record stage, counts and log lines alone."""

    def __init__(self, context: ActorContext, codec: VenueCodec, *, is_recorded: bool) -> None:
        self._context, self._codec, self._is_recorded = context, codec, is_recorded
        self._quarantine = Quarantine(context, is_recorded=is_recorded)
        self._states: dict[str, str] = {}  # by URL of the lines, as last told

    def on_connected(self, url: str) -> None:
        """A line has a socket."""
        self._context.counters.add(MarketCounter.FEED_CONNECTS, self._codec.venue)
        log.info("feed_connected", actor=self._context.name, url=url)
        self._tell(url, "connected", "")

    def on_lost(self, url: str, reason: str, *, retry_s: float) -> None:
        """A line has none any more, or could not get one."""
        log.warning(
            "feed_disconnected",
            actor=self._context.name,
            reason=reason,
            retry_in_s=round(retry_s, 2),
        )
        self._tell(url, "lost", reason)

    def on_mute(self, url: str) -> None:
        """A line is open and says nothing."""
        self._context.counters.add(MarketCounter.FEED_MUTE, self._codec.venue)
        log.error("feed_mute", actor=self._context.name, url=url)
        self._tell(url, "mute", MUTE_REASON)

    def _tell(self, url: str, state: str, reason: str) -> None:
        """Changes only: a venue that refuses for a day is one row and not twenty thousand."""
        before = self._states.get(url, "")
        self._states[url] = state
        if state == before or not self._is_recorded:
            return
        facts = payload(
            venue=self._codec.venue, url=url, from_state=before, state=state, reason=reason
        )
        entry = AuditEntry(
            at_ns=self._context.clock.wall_ns(),
            kind=AuditKind.FEED_STATE,
            actor=self._context.name,
            payload=facts,
        )
        self._context.directory.tell(AUDITOR, AuditWanted(entries=(entry,)))

    def on_odd_frame(self, kind: str, frame: bytes) -> None:
        """A frame of no book that is an error of the venue's, or cannot be read."""
        text = frame[:200].decode("utf-8", "replace")
        log.warning("feed_frame_odd", actor=self._context.name, kind=kind, frame=text)
        if kind == "garbage":
            reason = self._codec.explain(frame, Scale()) or "it is nothing that we know"
            contract = f"{self._codec.venue}.frame"
            self._quarantine.put("wire", contract, (Malformed(frame, reason),), broken=1)

    def on_unreadable(self, message: BodyUnreadable) -> None:
        """A REST answer that breaks its contract."""
        found = (Malformed(message.body, message.reason),)
        self._quarantine.put("rest", message.contract, found, broken=1)
