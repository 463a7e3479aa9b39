"""A store of each kind, for the tests that all of them have to pass."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from store.interface import Store
from store.sqlite import SqliteStore
from store.urls import open_store
from tests.store.tables import FirestoreTables, SqliteTables, Tables

KINDS = ["sqlite", "firestore"]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/photos.db"
    return f"firestore://{request.getfixturevalue('firestore_project')}"


@pytest.fixture
def usage() -> Counter[str]:
    """What the stores of `reopen` say that they did."""
    return Counter()


@pytest.fixture
def reopen(url: str, usage: Counter[str]) -> Iterator[Callable[[], Store]]:
    """Makes one more connection to the same store."""

    def count(name: str, by: int) -> None:
        usage[name] += by

    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_store(url, count=count)))


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Store:
    return reopen()


@pytest.fixture
def other(store: Store, reopen: Callable[[], Store]) -> Store:
    """A second connection to the same store."""
    return reopen()


@pytest.fixture
def tables(url: str, store: Store) -> Tables:
    return tables_of(url)


@pytest.fixture
def writes(store: Store, usage: Counter[str]) -> Callable[[], int]:
    """Tells how many rows or documents `store` has written so far."""
    if isinstance(store, SqliteStore):
        return lambda: store._db.total_changes
    return lambda: usage["store_writes"]


@pytest.fixture(scope="module", params=KINDS)
def shared_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The address of one store for many examples."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('shared')}/photos.db"
    request.getfixturevalue("firestore_emulator")
    return f"firestore://piccl-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def shared(shared_url: str) -> Iterator[Store]:
    with closing(open_store(shared_url)) as store:
        yield store


@pytest.fixture(scope="module")
def shared_tables(shared_url: str, shared: Store) -> Tables:
    return tables_of(shared_url)


def tables_of(url: str) -> Tables:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return SqliteTables(Path(rest[1:]))
    return FirestoreTables(firestore.Client(rest))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the documents that clients of Firestore write or delete from now on."""
    paths: list[str] = []
    commit = FirestoreClient.commit

    def spy(self: FirestoreClient, *args: Any, **kwargs: Any) -> Any:
        response = commit(self, *args, **kwargs)
        for write in kwargs["request"]["writes"]:
            path = write.update.name or write.delete
            paths.append(path.partition("/documents/")[2])
        return response

    monkeypatch.setattr(FirestoreClient, "commit", spy)
    return paths
