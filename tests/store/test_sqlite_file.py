import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from store.records import StoreError
from store.sqlite_file import open_database, transaction

ROOT: Final = Path(__file__).resolve().parents[2]

# Figure 2 of the paper.
PAPER: Final = {
    "users": ["id", "email"],
    "photos": ["id", "title", "path", "date", "latitude", "longitude", "delete"],
    "tags": [
        "id",
        "title",
        "person",
        "animal",
        "vehicle",
        "furniture",
        "book",
        "bag",
        "sports",
        "food",
        "device",
    ],
    "deletions": ["id", "title", "similar", "shaken", "dark", "screenshot"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "photos.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(path)) as db:
        yield db


def _tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {
            name
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            )
        }


# Tables.


@pytest.mark.parametrize("table", PAPER)
def test_paper_columns_come_first(db: sqlite3.Connection, table: str) -> None:
    columns = [row["name"] for row in db.execute(f"PRAGMA table_info({table})")]
    assert columns[: len(PAPER[table])] == PAPER[table]


def test_there_are_the_paper_tables_and_what_is_gone_of_them(
    db: sqlite3.Connection, path: Path
) -> None:
    assert _tables(path) == {*PAPER, "tombstones", "trash"}


@pytest.mark.parametrize("table", ["tags", "deletions"])
def test_rows_beside_a_photo_need_the_photo(db: sqlite3.Connection, table: str) -> None:
    required = {
        "tags": "(user_id, id, title) VALUES ('u', 'p', 't')",
        "deletions": """(user_id, id, title, shaken, dark, screenshot,
            sharpness_threshold, dark_probability, dark_threshold,
            screenshot_probability, screenshot_threshold, version)
            VALUES ('u', 'p', 't', 0, 0, 0, 1, 0, 1, 0, 1, 'v')""",
    }
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.execute(f"INSERT INTO {table} {required[table]}")
    _insert_photo(db, "u", "p")
    db.execute(f"INSERT INTO {table} {required[table]}")
    db.execute("DELETE FROM photos")
    assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_photo_needs_its_user(db: sqlite3.Connection) -> None:
    _insert_photo(db, "u", "p")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.execute("UPDATE photos SET user_id = 'nobody'")


def test_columns_hold_only_what_they_are_for(db: sqlite3.Connection) -> None:
    _insert_photo(db, "u", "p")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute('UPDATE photos SET "delete" = 2')
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute("UPDATE photos SET decision = 'perhaps'")
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        db.execute("UPDATE photos SET latitude = 'north'")


def _insert_photo(db: sqlite3.Connection, user_id: str, id_: str) -> None:
    db.execute("INSERT INTO users (id) VALUES (?)", (user_id,))
    db.execute(
        """INSERT INTO photos (user_id, id, title, path, date, taken_at, time_source,
               generation, width, height, bytes, sha256, damaged, exposure,
               descriptor, fingerprint, analysed_at)
           VALUES (?, ?, 't', '/t', '2024-05-01', '2024-05-01T12:00:00', 'exif',
               1, 1, 1, 1, '', 0, 1, x'', 'f', '')""",
        (user_id, id_),
    )


# Transactions.


def test_transaction_is_undone_by_an_error(db: sqlite3.Connection, path: Path) -> None:
    def fail() -> None:
        with transaction(db):
            db.execute("INSERT INTO users (id) VALUES ('u')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with transaction(db):
        db.execute("INSERT INTO users (id) VALUES ('v')")
    with closing(open_database(path)) as other:
        assert [row["id"] for row in other.execute("SELECT id FROM users")] == ["v"]


def test_error_is_not_hidden_where_sqlite_rolled_back_itself(
    db: sqlite3.Connection,
) -> None:
    def fail() -> None:
        with transaction(db):
            # As a full disk does.
            db.execute("INSERT OR ROLLBACK INTO users (id) VALUES ('u'), ('u')")

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        fail()
    with transaction(db):
        db.execute("INSERT INTO users (id) VALUES ('u')")


def test_second_transaction_waits_for_the_first(
    db: sqlite3.Connection, path: Path
) -> None:
    events = []

    def write() -> None:
        with closing(open_database(path)) as other, transaction(other):
            events.append("second begins")

    with transaction(db):
        second = threading.Thread(target=write)
        second.start()
        time.sleep(0.3)
        events.append("first ends")
    second.join(10)
    assert events == ["first ends", "second begins"]


def test_reader_opens_and_reads_while_another_writes(
    db: sqlite3.Connection, path: Path
) -> None:
    with transaction(db):
        db.execute("INSERT INTO users (id) VALUES ('u')")
        started = time.monotonic()
        with closing(open_database(path, must_exist=True)) as reader:
            assert reader.execute("SELECT count(*) FROM users").fetchone()[0] == 0
        assert time.monotonic() - started < 5


# Opening.


def test_opening_again_finds_what_was_written(path: Path) -> None:
    with closing(open_database(path)) as db:
        db.execute("INSERT INTO users (id) VALUES ('u')")
    with closing(open_database(path, must_exist=True)) as db:
        assert [row["id"] for row in db.execute("SELECT id FROM users")] == ["u"]


def test_empty_file_is_made_ours(path: Path) -> None:
    path.touch()
    open_database(path, must_exist=True).close()
    assert _tables(path) == {*PAPER, "tombstones", "trash"}


def _refusal(path: Path, *, must_exist: bool = False) -> str:
    with pytest.raises(StoreError) as refused:
        open_database(path, must_exist=must_exist)
    text = str(refused.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_missing_file_is_refused_where_it_must_exist(path: Path) -> None:
    assert re.search(
        "no database at .* `piccl backfill`", _refusal(path, must_exist=True)
    )
    assert not path.exists()


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "its folder does not exist" in _refusal(tmp_path / "no" / "photos.db")
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no").touch()
    assert "its folder does not exist" in _refusal(tmp_path / "no" / "photos.db")


def test_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    assert "can not open" in _refusal(tmp_path)
    assert "can not open" in _refusal(tmp_path, must_exist=True)


def test_other_file_is_refused_and_left_as_it_was(path: Path) -> None:
    path.write_text("Shopping: milk, bread, and a good book for the evening.\n" * 99)
    before = path.read_bytes()
    assert "not a database" in _refusal(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_database_of_another_program_is_left_as_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        # A name that ours has too.
        other.execute("CREATE TABLE photos (id)")
        other.commit()
    before = path.read_bytes()
    assert "another program" in _refusal(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("version", [0, 4, 99])
def test_tables_of_another_version_are_left_as_they_were(
    path: Path, version: int
) -> None:
    with closing(open_database(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    assert f"version {version}, this piccl uses 3" in _refusal(path)
    assert path.read_bytes() == before


def _schema(db: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Columns of each table, and the indexes."""
    tables = [*PAPER, "tombstones", "trash"]
    schema = {
        table: [tuple(row) for row in db.execute(f"PRAGMA table_info({table})")]
        for table in tables
    }
    schema["indexes"] = [
        (name, " ".join(sql.split()))
        for name, sql in db.execute(
            """SELECT name, sql FROM sqlite_master
               WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"""
        )
    ]
    return schema


# From each version of the tables back to the one before.
_BACK: Final = {
    2: (
        "DROP TABLE trash",
        "ALTER TABLE photos DROP kept_for",
        "ALTER TABLE tombstones DROP sha256",
        "ALTER TABLE tombstones DROP kept_for",
        "DROP INDEX tags_detected",
        "DROP INDEX photos_decided",
        "DROP INDEX photos_by_date",
        "CREATE INDEX photos_by_date ON photos (user_id, date, taken_at)",
        "DROP INDEX photos_recommended",
        """CREATE INDEX photos_recommended ON photos (user_id, date, taken_at)
           WHERE "delete" """,
    ),
    1: (
        "ALTER TABLE photos DROP features",
        "ALTER TABLE tags DROP objects",
        "ALTER TABLE tags DROP detector",
        "ALTER TABLE tags DROP version",
    ),
}


@pytest.mark.parametrize("version", [1, 2])
def test_tables_of_a_version_before_are_brought_up(path: Path, version: int) -> None:
    with closing(open_database(path)) as db:
        fresh = _schema(db)
        for step in range(2, version - 1, -1):
            for statement in _BACK[step]:
                db.execute(statement)
        assert _schema(db) != fresh
        db.execute(f"PRAGMA user_version = {version}")
        _insert_photo(db, "ada", "a")
    for _ in range(2):
        with closing(open_database(path)) as db:
            assert _schema(db) == fresh
            found = db.execute("SELECT id, features, kept_for FROM photos").fetchall()
            assert [tuple(row) for row in found] == [("a", None, 0)]
            assert db.execute("SELECT id FROM users").fetchone()[0] == "ada"
            assert db.execute("PRAGMA user_version").fetchone()[0] == 3
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                db.execute(
                    """INSERT INTO trash VALUES ('u', 'r', 'p', 'p', 'lost', '', '',
                       '', '', '', NULL, NULL, '')"""
                )


def test_damaged_database_is_refused(path: Path) -> None:
    open_database(path).close()
    path.write_bytes(path.read_bytes()[:5000])
    assert "can not use" in _refusal(path)


# Several at once.


def test_threads_open_a_new_file_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def open_when_all_are_ready(path: Path, ready: threading.Barrier) -> None:
        try:
            ready.wait(30)
            open_database(path).close()
        except Exception as err:
            errors.append(err)

    for number in range(20):
        path = tmp_path / f"{number}.db"
        ready = threading.Barrier(4)
        threads = [
            threading.Thread(target=open_when_all_are_ready, args=(path, ready))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert errors == []


def test_processes_open_new_files_at_once(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from store.sqlite_file import open_database
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(30):
            db = open_database(Path(sys.argv[1]) / f"{number}.db")
            db.execute("INSERT INTO users (id) VALUES (?)", (sys.argv[2],))
            db.close()"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path, str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    for number in range(30):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as db:
            assert db.execute("SELECT count(*) FROM users").fetchone() == (2,)
