from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stevie.adapters.store.store import Store, open_store
from tests.postgres import Cluster, new_cluster

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL for all tests that want one; each has a database of its own."""
    cluster = new_cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has used, on either engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/stevie.db"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.new_url()


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Opens stores, and closes them at the end."""
    stores: list[Store] = []

    def open_one(url: str, **options: object) -> Store:
        stores.append(open_store(url, **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(url: str, opened: Callable[..., Store]) -> Store:
    """An empty store on either engine."""
    return opened(url)
