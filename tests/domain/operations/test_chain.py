import hashlib
import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stevie.domain.contracts.rows import AuditRow
from stevie.domain.operations.audit import AuditEntry, AuditKind, payload
from stevie.domain.operations.chain import GENESIS, Chain, Head
from stevie.domain.operations.verify import Claim, verify
from tests.domain.operations.logs import entry, head_of, raw, sealed

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.builds(
    AuditEntry,
    at_ns=st.integers(0, 2**63 - 1),
    kind=st.sampled_from(AuditKind),
    actor=st.from_regex(r"[a-z_/]{1,40}", fullmatch=True),
    payload=st.dictionaries(TEXTS, VALUES, max_size=4).map(lambda facts: payload(facts=facts)),
)


def test_a_hash_can_be_computed_by_anybody_with_a_json_library():
    row = sealed(2)[1]
    columns = [row.seq, row.at_ns, row.kind, row.actor, row.payload, row.provenance]
    content = json.dumps(columns, separators=(",", ":"), ensure_ascii=False).encode()

    expected = hashlib.sha256(row.prev_hash.encode() + b"\n" + content).hexdigest()

    assert row.hash == expected


def test_the_first_row_follows_sixty_four_zeros_and_each_other_its_predecessor():
    rows = sealed(5)

    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert [row.prev_hash for row in rows] == ["0" * 64, *(row.hash for row in rows[:-1])]


def test_a_chain_goes_on_where_another_ended():
    chain = Chain(Head(5, sealed(5)[4].hash))

    row = chain.seal(entry(6), b"{}")

    assert (row.seq, row.prev_hash) == (6, sealed(5)[4].hash)
    assert chain.head == Head(6, row.hash)
    assert str(chain.head) == f"6:{row.hash}"


def test_columns_hold_plain_text_that_any_driver_takes():
    row = sealed(1)[0]

    assert {type(getattr(row, name)) for name in ("kind", "payload", "provenance")} == {str}
    assert msgspec.convert(msgspec.to_builtins(row), AuditRow) == row


@settings(max_examples=30, deadline=None)
@given(entries=st.lists(ENTRIES, max_size=12))
def test_any_entries_make_a_log_that_verifies(entries):
    chain = Chain(GENESIS)
    rows = [raw(chain.seal(each, payload(code="1", flags=[]))) for each in entries]

    verdict = verify(rows, claim=Claim(*chain.head))

    assert (verdict.finding, verdict.head) == (None, head_of(rows) if rows else GENESIS)


@settings(max_examples=30, deadline=None)
@given(entries=st.lists(ENTRIES, min_size=1, max_size=6), data=st.data())
def test_any_change_of_an_entry_after_it_was_sealed_is_found(entries, data):
    chain = Chain(GENESIS)
    rows = [raw(chain.seal(each, b"{}")) for each in entries]
    index = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(ENTRIES.filter(lambda each: each != entries[index]))
    changed = rows[index]._replace(at_ns=other.at_ns, kind=other.kind.encode())
    changed = changed._replace(actor=other.actor.encode(), payload=other.payload)

    finding = verify([*rows[:index], changed, *rows[index + 1 :]]).finding

    assert finding is not None
    assert finding.seq == index + 1
