"""Stored: rows are held to their contract on their way into the store and out of it."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from stevie.domain.contracts.contract import ContractBreach
from stevie.domain.contracts.rows import Row

AnyRow = TypeVar("AnyRow", bound=Row)


def kept(row: AnyRow) -> AnyRow:
    """A row that is about to be written, as it is; ContractBreach if no reader would take it."""
    fetched(type(row), {name: getattr(row, name) for name in row.__struct_fields__})
    return row


def fetched(kind: type[AnyRow], columns: Mapping[str, Any]) -> AnyRow:
    """A row from the columns that were read; ContractBreach if they are not what we write."""
    try:
        return msgspec.convert(columns, kind)
    except msgspec.ValidationError as error:
        raise ContractBreach.of(f"table {kind.table}", error) from error
