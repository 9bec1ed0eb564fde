"""Verification names the first row that is not what was sealed, whatever was done to the log."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.operations.chain import GENESIS, Head, digest
from stevie.domain.operations.verify import Claim, RawRow, read_claim, verify
from tests.domain.operations.logs import (
    bit_flips,
    claim_of,
    edited,
    finding,
    head_of,
    stored,
)

ROWS = stored(20)
LONG = stored(10_000)
QUICK_STRIDE = 97  # rows of the long log that are tried in the quick tests: about a hundred


def resealed(row: RawRow) -> RawRow:
    """A row whose hash was computed anew after a change of it."""
    texts = [each.decode() if isinstance(each, bytes) else each for each in row]
    return row._replace(hash=digest(texts[6], tuple(texts[:6])).encode())


# -- a log as it should be -----------------------------------------------------------------------


def test_a_log_as_it_was_sealed_verifies():
    verdict = verify(ROWS)

    assert (verdict.rows, verdict.head, verdict.finding) == (20, head_of(ROWS), None)


def test_a_log_without_rows_verifies():
    assert verify([]).head == GENESIS
    assert finding([], claim=read_claim(str(GENESIS))) is None


def test_rows_may_come_as_text_too():
    texts = [RawRow(*(c.decode() if isinstance(c, bytes) else c for c in row)) for row in ROWS]

    assert finding(texts) is None


def test_a_log_can_be_verified_from_a_head_on():
    assert finding(ROWS[7:], after=head_of(ROWS[:7]), claim=claim_of(ROWS)) is None


@pytest.mark.parametrize("noted", range(1, 21))
def test_a_log_that_has_grown_since_its_head_was_noted_verifies(noted):
    claim = claim_of(ROWS[:noted])

    assert finding(ROWS, claim=claim) is None
    assert finding(ROWS, claim=claim._replace(seq=None)) is None


# -- every bit -----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", RawRow._fields)
def test_each_flipped_bit_of_a_row_is_found_in_the_whole_log(column):
    for flipped in bit_flips(getattr(ROWS[7], column)):
        log = [*ROWS[:7], ROWS[7]._replace(**{column: flipped}), *ROWS[8:]]

        assert finding(log) == ("altered", 8), (column, flipped)


@pytest.mark.slow
def test_each_flipped_bit_of_twenty_rows_is_found():
    """Verified from the row before on, as every verification goes on from there."""
    tried = 0
    for index, row in enumerate(ROWS):
        after = head_of(ROWS[:index]) if index else GENESIS
        for column in RawRow._fields:
            for flipped in bit_flips(getattr(row, column)):
                changed = row._replace(**{column: flipped})
                log = [changed, *ROWS[index + 1 : index + 3]]
                assert finding(log, after=after) == ("altered", index + 1), (column, flipped)
                tried += 1

    assert tried > 20 * 8 * 500  # over 500 bytes a row


@pytest.mark.parametrize("column", RawRow._fields)
@pytest.mark.parametrize(
    "value", [None, 1.5, True, b"\xff\xfe", "\ud800", [], 2**63, -(2**70)], ids=repr
)
def test_a_column_of_the_wrong_type_is_a_finding(column, value):
    log = [*ROWS[:5], ROWS[5]._replace(**{column: value}), *ROWS[6:]]

    assert finding(log) == ("altered", 6)


# -- every edit of a long log --------------------------------------------------------------------


def check_every_edit(rows: list[RawRow], index: int) -> None:
    """All that can be done to one row, seen from the row before it."""
    after = head_of(rows[:index]) if index else GENESIS
    seq, row, following = index + 1, rows[index], rows[index + 1 : index + 4]
    for column in RawRow._fields:
        assert finding([edited(row, column), *following], after=after) == ("altered", seq), column
    assert finding([row, row, *following], after=after) == ("duplicated", seq)
    if following:
        assert finding(following, after=after) == ("removed", seq)
        assert finding([following[0], row, *following[1:]], after=after) == ("reordered", seq)


def check_every_edit_at_a_distance(rows: list[RawRow], here: int, there: int) -> None:
    """What can be done with two rows that are apart; `here` comes first."""
    swapped = [*rows]
    swapped[here], swapped[there] = rows[there], rows[here]
    assert finding(swapped) == ("reordered", here + 1)
    renumbered = [*rows]  # as a database shows two rows that exchanged their numbers
    renumbered[here] = rows[there]._replace(seq=rows[here].seq)
    renumbered[there] = rows[here]._replace(seq=rows[there].seq)
    assert finding(renumbered) == ("altered", here + 1)
    copied_on = [*rows[: there + 1], rows[here], *rows[there + 1 :]]
    assert finding(copied_on) == ("duplicated", here + 1)
    copied_back = [*rows[:here], rows[there], *rows[here:]]
    assert finding(copied_back) == ("duplicated", there + 1)
    assert finding([*rows[:here], *rows[there:]]) == ("removed", here + 1)


def test_every_single_edit_of_ten_thousand_rows_is_found():
    for index in [*range(0, len(LONG), QUICK_STRIDE), len(LONG) - 1]:
        check_every_edit(LONG, index)


@pytest.mark.slow
def test_every_single_edit_of_each_of_ten_thousand_rows_is_found():
    for index in range(len(LONG)):
        check_every_edit(LONG, index)


@pytest.mark.parametrize(("here", "there"), [(0, 1), (0, 19), (3, 9), (18, 19)])
def test_swaps_and_copies_at_a_distance_are_found(here, there):
    check_every_edit_at_a_distance(ROWS, here, there)


@pytest.mark.slow
def test_swaps_and_copies_are_found_between_any_two_of_twenty_rows():
    for here in range(19):
        for there in range(here + 1, 20):
            check_every_edit_at_a_distance(ROWS, here, there)


@pytest.mark.slow
def test_swaps_and_copies_are_found_in_ten_thousand_rows():
    for here, there in [(0, 9_999), (1, 5_000), (4_999, 5_000), (9_000, 9_999)]:
        check_every_edit_at_a_distance(LONG, here, there)


@pytest.mark.parametrize("index", [0, 7, 19])
def test_a_row_with_another_number_is_found_where_a_database_would_sort_it(index):
    taken = {row.seq for row in ROWS}
    for seq in bit_flips(index + 1):
        if seq in taken:
            continue
        log = [*ROWS[:index], ROWS[index]._replace(seq=seq), *ROWS[index + 1 :]]

        found = verify(sorted(log, key=lambda each: each.seq)).finding

        assert (found.flaw, found.seq) == ("altered", index + 1), seq
        assert f"seq says {seq}" in found.detail or seq == -(2**63) + index + 1


# -- truncation, and what was sealed anew --------------------------------------------------------


def test_a_log_cut_off_verifies_unless_a_head_was_noted():
    cut = LONG[:9_000]

    assert finding(cut) is None
    assert finding(cut, claim=claim_of(LONG)) == ("truncated", 9_001)
    assert finding(cut, claim=claim_of(LONG)._replace(seq=None)) == ("truncated", 9_001)


@pytest.mark.parametrize("kept", range(20))
def test_every_truncation_is_found_against_a_head(kept):
    assert finding(ROWS[:kept], claim=claim_of(ROWS)) == ("truncated", kept + 1)


def test_every_truncation_of_ten_thousand_rows_is_found_against_a_head():
    claim = claim_of(LONG)
    for kept in range(1, len(LONG)):
        after = head_of(LONG[:kept])
        assert finding([], after=after, claim=claim) == ("truncated", kept + 1)


def test_a_row_changed_and_hashed_anew_is_named_by_the_row_after_it():
    changed = resealed(ROWS[11]._replace(payload=b'{"price":"1"}'))

    log = [*ROWS[:11], changed, *ROWS[12:]]

    assert finding(log) == ("rewritten", 12)


def test_a_row_linked_anew_is_named_itself():
    changed = resealed(ROWS[11]._replace(prev_hash=b"0" * 64))

    assert finding([*ROWS[:11], changed, *ROWS[12:]]) == ("rewritten", 12)
    assert finding([*ROWS[:11], changed]) == ("rewritten", 12)


def test_a_log_whose_beginning_was_replaced_is_found():
    foreign = stored(20, Head(0, "1" * 64))

    assert finding(foreign) == ("rewritten", 1)


def test_a_log_sealed_anew_from_a_row_on_is_found_against_a_head_alone():
    anew = [*ROWS[:11], *stored(9, Head(11, "2" * 64))]
    anew[11] = anew[11]._replace(prev_hash=ROWS[10].hash)
    for index in range(11, 20):
        link = anew[index - 1].hash
        anew[index] = resealed(anew[index]._replace(prev_hash=link, payload=b"{}"))

    assert finding(anew) is None
    assert finding(anew, claim=claim_of(ROWS)) == ("rewritten", 20)
    assert finding(anew, claim=claim_of(ROWS[:5])) is None
    assert finding(anew, claim=claim_of(ROWS)._replace(seq=None)) == ("truncated", 21)


def test_a_head_is_read_with_its_number_or_without():
    row_hash = "ab" * 32

    assert read_claim(f" 12:{row_hash}\n") == Claim(12, row_hash)
    assert read_claim(row_hash.upper()) == Claim(None, row_hash)
    assert read_claim(str(head_of(ROWS))) == claim_of(ROWS)


@pytest.mark.parametrize(
    "text", ["", "12", "12:", ":" + "a" * 64, "a" * 63, "x" * 64, "-1:" + "a" * 64]
)
def test_what_is_no_head_is_refused_with_what_is_expected(text):
    with pytest.raises(ValueError, match="SEQ:HASH or 64 hex digits"):
        read_claim(text)


# -- any change of any log -----------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_other_sequence_of_the_rows_is_found_against_a_head(data):
    log = data.draw(st.lists(st.sampled_from(ROWS[:6]), max_size=9))

    assert (finding(log, claim=claim_of(ROWS[:6])) is None) == (log == ROWS[:6])


@settings(max_examples=100, deadline=None)
@given(
    index=st.integers(0, 19),
    column=st.sampled_from(RawRow._fields),
    value=st.one_of(st.integers(), st.binary(max_size=80), st.text(), st.none(), st.floats()),
)
def test_any_other_value_of_a_column_is_found_in_its_row(index, column, value):
    same = value.encode() if isinstance(value, str) and value.isascii() else value
    if same == getattr(ROWS[index], column):
        return
    log = [*ROWS[:index], ROWS[index]._replace(**{column: value}), *ROWS[index + 1 :]]

    assert finding(log) == ("altered", index + 1)


def test_the_memory_and_time_of_a_verification_are_those_of_one_pass():
    class Rows:
        """Rows that can be read once, and are counted."""

        count = 0

        def __iter__(self):
            for row in LONG:
                self.count += 1
                yield row

    rows = Rows()
    began_s = time.process_time()

    assert verify(rows).rows == rows.count == 10_000
    assert time.process_time() - began_s < 2.0
