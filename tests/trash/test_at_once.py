"""Many that clean up, trash, restore, decide, purge and analyse at the same time."""

import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from store.interface import Store
from store.search import PhotoQuery
from store.urls import open_store
from tests.store.tables import SqliteTables
from tests.trash.library import REASONS, USER, Library
from trash.bin import new_run

_SECONDS = 2.0


def _cleans_up(library: Library, _: random.Random) -> None:
    library.bin.recover()
    library.clean_up(new_run())


def _restores(library: Library, _: random.Random) -> None:
    library.bin.recover()
    library.restore()


def _decides(library: Library, random_: random.Random) -> None:
    rows = library.rows()
    if rows:
        try:
            id_ = random_.choice(rows)["id"]
            library.store.decide(USER, id_, random_.choice(["keep", None]))
        except KeyError:
            pass  # in the trash by now
    time.sleep(0.005)


def _purges(library: Library, _: random.Random) -> None:
    library.bin.recover()
    library.bin.purge(library.store.trashed(USER))


def _at_once(library: Library, tasks: list[Callable], tmp_path: Path) -> None:
    children = []
    for number, task in enumerate(tasks):
        child = os.fork()
        if not child:
            code = 1
            try:
                ends_at, random_ = time.monotonic() + _SECONDS, random.Random(number)
                with closing(open_store(f"sqlite:///{tmp_path}/piccl.db")) as store:
                    while time.monotonic() < ends_at:
                        task(Library(library.folder, store), random_)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


@pytest.fixture
def full(library: Library) -> Library:
    """Groups of three with a RAW each, and shaken photos."""
    for number in range(4):
        for shot in range(3):
            library.photo(f"{number}-{shot}.jpg", number / 10, sharpness=shot)
            library.file(f"{number}-{shot}.dng", b"raw %d %d" % (number, shot))
        library.photo(f"below/{number}.jpg", 0.5 + number / 10, shaken=True)
    library.settle()
    return library


def test_nothing_is_lost(full: Library, tmp_path: Path) -> None:
    seen, tables = full.seen(), SqliteTables(tmp_path / "piccl.db")
    before = tables.documents(USER)
    _at_once(full, [_cleans_up, _cleans_up, _restores, _decides], tmp_path)
    full.bin.recover()
    assert full.restore().refused == []
    for row in full.rows():
        full.store.decide(USER, row["id"], None)
    full.settle()
    assert full.seen() == seen
    assert tables.documents(USER) == before


def test_every_group_keeps_one(full: Library, tmp_path: Path) -> None:
    _at_once(full, [_cleans_up, _restores, _purges, _decides], tmp_path)
    full.bin.recover()
    full.restore()
    there = {Path(path).name[:2] for path in full.seen() if path.endswith(".jpg")}
    assert {f"{number}-" for number in range(4)} <= there
    # What is there is known, and what is known is there.
    assert full.titles() == {
        Path(path).name for path in full.seen() if path.endswith(".jpg")
    }


# With a user who trashes what is not recommended, and a backfill, in both stores. In
# threads: the client of Firestore does not outlive a fork.

_SHOTS = 4


def _user(library: Library, random_: random.Random) -> None:
    rows = library.rows()
    if rows:
        library.bin.trash(
            library.bin.units(random_.sample(rows, min(3, len(rows)))),
            run=new_run(),
            reasons=None,
        )
        _decide(library, random_)


def _decide(library: Library, random_: random.Random) -> None:
    for row in random_.sample(rows := library.rows(), min(4, len(rows))):
        try:
            choice = random_.choice(["trash", "trash", "keep", None])
            library.store.decide(USER, row["id"], choice)
        except KeyError:
            pass  # in the trash by now


def _cleans_up_decided(library: Library, _: random.Random) -> None:
    library.bin.recover()
    library.settle()
    decided = library.store.search(PhotoQuery(USER, decision="trash"))
    units = library.bin.units([*decided, *library.recommended()])
    library.bin.trash(units, run=new_run(), reasons=(*REASONS, "decided"))
    library.settle()


def _restores_some(library: Library, random_: random.Random) -> None:
    library.bin.recover()
    records = list(library.store.trashed(USER))
    library.bin.restore(random_.sample(records, len(records) // 2))
    library.settle()


def _purges_some(library: Library, random_: random.Random) -> None:
    library.bin.recover()
    records = list(library.store.trashed(USER))
    library.bin.purge(random_.sample(records, min(2, len(records))))


def _backfills(library: Library, _: random.Random) -> None:
    for path in sorted(library.folder.glob("*.jpg")):
        with suppress(FileNotFoundError):  # moved since it was listed
            library.analyse(path, int(path.name[0]) / 10, sharpness=int(path.name[2]))
    library.settle()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> str:
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    return f"firestore://{request.getfixturevalue('firestore_project')}"


@pytest.mark.parametrize(
    ("kind", "groups", "rounds"), [("sqlite", 6, 15), ("firestore", 2, 2)]
)
def test_every_group_keeps_one_whatever_is_done_at_once(
    url: str, groups: int, rounds: int, tmp_path: Path
) -> None:
    folder = tmp_path.resolve() / "photos"
    folder.mkdir()
    purged: set[str] = set()
    tasks = [_user, _cleans_up_decided, _restores_some, _purges_some, _backfills]
    left = Counter(dict.fromkeys(tasks, rounds))

    def repeat(task: Callable[[Library, random.Random], None], seed: int) -> None:
        random_ = random.Random(seed)
        with closing(open_store(url)) as store:
            _note_purges(store, purged)
            # As long as any other is at it.
            while max(left.values()) > 0:
                task(Library(folder, store), random_)
                left[task] -= 1

    with closing(open_store(url)) as store:
        library = Library(folder, store)
        for group in range(groups):
            for shot in range(_SHOTS):
                library.photo(f"{group}-{shot}.jpg", group / 10, sharpness=shot)
                library.file(f"{group}-{shot}.dng", b"raw %d %d" % (group, shot))
        library.settle()
        files = {path.read_bytes(): path.name for path in folder.iterdir()}
        with ThreadPoolExecutor(len(tasks)) as pool:
            for done in [pool.submit(repeat, t, i) for i, t in enumerate(tasks)]:
                done.result()
        _note_purges(store, purged)
        library.bin.recover()
        assert purged
        found = {one.data for one in library.seen().values()}
        assert {name for data, name in files.items() if data not in found} <= purged
        assert library.restore().refused == []
        there = {path.name for path in folder.glob("*.jpg")}
        assert {name[0] for name in there} == {str(one) for one in range(groups)}
        # What is there is known, what is known is there, and each with its RAW.
        assert library.titles() == there
        assert {path.stem for path in folder.glob("*.dng")} == {
            Path(name).stem for name in there
        }


def _note_purges(store: Store, purged: set[str]) -> None:
    begin = store.begin_purge

    def begin_purge(*args: str):
        record = begin(*args)
        if record is not None:
            purged.update(Path(file.path).name for file in record.files)
        return record

    store.begin_purge = begin_purge  # type: ignore[method-assign]
