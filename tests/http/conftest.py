from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Keep the errors that tests provoke out of the test log."""
    with capture_logs():
        yield
