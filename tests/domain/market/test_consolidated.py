from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.consolidated import consolidate
from stevie.domain.market.core import Scale
from stevie.domain.market.fresh_book import Certificate, FreshBook, pack
from stevie.domain.market.ladder import Level

CERTIFICATE = Certificate(
    epoch=1,
    snapshot_seq=1,
    first_seq=1,
    last_seq=1,
    applied_count=0,
    heard_ns=0,
    bid_floor_ticks=-1,
    ask_ceiling_ticks=-1,
)
SIDE = st.dictionaries(st.integers(1, 1000), st.integers(1, 1000), max_size=12)


def fresh(
    venue: str, *, bids: tuple[Level, ...], asks: tuple[Level, ...], scale: Scale
) -> FreshBook:
    return FreshBook(
        venue=venue,
        symbol="BTCUSDT",
        scale=scale,
        certificate=CERTIFICATE,
        bids=pack(bids),
        asks=pack(asks),
    )


def test_levels_of_venues_on_different_scales_are_merged_on_the_finest() -> None:
    coarse = fresh("a", bids=((100, 3),), asks=((102, 3),), scale=Scale(0, 0))
    fine = fresh("b", bids=((10005, 250),), asks=((10150, 100),), scale=Scale(2, 2))

    whole = consolidate((coarse, fine), depth=10)

    assert whole.scale == Scale(2, 2)
    assert whole.bids == ((10005, 250, "b"), (10000, 300, "a"))
    assert whole.asks == ((10150, 100, "b"), (10200, 300, "a"))
    assert whole.imbalance == (550 - 400) / 950


def test_of_equal_prices_the_larger_size_stands_first() -> None:
    small = fresh("a", bids=((100, 1),), asks=((101, 9),), scale=Scale())
    large = fresh("b", bids=((100, 5),), asks=((101, 2),), scale=Scale())

    whole = consolidate((small, large), depth=10)

    assert [level[2] for level in whole.bids] == ["b", "a"]
    assert [level[2] for level in whole.asks] == ["a", "b"]


def test_a_ladder_that_is_crossed_across_venues_is_information_and_is_kept() -> None:
    high = fresh("a", bids=((105, 1),), asks=((106, 1),), scale=Scale())
    low = fresh("b", bids=((100, 1),), asks=((101, 1),), scale=Scale())

    whole = consolidate((high, low), depth=1)

    assert (whole.bids[0][0], whole.asks[0][0]) == (105, 101)


def test_without_a_live_book_there_is_no_imbalance() -> None:
    whole = consolidate((), depth=10)

    assert (whole.bids, whole.asks, whole.imbalance) == ((), (), None)


@given(sides=st.lists(st.tuples(SIDE, SIDE), max_size=4), depth=st.integers(0, 20))
def test_the_best_levels_of_all_venues_are_taken_and_none_is_lost(
    sides: list[tuple[dict[int, int], dict[int, int]]], depth: int
) -> None:
    books = [
        fresh(
            f"venue{index}",
            bids=tuple(sorted(bids.items(), reverse=True)),
            asks=tuple(sorted(asks.items())),
            scale=Scale(1, 1),
        )
        for index, (bids, asks) in enumerate(sides)
    ]

    whole = consolidate(books, depth)

    bids = sorted((t for side, _ in sides for t in side), reverse=True)
    asks = sorted(t for _, side in sides for t in side)
    assert [level[0] for level in whole.bids] == bids[:depth]
    assert [level[0] for level in whole.asks] == asks[:depth]
