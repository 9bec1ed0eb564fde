import json

import falcon
import pytest
from falcon import testing

from stevie import rfc3339
from stevie.adapters.store.memory import MemoryStore
from stevie.domain.contracts.catalog import FLAG_OUT
from stevie.domain.operations.flags import NAMES, FlagRefusedError
from stevie.http.edge import Edge, KernelFact
from stevie.http.flags import FlagsResource
from stevie.http.gate import BodyLimit
from stevie.http.problems import ErrorTable
from stevie.messages.record import FlagsState, FlagState, ReadFlags, SetFlag
from stevie.runtime.counters import Counters
from stevie.runtime.errors import ActorCrashed, ActorDeadError, AskTimeout, MailboxFull
from tests.http.fakes import NOW_NS, FakeClock, FakeDirectory


def flag(name: str = "l2_log", *, value: bool = True, seq: int = 0) -> FlagState:
    changed_ns = NOW_NS if seq else 0
    return FlagState(
        name=name, value=value, default=True, sentence="S.", changed_ns=changed_ns, audit_seq=seq
    )


class FlagSite:
    """The route over a keeper that answers what the test says."""

    def __init__(self, answer: object = None) -> None:
        self.directory = FakeDirectory()
        self.directory.answers["flags"] = answer
        edge = Edge(
            directory=self.directory,
            clock=FakeClock(),
            tables={},
            kernel=KernelFact(name="native", source_hash="ab" * 32),
            counters=Counters(),
            version="0.1.0",
            profile="dev",
            started_at_ns=0,
            started_monotonic_ns=0,
            archive=MemoryStore(),
            hub_lag_s=float,
        )
        app = falcon.App(middleware=[BodyLimit(2048)])
        app.add_route("/api/flags", FlagsResource(edge))
        ErrorTable(FakeClock(), []).register(app)
        self.client = testing.TestClient(app)

    def get(self, **options) -> testing.Result:
        return self.client.simulate_get("/api/flags", **options)

    def post(self, body: object, **options) -> testing.Result:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.simulate_post("/api/flags", body=text, **options)

    def told(self) -> list[object]:
        return [message for name, message in self.directory.asked if name == "flags"]


ASKED = {"name": "l2_log", "value": False}
COMMAND = SetFlag(name="l2_log", value=False, by="127.0.0.1")


def test_all_flags_are_listed_with_who_changed_them_last():
    site = FlagSite(FlagsState(flags=(flag("bars_backfill"), flag(value=False, seq=17))))

    assert site.get().json == [
        {
            "name": "bars_backfill",
            "value": True,
            "default": True,
            "sentence": "S.",
            "changed_at": None,
            "audit_seq": None,
        },
        {
            "name": "l2_log",
            "value": False,
            "default": True,
            "sentence": "S.",
            "changed_at": rfc3339.text(NOW_NS),
            "audit_seq": 17,
        },
    ]
    assert site.told() == [ReadFlags()]
    assert site.get(query_string="name=l2_log").status_code == 400


def test_what_is_set_is_answered_as_it_is_now():
    site = FlagSite(flag(value=False, seq=17))

    result = site.post(ASKED)

    assert result.status_code == 200
    assert FLAG_OUT.read(result.content).audit_seq == 17
    assert site.told() == [COMMAND]


def test_the_log_will_say_from_where_it_was_set():
    site = FlagSite(flag(value=False, seq=17))

    site.post(ASKED, remote_addr="192.168.1.7")

    assert site.told() == [SetFlag(name="l2_log", value=False, by="192.168.1.7")]


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Type": "x"}, {}])
def test_a_body_is_json_whatever_its_type_says(headers):
    assert FlagSite(flag(value=False, seq=1)).post(ASKED, headers=headers).status_code == 200


def test_a_chunked_body_is_read_too():
    site = FlagSite(flag(value=False, seq=1))

    assert site.post(ASKED, headers={"Transfer-Encoding": "chunked"}).status_code == 200
    assert site.told() == [COMMAND]


@pytest.mark.parametrize("name", ["nope", "L2_LOG", "l2_log ", "../l2_log", "é", "x" * 128])
def test_an_unknown_flag_is_answered_with_those_there_are(name):
    site = FlagSite()

    result = site.post({"name": name, "value": True})

    assert result.status_code == 404
    assert result.json["title"] == "Unknown flag"
    assert result.json["allowed"] == list(NAMES)
    assert site.told() == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "l2_log", "value": 1},
        {"name": "l2_log", "value": "true"},
        {"name": "l2_log", "value": None},
        {"name": "l2_log"},
        {"value": True},
        {"name": "l2_log", "value": True, "by": "somebody else"},
        {"name": "", "value": True},
        {"name": "x" * 129, "value": True},
        {"name": 7, "value": True},
        [],
        "null",
    ],
)
def test_what_breaks_the_contract_is_no_wish(body):
    site = FlagSite()

    assert site.post(body).status_code == 422
    assert site.told() == []


@pytest.mark.parametrize(
    "body",
    ["", "{", "name=l2_log", b"\xff", '{"name":"l2_log","value":true,"value":false}', "[" * 2000],
)
def test_what_is_no_json_is_malformed(body):
    site = FlagSite()

    result = site.post(body)

    assert result.status_code == 400, result.text
    assert result.json["title"] == "Malformed body"
    assert site.told() == []


@pytest.mark.parametrize(
    "error", [AskTimeout("late"), ActorCrashed("of it"), ActorDeadError("stopped")]
)
def test_an_answer_that_does_not_come_says_that_the_change_may_still_come_into_force(error):
    result = FlagSite(error).post(ASKED)

    assert result.status_code == 503
    assert result.headers["Retry-After"] == "1"
    assert result.json["title"] == "Not confirmed"
    assert result.json["is_confirmed"] is False
    assert "may still come into force" in result.json["detail"]


@pytest.mark.parametrize("error", [FlagRefusedError("the log is full"), MailboxFull("flags: full")])
def test_a_refusal_says_that_nothing_was_changed(error):
    result = FlagSite(error).post(ASKED)

    assert result.status_code == 503
    assert result.headers["Retry-After"] == "1"
    assert result.json["title"] == "Not ready"
    assert "is_confirmed" not in result.json


def test_flags_that_cannot_be_read_are_not_guessed():
    assert FlagSite(FlagRefusedError("still being read")).get().status_code == 503
    assert FlagSite(AskTimeout("late")).get().json["title"] == "Not ready"


def test_what_breaks_our_own_contract_does_not_leave():
    assert FlagSite(flag(value=False)).post(ASKED).status_code == 500
    assert FlagSite(FlagsState(flags=(flag("No Word"),))).get().status_code == 500
