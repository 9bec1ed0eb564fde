from collections.abc import Callable

from stevie.actors.root import ROOT
from stevie.runtime.lifecycle import State
from tests.actors.world import World

NewWorld = Callable[..., World]


def test_the_tree_is_as_its_module_draws_it(new_world: NewWorld) -> None:
    world = new_world(None, "BTCUSDT", "ETHUSDT")

    parents = {row.name: row.parent for row in world.system.directory.tree()}

    assert parents == {
        ROOT: None,
        "market": ROOT,
        "market_data": "market",
        "venue/binance": "market",
        "feed/binance": "venue/binance",
        "books/binance": "venue/binance",
        "book/binance/BTCUSDT": "books/binance",
        "book/binance/ETHUSDT": "books/binance",
    }
    assert {row.state for row in world.system.directory.tree()} == {State.RUNNING}


def test_a_tree_that_stops_closes_its_sockets_and_leaves_nothing_running(
    new_world: NewWorld,
) -> None:
    world = new_world()
    socket = world.open()

    assert world.system.stop()

    assert socket.is_closed
    assert {row.state for row in world.system.directory.tree()} == {State.DOWN}
