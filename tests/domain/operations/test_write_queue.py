import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.contracts.rows import QuarantineRow
from stevie.domain.operations import write_queue
from stevie.domain.operations.write_queue import (
    BATCH_ROWS_MAX,
    DURABLES_MAX,
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    Durable,
    WriteQueue,
)


class Always:
    """Chance that draws the same share of every range."""

    def __init__(self, share: float) -> None:
        self._share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self._share


def row(number: int, size: int = 0) -> QuarantineRow:
    return QuarantineRow(
        at_ns=number, border="b", contract="c", reason="r", size=size, body=b"x" * size
    )


def rows(*numbers: int, size: int = 0) -> tuple[QuarantineRow, ...]:
    return tuple(row(number, size) for number in numbers)


def durable(receipt: int, *numbers: int, by: str = "auditor") -> Durable:
    return Durable(rows(*numbers), by, receipt)


@pytest.fixture
def queue() -> WriteQueue:
    return WriteQueue()


def test_nothing_waits_at_first(queue):
    assert queue.next_batch() is None
    assert (queue.waiting_rows, queue.waiting_bytes, queue.trouble) == (0, 0, "")


def test_durable_rows_go_before_bulk_rows_that_came_first(queue):
    queue.add_bulk(rows(1, 2))
    queue.add_durable(durable(7, 3))

    batch = queue.next_batch()

    assert batch is not None
    assert batch.rows == rows(3)
    assert queue.on_stored() == batch
    assert queue.next_batch().rows == rows(1, 2)


def test_requests_that_wait_together_are_written_together(queue):
    for receipt in range(3):
        queue.add_durable(durable(receipt, receipt * 2, receipt * 2 + 1))

    batch = queue.next_batch()

    assert batch.rows == rows(0, 1, 2, 3, 4, 5)
    assert [each.receipt for each in batch.durables] == [0, 1, 2]


def test_a_request_is_never_split_and_a_batch_has_its_bound(queue):
    half = tuple(range(BATCH_ROWS_MAX // 2))
    for receipt in range(3):
        queue.add_durable(durable(receipt, *half))

    first, _ = queue.next_batch(), queue.on_stored()
    second = queue.next_batch()

    assert [len(first.durables), len(second.durables)] == [2, 1]
    assert len(first.rows) == BATCH_ROWS_MAX


def test_a_request_larger_than_the_bound_is_written_alone(queue):
    queue.add_durable(durable(1, *range(BATCH_ROWS_MAX + 1)))
    queue.add_durable(durable(2, 5))

    assert len(queue.next_batch().rows) == BATCH_ROWS_MAX + 1


def test_one_batch_is_under_way_at_a_time(queue):
    queue.add_durable(durable(1, 1))
    queue.add_durable(durable(2, *range(BATCH_ROWS_MAX)))
    first = queue.next_batch()

    assert queue.next_batch() is None
    assert queue.under_way == first
    queue.on_stored()
    assert queue.under_way is None
    assert queue.next_batch().number == first.number + 1


def test_bulk_batches_are_bounded_in_bytes(queue, monkeypatch):
    monkeypatch.setattr(write_queue, "BATCH_BYTES_MAX", 3 * 1256)
    queue.add_bulk(rows(*range(10), size=1000))

    assert queue.next_batch().rows == rows(0, 1, 2, size=1000)


# -- failures -------------------------------------------------------------------------------------


def test_a_batch_that_failed_is_written_again_before_anything_else(queue):
    queue.add_bulk(rows(1))
    failed = queue.next_batch()
    queue.on_failed("disk full")
    queue.add_durable(durable(1, 2))

    assert queue.under_way is None
    assert queue.trouble == "disk full"
    assert queue.next_batch() == failed  # under its number, by which a writer knows it


def test_trouble_is_over_with_the_first_write_that_succeeds(queue):
    queue.add_durable(durable(1, 1))
    queue.next_batch()
    queue.on_failed("disk full")
    queue.next_batch()
    queue.on_stored()

    assert queue.trouble == ""
    assert (queue.written_rows, queue.waiting_rows) == (1, 0)


def test_of_refused_bulk_rows_only_those_at_fault_are_given_up_and_counted(queue):
    queue.add_bulk(rows(*range(100)))
    bad, written, attempts = row(37), [], 0
    while batch := queue.next_batch():
        attempts += 1
        if bad in batch.rows:
            queue.on_refused()
        else:
            written.extend(queue.on_stored().rows)

    assert written == [each for each in rows(*range(100)) if each != bad]
    assert (queue.lost_rows, queue.waiting_rows, queue.trouble) == (1, 0, "")
    assert attempts < 20


def test_of_refused_requests_only_the_one_at_fault_is_given_up(queue):
    for receipt in range(4):
        queue.add_durable(durable(receipt, receipt))
    first = queue.next_batch()
    assert queue.on_refused() is None
    outcomes = []
    while batch := queue.next_batch():
        assert batch.number > first.number  # the mark of another try
        if batch.durables[0].receipt == 2:
            outcomes.append(("refused", queue.on_refused().durables[0].receipt))
        else:
            outcomes.append(("stored", queue.on_stored().durables[0].receipt))

    assert outcomes == [("stored", 0), ("stored", 1), ("refused", 2), ("stored", 3)]
    assert queue.lost_rows == 0  # whoever sent them was told


def test_a_question_is_written_alone_after_what_came_before_it(queue):
    queue.add_durable(durable(1, 1))
    queue.add_durable(Durable((), "auditor", 2, is_question=True))
    queue.add_durable(durable(3, 3))
    receipts = []
    while batch := queue.next_batch():
        receipts.append([each.receipt for each in batch.durables])
        queue.on_stored()

    assert receipts == [[1], [2], [3]]


def test_pauses_grow_to_a_bound_with_jitter_and_start_anew_after_a_success(queue):
    queue.add_durable(durable(1, 1))
    pauses = []
    for _ in range(40):
        queue.next_batch()
        queue.on_failed("x")
        pauses.append((queue.pause_s(Always(0)), queue.pause_s(Always(1))))

    assert pauses[0] == (PAUSE_MIN_S / 2, PAUSE_MIN_S)
    assert pauses[1] == (PAUSE_MIN_S, PAUSE_MIN_S * 2)
    assert pauses[-1] == (PAUSE_MAX_S / 2, PAUSE_MAX_S)
    queue.next_batch()
    queue.on_stored()
    queue.add_durable(durable(2, 1))
    queue.next_batch()
    queue.on_failed("x")
    assert queue.pause_s(Always(1)) == PAUSE_MIN_S


def test_a_write_that_takes_long_is_trouble_and_may_still_end_well(queue):
    queue.add_durable(durable(1, 1))
    batch = queue.next_batch()
    queue.on_overdue("slow")

    assert queue.trouble == "slow"
    assert queue.under_way == batch
    queue.on_stored()
    assert queue.trouble == ""


def test_everybody_who_waits_for_a_receipt_is_named_once(queue):
    queue.add_durable(durable(1, 1, by="auditor"))
    queue.next_batch()
    for receipt, name in ((2, "auditor"), (3, "flags"), (4, "auditor")):
        queue.add_durable(durable(receipt, 1, by=name))

    assert queue.who_waits() == ("auditor", "flags")


# -- bounds ---------------------------------------------------------------------------------------


def test_bulk_rows_beyond_the_bound_are_lost_from_the_first_that_has_no_place(queue, monkeypatch):
    monkeypatch.setattr(write_queue, "BULK_BYTES_MAX", 1000)

    assert queue.add_bulk(rows(1, 2)) == 0
    assert queue.add_bulk((row(3), row(4, size=900), row(5))) == 2
    assert (queue.lost_rows, queue.waiting_rows) == (2, 3)
    assert queue.next_batch().rows == rows(1, 2, 3)
    assert queue.add_bulk(rows(6)) == 0  # there is room again


def test_too_many_bulk_rows_are_lost_as_well(queue, monkeypatch):
    monkeypatch.setattr(write_queue, "BULK_ROWS_MAX", 3)

    assert queue.add_bulk(rows(1, 2, 3, 4, 5)) == 2


def test_a_sender_that_does_not_wait_for_its_receipts_is_a_bug(queue):
    for receipt in range(DURABLES_MAX):
        queue.add_durable(durable(receipt, 1))

    with pytest.raises(AssertionError, match="auditor does not wait for receipts"):
        queue.add_durable(durable(99, 1))


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("durable"), st.integers(0, 4)),
        st.tuples(st.just("bulk"), st.integers(0, 4)),
        st.tuples(st.sampled_from(["stored", "failed", "refused"]), st.just(0)),
    ),
    max_size=60,
)


@given(ACTS)
def test_every_row_is_written_once_in_order_or_lost_or_waits(acts):
    queue, numbers = WriteQueue(), iter(range(10_000))
    sent = {"durable": [], "bulk": []}
    written, lost, receipts = [], 0, []
    for act, size in acts:
        if act in sent:
            new = rows(*(next(numbers) for _ in range(size)))
            sent[act].extend(new)
            if act == "durable":
                queue.add_durable(Durable(new, "auditor", len(sent[act])))
            else:
                queue.add_bulk(new)
        elif queue.next_batch() is not None and act == "stored":
            batch = queue.on_stored()
            written.extend(batch.rows)
            receipts.extend(each.receipt for each in batch.durables)
        elif queue.under_way is not None and act == "refused":
            refused = queue.on_refused()
            lost += len(refused.rows) if refused else 0
        elif queue.under_way is not None:
            queue.on_failed("x")

    assert receipts == sorted(receipts)
    for lane in sent.values():
        assert [each for each in written if each in lane] == [
            each for each in lane if each in written
        ]
    assert len(set(map(id, written))) == len(written)
    assert queue.lost_rows <= lost
    total = len(sent["durable"]) + len(sent["bulk"])
    assert len(written) + lost + queue.waiting_rows == total
    assert queue.waiting_bytes == queue.waiting_rows * 256
