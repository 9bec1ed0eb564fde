import json
from random import Random
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from stevie.domain.contracts.catalog import L2, ROUTER_IN
from stevie.domain.contracts.contract import Contract, ContractBreach
from stevie.domain.contracts.document import Document, rule
from tests.domain.contracts.documents import good


class Part(Document, frozen=True, kw_only=True):
    """A part."""

    title: Annotated[str, Meta(max_length=5, description="Its name.")]


class Whole(Document, frozen=True, kw_only=True):
    """A whole
    thing.
    """

    kind: Literal["one", "many"]
    parts: tuple[Part, ...]

    @rule
    def one_is_one(self) -> bool:
        """One has one part."""
        return self.kind == "many" or len(self.parts) == 1


WHOLE = Contract("whole", 3, Whole, "out")
GOOD = '{"kind":"one","parts":[{"title":"a"}]}'


# -- reading what a caller sent --------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b'{"symbol":"BTCUSDT","size":1}x', b"\xff", b'{"symbol":"\\ud800","size":1}'),
        *(b'{"symbol":"BTCUSDT","size":NaN}', b'{"symbol":"BTCUSDT","size":01}'),
        *(b'{"symbol":"BTCUSDT","size":-1', b'{"symbol":1}x', b"[" * 10**5, b"[]]"),
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        ROUTER_IN.read(body)

    assert not isinstance(caught.value, msgspec.ValidationError)


@pytest.mark.parametrize(
    "body",
    [
        *(b"null", b"[]", b'"text"', b"{}", b'{"symbol":"BTCUSDT"}', b'{"symbol":1,"size":1}'),
        *(b'{"symbol":"BTCUSDT","size":-1}', b'{"symbol":"BTCUSDT","size":0}'),
        *(b'{"symbol":"BTCUSDT","size":"0.0"}', b'{"symbol":"BTCUSDT","size":true}'),
        *(b'{"symbol":"BTCUSDT","size":1e400}', b'{"symbol":"BTCUSDT","size":1e13}'),
        *(b'{"symbol":"BTCUSDT","size":"1\\n"}', b'{"symbol":"","size":1}'),
        *(b'{"symbol":"BTC USDT","size":1}', b'{"symbol":"BTCUSDT","size":1,"side":"BUY"}'),
        *(b'{"symbol":"BTCUSDT","size":1,"more":1}', b'{"symbol":"BTCUSDT","size":1,"side":null}'),
    ],
)
def test_what_breaks_the_contract_is_invalid(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        ROUTER_IN.read(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"symbol":"BTCUSDT","size":1,"size":2}',
        b'{"symbol":"BTCUSDT","size":1,"s\\u0069ze":1}',
        b'{"symbol":"BTCUSDT","size":-1,"size":2}',
    ],
)
def test_json_that_says_a_thing_twice_is_malformed(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError, match="`size` more than once"):
        ROUTER_IN.read(body)


def test_a_text_of_many_code_points_is_as_long_as_it_has_code_points() -> None:
    body = json.dumps({"symbol": "😀" * 32, "size": 1}).encode()  # 64 UTF-16 units, 128 bytes

    assert ROUTER_IN.read(body).symbol == "😀" * 32


# -- vouching for what leaves ----------------------------------------------------------------------


def test_what_is_vouched_for_leaves_as_it_is() -> None:
    assert WHOLE.vouched(GOOD) is GOOD
    assert WHOLE.vouched_each(f"[{GOOD},{GOOD}]") == f"[{GOOD},{GOOD}]"
    assert WHOLE.vouched_each("[]") == "[]"


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        (GOOD.replace('"a"', "1"), "$.parts[0].title", "Expected `str`, got `int`"),
        (GOOD.replace("one", "two"), "$.kind", "Invalid enum value 'two'"),
        (GOOD.replace("[", '[{"title":"b"},'), "$", "Broken rule `one_is_one`: One has one part"),
        (GOOD[:-1], "$", "Input data was truncated"),
    ],
)
def test_a_breach_says_which_contract_where_and_why(text: str, path: str, reason: str) -> None:
    with pytest.raises(ContractBreach) as caught:
        WHOLE.vouched(text)

    assert caught.value.contract == "stevie:contract/whole/3"
    assert (caught.value.path, caught.value.reason) == (path, reason)


def test_one_of_many_that_breaks_the_contract_holds_them_all_back() -> None:
    with pytest.raises(ContractBreach, match=r"\$\[1\]\.kind"):
        WHOLE.vouched_each(f"[{GOOD},{GOOD.replace('one', 'two')}]")


def test_a_breach_of_ours_is_not_taken_for_a_fault_of_the_callers() -> None:
    assert not issubclass(ContractBreach, msgspec.DecodeError | ValueError)


# -- as a schema -----------------------------------------------------------------------------------


def test_a_contract_is_json_schema() -> None:
    assert WHOLE.schema() == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "stevie:contract/whole/3",
        "title": "whole",
        "$comment": "Version 3, written by Stevie. Integers have no fraction: 1, not 1.0.",
        "description": "A whole thing. One has one part.",
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["many", "one"]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        },
        "required": ["kind", "parts"],
        "additionalProperties": False,
        "$defs": {
            "Part": {
                "title": "Part",
                "description": "A part.",
                "type": "object",
                "properties": {
                    "title": {"type": "string", "maxLength": 5, "description": "Its name."}
                },
                "required": ["title"],
                "additionalProperties": False,
            }
        },
    }


def variant(**fields: Any) -> Contract[Any]:
    """A contract named as `WHOLE`, of a struct that has these fields."""
    kind = msgspec.defstruct(
        "Whole", list(fields.items()), bases=(Document,), namespace={"__doc__": "Words."}
    )
    return Contract("whole", 3, kind, "out")


def test_a_fingerprint_changes_with_the_shape_and_not_with_the_words() -> None:
    plain = variant(size=Annotated[int, Meta(ge=0)]).fingerprint()

    assert variant(size=Annotated[int, Meta(ge=0, description="Lots.")]).fingerprint() == plain
    assert variant(size=Annotated[int, Meta(ge=1)]).fingerprint() != plain
    assert variant(title=Annotated[int, Meta(ge=0)]).fingerprint() != plain
    assert variant(size=Annotated[int, Meta(ge=0)] | None).fingerprint() != plain


def test_a_fingerprint_changes_with_a_rule() -> None:
    class Lawless(Document, frozen=True, kw_only=True):
        """As Whole, without its rule."""

        kind: Literal["one", "many"]
        parts: tuple[Part, ...]

    Lawless.__name__ = "Whole"

    assert Contract("whole", 3, Lawless, "out").fingerprint() != WHOLE.fingerprint()


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert L2.fingerprint() == Contract("l2", 1, L2.shape, "out").fingerprint()
    assert good(L2, Random(3)) == good(L2, Random(3))
