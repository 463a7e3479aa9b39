"""What is typed wrong gets one clear line and exit code 2."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[2]


def _complaint(capsys, *argv: object) -> str:
    """Runs a misused command; returns its one line."""
    assert main([str(word) for word in argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("piccl: ")
    return line


@pytest.fixture
def photos(tmp_path, jpeg) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1))
    return folder


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_missing_folder(tmp_path, capsys) -> None:
    line = _complaint(capsys, "backfill", tmp_path / "nowhere", "--user=me")
    assert "no such file or folder" in line
    assert "nowhere" in line


def test_empty_folder(tmp_path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    line = _complaint(capsys, "backfill", tmp_path / "empty", "--user=me")
    assert "no photos" in line


def test_pattern_without_a_match(tmp_path, capsys) -> None:
    assert "no photos" in _complaint(
        capsys, "backfill", tmp_path / "*.jpg", "--user=me"
    )


def test_unreadable_file(photos, capsys, ordinary_user) -> None:
    photos.chmod(0o755)
    (photos / "a.jpg").chmod(0)
    with ordinary_user():
        line = _complaint(capsys, "backfill", photos / "a.jpg", "--user=me")
    assert "no permission" in line


def test_unwritable_database(photos, tmp_path, capsys) -> None:
    store = f"--store=sqlite:///{tmp_path}/missing/piccl.db"
    line = _complaint(capsys, "backfill", photos, "--user=me", store)
    assert "its folder does not exist" in line


def test_database_of_another_program(photos, tmp_path, capsys) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    before = other.read_bytes()
    line = _complaint(
        capsys, "backfill", photos, "--user=me", f"--store=sqlite:///{other}"
    )
    assert "another program" in line
    assert other.read_bytes() == before


def test_no_database_at_all(photos, tmp_path, capsys) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to look at" * 50)
    line = _complaint(
        capsys, "backfill", photos, "--user=me", f"--store=sqlite:///{text}"
    )
    assert "notes.txt" in line


@pytest.mark.parametrize(
    "user", ["", "a/b", "two words", "..", "__x__", "u" * 129, "new\nline"]
)
def test_wrong_user_id(user, photos, capsys) -> None:
    line = _complaint(capsys, "backfill", photos, f"--user={user}")
    assert "--user" in line


@pytest.mark.parametrize("flag", ["--blurr-threshold=3", "--nonsense", "-x"])
def test_unknown_option(flag, photos, capsys) -> None:
    line = _complaint(capsys, "backfill", photos, "--user=me", flag)
    assert flag in line


@pytest.mark.parametrize(
    "flag",
    ["--dark-threshold=2", "--reanalyse=some", "--similar-seconds=-1", "--prune=yes"],
)
def test_wrong_value(flag, photos, capsys) -> None:
    line = _complaint(capsys, "backfill", photos, "--user=me", flag)
    assert flag.split("=")[0] in line


def test_dark_model_that_is_not_there(photos, capsys) -> None:
    line = _complaint(
        capsys, "backfill", photos, "--user=me", "--dark-model=nowhere.keras"
    )
    assert "nowhere.keras" in line


def test_prune_of_a_single_file(photos, capsys) -> None:
    line = _complaint(capsys, "backfill", photos / "a.jpg", "--user=me", "--prune")
    assert "--prune" in line


def test_dead_letters_that_can_not_be_written(photos, tmp_path, capsys) -> None:
    line = _complaint(
        capsys,
        "backfill",
        photos,
        "--user=me",
        f"--dead-letters={tmp_path}/missing/dead.jsonl",
    )
    assert "--dead-letters" in line


@pytest.mark.parametrize("command", ["settle", "search"])
def test_a_database_that_is_not_there(command, capsys) -> None:
    line = _complaint(capsys, command, "--user=me", "--store=sqlite:///none.db")
    assert "piccl backfill" in line


def test_search_like_a_photo_that_was_never_analysed(
    photos, tmp_path, backfill, capsys
) -> None:
    assert backfill(photos, db=tmp_path / "piccl.db") == 0
    capsys.readouterr()
    line = _complaint(capsys, "search", "--user=me", "--similar-to=other.jpg")
    assert "other.jpg" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    # An example that can be copied.
    assert f"\n  piccl {command}" in out


def test_no_command_lists_them(capsys) -> None:
    assert main([]) == 2
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert command in out


def test_a_failing_job_says_so_in_one_line(photos, tmp_path, monkeypatch, capsys):
    def fail(*_args, **_kwargs):
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr("store.sqlite.SqliteStore.write", fail)
    code = main(["backfill", str(photos), "--user=me"])
    assert code == 1
    err = capsys.readouterr().err.strip()
    assert "the disk is gone" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_interrupted_by_the_user(tmp_path, jpeg) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(300):
        (folder / f"{i}.jpg").write_bytes(jpeg(i))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "backfill", folder, "--user=me"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    db = tmp_path / "piccl.db"
    while process.poll() is None:
        if db.exists() and _rows(db):
            break
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err


def _rows(db: Path) -> int:
    try:
        reader = sqlite3.connect(db)
        return reader.execute("SELECT count(*) FROM photos").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        reader.close()
