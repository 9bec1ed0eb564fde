from stevie.domain.market.mute import MUTE_AFTER_S, MuteWatch

MUTE_AFTER_NS = int(MUTE_AFTER_S * 1e9)


def test_a_line_without_its_first_frame_is_mute_and_said_to_be_once() -> None:
    watch = MuteWatch()
    watch.on_open(0, 11, 5)

    assert watch.check(5 + MUTE_AFTER_NS - 1) == frozenset()
    assert watch.check(5 + MUTE_AFTER_NS) == {0}
    assert watch.check(6 + MUTE_AFTER_NS) == frozenset()
    assert watch.mute == {0}


def test_the_first_frame_is_enough_however_long_the_next_one_takes() -> None:
    watch = MuteWatch()
    watch.on_open(0, 11, 0)
    watch.on_frames((11,))

    assert watch.check(100 * MUTE_AFTER_NS) == frozenset()


def test_a_mute_line_is_well_again_with_its_first_frame() -> None:
    watch = MuteWatch()
    watch.on_open(0, 11, 0)
    watch.check(MUTE_AFTER_NS)

    watch.on_frames((11,))

    assert watch.mute == frozenset()


def test_each_line_has_its_own_silence() -> None:
    watch = MuteWatch()
    watch.on_open(0, 11, 0)
    watch.on_open(1, 12, 0)
    watch.on_frames((12,))

    assert watch.check(MUTE_AFTER_NS) == {0}


def test_a_lost_line_is_not_mute_and_its_next_socket_is_given_the_time_anew() -> None:
    watch = MuteWatch()
    watch.on_open(0, 11, 0)
    watch.check(MUTE_AFTER_NS)

    watch.on_lost(0)
    assert watch.mute == frozenset()

    watch.on_open(0, 13, MUTE_AFTER_NS)
    watch.on_frames((11,))
    assert watch.check(2 * MUTE_AFTER_NS) == {0}


def test_a_replaced_socket_counts_no_more() -> None:
    watch = MuteWatch()
    watch.on_open(0, 11, 0)
    watch.on_open(0, 12, 1)
    watch.on_frames((12,))

    assert watch.check(3 * MUTE_AFTER_NS) == frozenset()


def test_who_waits_for_ever_is_never_told():
    watch = MuteWatch(float("inf"))
    watch.on_open(0, 7, 0)

    assert watch.check(10**18) == frozenset()
    assert watch.mute == frozenset()
