"""Document: what crosses a border as JSON, its shape and its rules.

The shape (types, ranges, patterns, no unknown fields) is what JSON Schema can say as well, and both
say the same. A rule relates fields to each other; it is checked whenever a document is made, from
JSON or in code, and stands as a sentence in the schema.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

Held = TypeVar("Held", bound=Callable[[Any], bool])


class Rule(NamedTuple):
    """Something that holds between the fields of a document."""

    name: str
    sentence: str
    holds: Callable[[Any], bool]


class RuleBroken(ValueError):  # noqa: N818 - it says what happened
    """A document of the right shape whose fields contradict each other."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"Broken rule `{rule.name}`: {rule.sentence.removesuffix('.')}")
        self.name = rule.name


def rule(method: Held) -> Held:
    """Make a method a rule; its docstring is the sentence."""
    assert method.__doc__, method
    method.__is_rule__ = True  # type: ignore[attr-defined]
    return method


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every document and of what nests in one."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = (each for each in vars(cls).values() if getattr(each, "__is_rule__", False))
        cls.rules = (*cls.rules, *(_rule(method) for method in own))

    def __post_init__(self) -> None:
        for each in self.rules:
            if not each.holds(self):
                raise RuleBroken(each)


def _rule(method: Callable[[Any], bool]) -> Rule:
    return Rule(method.__name__, " ".join(str(method.__doc__).split()), method)
