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
    FEED_MUTE = Counter(
        "stevie_feed_mute_total",
        "Lines that were open for ten seconds without one frame.",
        labels=("venue",),
    )
    QUARANTINED = Counter(
        "stevie_quarantined_total",
        "Frames and bodies that broke their contract and were set aside, by border.",
        labels=("border", "contract"),
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
    JOURNAL_ROWS = Counter(
        "stevie_book_journal_rows_total",
        "Rows that books gave to the store so that they can be built again.",
        labels=("venue",),
    )
    JOURNAL_OVERFLOWS = Counter(
        "stevie_book_journal_overflows_total",
        "Times that a book dropped its journal because rows were not made in time.",
        labels=("venue",),
    )
