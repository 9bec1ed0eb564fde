import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stevie.domain.market.core import Scale
from stevie.domain.market.fresh_book import Certificate, FreshBook, pack, unpack, within

LEVELS = st.dictionaries(st.integers(1, 2**61 - 1), st.integers(1, 2**61 - 1), max_size=20)
BIDS = ((100, 1), (99, 2), (97, 3))
ASKS = ((101, 1), (102, 2), (105, 3))


@given(levels=LEVELS)
def test_levels_survive_packing(levels: dict[int, int]) -> None:
    ladder = tuple(sorted(levels.items()))

    assert unpack(pack(ladder)) == ladder


@given(levels=LEVELS, edge=st.integers(1, 2**61 - 1))
def test_within_keeps_exactly_the_levels_on_the_known_side_of_the_edge(
    levels: dict[int, int], edge: int
) -> None:
    bids, asks = tuple(sorted(levels.items(), reverse=True)), tuple(sorted(levels.items()))

    assert unpack(within(pack(bids), floor=edge)) == tuple(lv for lv in bids if lv[0] >= edge)
    assert unpack(within(pack(asks), ceiling=edge)) == tuple(lv for lv in asks if lv[0] <= edge)


def test_without_a_horizon_all_levels_are_kept() -> None:
    assert unpack(within(pack(BIDS))) == BIDS
    assert unpack(within(pack(ASKS))) == ASKS
    assert within(b"", floor=5) == b""


def test_a_fresh_book_gives_its_levels_best_first_and_cannot_be_changed() -> None:
    certificate = Certificate(
        epoch=1,
        snapshot_seq=5,
        first_seq=6,
        last_seq=7,
        applied_count=1,
        heard_ns=8,
        bid_floor_ticks=-1,
        ask_ceiling_ticks=-1,
    )
    book = FreshBook(
        venue="binance",
        symbol="BTCUSDT",
        scale=Scale(2, 5),
        certificate=certificate,
        bids=pack(BIDS),
        asks=pack(ASKS),
    )

    assert (book.bid_levels(), book.ask_levels()) == (BIDS, ASKS)
    with pytest.raises(AttributeError):
        book.bids = b""  # type: ignore[misc]
    assert msgspec.structs.replace(book, bids=b"").bid_levels() == ()
