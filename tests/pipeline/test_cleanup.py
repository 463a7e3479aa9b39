"""`piccl cleanup`, `restore` and `purge`, on photos that were really analysed."""

import datetime
import json
import os
import pty
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from store.records import photo_id
from store.urls import open_store

_ROOT = Path(__file__).parents[2]
# At noon of the day that most of the photos tell.
_MTIME_NS = 1_714_564_800_123_456_789


@pytest.fixture(scope="module")
def analysed(tmp_path_factory, jpeg) -> Path:
    """A folder with `photos`, `saved` (the same) and `piccl.db`.

    Two groups of shots, an exact copy, and photos too dark to be of use, the last of
    which is dated by its file. RAWs and films lie beside some of them.
    """
    root = tmp_path_factory.mktemp("analysed").resolve()
    photos = root / "photos"
    (photos / "below ä").mkdir(parents=True)
    for shot in range(3):
        data = jpeg(1, shot, f"2024:05:01 12:00:0{shot}")
        (photos / f"cat {shot}.jpg").write_bytes(data)
    for shot in range(2):
        data = jpeg(2, shot, f"2024:05:02 12:00:0{shot}")
        (photos / "below ä" / f"dog-{shot}.jpg").write_bytes(data)
    shutil.copy(photos / "cat 0.jpg", photos / "below ä" / "copy.jpg")
    (photos / "dark.jpg").write_bytes(jpeg(3, 0, "2024:05:03 23:00:00", light=0.02))
    (photos / "undated.jpg").write_bytes(jpeg(4, light=0.02))
    (photos / "alone.jpg").write_bytes(jpeg(5, 0, "2024:05:04 12:00:00"))
    for number in range(3):
        (photos / f"cat {number}.dng").write_bytes(b"raw %d" % number)
    (photos / "dark.mov").write_bytes(b"film")
    for number, path in enumerate(sorted(photos.rglob("*.*"))):
        times = _MTIME_NS + (number if path.suffix == ".jpg" else 0)
        if path.stem == "dark":
            times += 2 * 24 * 3600 * 10**9
        os.utime(path, ns=(times, times))
        path.chmod(0o640 if number % 2 else 0o604)
    shutil.copytree(photos, root / "saved")
    command = [
        "backfill",
        str(photos),
        "--user=me",
        f"--store=sqlite:///{root}/made.db",
    ]
    assert main([*command, f"--dead-letters={root / 'dead.jsonl'}"]) == 0
    with closing(sqlite3.connect(root / "made.db")) as db:
        db.execute("VACUUM INTO ?", (str(root / "saved.db"),))
    return root


@pytest.fixture
def photos(analysed: Path) -> Path:
    """The folder as it was analysed; paths are absolute, so it is always this one."""
    shutil.rmtree(analysed / "photos")
    shutil.copytree(analysed / "saved", analysed / "photos")
    for part in analysed.glob("piccl.db*"):
        part.unlink()
    shutil.copy(analysed / "saved.db", analysed / "piccl.db")
    return analysed / "photos"


@pytest.fixture
def db(photos: Path) -> Path:
    return photos.parent / "piccl.db"


@pytest.fixture
def piccl(db: Path, capsys) -> Callable[..., dict[str, Any]]:
    """Runs a command with --json where it has that; its exit code is `code`."""

    def run(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        code = main([*words, "--user=me", f"--store=sqlite:///{db}"])
        captured = capsys.readouterr()
        found = json.loads(captured.out) if "--json" in words else {"out": captured.out}
        return found | {"code": code, "err": captured.err}

    return run


def _seen(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_dir()]


def _tables(rows, db: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(db)) as reader:
        rest = {
            table: reader.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("tombstones", "trash")
        }
    return rows(db) | rest


_CLEAN_UP = ("cleanup", "--reason", "similar", "dark", "--yes", "--json")


def test_all_is_as_before_once_it_is_restored(photos, db, rows, piccl) -> None:
    seen, folders, tables = _seen(photos), _folders(photos), _tables(rows, db)
    done = piccl(*_CLEAN_UP)
    assert done["code"] == 0
    gone = {Path(path).name for one in done["trashed"] for path in one["files"]}
    assert {"dark.jpg", "dark.mov", "undated.jpg"} <= gone
    # One of each group stays: of two, and of four with the copy.
    assert len(gone & {"dog-0.jpg", "dog-1.jpg"}) == 1
    assert len(gone & {"cat 0.jpg", "cat 1.jpg", "cat 2.jpg", "copy.jpg"}) == 3
    for number in range(3):
        assert (f"cat {number}.jpg" in gone) == (f"cat {number}.dng" in gone)
    assert not (photos / "dark.mov").exists()
    assert len(rows(db)["photos"]) == len(tables["photos"]) - len(done["trashed"])

    assert piccl("restore", "--run", done["run"])["code"] == 0
    assert _seen(photos) == seen
    assert _folders(photos) == folders
    assert _tables(rows, db) == tables


def test_cleaned_library_is_left_alone_by_a_backfill(
    photos, db, rows, piccl, backfill, capsys
) -> None:
    piccl(*_CLEAN_UP)
    tables = _tables(rows, db)
    capsys.readouterr()
    assert backfill(photos, db=db, flags=("--prune", "--json")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["analysed"] == 0
    assert _tables(rows, db) == tables
    # A photo whose group is in the trash is recommended for nothing else either.
    assert piccl(*_CLEAN_UP)["trashed"] == []


def test_trash_of_nobody_is_never_listed(photos, db, rows, backfill, jpeg) -> None:
    tables = _tables(rows, db)
    lost = photos / ".piccl-trash" / "20200101-000000-abcd"
    lost.mkdir(parents=True)
    (lost / "lost.jpg").write_bytes(jpeg(9))
    assert backfill(photos, db=db, flags=("--prune",)) == 0
    assert _tables(rows, db) == tables


def test_backfill_beside_loses_nothing(
    photos, db, rows, piccl, backfill, tmp_path
) -> None:
    """It looks at all photos anew while they move to the trash and back."""
    seen, tables = _seen(photos), _tables(rows, db)
    again = ["backfill", str(photos), "--user=me", f"--store=sqlite:///{db}"]
    again += ["--reanalyse=all", "--prune", f"--dead-letters={tmp_path / 'd.jsonl'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *again],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
    )
    trashed = 0
    while process.poll() is None:
        trashed += len(piccl(*_CLEAN_UP)["trashed"])
        piccl("restore", "--all")
    assert process.returncode == 0
    assert trashed > 6
    piccl("restore", "--all")
    assert _seen(photos) == seen
    assert backfill(photos, db=db, flags=("--prune",)) == 0
    assert _tables(rows, db) == tables


def test_dry_run_changes_nothing(photos, db, rows, piccl) -> None:
    seen, tables = _seen(photos), _tables(rows, db)
    plan = piccl("cleanup", "--reason", "similar", "--dry-run", "--json")
    assert plan["code"] == 0
    assert plan["plan"]["reasons"].keys() == {"similar"}
    assert plan["plan"]["reasons"]["similar"]["photos"] == 4
    stays = {
        Path(group["stays"]).name: len(group["goes"])
        for group in plan["plan"]["groups"]
    }
    assert sorted(stays.values()) == [1, 3]
    assert plan["trashed"] == []
    assert (_seen(photos), _tables(rows, db)) == (seen, tables)


def test_dry_run_tells_of_days_that_wait(photos, db, piccl) -> None:
    words = ("cleanup", "--reason", "similar", "--dry-run")
    assert "Days still to be grouped" not in piccl(*words)["err"]
    with closing(open_store(f"sqlite:///{db}")) as store:
        store.decide("me", photo_id("file", str(photos / "alone.jpg")), "trash")
    assert (
        "Days still to be grouped, which may change the plan: 1"
        in (piccl(*words)["err"])
    )


def test_only_what_was_agreed_to_goes(photos, piccl) -> None:
    done = piccl("cleanup", "--reason", "dark", "--yes", "--json")
    assert {one["reason"] for one in done["trashed"]} == {"dark"}
    assert len(done["trashed"]) == 2
    assert (photos / "cat 2.jpg").exists()


def test_young_photos_stay(piccl) -> None:
    days = (datetime.date.today() - datetime.date(2024, 5, 2)).days
    old = piccl(
        "cleanup", "--reason", "similar", "--dry-run", "--json", f"--older-than={days}"
    )
    assert old["plan"]["reasons"]["similar"]["photos"] == 4
    older = piccl(
        "cleanup",
        "--reason",
        "similar",
        "--dry-run",
        "--json",
        f"--older-than={days + 1}",
    )
    assert older["plan"]["reasons"]["similar"]["photos"] == 3
    none = piccl("cleanup", "--reason", "similar", "--dry-run", "--older-than=9999")
    assert "nothing to move" in none["out"]
    assert "9,999 days ago" in " ".join(none["out"].split())


def test_what_the_user_decided_goes_and_comes_back_undecided(
    photos, db, piccl, rows
) -> None:
    tables = _tables(rows, db)
    with closing(open_store(f"sqlite:///{db}")) as store:
        store.decide("me", photo_id("file", str(photos / "alone.jpg")), "trash")
    done = piccl("cleanup", "--reason", "decided", "--yes", "--json")
    assert [one["reason"] for one in done["trashed"]] == ["decided"]
    assert not (photos / "alone.jpg").exists()
    piccl("restore", "--last")
    assert _tables(rows, db) == tables


def test_plan_is_shown_and_the_way_back(photos, piccl) -> None:
    shown = piccl("cleanup", "--reason", "similar", "--yes")
    assert "What stays of similar shots" in shown["out"]
    (command,) = [line for line in shown["out"].splitlines() if "piccl restore" in line]
    assert not (photos / "cat 2.jpg").exists() or not (photos / "cat 0.jpg").exists()
    assert main(shlex.split(command)[1:]) == 0
    assert (photos / "cat 2.jpg").exists()
    assert (photos / "cat 0.jpg").exists()


def test_nobody_to_ask_is_refused(photos, piccl) -> None:
    seen = _seen(photos)
    for words in (
        ("cleanup", "--reason", "similar"),
        ("purge", "--trashed-before=0"),
    ):
        if words[0] == "purge":
            piccl(*_CLEAN_UP)
            seen = _seen(photos)
        done = piccl(*words)
        assert done["code"] == 2
        assert "--yes" in done["err"]
        assert _seen(photos) == seen


@pytest.mark.parametrize(("answer", "moved"), [("y\n", True), ("\n", False)])
def test_terminal_is_asked(answer, moved, photos, db) -> None:
    leader, follower = pty.openpty()
    command = ["cleanup", "--reason=similar", "--user=me", f"--store=sqlite:///{db}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *command],
        stdin=follower,
        stderr=follower,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    os.close(follower)
    os.write(leader, answer.encode())
    out, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    assert (b"Nothing was moved" in out) is not moved
    assert (photos / ".piccl-trash").exists() is moved


def test_changed_photo_stays_and_is_told_of(photos, piccl) -> None:
    (photos / "dark.jpg").write_bytes(b"edited")
    done = piccl("cleanup", "--reason", "dark", "--yes")
    assert done["code"] == 1
    assert f"{photos / 'dark.jpg'}: it changed" in done["out"]
    assert (photos / "dark.jpg").read_bytes() == b"edited"
    assert (photos / "dark.mov").exists()
    assert not (photos / "undated.jpg").exists()


def test_plan_tells_all_files_that_go(photos, piccl) -> None:
    (photos / "dark.mov").rename(photos / "dark.xmp")
    shown = piccl("cleanup", "--reason", "dark", "--dry-run")["out"]
    assert f"Other files that go with them:\n  {photos / 'dark.xmp'}\n" in shown
    done = piccl("cleanup", "--reason", "dark", "--yes", "--json")
    assert str(photos / "dark.xmp") in str(done["plan"]["units"])
    shown = piccl("purge", "--trashed-before=0", "--dry-run")["out"]
    assert f"Other files that go with them:\n  {photos / 'dark.xmp'}\n" in shown
    plan = piccl("purge", "--trashed-before=0", "--dry-run", "--json")["plan"]
    assert str(photos / "dark.xmp") in str(plan["photos"])


def test_plan_tells_what_it_does_not_look_at(piccl) -> None:
    shown = " ".join(piccl("cleanup", "--reason", "dark", "--dry-run")["out"].split())
    assert "is seen when it is moved" in shown


def test_names_are_no_commands_of_the_terminal(photos, db, piccl) -> None:
    evil = "\x1b[2Jx\ny\u202e.jpg"
    with closing(sqlite3.connect(db)) as writer, writer:
        for table in ("photos", "tags", "deletions"):
            writer.execute(f"UPDATE {table} SET title = ?", (evil,))
        writer.execute("UPDATE photos SET path = path || ?", (evil,))
    for words in (
        ("search",),
        ("cleanup", "--reason", "similar", "dark", "--dry-run"),
        ("cleanup", "--reason", "similar", "dark", "--yes"),
    ):
        done = piccl(*words)
        shown = done["out"] + done["err"]
        assert "[2Jx" in "".join(shown.split())
        assert not {"\x1b", "\u202e"} & set(shown)
        assert "x\ny" not in shown


def test_restore_tells_a_program(photos, piccl) -> None:
    done = piccl(*_CLEAN_UP)
    listed = piccl("restore", "--json")
    assert {one["id"] for one in listed["trash"]} == {
        one["id"] for one in done["trashed"]
    }
    taken = Path(done["trashed"][0]["files"][0])
    taken.write_bytes(b"new")
    back = piccl("restore", "--last", "--json")
    assert back["code"] == 1
    assert [one["path"] for one in back["refused"]] == [str(taken)]
    assert len(back["restored"]) == len(done["trashed"]) - 1


def test_purge_that_was_begun_and_must_not_be_fails_nobody_else(
    photos, db, piccl
) -> None:
    """Killed after it was announced; then what was to stay was deleted by hand."""
    done = piccl("cleanup", "--reason", "similar", "--yes", "--json")
    with closing(open_store(f"sqlite:///{db}")) as store:
        for one in done["trashed"]:
            store.begin_purge("me", one["run"], one["id"])
    for group in done["plan"]["groups"]:
        Path(group["stays"]).unlink()
    first = piccl("cleanup", "--reason", "dark", "--yes", "--json")
    assert first["code"] == 0
    assert first["err"].count("piccl backfill --prune") == len(done["trashed"])
    second = piccl("cleanup", "--reason", "dark", "--yes")
    assert second["code"] == 0
    assert "Not deleted" not in second["err"]
    back = piccl("restore", "--all")
    assert back["code"] == 0
    assert (photos / "cat 1.jpg").exists() or (photos / "cat 0.jpg").exists()


def test_keeper_deleted_by_hand_keeps_the_others(photos, piccl) -> None:
    plan = piccl("cleanup", "--reason", "similar", "--dry-run", "--json")
    for group in plan["plan"]["groups"]:
        Path(group["stays"]).unlink()
    seen = _seen(photos)
    done = piccl("cleanup", "--reason", "similar", "--yes", "--json")
    assert done["code"] == 1
    assert done["trashed"] == []
    assert len(done["refused"]) == 4
    assert all("piccl backfill --prune" in one["why"] for one in done["refused"])
    assert _seen(photos) == seen


def test_runs_are_listed(piccl) -> None:
    assert "The trash is empty" in piccl("restore")["out"]
    done = piccl(*_CLEAN_UP)
    listed = piccl("restore")["out"]
    assert done["run"] in listed
    assert "similar 4" in listed
    assert f"--run {done['run']}" in listed
    wrong = piccl("restore", "--run", "nothing")
    assert wrong["code"] == 2
    assert "nothing of it is in the trash" in wrong["err"]


def test_interrupted_restore_goes_on_with_no_run_before_it(photos, db, piccl) -> None:
    piccl("cleanup", "--reason", "dark", "--yes", "--json")
    # Not in the same second.
    with closing(sqlite3.connect(db)) as writer, writer:
        writer.execute("UPDATE trash SET trashed_at = '2024-06-01T12:00:00+00:00'")
    seen = _seen(photos)
    last = piccl("cleanup", "--reason", "similar", "--yes", "--json")
    ids = [one["id"] for one in last["trashed"]]
    # As if it had been killed before the last photo was done.
    with closing(open_store(f"sqlite:///{db}")) as store:
        for id_ in ids:
            store.begin_restore("me", last["run"], id_)
    assert piccl("restore", "--last")["code"] == 0
    now = _seen(photos)
    assert {name for name in now if "trash" in name} == {
        name for name in seen if "trash" in name
    }
    assert (photos / "cat 2.jpg").exists()
    assert not (photos / "dark.jpg").exists()
    # It is the latest now.
    assert piccl("restore", "--last")["code"] == 0
    assert (photos / "dark.jpg").exists()


def test_purge_deletes_what_is_old_enough(photos, db, rows, piccl) -> None:
    done = piccl(*_CLEAN_UP)
    tables = rows(db)
    young = piccl("purge", "--trashed-before=1", "--yes", "--json")
    assert young["purged"] == []
    with closing(sqlite3.connect(db)) as writer, writer:
        writer.execute("UPDATE trash SET trashed_at = '2024-06-01T12:00:00+00:00'")
    dry = piccl("purge", "--trashed-before=1", "--dry-run")
    assert "in the trash since 2024-06-01" in dry["out"]
    assert (photos / ".piccl-trash").exists()
    purged = piccl("purge", "--trashed-before=1", "--yes", "--json")
    assert len(purged["purged"]) == len(done["trashed"])
    assert purged["bytes"] == done["bytes"]
    assert not list(photos.rglob(".piccl-trash"))
    assert rows(db) == tables
    assert _tables(rows, db)["trash"] == []


def test_purge_tells_what_stays_and_why(photos, piccl) -> None:
    plan = piccl("cleanup", "--reason", "similar", "--yes", "--json")
    for group in plan["plan"]["groups"]:
        Path(group["stays"]).unlink()
    shown = piccl("purge", "--trashed-before=0", "--yes")
    assert shown["code"] == 1
    assert "These stay in the trash" in shown["out"]
    assert "piccl backfill --prune" in shown["out"]
    for one in plan["trashed"]:
        path = Path(one["files"][0])
        assert (path.parent / ".piccl-trash" / plan["run"] / path.name).exists()


def test_two_commands_at_once_move_each_photo_once(photos, db, rows, piccl) -> None:
    seen, tables = _seen(photos), _tables(rows, db)
    words = ("--user=me", f"--store=sqlite:///{db}", *_CLEAN_UP[1:])
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "pipeline", "cleanup", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_ROOT,
        )
        for _ in range(2)
    ]
    for process in running:
        process.communicate(timeout=120)
        assert process.returncode in (0, 1)
    data = sorted(data for data, _, _ in seen.values())
    now = {name: one for name, one in _seen(photos).items() if name[-5:] != ".json"}
    assert sorted(data for data, _, _ in now.values()) == data
    assert len(rows(db)["photos"]) == len(tables["photos"]) - 6
    assert piccl("restore", "--all")["code"] == 0
    assert _seen(photos) == seen
    assert _tables(rows, db) == tables


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cleanup", "--reason", "ugly"), "ugly"),
        (("cleanup",), "--reason"),
        (("cleanup", "--reason", "dark", "--older-than=-1"), "-1"),
        (("cleanup", "--reason", "dark", "--nonsense"), "--nonsense"),
        (("purge",), "--trashed-before"),
        (("restore", "--last", "--all"), "--last"),
    ],
    ids=" ".join,
)
def test_wrong_command_is_explained(words, message, piccl) -> None:
    done = piccl(*words)
    assert done["code"] == 2
    assert message in done["err"]


def test_missing_store_is_explained(tmp_path, capsys) -> None:
    for words in (
        ("cleanup", "--reason=dark"),
        ("restore",),
        ("purge", "--trashed-before=1"),
    ):
        assert main([*words, "--user=me", f"--store=sqlite:///{tmp_path}/no.db"]) == 2
        assert "no.db" in capsys.readouterr().err
