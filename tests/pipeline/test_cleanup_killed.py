"""`piccl cleanup`, `restore` and `purge`, killed amid many photos and run again."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from models.similarity import SimilarOptions
from pipeline.__main__ import main
from store.urls import open_store
from tests.trash.library import USER, Library
from transforms.settle_days import settle_days

_ROOT = Path(__file__).parents[2]
_NUMBER = 60
_CLEAN_UP = ("cleanup", "--reason", "shaken", "--yes")
_RESTORE = ("restore", "--all")
_PURGE = ("purge", "--trashed-before=0", "--yes")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "piccl.db"


@pytest.fixture
def library(tmp_path: Path, db: Path) -> Iterator[Library]:
    """Photos that are recommended, each with a film."""
    folder = tmp_path.resolve() / "photos"
    folder.mkdir()
    with closing(open_store(f"sqlite:///{db}")) as store:
        library = Library(folder, store)
        for number in range(_NUMBER):
            library.photo(f"{number}.jpg", number, shaken=True)
            library.file(f"{number}.mov", b"film %d" % number)
        settle_days(store, USER, SimilarOptions())
        yield library


def _command(words: tuple[str, ...], db: Path) -> list[str]:
    return [*words, f"--user={USER}", f"--store=sqlite:///{db}"]


def _run_killed(words: tuple[str, ...], db: Path, condition: str) -> None:
    """Kill a command once that is true of the trash."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *_command(words, db)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
    )
    try:
        with closing(sqlite3.connect(db, timeout=60, isolation_level=None)) as holder:
            give_up_at_s = time.monotonic() + 120
            while True:
                # So it gets no further than its next step while this looks.
                holder.execute("BEGIN IMMEDIATE")
                if holder.execute(f"SELECT {condition} FROM trash").fetchone()[0]:
                    break
                holder.execute("ROLLBACK")
                assert process.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < give_up_at_s
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        process.kill()
        process.wait()


def test_nothing_is_lost_and_nothing_is_done_twice(library: Library, db: Path) -> None:
    seen, rows = library.seen(), library.rows()
    _run_killed(_CLEAN_UP, db, "coalesce(sum(state = 'trashed'), 0) >= 20")
    assert any(record.state == "moving" for record in library.store.trashed(USER))
    assert main(_command(_CLEAN_UP, db)) == 0
    records = list(library.store.trashed(USER))
    assert sorted(record.title for record in records) == sorted(
        row["title"] for row in rows
    )
    assert {record.state for record in records} == {"trashed"}
    contents = [one.data for name, one in library.seen().items() if ".json" not in name]
    assert sorted(filter(None, contents)) == sorted(one.data for one in seen.values())
    trashed = library.seen()

    _run_killed(_RESTORE, db, f"count(*) <= {_NUMBER - 20}")
    assert {*library.seen()} != {*seen}
    assert {*library.seen()} != {*trashed}
    assert main(_command(_RESTORE, db)) == 0
    assert (library.seen(), library.rows()) == (seen, rows)

    assert main(_command(_CLEAN_UP, db)) == 0
    _run_killed(_PURGE, db, f"count(*) <= {_NUMBER - 20}")
    assert 0 < len(list(library.store.trashed(USER))) < _NUMBER
    assert main(_command(_PURGE, db)) == 0
    assert library.seen() == {}
    assert list(library.store.trashed(USER)) == []
