import pytest

from stevie.domain.market.core import Scale
from stevie.domain.market.instrument import (
    Instrument,
    InstrumentKind,
    SymbolTable,
    compact_symbol,
)

SPOT = Instrument(
    venue="binance",
    symbol="BTCUSDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size="0.01",
    lot_size="0.00001",
)
PERPETUAL = Instrument(
    venue="kraken_futures",
    symbol="BTCUSDT-PERP",
    native="PF_XBTUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.PERPETUAL,
)


@pytest.mark.parametrize(
    ("alias", "symbol"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("btcusdt", "BTCUSDT"),
        ("BTC/USDT", "BTCUSDT"),
        ("btc-usdt", "BTCUSDT"),
        ("BTC_USDT", "BTCUSDT"),
        (" BTC/USDT ", "BTCUSDT"),
        ("XBT/USDT", "BTCUSDT"),
        ("XDG/USD", "DOGEUSD"),
        ("BTC/USDT:USDT", "BTCUSDT-PERP"),
        ("XBT/USDT:USDT", "BTCUSDT-PERP"),
        ("BTCUSDT-PERP", "BTCUSDT-PERP"),
        ("btc-usdt-swap", "BTCUSDT-PERP"),
        ("PERP/USDT", "PERPUSDT"),
        ("PERP/USDT:USDT", "PERPUSDT-PERP"),
        ("PERP", "PERP"),
        ("", ""),
        ("/", ""),
    ],
)
def test_aliases_read_as_one_compact_symbol(alias: str, symbol: str) -> None:
    assert compact_symbol(alias) == symbol


def test_a_dated_future_is_not_taken_for_the_perpetual() -> None:
    assert compact_symbol("BTC/USDT:USDT-261225") not in {"BTCUSDT", "BTCUSDT-PERP"}


def test_a_price_is_counted_in_ticks_and_a_size_in_lots() -> None:
    assert SPOT.ticks("61737.63000000") == 6_173_763
    assert SPOT.lots("0.5") == 50_000
    assert SPOT.scale == Scale(2, 5)


def test_steps_that_are_no_powers_of_ten_are_counted_too() -> None:
    instrument = Instrument(
        venue="x", symbol="X", native="X", base="", quote="", tick_size="0.25", lot_size="5"
    )

    assert instrument.ticks("100.50") == 402
    assert instrument.lots("15") == 3


@pytest.mark.parametrize("price", ["0.015", "0.001", "", "abc", "-1", "1e5", "1,000"])
def test_a_price_that_is_no_multiple_of_the_tick_is_an_error(price: str) -> None:
    with pytest.raises(ValueError, match=r"multiple of tick size 0\.01|unsigned decimal"):
        SPOT.ticks(price)


def test_a_size_that_is_no_multiple_of_the_lot_is_an_error_that_names_both() -> None:
    with pytest.raises(ValueError, match=r"0\.000001 is not a multiple of lot size 0\.00001"):
        SPOT.lots("0.000001")


@pytest.mark.parametrize("alias", ["BTCUSDT", "btc/usdt", "XBT-USDT"])
def test_an_instrument_is_found_by_any_of_its_names(alias: str) -> None:
    assert SymbolTable((SPOT,)).find(alias) is SPOT


@pytest.mark.parametrize("alias", ["BTCUSDT-PERP", "BTC/USDT:USDT", "pf_xbtusdt"])
def test_a_perpetual_is_found_by_its_native_name_too(alias: str) -> None:
    table = SymbolTable((SPOT, PERPETUAL))

    assert table.find(alias) is PERPETUAL
    assert table.symbols == ("BTCUSDT", "BTCUSDT-PERP")
    assert list(table) == [SPOT, PERPETUAL]


@pytest.mark.parametrize("alias", ["", "BTC", "USDT", "ETHUSDT", "BTC/USD"])
def test_what_is_not_followed_is_not_found(alias: str) -> None:
    assert SymbolTable((SPOT, PERPETUAL)).find(alias) is None
