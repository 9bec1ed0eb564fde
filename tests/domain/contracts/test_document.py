import msgspec
import pytest

from stevie.domain.contracts.document import Document, RuleBroken, rule


class Span(Document, frozen=True, kw_only=True):
    """From and to."""

    first: int
    last: int

    @rule
    def runs_forward(self) -> bool:
        """It ends where it starts,
        or later.
        """
        return self.first <= self.last


class Even(Span, frozen=True, kw_only=True):
    """A span of an even number."""

    @rule
    def is_even(self) -> bool:
        """Its length is even."""
        return (self.last - self.first) % 2 == 0


class Holder(Document, frozen=True, kw_only=True):
    """Holds spans."""

    spans: tuple[Span, ...]


def test_a_rule_holds_for_what_is_made_in_code() -> None:
    with pytest.raises(RuleBroken, match=r"`runs_forward`: It ends where it starts, or later$"):
        Span(first=2, last=1)


def test_a_rule_holds_for_what_is_read() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"runs_forward.*\$\.spans\[1\]"):
        msgspec.json.decode(b'{"spans":[{"first":1,"last":1},{"first":2,"last":1}]}', type=Holder)


def test_a_document_has_the_rules_of_what_it_is_made_from_and_its_own() -> None:
    assert [each.name for each in Span.rules] == ["runs_forward"]
    assert [each.name for each in Even.rules] == ["runs_forward", "is_even"]
    assert Holder.rules == ()

    with pytest.raises(RuleBroken) as caught:
        Even(first=1, last=2)
    assert caught.value.name == "is_even"


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `more`"):
        msgspec.json.decode(b'{"first":1,"last":2,"more":3}', type=Span)


def test_a_rule_needs_a_sentence() -> None:
    with pytest.raises(AssertionError):

        @rule
        def wordless(self: object) -> bool:
            return True
