from stevie import rfc3339


def test_a_time_has_six_decimals_whether_it_needs_them_or_not():
    assert rfc3339.text(0) == "1970-01-01T00:00:00.000000Z"


def test_no_microsecond_is_lost_to_a_float():
    assert rfc3339.text(1_732_320_000_123_456_999) == "2024-11-23T00:00:00.123456Z"
