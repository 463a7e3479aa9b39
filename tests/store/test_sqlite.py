import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from store.records import DayOutcome, DayPhoto, StoreError
from store.sqlite import SqliteStore
from tests.store.samples import (
    MAY_1,
    MAY_2,
    SCORES,
    all_similar,
    make_judge,
    make_meta,
    make_verdicts,
    nothing,
    settle_all,
    write,
)
from tests.store.tables import SqliteTables

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "photos.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as store:
        yield store


@pytest.fixture
def tables(path: Path, store: SqliteStore) -> SqliteTables:
    return SqliteTables(path)


@pytest.mark.parametrize(
    "fail",
    [
        lambda store: store.write(
            make_meta("new", user_id="bob"),
            SCORES,
            make_judge(make_verdicts(version=None)),
        ),
        lambda store: store.write(
            make_meta("a", MAY_2, generation=11),
            SCORES,
            make_judge(make_verdicts(dark=2)),
        ),
        lambda store: store.write(
            make_meta("gone", MAY_2, generation=11),
            SCORES,
            make_judge(make_verdicts(dark=2)),
        ),
        lambda store: store.rejudge("ada", "a", 10, make_judge(make_verdicts(dark=2))),
        lambda store: store.decide("ada", "a", "perhaps"),
        lambda store: store.settle(
            "ada",
            MAY_1,
            lambda _: {"a": DayOutcome(True), "b": DayOutcome(similar_kind="twin")},
        ),
    ],
    ids=[
        "write",
        "overwrite",
        "write again",
        "rejudge",
        "decide",
        "settle",
    ],
)
def test_what_the_tables_refuse_leaves_them_as_they_were(
    store: SqliteStore, tables: SqliteTables, fail: Callable[[SqliteStore], object]
) -> None:
    for id_ in ("a", "b", "gone"):
        write(store, id_)
    store.remove("ada", "gone", 10)
    before = tables.everything()
    with pytest.raises(sqlite3.IntegrityError):
        fail(store)
    assert tables.everything() == before
    write(store, "c")


def test_settling_starts_over_when_a_photo_is_added_meanwhile(
    store: SqliteStore, path: Path
) -> None:
    write(store, "a")
    write(store, "c")
    seen: list[list[str]] = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        seen.append([photo.id for photo in photos])
        if len(seen) == 1:
            with closing(SqliteStore(path)) as other:
                write(other, "b")
        return all_similar(photos)

    assert store.settle("ada", MAY_1, group) == 3
    assert seen == [["a", "c"], ["a", "b", "c"]]
    photos = store.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)
    assert store.pending_days() == []


def test_settling_again_changes_a_day_that_does_not_wait(store: SqliteStore) -> None:
    for id_ in "abc":
        write(store, id_)
    assert store.settle("ada", MAY_1, nothing) == 0
    assert store.settle("ada", MAY_1, lambda _: {"b": DayOutcome(delete=True)}) == 1
    assert store.settle("ada", MAY_1, nothing) == 1


_PHOTOS_EACH: Final = 100


def _write_many(path: Path, writer: str, number: int = _PHOTOS_EACH) -> None:
    """Write photos of ten days, regroup now and then, settle all at the end."""
    with closing(SqliteStore(path)) as store:
        for i in range(number):
            id_ = f"{writer}-{i:06d}"
            date = f"2024-06-{i % 10 + 1:02d}"
            write(store, id_, date)
            print(id_, flush=True)
            if i % 25 == 0:
                store.settle("ada", date, all_similar)
        settle_all(store, "ada")


def _start_writer(path: Path, writer: str, number: int) -> subprocess.Popen[str]:
    """Run this file as a program, see its end."""
    return subprocess.Popen(
        [sys.executable, __file__, path, writer, str(number)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _photos_without_rows(store: SqliteStore) -> list[str]:
    return [
        row["id"]
        for row in store._db.execute(
            """SELECT id FROM photos LEFT JOIN tags USING (user_id, id)
               LEFT JOIN deletions USING (user_id, id)
               WHERE tags.id IS NULL OR deletions.id IS NULL"""
        )
    ]


def test_threads_and_processes_write_one_file(path: Path) -> None:
    errors: list[Exception] = []

    def run(writer: str) -> None:
        try:
            _write_many(path, writer)
        except Exception as err:
            errors.append(err)

    processes = [_start_writer(path, f"process{i}", _PHOTOS_EACH) for i in range(3)]
    threads = [threading.Thread(target=run, args=(f"thread{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for process in processes:
        process.communicate(timeout=120)
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert [process.returncode for process in processes] == [0, 0, 0]
    with closing(SqliteStore(path)) as store:
        assert store.counts("ada")["photos"] == 7 * _PHOTOS_EACH
        assert _photos_without_rows(store) == []
        assert store.pending_days() == []
        for day in range(1, 11):
            photos = store.day("ada", f"2024-06-{day:02d}")
            assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)


def test_killed_writer_leaves_whole_photos(path: Path) -> None:
    written: set[str] = set()
    for number, lines in enumerate((1, 17, 60)):
        process = _start_writer(path, f"writer{number}", 1_000_000)
        assert process.stdout is not None
        written |= {process.stdout.readline().strip() for _ in range(lines)}
        process.send_signal(signal.SIGKILL)
        written |= set(process.stdout.read().split())
        process.stdout.close()
        assert process.wait(60) == -signal.SIGKILL
        with closing(SqliteStore(path, must_exist=True)) as store:
            assert store._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            stored = {row["id"] for row in SqliteTables(path).rows("photos")}
            assert written <= stored
            # One more may have been written and not yet told.
            assert len(stored - written) <= number + 1
            assert _photos_without_rows(store) == []
    with closing(SqliteStore(path)) as store:
        settle_all(store, "ada")
        assert store.pending_days() == []


def test_a_large_trash_is_told_whole_and_in_order(store: SqliteStore) -> None:
    store._db.execute(
        """WITH RECURSIVE numbers (n) AS (
               SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2999)
           INSERT INTO trash
           SELECT 'ada', 'r' || (n % 3), printf('%04d', n), '', 'trashed',
               'T' || (n / 7 % 5), '', '', '', '[]', NULL, NULL, '' FROM numbers"""
    )
    expected = sorted((f"T{n // 7 % 5}", f"r{n % 3}", f"{n:04d}") for n in range(3000))
    told = [(one.trashed_at, one.run, one.id) for one in store.trashed("ada")]
    assert told == expected
    of_run = [
        (one.trashed_at, one.run, one.id) for one in store.trashed("ada", run="r1")
    ]
    assert of_run == [one for one in expected if one[1] == "r1"]


def test_only_expired_and_settled_tombstones_are_forgotten(
    store: SqliteStore, tables: SqliteTables
) -> None:
    for id_ in ("fresh", "old", "old waiting"):
        write(store, id_)
        store.remove("ada", id_, 10)
        if id_ != "old waiting":
            store.settle("ada", MAY_1, nothing)
    expires = tables.row("tombstones", "fresh")["expires_at"]
    # Pub/Sub keeps a message for 31 days at most.
    assert expires > datetime.now(UTC) + timedelta(days=31)
    store._db.execute(
        "UPDATE tombstones SET expires_at = ? WHERE id <> 'fresh'",
        ((datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds"),),
    )
    store.prepare()
    left = [row["id"] for row in tables.rows("tombstones")]
    assert left == ["fresh", "old waiting"]
    store.settle("ada", MAY_1, nothing)
    store.prepare()
    assert [row["id"] for row in tables.rows("tombstones")] == ["fresh"]


def test_closing_waits_for_what_another_thread_does(path: Path) -> None:
    # In a process of its own: without the wait it would crash.
    script = """
import sys, threading, time
from pathlib import Path
from store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
def read():
    try:
        while True:
            store.counts("me"), store.day("me", "2024-05-01"), store.prepare()
    except Exception as err:
        sys.stdout.write(type(err).__name__ + chr(10))
threads = [threading.Thread(target=read) for _ in range(3)]
[thread.start() for thread in threads]
time.sleep(0.3)
store.close()
[thread.join() for thread in threads]
"""
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.split() == ["ProgrammingError"] * 3


def test_a_file_that_can_not_be_written_is_said_so(store: SqliteStore) -> None:
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="can not write"):
        store.prepare()


if __name__ == "__main__":
    _write_many(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
