from collections.abc import Callable
from itertools import pairwise

import pytest

from stevie.actors.market_counters import MarketCounter
from stevie.actors.venue_feed import FeedSettings
from stevie.domain.market.link import LinkLimits
from stevie.domain.market.sequencer import SequenceRule
from stevie.messages.market import FramesLost, ReadBook
from stevie.venues.binance.venue import BinanceUsdm
from tests import inject
from tests.actors.world import SECOND_NS, World
from tests.domain.market.depth_chains import depth_frame, generated, trade_frame

NewWorld = Callable[..., World]

CHAIN = generated(SequenceRule.SPOT)
USDM = generated(SequenceRule.USDM)
NATIVES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT")
ROTATING = FeedSettings(link=LinkLimits(rotate_after_s=20.0))
LISTED = (
    b'{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT","status":"TRADING",'
    b'"filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01"},'
    b'{"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}'
)


def live_world(new_world: NewWorld, **options: object) -> World:
    world = new_world(**options)
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)
    return world


def keep_alive(world: World, seconds: int) -> None:
    """Let time pass while the newest socket answers pings."""
    for _ in range(seconds):
        world.socket.pong()
        world.advance(1.0)


def await_socket(world: World, count: int) -> None:
    """Let time pass until there is one more socket than this."""
    world.advance_until(lambda: len(world.sockets) > count)


def await_ping(world: World, count: int) -> None:
    """Let time pass until the newest socket was pinged more often than this."""
    world.advance_until(lambda: world.socket.ping_count > count, within_s=6)


# -- whose frame ---------------------------------------------------------------------------------


def test_combined_and_raw_frames_go_to_the_book_of_their_symbol(new_world: NewWorld) -> None:
    world = new_world(None, "BTCUSDT", "ETHUSDT")
    world.open()
    combined = depth_frame(1, 1)
    raw = depth_frame(5, 5, symbol="ETHUSDT").partition(b'"data":')[2][:-1]

    world.bring(combined, raw, combined)

    assert world.book("BTCUSDT").counts.deltas == 2
    assert world.book("ETHUSDT").counts.deltas == 1
    assert (world.feed().frames, world.feed().unrouted) == (3, 0)


def test_unknown_symbols_and_garbage_are_counted_and_kill_nobody(new_world: NewWorld) -> None:
    world = live_world(new_world)
    odd = [b"", b"garbage", b"\xff\xfe", b"[" * 5000, b'{"result":null,"id":1}', b"{}"]
    odd += [b'{"code":2,"msg":"Invalid request"}', depth_frame(1, 1, symbol="DOGEUSDT")]

    world.bring(*odd, CHAIN.deltas[1].frame)

    assert world.feed().unrouted == len(odd)
    for kind, count in {
        "garbage": 4,
        "ack": 1,
        "unknown": 1,
        "error": 1,
        "other_symbol": 1,
    }.items():
        assert world.count(MarketCounter.FEED_UNROUTED, "binance", kind) == count
    assert world.incarnation("feed/binance") == 1
    assert world.book().view.last_seq == CHAIN.deltas[1].last_seq


def test_a_frame_that_is_garbage_inside_is_the_books_to_count(new_world: NewWorld) -> None:
    world = live_world(new_world)

    world.bring(b'{"stream":"btcusdt@depth@100ms","data":{"e":"depth', CHAIN.deltas[1].frame)

    assert world.book().view.malformed == 1
    assert world.standing() == ("LIVE", "")


def test_frames_that_the_feed_lost_are_a_gap_of_all_its_books(new_world: NewWorld) -> None:
    world = live_world(new_world)

    world.tell("feed/binance", FramesLost(lost_count=3, lost_bytes=100))

    assert world.standing() == ("SYNCING", "frames_lost")
    assert world.count(MarketCounter.FEED_FRAMES_LOST, "binance") == 3


# -- connections ---------------------------------------------------------------------------------


def test_a_feed_connects_and_its_books_begin_an_epoch(new_world: NewWorld) -> None:
    world = new_world()
    assert world.standing() == ("STALE", "not_connected")
    assert world.feed().reason == "connecting"

    world.open()

    assert world.standing() == ("SYNCING", "waiting_for_delta")
    assert world.feed().is_connected
    assert world.feed().urls == ("wss://data-stream.binance.vision/stream",)


def test_a_closed_connection_makes_the_books_stale_and_is_opened_again(
    new_world: NewWorld,
) -> None:
    world = live_world(new_world)

    world.socket.drop(1006, "abnormal")
    world.settle()
    assert world.standing() == ("STALE", "disconnected")
    assert "1006 abnormal" in world.feed().reason

    world.advance_until(lambda: len(world.sockets) == 2, within_s=2)
    world.go_live(CHAIN.deltas[4].truth, CHAIN.deltas[5].frame)
    assert world.book().view.last_seq == CHAIN.deltas[5].last_seq
    assert world.book().certificate.epoch == 2


def test_attempts_back_off_to_a_bound_while_the_venue_refuses(new_world: NewWorld) -> None:
    world = new_world()
    at_s = []
    for _ in range(30):
        count = len(world.sockets)
        world.socket.drop(0, "connection refused")
        await_socket(world, count)
        at_s.append(world.clock.monotonic_ns() / SECOND_NS)

    waits_s = [later - earlier for earlier, later in pairwise(at_s)]
    assert max(waits_s) <= 15.2
    assert sum(waits_s[10:]) / len(waits_s[10:]) > 4  # the mean of full jitter is half the ceiling
    assert len({round(wait, 1) for wait in waits_s[10:]}) > 10  # jittered
    assert world.feed().reason == "cannot connect: 0 connection refused"


@pytest.mark.parametrize(("lives_s", "is_forgiven"), [(2, False), (12, True)])
def test_the_back_off_is_forgiven_only_once_a_connection_proved_healthy(
    new_world: NewWorld, lives_s: int, is_forgiven: bool
) -> None:
    waits_s = []
    world = new_world()
    for _ in range(24):
        world.open()
        keep_alive(world, lives_s)
        count, lost_ns = len(world.sockets), world.clock.monotonic_ns()
        world.socket.drop()
        world.settle()
        await_socket(world, count)
        waits_s.append((world.clock.monotonic_ns() - lost_ns) / SECOND_NS)

    assert (max(waits_s) <= 1.2) is is_forgiven


def test_silence_is_probed_and_then_the_books_are_stale_and_the_line_is_replaced(
    new_world: NewWorld,
) -> None:
    world = live_world(new_world)
    first = world.socket

    world.advance(4.5)
    assert first.ping_count == 1
    assert world.standing() == ("LIVE", "")

    world.advance(3.5)
    assert world.standing() == ("STALE", "silent")
    assert first.is_closed
    assert "silent" in world.feed().reason
    world.advance_until(lambda: len(world.sockets) == 2, within_s=2)


def test_a_pong_keeps_a_quiet_connection_and_its_books_alive(new_world: NewWorld) -> None:
    world = live_world(new_world)

    for _ in range(20):
        await_ping(world, world.socket.ping_count)
        world.socket.pong()
        world.settle()

    assert len(world.sockets) == 1
    assert world.standing() == ("LIVE", "")


def test_a_dropped_socket_is_heard_no_more(new_world: NewWorld) -> None:
    world = live_world(new_world)
    first = world.socket
    world.advance(8)
    world.advance_until(lambda: len(world.sockets) == 2, within_s=2)
    world.go_live(CHAIN.deltas[4].truth, CHAIN.deltas[5].frame)

    first.bring(CHAIN.deltas[1].frame)
    first.drop()
    world.settle()

    assert world.standing() == ("LIVE", "")
    assert world.book().counts.deltas == 2


# -- two lines -----------------------------------------------------------------------------------


def usdm_world(new_world: NewWorld) -> World:
    world = new_world(BinanceUsdm())
    books, trades = world.sockets
    assert ("/public/" in books.url, "/market/" in trades.url) == (True, True)
    books.open()
    trades.open()
    world.settle()
    books.bring(USDM.deltas[0].frame, at_ns=world.clock.wall_ns())
    world.answer(USDM.start.body())
    assert world.standing() == ("LIVE", "")
    return world


def test_a_silent_book_line_is_not_masked_by_a_lively_trade_line(new_world: NewWorld) -> None:
    world = usdm_world(new_world)
    books, trades = world.sockets[:2]

    for number in range(80):
        trades.bring(trade_frame(number + 1), at_ns=world.clock.wall_ns())
        world.advance(0.1)

    assert books.is_closed
    assert not trades.is_closed
    assert world.standing() == ("STALE", "silent")


def test_a_lost_trade_line_leaves_the_books_live(new_world: NewWorld) -> None:
    world = usdm_world(new_world)

    world.sockets[1].drop()
    world.settle()

    assert world.standing() == ("LIVE", "")
    assert not world.feed().is_connected
    world.advance_until(lambda: len(world.sockets) == 3, within_s=2)
    assert "/market/" in world.socket.url


def test_books_begin_with_the_book_line_alone(new_world: NewWorld) -> None:
    world = new_world(BinanceUsdm())
    books, trades = world.sockets

    trades.open()
    world.settle()
    assert world.standing() == ("STALE", "not_connected")

    books.open()
    world.settle()
    assert world.standing() == ("SYNCING", "waiting_for_delta")


# -- rotation ------------------------------------------------------------------------------------


def test_a_rotation_keeps_the_books_live_and_its_duplicates_are_stale(new_world: NewWorld) -> None:
    world = live_world(new_world, feed=ROTATING)
    first = world.socket
    keep_alive(world, 21)
    assert len(world.sockets) == 2

    second = world.open()
    for delta in CHAIN.deltas[1:4]:
        first.bring(delta.frame)
        second.bring(delta.frame)
    world.settle()
    assert world.standing() == ("LIVE", "")
    assert world.book().view.stale == 3
    assert not first.is_closed

    second.pong()
    world.advance(2.5)
    assert first.is_closed
    world.bring(CHAIN.deltas[4].frame)
    read = world.book()
    assert (read.state, read.view.last_seq) == ("LIVE", CHAIN.deltas[4].last_seq)
    assert (read.certificate.epoch, read.counts.snapshots, read.counts.resyncs) == (1, 1, 0)


def test_a_replacement_that_is_refused_is_not_asked_for_every_second(new_world: NewWorld) -> None:
    world = live_world(new_world, feed=ROTATING)
    first = world.socket
    for _ in range(100):
        if world.socket is not first:
            world.socket.drop(0, "refused")
            world.transport.sockets.pop()
        first.pong()
        world.advance(1.0)

    assert world.feed().sockets_opened <= 3
    assert world.standing() == ("LIVE", "")


@pytest.mark.parametrize(
    "frame",
    [
        b'{"e":"serverShutdown","E":1789000100000}',
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1789000100000}}',
    ],
)
def test_an_announced_shutdown_is_answered_by_a_replacement_at_once(
    new_world: NewWorld, frame: bytes
) -> None:
    world = live_world(new_world)
    first = world.socket

    world.bring(frame, frame)
    assert len(world.sockets) == 2
    assert world.feed().sockets_opened == 2

    world.open()
    first.drop(1001, "going away")
    world.bring(CHAIN.deltas[1].frame)
    assert world.standing() == ("LIVE", "")
    assert world.book().counts.resyncs == 0


# -- snapshots -----------------------------------------------------------------------------------


def test_snapshots_are_asked_for_two_at_a_time_and_spaced(new_world: NewWorld) -> None:
    world = new_world(None, *NATIVES)
    world.open()

    world.bring(*(depth_frame(5, 5, symbol=native) for native in NATIVES))
    world.advance(1.0)
    assert len(world.snapshots_asked()) == 2

    sent_ns = []
    for _ in NATIVES:
        sent_ns.append(world.answer(b'{"lastUpdateId":4,"bids":[],"asks":[]}').at_ns)
        world.advance(0.05)
        assert len(world.snapshots_asked()) <= 2

    gaps_ns = [later - earlier for earlier, later in pairwise(sent_ns)]
    assert min(gaps_ns) >= SECOND_NS // 10
    assert all(world.standing(native) == ("LIVE", "") for native in NATIVES)


def test_a_retry_after_holds_back_every_snapshot(new_world: NewWorld) -> None:
    world = new_world(None, "BTCUSDT", "ETHUSDT")
    world.open()
    world.bring(depth_frame(5, 5))

    world.answer(b'{"code":-1003,"msg":"Too many requests."}', status=429, retry_after="30")
    assert world.standing("BTCUSDT") == ("SYNCING", "snapshot_refused")
    assert world.book("BTCUSDT").detail == "HTTP 429: -1003 Too many requests."
    world.bring(depth_frame(5, 5, symbol="ETHUSDT"))
    keep_alive(world, 29)
    assert world.snapshots_asked() == []

    keep_alive(world, 3)
    assert len(world.snapshots_asked()) == 2
    assert world.count(MarketCounter.SNAPSHOT_REFUSALS, "binance") == 1


def test_a_long_pause_keeps_one_timer_however_many_books_wait(new_world: NewWorld) -> None:
    natives = tuple(f"A{number}USDT" for number in range(40))
    world = new_world(None, *natives)
    world.open()
    world.bring(depth_frame(5, 5, symbol=natives[0]))
    world.answer(b"", status=418, retry_after="1000")

    world.bring(*(depth_frame(5, 5, symbol=native) for native in natives))

    feed = world.system.directory.cell("feed/binance")
    assert feed is not None
    assert feed.actor is not None
    assert len(feed.actor._timers) == 2  # the check of the connection, and the next request


def test_an_unlisted_symbol_is_told_in_the_venues_words(new_world: NewWorld) -> None:
    world = new_world(None, "BTCUSDT", "NOPEUSDT")
    world.take_request("exchangeInfo").answer(LISTED)
    world.open()
    assert world.feed().unlisted == ("NOPEUSDT",)

    for _ in range(2):  # each book falls quiet and asks
        request = world.take_request()
        is_listed = "symbol=BTCUSDT" in request.url
        refusal = b'{"code":-1121,"msg":"Invalid symbol."}'
        request.answer(
            CHAIN.start.body() if is_listed else refusal, status=200 if is_listed else 400
        )
        world.settle()

    assert world.standing("NOPEUSDT") == ("SYNCING", "not_listed")
    assert world.book("NOPEUSDT").detail == "HTTP 400: -1121 Invalid symbol."
    assert world.standing("BTCUSDT") == ("LIVE", "")
    assert world.book("BTCUSDT").instrument.lot_size == "0.001"


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 0), (b"[" * 100_000, 200), (b"{}", 200), (b"no", 503)]
)
def test_an_instrument_list_that_did_not_come_is_asked_for_again(
    new_world: NewWorld, body: bytes, status: int
) -> None:
    world = new_world()
    world.take_request("exchangeInfo").answer(body, status=status)
    world.settle()
    assert world.feed().unlisted == ()

    world.take_request("exchangeInfo").answer(LISTED)
    world.settle()

    assert world.book().instrument.tick_size == "0.01"


# -- deaths --------------------------------------------------------------------------------------


def test_a_book_that_restarts_alone_is_live_again_by_itself(new_world: NewWorld) -> None:
    world = live_world(new_world)

    inject.tell(world.system, "book/binance/BTCUSDT", ReadBook(depth="bad"))  # type: ignore[arg-type]
    world.settle()
    world.advance_until(lambda: world.incarnation("book/binance/BTCUSDT") == 2, within_s=5)
    world.settle()
    assert world.standing() == ("SYNCING", "waiting_for_delta")

    world.bring(CHAIN.deltas[5].frame)
    world.answer(CHAIN.deltas[4].truth.body())
    assert world.standing() == ("LIVE", "")
    assert world.incarnation("feed/binance") == 1
    assert len(world.sockets) == 1


def test_a_feed_that_dies_takes_its_books_along_and_all_come_back(new_world: NewWorld) -> None:
    world = live_world(new_world)
    first = world.socket

    inject.tell(world.system, "feed/binance", ReadBook())
    world.settle()
    world.advance_until(lambda: len(world.sockets) == 2, within_s=5)
    assert first.is_closed
    assert world.incarnation("feed/binance") == 2
    world.advance_until(lambda: world.incarnation("book/binance/BTCUSDT") == 2, within_s=5)
    assert world.standing() == ("STALE", "not_connected")

    world.go_live(CHAIN.deltas[4].truth, CHAIN.deltas[5].frame)
    assert world.book().view.last_seq == CHAIN.deltas[5].last_seq
