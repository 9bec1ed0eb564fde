import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from stevie import logs


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 1_732_320_000_000_001_000

    def wall_ns(self) -> int:
        return self.now_ns

    monotonic_ns = wall_ns

    def call_later(self, delay_s, callback):
        raise AssertionError("logging arms no timer")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(**settings):
    stream, clock = io.StringIO(), FakeClock()
    logs.configure(clock=clock, stream=stream, **settings)
    return stream, clock


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_is_an_event_with_its_keys_and_the_clocks_time():
    stream, _ = configured(format="json")

    structlog.get_logger("stevie.x").warning("book_lost", actor="book/binance/BTCUSDT", gap_count=2)

    assert lines(stream) == [
        {
            "at": "2024-11-23T00:00:00.000001Z",
            "level": "warning",
            "event": "book_lost",
            "actor": "book/binance/BTCUSDT",
            "gap_count": 2,
            "logger": "stevie.x",
        }
    ]


def test_a_standard_logger_goes_through_the_same_pipeline_extras_and_arguments_too():
    stream, _ = configured(format="json")

    logging.getLogger("gunicorn.error").info("Listening at: %s", "there", extra={"actor": "root"})

    (line,) = lines(stream)
    assert line["event"] == "Listening at: there"
    assert (line["logger"], line["actor"], line["level"]) == ("gunicorn.error", "root", "info")


def test_a_gunicorn_logger_does_not_write_past_the_pipeline():
    past = io.StringIO()
    logging.getLogger("gunicorn.access").addHandler(logging.StreamHandler(past))
    logging.getLogger("gunicorn.access").propagate = False

    stream, _ = configured(format="json")
    logging.getLogger("gunicorn.access").info("GET /")

    assert past.getvalue() == ""
    assert [line["event"] for line in lines(stream)] == ["GET /"]


def test_a_number_that_json_lacks_costs_no_line():
    stream, _ = configured(format="json")

    structlog.get_logger().info("odd", ratio=float("nan"), what={1, 2}.__class__)

    assert lines(stream)[0]["ratio"] is None


def test_a_traceback_is_in_the_line_and_shows_no_local_variable():
    hidden = "-".join(("a", "token"))

    def fail() -> None:
        local = hidden
        raise ValueError(len(local))

    for format_ in ("json", "console"):
        stream, _ = configured(format=format_)
        try:
            fail()
        except ValueError:
            structlog.get_logger().exception("failed")

        assert "ValueError" in stream.getvalue()
        assert hidden not in stream.getvalue()


def test_a_console_that_is_no_terminal_gets_no_colors():
    stream, _ = configured(format="console")

    structlog.get_logger().info("started", kernel="native")

    assert "\x1b" not in stream.getvalue()
    assert "started" in stream.getvalue()
    assert "kernel=native" in stream.getvalue()


def test_what_is_below_the_level_is_not_written():
    stream, _ = configured(format="json", level="warning")

    structlog.get_logger("stevie.x").info("quiet")
    logging.getLogger("stevie.x").info("quiet")

    assert stream.getvalue() == ""


def test_libraries_that_tell_of_every_connection_are_heard_from_a_warning_on():
    stream, _ = configured(format="json", level="debug")

    for name in logs.CHATTY:
        logging.getLogger(name).info("connection open")
        logging.getLogger(f"{name}.client").warning("connection lost")

    assert [line["event"] for line in lines(stream)] == ["connection lost"] * 2


def test_repeats_are_bounded_and_then_counted_in_one_line():
    stream, clock = configured(format="json", repeats_per_s=3)
    log = structlog.get_logger("stevie.x")

    for _ in range(10):
        log.warning("frame_malformed", actor="feed/binance")
    clock.now_ns += logs.SECOND_NS
    log.warning("frame_malformed", actor="feed/binance")

    events = [line["event"] for line in lines(stream)]
    assert events == [*["frame_malformed"] * 3, "events_dropped", "frame_malformed"]
    dropped = lines(stream)[3]
    assert (dropped["repeated_event"], dropped["actor"], dropped["dropped_count"]) == (
        "frame_malformed",
        "feed/binance",
        7,
    )


def test_what_was_dropped_is_told_by_the_next_line_whatever_it_is():
    stream, clock = configured(format="json", repeats_per_s=1)
    logging.getLogger("a").error("again")
    logging.getLogger("a").error("again")

    clock.now_ns += logs.SECOND_NS
    structlog.get_logger().info("other")

    assert [line["event"] for line in lines(stream)] == ["again", "events_dropped", "other"]


def test_one_noisy_actor_does_not_silence_another():
    stream, _ = configured(format="json", repeats_per_s=1)

    for actor in ("a", "a", "b"):
        logging.getLogger("stevie.runtime").error("actor_failed", extra={"actor": actor})

    assert [line["actor"] for line in lines(stream)] == ["a", "b"]


def test_more_events_than_can_be_watched_are_all_written():
    clock = FakeClock()
    limit = logs.RepeatLimit(clock, per_s=1)
    for number in range(logs.KEYS_MAX):
        limit.admit(logs.Repeated(str(number), ""))

    assert limit.admit(logs.Repeated("one more", ""))
    assert limit.admit(logs.Repeated("one more", ""))
    assert not limit.admit(logs.Repeated("0", ""))


def test_configuring_twice_writes_each_line_once():
    configured(format="json")
    stream, _ = configured(format="json")

    logging.getLogger("stevie").warning("once")

    assert len(lines(stream)) == 1
