"""The tape and the oracle read from it."""

import pytest

from stevie.explore.tape import ASSETS, START_NS, TAPES_KEPT, Tape, TapeKey, TapeShelf, Truth
from stevie.venues.simulator.binance.listings import SPOT, USDM, numbering
from stevie.venues.simulator.market.simulation import Market

PLACES = [(SPOT, "BTCUSDT"), (USDM, "BTCUSDT")]


def test_the_same_key_is_the_same_tape(tape: Tape):
    again = Tape(tape.key)

    assert again.moments == tape.moments
    assert all(again.listings[at].changes == tape.listings[at].changes for at in PLACES)
    assert Tape(TapeKey(2, 10, ("BTCUSDT",), (SPOT,))).moments[SPOT] != tape.moments[SPOT]


@pytest.mark.parametrize("place", PLACES)
def test_the_truth_is_the_simulators_own_book_at_any_update_forth_and_back(tape: Tape, place):
    market = Market(
        [listing.listing for listing in tape.listings.values()],
        seed=tape.key.seed,
        start_ns=START_NS,
        numbering=numbering(tape.key.seed),
        assets=ASSETS,
    )
    for _ in market.advance(tape.end_ns):
        pass
    book, listing = market.listed(*place).book, tape.listings[place]
    truth = Truth(listing)
    for index in (700, 30, 29, len(listing.changes) - 1, 0):
        update_id = listing.changes[index].update_id

        assert truth.view(update_id, 100_000) == book.as_of(update_id)


def test_the_last_update_of_a_time_is_the_one_before_it(tape: Tape):
    listing = tape.listings[SPOT, "BTCUSDT"]

    assert listing.last_id(START_NS) == listing.start.update_id
    assert listing.last_id(tape.end_ns) == listing.changes[-1].update_id
    assert listing.last_id(START_NS - 5) == listing.start.update_id


def test_a_shelf_records_a_tape_once_and_keeps_the_newest():
    shelf = TapeShelf()
    keys = [TapeKey(seed, 0, ("SOLUSDT",), (SPOT,)) for seed in range(TAPES_KEPT + 1)]
    tapes = [shelf.tape(key) for key in keys]

    assert shelf.tape(keys[-1]) is tapes[-1]
    assert shelf.tape(keys[0]) is not tapes[0]
