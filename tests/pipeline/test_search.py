"""How `piccl search` prints what the store finds."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

from pipeline.__main__ import main
from store.sqlite import SqliteStore
from tests.store.samples import MAY_1, MAY_2, all_similar, write

Capture: TypeAlias = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """What `piccl` uses by itself in the working folder."""
    monkeypatch.chdir(tmp_path)
    with closing(SqliteStore(tmp_path / "piccl.db")) as store:
        yield store


def test_paths_for_xargs(store: SqliteStore, capsys: Capture) -> None:
    write(store, "a", user_id="me", path="/p/two\nlines.jpg")
    write(store, "b", MAY_2, user_id="me", path="/p/b.jpg")
    assert main(["search", "--user=me", "--paths0"]) == 0
    assert capsys.readouterr().out == "/p/two\nlines.jpg\0/p/b.jpg\0"


def test_limit_tells_the_first_taken(store: SqliteStore, capsys: Capture) -> None:
    write(store, "a", MAY_2, user_id="me")
    write(store, "b", MAY_1, user_id="me")
    for words in (["--paths"], ["--json"], []):
        assert main(["search", "--user=me", "--limit=1", *words]) == 0
        out = capsys.readouterr().out
        assert "b.jpg" in out
        assert "a.jpg" not in out


def test_json_has_all_of_a_photo(store: SqliteStore, capsys: Capture) -> None:
    write(store, "a", user_id="me")
    assert main(["search", "--user=me", "--json"]) == 0
    photo = json.loads(capsys.readouterr().out)
    assert (photo["bytes"], photo["width"], photo["height"]) == (1000, 40, 30)
    assert (photo["kept_for"], photo["keeper_path"]) == (0, None)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--user=you"], "Nothing of you is in sqlite:///piccl.db"),
        (["--user=me", "--subject=food"], "`piccl weights MODEL` fetches"),
        (["--user=me", "--tag=food"], "`piccl weights MODEL` fetches"),
        (["--user=me", "--date=2001-01-01"], ""),
    ],
    ids=["user", "subject", "tag", "date"],
)
def test_nothing_found_says_why(
    store: SqliteStore, capsys: Capture, words: list[str], hint: str
) -> None:
    write(store, "a", user_id="me")
    store._db.execute("UPDATE tags SET food = NULL")
    assert main(["search", *words]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    number, _, rest = err.partition("\n")
    assert number == "0 photos"
    assert hint in rest
    assert bool(hint) == bool(rest)


def test_table_fits_a_narrow_terminal(
    store: SqliteStore, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("pipeline.commands.search._PAGE", 2)
    names = ["a.jpg", "[b]ü.jpg", "c" * 100 + ".jpg", "d.jpg", "e.jpg"]
    for name in names:
        write(store, name, user_id="me", path=f"/roll/{name}")
    store.settle("me", MAY_1, all_similar)
    store._db.execute("UPDATE photos SET kept_for = 2 WHERE id = '[b]ü.jpg'")
    assert main(["search", "--user=me"]) == 0
    out, err = capsys.readouterr()
    assert err == "5 photos\n"
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].strip() == "/roll/"
    assert [line.split() for line in lines].count(
        ["taken", "photo", "in", "it", "delete", "why"]
    ) == 1
    for name in names[3:]:
        assert any(line.startswith(f"2024-05-01 12:00 {name} ") for line in lines)
    # Each column begins at the same place on every page.
    assert {line.index("yes") for line in lines if " yes " in line} == {
        lines[1].index("delete")
    }
    words = " ".join(out.split())
    assert "kept: 2 similar photos are in the" in words
    assert "the one to keep of its group" in words
    assert "[b]ü.jpg" in out
