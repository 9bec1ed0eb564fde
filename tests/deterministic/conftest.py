from collections.abc import Iterator

import pytest

from tests.deterministic.quiet import no_logs


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with no_logs():
        yield
