"""What the bars count, each with a sentence."""

from stevie.runtime.counters import Counter


class BarCounter:
    """Counts of the actors that keep bars."""

    CHANGED = Counter(
        "stevie_bars_changed_total",
        "Bars that were closed, back-filled or corrected.",
        labels=("venue", "timeframe", "source"),
    )
    TRADES = Counter(
        "stevie_bar_trades_total",
        "Trades by what became of them: counted, late, repeated, other_kind, ahead, unfit or "
        "malformed.",
        labels=("venue", "fate"),
    )
    KLINE_REQUESTS = Counter(
        "stevie_kline_requests_total", "Requests for klines.", labels=("venue",)
    )
    KLINE_REFUSALS = Counter(
        "stevie_kline_refusals_total",
        "Requests for klines that were refused, never answered, or answered with nothing new.",
        labels=("venue",),
    )
