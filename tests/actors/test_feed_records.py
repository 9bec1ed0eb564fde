"""What a feed leaves behind, its mute lines, and the trades that it passes on."""

from collections.abc import Callable

import pytest

from stevie.actors.feed_records import MUTE_REASON
from stevie.actors.market_counters import MarketCounter
from stevie.actors.venue_feed import FeedSettings
from stevie.domain.market.sequencer import SequenceRule
from stevie.messages.bars import TradeFramesReceived, TradesInterrupted
from stevie.messages.market import FramesLost
from stevie.runtime.counters import RuntimeCounter
from stevie.venues.binance.venue import BinanceUsdm
from tests.actors.told import Told
from tests.actors.world import World
from tests.domain.market.depth_chains import generated, trade_frame

NewWorld = Callable[..., World]

CHAIN = generated(SequenceRule.SPOT)
RECORDED = FeedSettings(records=True)
WITH_BARS = FeedSettings(bars=True)


def stay_open(world: World, seconds: int) -> None:
    for _ in range(seconds):
        for socket in world.sockets:
            socket.pong()
        world.settle()
        world.advance(1.0)


# -- the audit -----------------------------------------------------------------------------------


def test_connects_and_losses_are_told_to_the_auditor(new_world: NewWorld) -> None:
    world = new_world(feed=RECORDED)
    told = Told(world)
    world.open()
    world.socket.drop(1006, "abnormal")
    world.settle()

    facts = told.facts("feed_state")
    assert [(each["from_state"], each["state"]) for each in facts] == [
        ("", "connected"),
        ("connected", "lost"),
    ]
    assert facts[1]["reason"] == "closed by the venue: 1006 abnormal"
    assert {each["url"] for each in facts} == {"wss://data-stream.binance.vision/stream"}


def test_a_venue_that_refuses_for_long_is_one_entry(new_world: NewWorld) -> None:
    world = new_world(feed=RECORDED)
    told = Told(world)
    for _ in range(5):
        world.socket.drop(0, "connection refused")
        world.advance(20.0)

    assert [each["state"] for each in told.facts("feed_state")] == ["lost"]


def test_without_a_record_stage_nothing_is_buried(new_world: NewWorld) -> None:
    world = new_world()
    world.open()
    world.bring(b"garbage", trade_frame(1))
    world.socket.drop()
    world.advance(1.0)

    assert world.count(RuntimeCounter.DEAD_LETTERS, "unknown_name") == 0
    assert world.count(MarketCounter.QUARANTINED, "wire", "binance.frame") == 1


# -- the quarantine ------------------------------------------------------------------------------


def test_garbage_is_set_aside_with_its_reason(new_world: NewWorld) -> None:
    world = new_world(feed=RECORDED)
    told = Told(world)
    world.open()
    world.bring(b"garbage", b'{"result":null,"id":1}')

    (row,) = told.quarantined()
    assert (row.border, row.contract, row.body) == ("wire", "binance.frame", b"garbage")
    assert "invalid" in row.reason.lower()
    assert told.facts("quarantine")[0]["contract"] == "binance.frame"


def test_an_unreadable_list_of_instruments_is_set_aside(new_world: NewWorld) -> None:
    world = new_world(feed=RECORDED)
    told = Told(world)
    world.take_request("exchangeInfo").answer(b'{"symbols":7}')
    world.settle()

    (row,) = told.quarantined()
    assert (row.border, row.contract) == ("rest", "binance.instruments")
    assert row.body == b'{"symbols":7}'


# -- mute lines ----------------------------------------------------------------------------------


def test_a_line_that_opens_and_says_nothing_is_mute_until_its_first_frame(
    new_world: NewWorld,
) -> None:
    world = new_world(feed=RECORDED)
    told = Told(world)
    world.open()
    stay_open(world, 9)
    assert world.feed().is_connected

    stay_open(world, 3)
    assert (world.feed().is_connected, world.feed().reason) == (False, MUTE_REASON)
    assert world.count(MarketCounter.FEED_MUTE, "binance") == 1
    assert told.facts("feed_state")[-1]["state"] == "mute"

    world.bring(CHAIN.deltas[0].frame)
    assert (world.feed().is_connected, world.feed().reason) == (True, "")


def test_a_line_is_mute_though_another_is_not(new_world: NewWorld) -> None:
    world = new_world(BinanceUsdm())
    books, trades = world.sockets
    books.open()
    trades.open()
    books.bring(generated(SequenceRule.USDM).deltas[0].frame)
    stay_open(world, 12)

    assert world.feed().reason == MUTE_REASON
    assert world.count(MarketCounter.FEED_MUTE, "binance_usdm") == 1


def test_a_line_that_has_fallen_quiet_is_not_mute(new_world: NewWorld) -> None:
    world = new_world()
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)
    stay_open(world, 30)

    assert world.feed().is_connected
    assert world.count(MarketCounter.FEED_MUTE, "binance") == 0


# -- trades --------------------------------------------------------------------------------------


def test_trades_of_followed_symbols_go_to_the_bars_as_well_as_to_the_book(
    new_world: NewWorld,
) -> None:
    world = new_world(feed=WITH_BARS)
    told = Told(world, "bars/binance")
    world.go_live(CHAIN.start, CHAIN.deltas[0].frame)
    other = trade_frame(9, symbol="DOGEUSDT")

    world.bring(trade_frame(1), CHAIN.deltas[1].frame, other, trade_frame(2))
    world.bring(trade_frame(3))
    world.bring(CHAIN.deltas[2].frame)

    batches = [message for message in told.messages if isinstance(message, TradeFramesReceived)]
    assert [batch.frames for batch in batches] == [
        (trade_frame(1), trade_frame(2)),
        (trade_frame(3),),
    ]
    assert world.book().view.trades == 3


def test_the_bars_hear_that_trades_may_be_missing(new_world: NewWorld) -> None:
    world = new_world(feed=WITH_BARS)
    told = Told(world, "bars/binance")
    world.open()
    world.tell("feed/binance", FramesLost(lost_count=1, lost_bytes=1))
    world.socket.drop()
    world.settle()

    assert [
        message.reason for message in told.messages if isinstance(message, TradesInterrupted)
    ] == [
        "frames were lost",
        "disconnected",
    ]


@pytest.mark.parametrize(("line", "is_told"), [(0, False), (1, True)])
def test_only_the_line_of_trades_interrupts_them(
    new_world: NewWorld, line: int, is_told: bool
) -> None:
    world = new_world(BinanceUsdm(), feed=WITH_BARS)
    told = Told(world, "bars/binance_usdm")
    for socket in world.sockets:
        socket.open()
    world.settle()
    world.sockets[line].drop()
    world.settle()

    assert bool(told.messages) is is_told
