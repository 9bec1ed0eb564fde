"""RFC 3339 timestamps, the form in which times leave Stevie."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text(at_ns: int) -> str:
    """`1732320000000001999` -> `"2024-11-23T00:00:00.000001Z"`: UTC, always six decimals."""
    # NOTE: integers all the way: a float holds no microseconds of this century.
    moment = _EPOCH + timedelta(microseconds=at_ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
