"""Writes schema/contracts/ from the structs: `.venv/bin/python -m tests.domain.contracts.schemas`.

`test_catalog.py` fails when a file is not what this would write.
"""

import json
from pathlib import Path
from typing import Any

from stevie.domain.contracts.catalog import CONTRACTS
from stevie.domain.contracts.contract import Contract

FOLDER = Path(__file__).resolve().parents[3] / "schema" / "contracts"


def path(contract: Contract[Any]) -> Path:
    """Where a contract's schema is."""
    return FOLDER / f"{contract.name}.schema.json"


def text(contract: Contract[Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(contract.schema(), indent=2, ensure_ascii=False) + "\n"


def committed(contract: Contract[Any]) -> str:
    """The schema as it was written last."""
    return path(contract).read_text(encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for each in CONTRACTS:
        path(each).write_text(text(each), encoding="utf-8")
