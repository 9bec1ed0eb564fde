import json

import pytest

from stevie.domain.contracts.rows import FlagRow
from stevie.domain.operations.flags import (
    BARS_BACKFILL,
    FLAGS,
    L2_LOG,
    NAMES,
    Change,
    FlagBoard,
    Setting,
    UnknownFlagError,
    entry,
    row,
)

NOW_NS = 1_732_320_000_123_456_789


def stored(name: str = "l2_log", value: str = "off", *, seq: int = 7) -> FlagRow:
    return FlagRow(name=name, value=value, changed_ns=NOW_NS, audit_seq=seq)


def change(name: str = "l2_log", *, value: bool = False) -> Change:
    return Change(name, value, NOW_NS)


def test_every_flag_has_a_name_of_its_own_and_a_sentence():
    assert sorted(set(NAMES)) == list(NAMES)
    assert all(flag.sentence.endswith(".") for flag in FLAGS)


def test_what_was_never_set_has_its_default():
    board = FlagBoard()

    assert board.setting("l2_log") == Setting(L2_LOG.default) == Setting(True, 0, 0)
    assert board.on() == ("bars_backfill", "l2_log")
    assert BARS_BACKFILL.default
    assert not board.is_read


def test_there_are_no_other_flags():
    with pytest.raises(UnknownFlagError, match="nope"):
        FlagBoard().setting("nope")


def test_a_change_counts_once_it_is_durable():
    board = FlagBoard()
    board.begin(1, change())
    assert board.setting("l2_log").value
    assert board.wanted("l2_log") is False
    assert board.wanted("bars_backfill") is True

    assert board.confirm(1, audit_seq=9) == "l2_log"

    assert board.setting("l2_log") == Setting(False, NOW_NS, 9)
    assert board.on() == ("bars_backfill",)
    assert board.underway("l2_log") is None


def test_of_several_changes_the_newest_is_wanted():
    board = FlagBoard()
    for receipt, value in ((10, False), (11, True), (12, False)):
        board.begin(receipt, change(value=value))
    board.begin(13, change("bars_backfill"))

    assert board.underway("l2_log") == (12, change(value=False))
    board.confirm(10, audit_seq=1)
    board.confirm(11, audit_seq=2)
    assert board.setting("l2_log").value
    assert board.wanted("l2_log") is False


def test_a_receipt_of_nobody_changes_nothing():
    board = FlagBoard()

    assert board.confirm(5, audit_seq=9) == ""
    assert board.setting("l2_log").audit_seq == 0


def test_the_store_tells_how_flags_stood():
    board = FlagBoard()

    assert board.restore([stored()]) == ()

    assert board.is_read
    assert board.setting("l2_log") == Setting(False, NOW_NS, 7)
    assert board.setting("bars_backfill") == Setting(True)


@pytest.mark.parametrize("told_first", ["the row", "the receipt"])
def test_the_later_row_holds_in_whichever_order_it_is_heard(told_first):
    board = FlagBoard()
    board.begin(1, change(value=True))
    deeds = [lambda: board.restore([stored(seq=7)]), lambda: board.confirm(1, audit_seq=8)]
    for deed in deeds if told_first == "the row" else reversed(deeds):
        deed()

    assert board.setting("l2_log") == Setting(True, NOW_NS, 8)


def test_rows_of_flags_that_are_no_more_or_of_other_values_are_named_and_passed_over():
    board = FlagBoard()

    strange = board.restore([stored("of_old"), stored(value="perhaps"), stored("bars_backfill")])

    assert strange == ("of_old", "l2_log")
    assert board.on() == ("l2_log",)


@pytest.mark.parametrize("value", [True, False])
def test_a_row_is_read_as_it_was_meant(value):
    board = FlagBoard()
    board.restore([row(change(value=value))])

    assert board.setting("l2_log").value is value


def test_the_log_says_what_was_set_from_what_by_whom():
    told = entry(change(), was=True, by="127.0.0.1", actor="flags")

    assert (told.kind, told.actor, told.at_ns) == ("flag_set", "flags", NOW_NS)
    expected = {"name": "l2_log", "from": True, "to": False, "by": "127.0.0.1"}
    assert json.loads(told.payload) == expected
