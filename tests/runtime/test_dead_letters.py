"""Dead letters: the newest to look at, all of them counted, never more than the bound."""

from stevie.runtime.counters import Counters, RuntimeCounter
from stevie.runtime.dead_letters import KINDS_MAX, RING_CAPACITY, DeadLetters
from tests.runtime.cast import Note


def bury(letters: DeadLetters, actor: str, at_ns: int = 0) -> None:
    letters.record(actor=actor, message=Note(number=1), reason="stopped", at_ns=at_ns)


def test_the_ring_keeps_the_newest_and_the_counts_keep_all():
    counters = Counters()
    letters = DeadLetters(counters)

    for at_ns in range(RING_CAPACITY + 5):
        bury(letters, "a", at_ns)

    newest = letters.newest()
    assert (len(newest), newest[0].at_ns, newest[-1].at_ns) == (1024, 5, RING_CAPACITY + 4)
    assert letters.counts() == {("a", "Note", "stopped"): RING_CAPACITY + 5}
    assert counters.value(RuntimeCounter.DEAD_LETTERS, "stopped") == RING_CAPACITY + 5


def test_invented_names_do_not_fill_the_memory():
    letters = DeadLetters(Counters())

    for number in range(KINDS_MAX + 5):
        bury(letters, str(number))

    assert len(letters.counts()) == KINDS_MAX + 1
    assert letters.counts()["other", "other", "stopped"] == 5
