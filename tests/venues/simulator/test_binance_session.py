import json

import pytest

from stevie.venues.simulator.binance.limits import LIMITS
from stevie.venues.simulator.binance.listings import SPOT, USDM
from stevie.venues.simulator.binance.session import Session, open_session
from stevie.venues.simulator.venue import Frame

STREAMS_MAX = LIMITS[SPOT].streams
FRAME = Frame("btcusdt@trade", '{"e":"trade"}')


def ask(session: Session, message: object) -> dict:
    return json.loads(session.answer(json.dumps(message)))


@pytest.fixture
def session() -> Session:
    session = open_session("/ws", "")
    assert session is not None
    return session


@pytest.mark.parametrize(
    ("path", "query", "venue", "streams"),
    [
        ("/ws", "", SPOT, []),
        ("/ws/btcusdt@trade", "", SPOT, ["btcusdt@trade"]),
        ("/ws/btcusdt@trade/ethusdt@depth", "", SPOT, ["btcusdt@trade", "ethusdt@depth"]),
        (
            "/stream",
            "streams=btcusdt@trade/ethusdt@depth",
            SPOT,
            ["btcusdt@trade", "ethusdt@depth"],
        ),
        ("/stream", "", SPOT, []),
        ("/stream.binance.com:9443/ws/btcusdt@trade", "", SPOT, ["btcusdt@trade"]),
        ("/public/ws/btcusdt@depth@100ms", "", USDM, ["btcusdt@depth@100ms"]),
        ("/market/stream", "streams=btcusdt@aggTrade", USDM, ["btcusdt@aggTrade"]),
        ("/fstream.binance.com/ws/btcusdt@depth", "", USDM, ["btcusdt@depth"]),
        ("/fstream.binance.com/market/ws", "", USDM, []),
    ],
)
def test_a_path_says_which_market_and_streams(path, query, venue, streams):
    session = open_session(path, query)

    assert session is not None
    assert (session.venue, list(session.streams)) == (venue, streams)


@pytest.mark.parametrize("path", ["/", "/api/v3/depth", "/private/ws", "/wss", "/public"])
def test_elsewhere_no_streams_are_served(path):
    assert open_session(path, "") is None


def test_subscriptions_are_acknowledged_listed_and_ended(session):
    assert ask(session, {"method": "SUBSCRIBE", "params": ["a@trade", "b@depth"], "id": 1}) == {
        "result": None,
        "id": 1,
    }
    assert ask(session, {"method": "UNSUBSCRIBE", "params": ["a@trade"], "id": "x"}) == {
        "result": None,
        "id": "x",
    }
    assert ask(session, {"method": "LIST_SUBSCRIPTIONS", "id": None}) == {
        "result": ["b@depth"],
        "id": None,
    }
    assert not session.hears("a@trade")
    assert session.hears("b@depth")


def test_frames_are_raw_or_combined_by_path_and_by_property(session):
    assert session.envelope(FRAME) == '{"e":"trade"}'

    ask(session, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 1})

    combined = '{"stream":"btcusdt@trade","data":{"e":"trade"}}'
    assert session.envelope(FRAME) == combined
    assert ask(session, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {
        "result": True,
        "id": 2,
    }
    by_path = open_session("/stream", "streams=btcusdt@trade")
    assert by_path is not None
    assert by_path.envelope(FRAME) == combined


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "missing field `method`"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"BUY","id":1}', 2, "unknown variant `BUY`, expected one of `SUBSCRIBE`"),
        ('{"method":["SUBSCRIBE"],"id":1}', 2, "unknown variant"),
        ('{"method":"SUBSCRIBE","params":["a@trade"]}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":true}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":"a@trade","id":1}', 2, "params"),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2, "params"),
        ('{"method":"SUBSCRIBE","params":[7],"id":1}', 2, "must be a string"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "expected Boolean"),
        ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 1, "expected Boolean"),
        ('{"method":"SET_PROPERTY","params":["color",true],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}', 2, "too many"),
        ('{"method":"GET_PROPERTY","params":[1],"id":1}', 2, "property name"),
    ],
)
def test_a_bad_control_message_is_refused_and_changes_nothing(session, text, code, part):
    answer = json.loads(session.answer(text))

    assert answer["code"] == code
    assert part in answer["msg"]
    assert not session.streams


def test_streams_are_bounded_in_number_and_length(session):
    names = [f"s{n}@trade" for n in range(STREAMS_MAX)]
    ask(session, {"method": "SUBSCRIBE", "params": names, "id": 1})

    for one_more in ("s@trade", "x" * 500):
        answer = ask(session, {"method": "SUBSCRIBE", "params": [one_more], "id": 2})
        assert answer["code"] == 2
    assert len(session.streams) == STREAMS_MAX


@pytest.mark.parametrize(
    ("path", "heard"),
    [
        ("/public/ws", {"btcusdt@depth@100ms", "btcusdt@depth5", "btcusdt@bookTicker"}),
        ("/market/ws", {"btcusdt@aggTrade", "btcusdt@kline_1m"}),
        (
            "/fstream.binance.com/ws",
            {"btcusdt@depth@100ms", "btcusdt@depth5", "btcusdt@bookTicker"},
        ),
    ],
)
def test_usdm_takes_a_stream_of_the_other_route_and_stays_silent(path, heard):
    streams = [
        "btcusdt@depth@100ms",
        "btcusdt@depth5",
        "btcusdt@bookTicker",
        "btcusdt@aggTrade",
        "btcusdt@kline_1m",
    ]
    session = open_session(path, "")
    assert session is not None

    answer = ask(session, {"method": "SUBSCRIBE", "params": streams, "id": 1})

    assert answer == {"result": None, "id": 1}
    assert session.heard_streams() == heard
    assert list(session.streams) == streams
