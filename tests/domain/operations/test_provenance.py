import json
import re

import pytest

from stevie.config import explain, load
from stevie.domain.market.features import FeatureSpec
from stevie.domain.operations.audit import NO_INPUT, AuditEntry, AuditKind, InputRange
from stevie.domain.operations.provenance import (
    code_version,
    config_hash,
    features_hash,
    provenance,
    shown,
)
from tests.domain.operations.logs import FACTS, RANGE

SHA256 = re.compile(r"[0-9a-f]{64}")


def told(**fields):
    entry = AuditEntry(at_ns=1, kind=AuditKind.STARTED, actor="a", payload=b"{}", **fields)
    return json.loads(provenance(FACTS, entry, ("fast", "trading")))


def test_it_names_all_that_a_row_rests_on():
    assert told(input=RANGE, model="m7") == {
        "code": FACTS.code,
        "config_hash": FACTS.config_hash,
        "kernel_hash": FACTS.kernel_hash,
        "model": "m7",
        "features_hash": FACTS.features_hash,
        "input": {
            "kind": "l2_log",
            "venue": "binance",
            "symbol": "BTCUSDT",
            "first_seq": 5,
            "last_seq": 9,
        },
        "flags": ["fast", "trading"],
    }


def test_an_input_has_the_fields_of_its_kind_alone():
    assert told(input=NO_INPUT)["input"] == {"kind": "none"}
    capture = InputRange(kind="capture", sha256="ab" * 32)
    assert told(input=capture)["input"] == {"kind": "capture", "sha256": "ab" * 32}


def test_no_model_is_told_as_none():
    assert told()["model"] is None


# -- code ----------------------------------------------------------------------------------------

SOURCES = [("stevie/a.py", b"a = 1\n"), ("stevie/b.py", b"b = 2\n")]


def test_the_code_is_a_version_and_twelve_digits_of_its_sources():
    assert re.fullmatch(r"0\.1\.0\+[0-9a-f]{12}", code_version("0.1.0", SOURCES))


def test_the_order_in_which_sources_are_read_changes_nothing():
    assert code_version("1", SOURCES) == code_version("1", reversed(SOURCES))


@pytest.mark.parametrize(
    "changed",
    [
        [("stevie/a.py", b"a = 2\n"), SOURCES[1]],
        [("stevie/c.py", b"a = 1\n"), SOURCES[1]],
        [("stevie/a.py", b"a = 1\nb = 2\n"), ("stevie/b.py", b"")],
        SOURCES[:1],
    ],
)
def test_any_change_of_the_sources_shows(changed):
    assert code_version("1", changed) != code_version("1", SOURCES)


# -- configuration -------------------------------------------------------------------------------


def settings_of(**environ):
    return explain(
        load(environ={f"STEVIE__{key.upper()}": value for key, value in environ.items()})
    )


def test_a_configuration_has_a_hash_that_changes_with_any_value():
    plain = config_hash(settings_of())

    assert SHA256.fullmatch(plain)
    assert plain != config_hash(settings_of(http__port="5001"))
    assert plain != config_hash(settings_of(profile="prod"))


def test_where_a_value_came_from_changes_nothing():
    assert config_hash(settings_of(http__port="5000")) == config_hash(settings_of())


def test_no_secret_is_in_what_is_hashed_or_shown():
    one, other = (
        settings_of(http__admin_token="hunter2"),
        settings_of(http__admin_token="swordfish"),
    )

    assert config_hash(one) == config_hash(other) != config_hash(settings_of())
    assert "hunter2" not in str(shown(one))


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("postgresql://stevie:hunter2@db/stevie", "postgresql://***@db/stevie"),
        ("postgresql://stevie:hun@ter2@db:5432/x", "postgresql://***@db:5432/x"),
        ("postgresql://hunter2@db/x", "postgresql://***@db/x"),
        (
            "postgresql://db/x?user=a&password=hunter2&b=1",
            "postgresql://db/x?user=a&password=***&b=1",
        ),
        ("host=db password=hunter2 user=a", "host=db password=*** user=a"),
        ("http://127.0.0.1:5100", "http://127.0.0.1:5100"),
        ("sqlite:///var/stevie.db", "sqlite:///var/stevie.db"),
    ],
)
def test_what_a_url_holds_of_secrets_is_hidden(value, seen):
    assert shown([("store.url", value, "default")]) == {"store.url": seen}


# -- features ------------------------------------------------------------------------------------


def test_features_have_a_hash_of_what_they_look_at():
    plain = features_hash(FeatureSpec())

    assert SHA256.fullmatch(plain)
    assert plain == features_hash(FeatureSpec())
    assert plain != features_hash(FeatureSpec(window_events=101))
