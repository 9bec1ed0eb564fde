"""Frames sorted by book: order, times and strays."""

from hypothesis import given
from hypothesis import strategies as st

from stevie.actors.feed_frames import OTHER_SYMBOL, sort_frames
from stevie.messages.market import FramesReceived
from stevie.ports import FrameRoute

BOOKS = {"A": "book/v/A", "B": "book/v/B"}
A, B, OTHER, ACK = FrameRoute("A"), FrameRoute("B"), FrameRoute("C"), FrameRoute("", "ack")


def received(count: int) -> FramesReceived:
    frames = tuple(b"%d" % number for number in range(count))
    return FramesReceived(frames=frames, received_ns=tuple(range(count)), connections=(7,))


def test_a_batch_of_one_book_is_passed_on_as_it_is() -> None:
    message = received(3)

    batches, strays, _ = sort_frames(message, [A, A, A], BOOKS)

    assert batches == {"book/v/A": message}
    assert batches["book/v/A"] is message
    assert not strays


def test_frames_that_nobody_follows_are_told_by_what_they_are() -> None:
    batches, strays, _ = sort_frames(received(2), [OTHER, ACK], BOOKS)

    assert not batches
    assert strays == [(OTHER_SYMBOL, b"0"), ("ack", b"1")]


@given(st.lists(st.sampled_from([A, B, OTHER, ACK]), min_size=1, max_size=12))
def test_each_book_gets_its_own_frames_with_their_times_in_order(routes: list[FrameRoute]) -> None:
    message = received(len(routes))

    batches, strays, _ = sort_frames(message, routes, BOOKS)

    for native, name in BOOKS.items():
        mine = [index for index, route in enumerate(routes) if route.native_symbol == native]
        batch = batches.get(name)
        assert list(batch.received_ns if batch else ()) == mine
        assert [int(frame) for frame in (batch.frames if batch else ())] == mine
        assert batch is None or batch.connections == (7,)
    assert len(strays) == sum(route.native_symbol not in BOOKS for route in routes)
    first_seen = dict.fromkeys(r.native_symbol for r in routes if r.native_symbol in BOOKS)
    assert list(batches) == [BOOKS[native] for native in first_seen]


TRADE_A, TRADE_C = FrameRoute("A", is_trade=True), FrameRoute("C", is_trade=True)


@given(st.lists(st.sampled_from([A, B, TRADE_A, TRADE_C, ACK]), min_size=1, max_size=12))
def test_trades_of_followed_symbols_are_told_in_order_if_they_are_wanted(
    routes: list[FrameRoute],
) -> None:
    message = received(len(routes))

    wanted = sort_frames(message, routes, BOOKS, wants_trades=True)
    unwanted = sort_frames(message, routes, BOOKS)

    mine = [index for index, route in enumerate(routes) if route is TRADE_A]
    assert [int(frame) for frame in wanted.trades] == mine
    assert list(unwanted.trades) == []
    assert wanted[:2] == unwanted[:2]
