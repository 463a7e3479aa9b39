"""What is typed wrong gets one clear line and exit code 2."""

import contextlib
import io
import json
import os
import pty
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from models.darkness.network import WEIGHTS
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
    [
        "--dark-threshold=2",
        "--reanalyse=some",
        "--similar-seconds=-1",
        "--prune=yes",
        "--blur-threshold=nan",
    ],
)
def test_wrong_value(flag, photos, capsys) -> None:
    line = _complaint(capsys, "backfill", photos, "--user=me", flag)
    assert flag.split("=")[0] in line


def test_unknown_runner(photos, capsys) -> None:
    line = _complaint(capsys, "backfill", photos, "--user=me", "--runner=Nonsense")
    assert "Unexpected pipeline runner: Nonsense" in line


def test_store_that_workers_elsewhere_do_not_share(photos, capsys) -> None:
    flag = "--runner=DataflowRunner"
    line = _complaint(capsys, "backfill", photos, "--user=me", flag)
    assert "each worker would write a file of its own" in line


def test_dark_model_that_is_not_there(photos, capsys) -> None:
    line = _complaint(
        capsys, "backfill", photos, "--user=me", "--dark-model=nowhere.keras"
    )
    assert "nowhere.keras" in line


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _of_something_else(_: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as parts:
        parts.writestr("notes.txt", "no model")
    return whole.getvalue()


def _of_other_content(data: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as parts, zipfile.ZipFile(whole, "w") as out:
        for name in parts.namelist():
            is_weights = name.endswith(".h5")
            out.writestr(name, b"x" if is_weights else parts.read(name))
    return whole.getvalue()


@pytest.mark.parametrize(
    "change",
    [lambda _: b"no model", _cut, _damaged, _of_something_else, _of_other_content],
)
def test_dark_model_that_is_no_model(change, photos, tmp_path, capsys) -> None:
    (tmp_path / "bad.keras").write_bytes(change(WEIGHTS.read_bytes()))
    line = _complaint(capsys, "backfill", photos, "--user=me", "--dark-model=bad.keras")
    assert "no model in bad.keras" in line


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("tiny.weights", _cut, "bytes too short for this cfg"),
        ("tiny.weights", lambda data: data[:-4] + b"\0\0\xc0\x7f", "not finite"),
        ("tiny.cfg", lambda _: b"[net]", "tiny.cfg"),
        ("tiny.cfg", lambda data: data.replace(b"classes=80", b"classes=79"), "tiny"),
    ],
    ids=["cut", "nan", "no layers", "classes"],
)
def test_detector_that_is_none(
    name, change, complaint, photos, tmp_path, tiny_weights, capsys
) -> None:
    weights = Path(tiny_weights.partition("=")[2])
    for file in (weights, weights.with_suffix(".cfg")):
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(change(data) if file.name == name else data)
    line = _complaint(
        capsys, "backfill", photos, "--user=me", f"--weights={tmp_path}/tiny.weights"
    )
    assert complaint in line


def test_names_that_are_not_as_many(photos, tmp_path, tiny_weights, capsys) -> None:
    names = tmp_path / "a.names"
    names.write_text("cat\ndog\n")
    line = _complaint(
        capsys, "backfill", photos, "--user=me", tiny_weights, f"--detect-names={names}"
    )
    assert "a.names" in line


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


def test_search_of_a_file_that_is_only_for_reading(
    photos, tmp_path, backfill, capsys, ordinary_user
) -> None:
    assert backfill(photos, db=tmp_path / "piccl.db") == 0
    capsys.readouterr()
    # Its folder may be written: beside the file lie those of its log.
    tmp_path.chmod(0o777)
    (tmp_path / "piccl.db").chmod(0o444)
    with ordinary_user():
        assert main(["search", "--user=me", "--paths"]) == 0
    assert capsys.readouterr().out == f"{photos / 'a.jpg'}\n"


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


_FAILING = """
import sys
import store.sqlite
def fail(*_args, **_kwargs):
    raise RuntimeError("the disk is gone")
store.sqlite.SqliteStore.write = fail
from pipeline.__main__ import entry
sys.argv = ["piccl", "backfill", sys.argv[1], "--user=me"]
entry()
"""


@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_a_failing_job_says_so_in_one_line(photos, tmp_path, on_a_terminal) -> None:
    reader, writer = pty.openpty() if on_a_terminal else os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", _FAILING, photos],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    said = b""
    # A terminal that nobody holds any more is an error to read.
    with contextlib.suppress(OSError):
        while part := os.read(reader, 1000):
            said += part
    os.close(reader)
    assert process.wait() == 1
    text = said.decode()
    assert "the disk is gone" in text.strip().splitlines()[-1]
    assert "Traceback" not in text
    assert not list(tmp_path.glob("beam-temp*"))


@pytest.mark.parametrize("words", [["-x"], ["--json"], ["--user", "me", "backfill"]])
def test_an_option_before_the_command(words, capsys) -> None:
    assert "no command" in _complaint(capsys, *words)


def test_dead_letters_never_take_the_place_of_another_file(
    photos, tmp_path, backfill, capsys
) -> None:
    photo = photos / "a.jpg"
    db = tmp_path / "piccl.db"
    assert backfill(photos, db=db) == 0
    capsys.readouterr()
    for path in (photo, db, photos):
        before = path.read_bytes() if path.is_file() else None
        line = _complaint(
            capsys,
            "backfill",
            photos,
            "--user=me",
            f"--store=sqlite:///{db}",
            f"--dead-letters={path}",
        )
        assert "would be lost" in line
        assert (path.read_bytes() if path.is_file() else None) == before


def test_our_own_files_are_not_among_the_photos(photos, monkeypatch, capsys) -> None:
    monkeypatch.chdir(photos)
    for _ in range(2):
        assert main(["backfill", ".", "--user=me", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["read"] == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--date=2024-05-02..2024-05-01"], "contains no day"),
        (["--date=.."], "contains no day"),
        (["--date=yesterday"], "YYYY-MM-DD"),
        (["--within=3"], "--near"),
        (["--near=1,2", "--within=nan"], "distance"),
        (["--near=1,2", "--within", "-3"], "distance"),
        (["--near=1,2", "--within=far"], "distance"),
        (["--near=91,0"], "not on earth"),
        (["--near=here"], "LAT,LON"),
        (["--tag=animal", "--tag=cat"], "person"),
        (["--reason=ugly"], "screenshot"),
        (["--subject=cat"], "none"),
        (["--limit=0"], "from 1 on"),
        (["--paths", "--json"], "not allowed with"),
        (["--near"], "expected one argument"),
        (["--similar-to="], "not among the analysed"),
        (["--colour=red"], "unknown option"),
    ],
)
def test_wrong_search(words, complaint, photos, tmp_path, backfill, capsys) -> None:
    assert backfill(photos, db=tmp_path / "piccl.db") == 0
    capsys.readouterr()
    assert complaint in _complaint(capsys, "search", "--user=me", *words)


def test_search_in_the_south_and_west(photos, tmp_path, backfill, capsys) -> None:
    assert backfill(photos, db=tmp_path / "piccl.db") == 0
    assert main(["search", "--user=me", "--near", "-33.8,-70.6"]) == 0


def test_settle_knows_none_of_the_options_of_a_backfill(capsys) -> None:
    line = _complaint(capsys, "settle", "--reanalyse=all")
    assert "--reanalyse=all" in line


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
