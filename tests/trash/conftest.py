"""A library in a folder, on SQLite."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store.urls import open_store
from tests.trash.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    folder = tmp_path.resolve() / "photos"
    folder.mkdir()
    with closing(open_store(f"sqlite:///{tmp_path}/piccl.db")) as store:
        yield Library(folder, store)
