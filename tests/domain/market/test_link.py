import pytest

from stevie.domain.market.link import SECOND_NS, Link, LinkCheck, LinkLimits

LIMITS = LinkLimits(
    probe_after_s=3,
    probe_timeout_s=3,
    rotate_after_s=100,
    rotate_retry_s=20,
    healthy_after_s=10,
    backoff_min_s=0.5,
    backoff_max_s=15,
    first_retry_s=1,
)
LAST_CHANCE = 0.999999


def at(seconds: float) -> int:
    return 1000 * SECOND_NS + int(seconds * SECOND_NS)


@pytest.fixture
def link() -> Link:
    """Open since second 0."""
    link = Link(LIMITS)
    link.on_open(at(0))
    return link


def test_a_link_that_is_not_open_is_left_alone() -> None:
    link = Link(LIMITS)

    assert not link.is_open
    assert link.check(at(1000)) is LinkCheck.FINE


def test_a_quiet_link_is_asked_before_it_is_given_up(link: Link) -> None:
    assert link.check(at(2.9)) is LinkCheck.FINE
    assert link.check(at(3)) is LinkCheck.PING
    assert link.check(at(5.9)) is LinkCheck.FINE
    assert link.check(at(6)) is LinkCheck.SILENT


def test_a_link_that_answers_lives_on(link: Link) -> None:
    for second in range(0, 90, 4):
        assert link.check(at(second + 3)) is LinkCheck.PING
        link.on_heard(at(second + 4))
        assert link.check(at(second + 4)) is LinkCheck.FINE


def test_an_old_link_is_replaced_and_a_replacement_that_does_not_come_is_asked_for_again(
    link: Link,
) -> None:
    link.on_heard(at(99))
    assert link.check(at(99)) is LinkCheck.FINE

    verdicts = {}
    for second in range(100, 150):
        link.on_heard(at(second))
        verdicts[second] = link.check(at(second))

    assert [s for s, v in verdicts.items() if v is LinkCheck.ROTATE] == [100, 120, 140]


def test_a_replaced_link_is_young_again(link: Link) -> None:
    link.on_heard(at(100))
    assert link.check(at(100)) is LinkCheck.ROTATE

    link.on_open(at(101))
    link.on_heard(at(150))

    assert link.check(at(150)) is LinkCheck.FINE


def test_a_link_may_be_told_never_to_rotate() -> None:
    link = Link(LinkLimits(rotate_after_s=float("inf")))
    link.on_open(at(0))
    link.on_heard(at(10**6))

    assert link.check(at(10**6)) is LinkCheck.FINE


def test_the_first_retry_is_quick_and_the_others_back_off_to_a_bound() -> None:
    link = Link(LIMITS)

    delays_s = [link.on_close(at(0), LAST_CHANCE) for _ in range(100)]

    assert delays_s[:7] == pytest.approx([1, 1, 2, 4, 8, 15, 15], rel=1e-3)
    assert max(delays_s) <= 15


def test_every_delay_is_jittered_down_to_nothing() -> None:
    link = Link(LIMITS)

    assert [link.on_close(at(0), 0.0) for _ in range(10)] == [0.0] * 10


def test_an_accepted_connection_does_not_forgive_the_back_off_before_it_proved_healthy() -> None:
    link = Link(LIMITS)
    for _ in range(5):
        link.on_close(at(0), LAST_CHANCE)

    link.on_open(at(0))
    assert link.on_close(at(9), LAST_CHANCE) == pytest.approx(15, rel=1e-3)

    link.on_open(at(20))
    assert link.on_close(at(30), LAST_CHANCE) == pytest.approx(1, rel=1e-3)
