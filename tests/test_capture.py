"""What can be read of a capture, and what is said where it breaks."""

import gzip
import json

import pytest

from stevie.capture import STEP_NS, CaptureError, CaptureWriter, read_capture
from tests.replay.captures import START_S, delta, snapshot, texts, write

LINES = texts([delta(1, 1), snapshot(1), delta(2, 2)])


@pytest.mark.parametrize("name", ["capture.jsonl", "capture.jsonl.gz", "no-ending"])
def test_plain_and_gzip_are_told_apart_by_what_they_hold(tmp_path, name):
    path = write(tmp_path / name, LINES)

    lines = list(read_capture(path))

    assert [line.kind for line in lines] == ["ws_in", "rest", "ws_in"]
    assert [line.number for line in lines] == [1, 2, 3]
    assert lines[0].at_ns == int(START_S * 1e9)
    assert json.loads(lines[0].raw)["u"] == 1


def test_time_never_goes_back_and_a_line_without_one_lasts_a_step(tmp_path):
    times = [5.0, None, None, 4.0, 6.0]
    rows = [json.dumps({**delta(1, 1), "t": t}) for t in times]
    path = write(tmp_path / "capture.jsonl", rows)

    at_ns = [line.at_ns - 5_000_000_000 for line in read_capture(path)]

    assert at_ns == [0, STEP_NS, 2 * STEP_NS, 2 * STEP_NS, 1_000_000_000]


def test_empty_lines_are_passed_over_but_counted(tmp_path):
    path = write(tmp_path / "capture.jsonl", [LINES[0], "", "  ", LINES[1]])

    assert [line.number for line in read_capture(path)] == [1, 4]


def test_an_empty_file_has_no_lines(tmp_path):
    assert list(read_capture(write(tmp_path / "capture.jsonl", []))) == []


def test_the_last_line_may_lack_its_end(tmp_path):
    path = tmp_path / "capture.jsonl"
    path.write_text(LINES[0])

    assert len(list(read_capture(path))) == 1


BROKEN = {
    "cut JSON": LINES[1][:40],
    "no JSON": "hello",
    "a list": "[1,2]",
    "a wrong kind": '{"kind":"udp","url":"x","raw":""}',
    "no raw": '{"kind":"rest","url":"x"}',
    "a text as time": '{"t":"now","kind":"rest","url":"x","raw":""}',
    "time in milliseconds": '{"t":1700000000000,"kind":"rest","url":"x","raw":""}',
    "time below zero": '{"t":-1,"kind":"rest","url":"x","raw":""}',
    "half a surrogate": '{"kind":"rest","url":"x","raw":"\\ud800"}',
    "a url that is none": '{"kind":"rest","url":"http://[x","raw":""}',
}


@pytest.mark.parametrize("row", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_is_named_after_what_came_before_it(tmp_path, row):
    path = write(tmp_path / "capture.jsonl.gz", [LINES[0], "", row, LINES[2]])
    lines = read_capture(path)

    assert next(lines).number == 1
    with pytest.raises(CaptureError, match=r"capture.jsonl.gz, line 3: not a capture line"):
        next(lines)


def test_a_byte_that_is_no_utf_8_is_named_by_its_line(tmp_path):
    path = tmp_path / "capture.jsonl"
    path.write_bytes("\n".join(LINES[:2]).encode().replace(b"10.5", b"10\xff5"))
    lines = read_capture(path)

    next(lines)
    with pytest.raises(CaptureError, match="line 2"):
        next(lines)


def test_a_truncated_gzip_keeps_what_came_before_and_names_the_line(tmp_path):
    rows = texts([delta(seq, seq, bids=[[str(seq * 7919 % 1000), "1"]]) for seq in range(1, 2000)])
    whole = gzip.compress("".join(row + "\n" for row in rows).encode())
    path = tmp_path / "capture.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    read: list[int] = []

    with pytest.raises(CaptureError, match="the gzip stream is broken") as error:
        read.extend(line.number for line in read_capture(path))

    assert len(read) > 100
    assert error.value.line == len(read) + 1


@pytest.mark.parametrize("at", [12, 60, -6])
def test_a_gzip_with_a_wrong_byte_is_an_error_not_other_frames(tmp_path, at):
    data = bytearray(gzip.compress(("\n".join(LINES) + "\n").encode()))
    data[at] ^= 0xFF
    path = tmp_path / "capture.jsonl.gz"
    path.write_bytes(data)

    with pytest.raises(CaptureError, match="line"):
        list(read_capture(path))


def test_what_is_no_file_says_so(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        next(read_capture(tmp_path / "none.jsonl"))
    with pytest.raises(CaptureError, match="directory"):
        next(read_capture(tmp_path))


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "capture.jsonl.gz"
    frames = [("ws_in", '{"p":"0.10"}'), ("rest", "\u00fc\u20ac"), ("ws_out", "")]
    writer = CaptureWriter(path)

    for number, (kind, raw) in enumerate(frames):
        writer.write(kind, "wss://x/y", raw, START_S + number / 8)
    writer.close()

    lines = list(read_capture(path))
    assert [(line.kind, line.raw.decode()) for line in lines] == frames
    assert [line.at_ns for line in lines] == [int((START_S + n / 8) * 1e9) for n in range(3)]
    assert writer.lines == 3


def test_a_capture_that_was_never_closed_is_broken_where_it_ends(tmp_path):
    path = tmp_path / "capture.jsonl.gz"
    writer = CaptureWriter(path)
    writer.write("ws_in", "wss://x/y", "{}", START_S)
    writer.flush()
    kept = path.read_bytes()
    writer.close()
    path.write_bytes(kept)
    lines = read_capture(path)

    assert next(lines).raw == b"{}"
    with pytest.raises(CaptureError, match="line 2"):
        next(lines)
