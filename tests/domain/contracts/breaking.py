"""For every rule of every contract, an edit of a good document that breaks that rule alone."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stevie.domain.contracts.contract import Contract
from tests.domain.contracts.documents import Edit, Json, broken_rule, good_where, rules

Pick = Callable[[Json], bool]
Cases = Mapping[str, tuple[Pick, Edit]]


def each(cases: Cases) -> pytest.MarkDecorator:
    """Parametrize by rule, the kind of document to start from, and the edit."""
    rows = [pytest.param(name, *case, id=name) for name, case in cases.items()]
    return pytest.mark.parametrize(("rule", "is_wanted", "edit"), rows)


def assert_breaks(contract: Contract[Any], rule: str, is_wanted: Pick, edit: Edit) -> None:
    """The document is good before the edit, and breaks the rule after it."""
    document = good_where(contract, is_wanted)
    assert broken_rule(contract, document) == ""

    edit(document)

    assert broken_rule(contract, document) == rule.partition(".")[2].partition(" ")[0]


def assert_complete(contract: Contract[Any], cases: Cases) -> None:
    """No rule is left out, and none is tried that there is not."""
    assert {name.partition(" ")[0] for name in cases} == set(rules(contract))


def any_document(document: Json) -> bool:
    """Take whatever comes."""
    return True
