"""What the market actors count, each with a sentence."""

from stevie.runtime.counters import Counter


class MarketCounter:
    """Counts of feeds and books."""

    FEED_CONNECTS = Counter(
        "stevie_feed_connects_total", "Connections that a feed opened.", labels=("venue",)
    )
    FEED_FRAMES = Counter(
        "stevie_feed_frames_total", "Frames that a feed received.", labels=("venue",)
    )
    FEED_UNROUTED = Counter(
        "stevie_feed_unrouted_total",
        "Frames that belong to no followed symbol, by what they are.",
        labels=("venue", "kind"),
    )
    FEED_FRAMES_LOST = Counter(
        "stevie_feed_frames_lost_total",
        "Batches of frames that a full mailbox dropped (declared gaps).",
        labels=("venue",),
    )
    SNAPSHOT_REQUESTS = Counter(
        "stevie_snapshot_requests_total", "REST snapshots asked for.", labels=("venue",)
    )
    SNAPSHOT_REFUSALS = Counter(
        "stevie_snapshot_refusals_total",
        "REST snapshots that were refused or never came.",
        labels=("venue",),
    )
    RESYNCS = Counter(
        "l2_resyncs_total",
        "Times that a book lost its place and had to start over.",
        labels=("venue",),
    )
    PUBLICATIONS = Counter(
        "stevie_book_publications_total",
        "Times that a book was published to the others.",
        labels=("venue",),
    )
