"""What the store counts, each with a sentence."""

from stevie.runtime.counters import Counter


class StoreCounter:
    """Counts of the store keeper and of the archive."""

    ROWS_WRITTEN = Counter("stevie_store_rows_written_total", "Rows that are durable.")
    ROWS_LOST = Counter(
        "stevie_store_rows_lost_total",
        "Bulk rows that were dropped: too many waited, or they can never be written.",
    )
    ROWS_PRUNED = Counter(
        "stevie_store_rows_pruned_total", "Rows that were removed because a table was full."
    )
    WRITES_FAILED = Counter(
        "stevie_store_writes_failed_total", "Transactions that failed, most to be tried again."
    )
    ROWS_INVALID = Counter(
        "stevie_store_rows_invalid_total",
        "Rows read from the database that broke their contract, and were not handed out.",
        labels=("table",),
    )
