"""The same rows whatever happened on the way: the law of this project."""

import json
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from store.sqlite import SqliteStore
from store.urls import open_store
from tests.crashes import crashes

DAYS = ("2024:05:01", "2024:05:02", "2024:05:03")
_IN_MEMORY = "--direct_running_mode=in_memory"
NAMES = [f"photo-{i}.jpg" for i in range(7)]
# Of a run on the way; WEIGHTS stands for those of a detector.
OPTIONS = (
    "",
    "WEIGHTS",
    "WEIGHTS --detect-precision=bf16 --reanalyse=outdated",
    "WEIGHTS --blur-method=paper",
    "--blur-threshold=100 --tag-threshold=0.6",
    "--reanalyse=all --similar-method=paper",
)


@pytest.fixture(scope="module")
def contents(jpeg: Callable[..., bytes]) -> list[bytes]:
    """Few scenes over few days, so that photos meet; and some that are no photos."""
    pool = [
        jpeg(scene, shot, f"{day} 12:00:{10 * shot + scene:02}")
        for scene in range(2)
        for shot in range(2)
        for day in DAYS
    ]
    pool.append(jpeg(0, 0, f"{DAYS[0]} 12:00:05", light=0.04))
    pool.append(jpeg(1, 1))  # no EXIF: dated by the file
    pool.append(pool[0][: len(pool[0]) // 2])
    pool.append(b"no photo")
    return pool


def _histories(contents: int) -> st.SearchStrategy[list[tuple]]:
    """Changes of a folder, in between runs that may be cut short."""
    name = st.sampled_from(NAMES)
    put = st.tuples(
        st.just("put"),
        name,
        st.integers(0, contents - 1),
        # Files get older as well as newer: out of a backup, say.
        st.integers(1_600_000_000, 1_600_300_000),
    )
    remove = st.tuples(st.just("remove"), name)
    decision = st.sampled_from(["keep", "trash", None])
    decide = st.tuples(st.just("decide"), name, decision)
    changes = st.lists(st.one_of(put, put, put, remove, decide), min_size=3, max_size=9)
    options = st.sampled_from(OPTIONS)
    run = st.one_of(
        st.tuples(st.just("run"), options, st.permutations(NAMES)),
        st.tuples(st.just("prune"), options),
        st.tuples(st.just("crash"), options, st.integers(0, 6)),
    )
    phases = st.lists(st.tuples(changes, run), min_size=1, max_size=2)
    return phases.map(
        lambda phases: [step for changes, run in phases for step in (*changes, run)]
    )


@pytest.fixture
def crash_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Sets how many changes of a store go well from now on; None heals it."""
    return crashes(SqliteStore, monkeypatch)


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_history_ends_in_the_rows_of_one_clean_run(
    data, contents, backfill, rows, crash_after, tiny_weights
) -> None:
    steps = data.draw(_histories(len(contents)))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder, db = root / "photos", root / "piccl.db"
        folder.mkdir()
        (folder / "always-there.jpg").write_bytes(contents[0])
        for step in steps:
            _perform(step, folder, db, contents, backfill, crash_after, tiny_weights)
        flags = ("--prune", "--reanalyse=outdated", tiny_weights)
        assert backfill(folder, db=db, flags=flags) == 0

        clean = root / "clean.db"
        # On one thread, as the least that can be different.
        assert backfill(folder, db=clean, flags=(_IN_MEMORY, tiny_weights)) == 0
        _decide_alike(db, clean)
        assert rows(db) == rows(clean)
        _assert_every_group_keeps_one(rows(db))


def _perform(
    step, folder: Path, db: Path, contents, backfill, crash_after, weights: str
) -> None:
    match step:
        case "put", name, content, mtime_s:
            (folder / name).write_bytes(contents[content])
            os.utime(folder / name, (mtime_s, mtime_s))
        case "remove", name:
            (folder / name).unlink(missing_ok=True)
        case "prune", options:
            flags = ("--prune", *options.replace("WEIGHTS", weights).split())
            assert backfill(folder, db=db, flags=flags) == 0
        case "run", options, order:
            there = [folder / name for name in order if (folder / name).exists()]
            flags = options.replace("WEIGHTS", weights).split()
            # Some of them twice, in any order.
            assert backfill(*there[:4], *there[2:], folder, db=db, flags=flags) == 0
        case "crash", options, changes:
            flags = ("--prune", *options.replace("WEIGHTS", weights).split())
            crash_after(changes)
            assert backfill(folder, db=db, flags=flags) in (0, 1)
            crash_after(None)
        case "decide", name, decision if db.exists():
            store = open_store(f"sqlite:///{db}")
            known = store.find_path("me", str((folder / name).resolve()))
            if known is not None:
                store.decide("me", known[0], decision)
            store.close()


def _decide_alike(db: Path, clean: Path) -> None:
    """Decisions belong to the user: the clean run gets the same ones."""
    with closing(sqlite3.connect(db)) as decided:
        decisions = decided.execute(
            "SELECT id, decision FROM photos WHERE decision IS NOT NULL"
        ).fetchall()
    if not decisions:
        return
    store = open_store(f"sqlite:///{clean}")
    for photo_id, decision in decisions:
        store.decide("me", photo_id, decision)
    store.close()
    assert main(["settle", f"--store=sqlite:///{clean}"]) == 0


def _assert_every_group_keeps_one(tables) -> None:
    photos = {row["id"]: row for row in tables["photos"]}
    for row in tables["deletions"]:
        if row["similar_group"] is not None:
            keeper = photos[row["keeper"]]
            assert not keeper["delete"]
            # The user may want none of them.
            name = row["similar_group"]
            wanted = {
                photos[other["id"]]["decision"]
                for other in tables["deletions"]
                if (other["user_id"], other["similar_group"]) == (row["user_id"], name)
            }
            assert keeper["decision"] != "trash" or wanted == {"trash"}
    for photo in photos.values():
        assert not (photo["delete"] and photo["decision"] == "keep")


def test_a_second_run_analyses_nothing_and_changes_no_row(
    tmp_path, contents, backfill, rows, capsys
) -> None:
    folder, db = tmp_path / "photos", tmp_path / "piccl.db"
    folder.mkdir()
    for i, content in enumerate(contents):
        (folder / f"{i}.jpg").write_bytes(content)
    assert backfill(folder, db=db, flags=("--json",)) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["analysed"] == len(contents) - 1
    assert first["dead_letters"] == {"not a photo": 1}
    before = rows(db)
    written_at = _analysed_at(db)

    assert backfill(folder, db=db, flags=("--json",)) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["analysed"] == 0
    assert second["skipped"] == first["analysed"]
    assert second["days_grouped"] == 0
    assert rows(db) == before
    assert _analysed_at(db) == written_at


def _analysed_at(db: Path) -> list[tuple]:
    with closing(sqlite3.connect(db)) as reader:
        return reader.execute("SELECT id, analysed_at FROM photos").fetchall()


def test_an_emptied_or_unplugged_folder_prunes_nothing(
    tmp_path, jpeg, backfill, rows, capsys
) -> None:
    folder, db = tmp_path / "photos", tmp_path / "piccl.db"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1, taken_at="2024:05:01 12:00:00"))
    assert backfill(folder, db=db) == 0
    before = rows(db)
    assert len(before["photos"]) == 1

    (folder / "a.jpg").unlink()
    assert backfill(folder, db=db, flags=("--prune",)) == 2
    assert rows(db) == before
    folder.rmdir()
    assert backfill(folder, db=db, flags=("--prune",)) == 2
    assert rows(db) == before


def test_a_day_settled_by_other_options_is_grouped_again(
    tmp_path, jpeg, backfill, rows, crash_after
) -> None:
    folder, db, clean = (tmp_path / name for name in ("photos", "a.db", "b.db"))
    folder.mkdir()
    for scene in range(3):
        name, taken_at = f"{scene}.jpg", f"2024:05:01 12:00:0{scene}"
        (folder / name).write_bytes(jpeg(scene, taken_at=taken_at))
    paper = ("--similar-method=paper",)
    assert backfill(folder, db=clean, flags=paper) == 0
    crash_after(3)
    assert backfill(folder, db=db, flags=paper) == 1
    crash_after(None)
    # By its own options, under which the scenes are not similar.
    assert main(["settle", f"--store=sqlite:///{db}"]) == 0
    assert rows(db) != rows(clean)
    assert backfill(folder, db=db, flags=paper) == 0
    assert rows(db) == rows(clean)


def test_a_photo_is_scored_alone_as_among_others(
    tmp_path, jpeg, backfill, rows
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(19):
        (folder / f"{i}.jpg").write_bytes(
            jpeg(i, taken_at=f"2024:05:{i + 1:02} 12:00:00", light=0.1 + i / 19)
        )
    all_db = tmp_path / "all.db"
    assert backfill(folder, db=all_db) == 0
    together = {row["id"]: row for row in rows(all_db)["deletions"]}
    for i in (0, 7, 18):
        db = tmp_path / f"{i}.db"
        assert backfill(folder / f"{i}.jpg", db=db) == 0
        (alone,) = rows(db)["deletions"]
        assert alone == together[alone["id"]]
