import pytest

from stevie.http.encoding import age_ms, excerpt, levels, price_text, to_json


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_is_refused(number):
    with pytest.raises(OverflowError):
        to_json({"a": [number]})


def test_text_stays_readable():
    assert to_json({"route": "/api/l2", "name": "é"}) == '{"route":"/api/l2","name":"é"}'


def test_levels_are_decimal_text_of_the_instruments_own_length():
    assert levels(((5, 10), (100, 1)), 2, 5) == [["0.05", "0.00010"], ["1.00", "0.00001"]]


@pytest.mark.parametrize(
    ("ticks", "text"), [(12345.0, "123.450000"), (12345.5, "123.455000"), (0.0001, "0.000001")]
)
def test_a_price_between_ticks_has_four_more_decimals(ticks, text):
    assert price_text(ticks, 2) == text


def test_no_price_is_no_text():
    assert price_text(None, 2) is None


def test_an_age_is_never_negative_and_of_what_never_was_there_is_none():
    assert age_ms(5_000_000, 3_000_000) == 2.0
    assert age_ms(3, 5) == 0
    assert age_ms(3, -1) is None


def test_what_a_caller_sent_is_shown_bounded_and_on_one_line():
    assert excerpt("a\nb") == "'a\\nb'"
    assert len(excerpt("x" * 10_000)) < 100
