"""kill -9 before every single step: the same command again makes it whole."""

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store.sqlite import SqliteStore
from store.urls import open_store
from tests.store.tables import SqliteTables
from tests.trash.library import USER, Library, look_at

_FILE_STEPS = ("link", "unlink", "rename", "rmdir", "makedirs", "fsync")
_STORE_STEPS = (
    "trash",
    "finish_trash",
    "begin_restore",
    "finish_restore",
    "begin_purge",
    "finish_purge",
)


@pytest.fixture
def world(library: Library, tmp_path: Path) -> "World":
    """A group with a pair in it, and a shaken photo with its film."""
    library.photo("keeper.jpg", 0.5, sharpness=2)
    library.photo("a.jpg", 0.5)
    library.photo("a.heic", 0.6, shaken=True)
    library.file("a.dng", b"raw")
    library.photo("below/c.jpg", 0.7, shaken=True)
    library.file("below/c.mov", b"film")
    library.settle()
    return World(library.folder, tmp_path)


class World:
    """A library that can be set back to how it was saved."""

    def __init__(self, folder: Path, tmp_path: Path) -> None:
        self.folder = folder
        self._db = tmp_path / "piccl.db"
        self._saved = tmp_path / "saved"

    def save(self) -> None:
        shutil.rmtree(self._saved, ignore_errors=True)
        shutil.copytree(self.folder, self._saved / "photos")
        with (
            closing(sqlite3.connect(self._db)) as db,
            closing(sqlite3.connect(self._saved / "db")) as copy,
        ):
            db.backup(copy)

    def load(self) -> None:
        for path in (self.folder, *self._db.parent.glob("piccl.db*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self._saved / "photos", self.folder)
        shutil.copy(self._saved / "db", self._db)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Library]:
        with closing(open_store(f"sqlite:///{self._db}")) as store:
            yield Library(self.folder, store)

    def run(self, command: Callable[[Library], object]) -> None:
        with self.opened() as library:
            library.bin.recover()
            command(library)

    def run_killed(self, command: Callable[[Library], object], steps: int) -> bool:
        """Run in a process that dies before a step; False if it ended earlier."""
        child = os.fork()
        if not child:
            try:
                _arm(steps)
                self.run(command)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)

    def tables(self) -> dict[str, list[dict[str, object]]]:
        return SqliteTables(self._db).documents(USER)

    def contents(self) -> Counter[str]:
        """Of all files but the info beside them."""
        return Counter(
            hashlib.sha256(one.data).hexdigest()
            for name, one in look_at(self.folder).items()
            if one.mtime_ns and not name.endswith(".json")
        )


def _arm(steps: int) -> None:
    left = steps

    def armed(step: Callable) -> Callable:
        def run(*args, **kwargs):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **kwargs)

        return run

    for name in _FILE_STEPS:
        setattr(os, name, armed(getattr(os, name)))
    for name in _STORE_STEPS:
        setattr(SqliteStore, name, armed(getattr(SqliteStore, name)))


def _clean_up(library: Library) -> None:
    library.clean_up("20240602-120000-second")


def _restore(library: Library) -> None:
    library.restore()


def _purge(library: Library) -> None:
    library.bin.purge(library.store.trashed(USER))


def _killed_everywhere(world: World, command: Callable[[Library], object]) -> Iterator:
    """The world after each kill and the same command once more."""
    world.save()
    for steps in range(1000):
        world.load()
        died = world.run_killed(command, steps)
        everything = world.contents()
        world.run(command)
        yield everything
        if not died:
            assert steps > 15
            return


def test_cleanup(world: World) -> None:
    seen, tables = look_at(world.folder), world.tables()
    contents = world.contents()
    for after_kill in _killed_everywhere(world, _clean_up):
        # A name more is no file more: a kill may leave two names of one.
        assert set(after_kill) == set(contents)
        assert world.contents() == contents
        with world.opened() as library:
            assert library.titles() == {"keeper.jpg"}
            trashed = list(library.store.trashed(USER))
        assert sorted(one.title for one in trashed) == ["a.heic", "a.jpg", "c.jpg"]
        assert {one.state for one in trashed} == {"trashed"}
        for file in (file for one in trashed for file in one.files):
            assert Path(file.trash_path).exists()
            assert not Path(file.path).exists()
        world.run(_restore)
        assert look_at(world.folder) == seen
        assert world.tables() == tables


def test_restore(world: World) -> None:
    seen, tables = look_at(world.folder), world.tables()
    contents = world.contents()
    world.run(_clean_up)
    for after_kill in _killed_everywhere(world, _restore):
        assert set(after_kill) == set(contents)
        with world.opened() as library:
            library.settle()
            assert list(library.store.trashed(USER)) == []
        assert look_at(world.folder) == seen
        assert world.tables() == tables


def test_purge(world: World) -> None:
    world.run(_clean_up)
    tables = world.tables()
    for _ in _killed_everywhere(world, _purge):
        assert list(look_at(world.folder)) == ["below", "keeper.jpg"]
        assert world.tables() == tables
        with world.opened() as library:
            assert list(library.store.trashed(USER)) == []


def test_another_command_finishes_what_was_begun(world: World) -> None:
    """Whatever is run next: here a purge, which deletes nothing half moved."""
    contents = world.contents()
    world.save()
    for steps in range(1000):
        world.load()
        died = world.run_killed(_clean_up, steps)
        with world.opened() as library:
            library.bin.recover()
            assert {one.state for one in library.store.trashed(USER)} <= {"trashed"}
        assert world.contents() == contents
        if not died:
            return
