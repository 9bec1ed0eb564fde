"""Link: the health of one connection to a venue; pure.

Quiet is not dead: a link that has been silent for a while is asked (a ping) before it is given up.
The back-off between attempts grows with full jitter and is forgiven only once a connection has
proved healthy, so that a venue that accepts and drops is not hammered.
"""

import math
from enum import Enum

import msgspec

SECOND_NS = 1_000_000_000


class LinkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When to ask, when to give up, when to replace, in seconds."""

    probe_after_s: float = 3.0
    probe_timeout_s: float = 3.0
    rotate_after_s: float = 82_800.0  # Binance closes at 24 h
    rotate_retry_s: float = 60.0  # a replacement that does not come is asked for so often
    healthy_after_s: float = 10.0
    backoff_min_s: float = 0.5
    backoff_max_s: float = 8.0  # a venue that is back is followed again within ten seconds
    first_retry_s: float = 1.0


class LinkCheck(Enum):
    """What a look at a link calls for."""

    FINE = "fine"
    PING = "ping"
    SILENT = "silent"
    ROTATE = "rotate"


class Link:
    """One connection's attempts, age and silence; times are monotonic nanoseconds."""

    def __init__(self, limits: LinkLimits) -> None:
        self._limits = limits
        self._failures = 0
        self._opened_ns = self._heard_ns = self._pinged_ns = -1
        self._rotate_at_ns = -1

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and nothing ended it."""
        return self._opened_ns >= 0

    def on_open(self, now_ns: int) -> None:
        """The handshake is done."""
        self._opened_ns = self._heard_ns = now_ns
        self._pinged_ns = -1
        self._rotate_after(now_ns, self._limits.rotate_after_s)

    def on_heard(self, now_ns: int) -> None:
        """Anything came from the peer."""
        self._heard_ns = now_ns
        self._pinged_ns = -1

    def check(self, now_ns: int) -> LinkCheck:
        """Look at an open link; after PING a pong is waited for, and then SILENT is the verdict."""
        limits = self._limits
        if not self.is_open:
            return LinkCheck.FINE
        if self._pinged_ns >= 0:
            waited_s = (now_ns - self._pinged_ns) / SECOND_NS
            return LinkCheck.SILENT if waited_s >= limits.probe_timeout_s else LinkCheck.FINE
        if (now_ns - self._heard_ns) / SECOND_NS >= limits.probe_after_s:
            self._pinged_ns = now_ns
            return LinkCheck.PING
        if 0 <= self._rotate_at_ns <= now_ns:
            self._rotate_after(now_ns, limits.rotate_retry_s)
            return LinkCheck.ROTATE
        return LinkCheck.FINE

    def _rotate_after(self, now_ns: int, delay_s: float) -> None:
        self._rotate_at_ns = -1 if math.isinf(delay_s) else now_ns + int(delay_s * SECOND_NS)

    def on_close(self, now_ns: int, chance: float) -> float:
        """The connection ended: seconds to wait before the next attempt (`chance` in [0, 1))."""
        lived_s = (now_ns - self._opened_ns) / SECOND_NS if self.is_open else 0.0
        if lived_s >= self._limits.healthy_after_s:
            self._failures = 0
        self._opened_ns = -1
        self._failures += 1
        if self._failures == 1:
            return chance * self._limits.first_retry_s
        ceiling_s = self._limits.backoff_min_s * 2.0 ** min(self._failures - 1, 16)
        return chance * min(ceiling_s, self._limits.backoff_max_s)
