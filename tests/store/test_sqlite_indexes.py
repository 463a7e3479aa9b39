"""What SQLite does is to be found by an index, and not to grow with what is stored."""

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from store.search import REASONS, TAGS, PhotoQuery, find_photos
from store.sqlite import SqliteStore
from store.sqlite_file import open_database, transaction
from tests.store.samples import MAY_1, MAY_2, MAY_3, all_similar, make_judge, write
from tests.store.trash_samples import by_letter, put, request, restore, trash


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "photos.db")) as store:
        yield store


def _purge(store: SqliteStore) -> None:
    store.begin_purge("ada", "r1", "t2")
    store.finish_purge("ada", "r1", "t2")


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.state("ada", "a"),
        lambda store: write(store, "b", MAY_2, generation=11),
        lambda store: store.remove("ada", "a", 11),
        lambda store: store.rejudge("ada", "a", 10, make_judge()),
        lambda store: store.decide("ada", "a", "keep"),
        lambda store: store.day("ada", MAY_1),
        lambda store: store.settle("ada", MAY_1, all_similar),
        lambda store: store.pending_days(),
        lambda store: store.pending_days("ada"),
        lambda store: list(store.photos_under("ada", "/photos/")),
        lambda store: store.find_path("ada", "/photos/a.jpg"),
        lambda store: store.prepare(),
        lambda store: store.counts("ada"),
        lambda store: store.trash("ada", [request("u2"), request("u3")]),
        lambda store: store.trash("ada", [request(id_) for id_ in ("u1", "u2", "u3")]),
        lambda store: store.finish_trash("ada", "r1", "t3"),
        lambda store: restore(store, "t2"),
        _purge,
        lambda store: list(store.trashed("ada")),
        lambda store: list(store.trashed("ada", run="r1")),
        lambda store: list(store.trashed("ada", state="moving")),
        lambda store: list(store.trashed("ada", before="2027")),
    ],
    ids=[
        "state",
        "write",
        "remove",
        "rejudge",
        "decide",
        "day",
        "settle",
        "pending days",
        "pending days of a user",
        "photos under",
        "find path",
        "forget expired",
        "counts",
        "trash",
        "trash a whole group",
        "finish trash",
        "restore",
        "purge",
        "trashed",
        "trashed by a run",
        "trashed of a state",
        "trashed before",
    ],
)
def test_no_table_is_read_from_end_to_end(
    store: SqliteStore, use: Callable[[SqliteStore], object]
) -> None:
    for id_ in "abc":
        write(store, id_)
    put(store, "t1", "t2", "t3", "u1", "u2", "u3", date=MAY_3)
    store.settle("ada", MAY_3, by_letter)
    trash(store, "t2")
    store.trash("ada", [request("t3")])
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    use(store)
    store._db.set_trace_callback(None)
    plans = [
        row["detail"]
        for statement in statements
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT")
        for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert plans
    for step in plans:
        # All pending ones, out of an index that holds no others.
        if "_pending" not in step and "json_each" not in step:
            assert not re.match(r"SCAN (?!\(subquery|CONSTANT ROW)", step), step


@pytest.mark.parametrize(
    ("conditions", "index"),
    [
        ({}, "trash_by_time (user_id=? AND (trashed_at,run,id)>(?,?,?))"),
        ({"before": "2027"}, "trash_by_time (user_id=?"),
        ({"state": "moving"}, "trash_by_state (user_id=? AND state=?"),
        ({"run": "r1"}, "trash_by_run (user_id=? AND run=?"),
    ],
    ids=str,
)
def test_trash_is_read_by_an_index_in_its_order(
    store: SqliteStore, conditions: dict[str, Any], index: str
) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    list(store.trashed("ada", **conditions))
    store._db.set_trace_callback(None)
    (statement,) = statements
    plan = store._db.execute(f"EXPLAIN QUERY PLAN {statement}")
    (step,) = [row["detail"] for row in plan]  # a second one would sort
    assert f"USING INDEX {index}" in step


def _steps(path: Path, others: int, use: Callable[[SqliteStore], object]) -> int:
    """What SQLite does to use a store of so many other photos, whose days wait."""
    with closing(SqliteStore(path)) as store:
        for number in range(others):
            date = f"2023-01-{number % 28 + 1:02d}"
            write(store, f"other{number}", date)
            write(store, f"gone{number}", date)
            store.remove("ada", f"gone{number}", 10)
        for id_ in "abc":
            write(store, id_)
        put(store, "t1", "t2", "t3", "t4", date=MAY_3)
        store.settle("ada", MAY_3, by_letter)
        trash(store, "t2")
        store.trash("ada", [request("t3")])
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        store._db.set_progress_handler(count, 1)
        use(store)
        return steps


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.settle("ada", MAY_1, all_similar),
        lambda store: write(store, "t1", MAY_3, generation=11),
        lambda store: store.remove("ada", "t1", 11),
        lambda store: store.rejudge("ada", "t1", 10, make_judge()),
        lambda store: store.decide("ada", "t1", "keep"),
        lambda store: store.trash("ada", [request("t1")]),
        lambda store: store.finish_trash("ada", "r1", "t3"),
        lambda store: restore(store, "t2"),
        _purge,
    ],
    ids=[
        "settle",
        "write",
        "remove",
        "rejudge",
        "decide",
        "trash",
        "finish trash",
        "restore",
        "purge",
    ],
)
def test_a_change_costs_the_same_among_many_others(
    tmp_path: Path, use: Callable[[SqliteStore], object]
) -> None:
    few = _steps(tmp_path / "few.db", 10, use)
    many = _steps(tmp_path / "many.db", 300, use)
    assert 0 < many < 1.5 * few


# Searching.


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """10,000 photos of one user, 500 days, a twentieth of them for each reason."""
    db = open_database(tmp_path_factory.mktemp("large") / "photos.db")
    numbers = """WITH RECURSIVE numbers (n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)"""
    whens = " ".join(f"WHEN {i} THEN '{tag}'" for i, tag in enumerate(TAGS))
    subject = f"CASE n % 20 {whens} ELSE '' END"
    with closing(db):
        with transaction(db):
            db.execute("INSERT INTO users (id) VALUES ('ada')")
            db.execute(
                f"""INSERT INTO photos (user_id, id, title, path, date, taken_at,
                    latitude, longitude, "delete", time_source, generation, width,
                    height, bytes, sha256, damaged, exposure, descriptor, fingerprint,
                    subject, decision, analysed_at)
                {numbers} SELECT 'ada', printf('%05d', n), 't', '/' || n,
                    date('2020-01-01', (n % 500) || ' days'), 'T', n % 179 - 89,
                    n % 359 - 179, n % 20 = 0, 'exif', 1, 1, 1, 1, '', 0, 1,
                    zeroblob(512), 'f', {subject},
                    CASE n % 40 WHEN 19 THEN 'keep' WHEN 39 THEN 'trash' END, ''
                FROM numbers"""
            )
            db.execute(
                f"""INSERT INTO tags (user_id, id, title, {", ".join(TAGS)})
                {numbers} SELECT 'ada', printf('%05d', n), 't',
                    {", ".join(f"n % 20 = {i}" for i in range(len(TAGS)))}
                FROM numbers"""
            )
            db.execute(
                f"""INSERT INTO deletions (user_id, id, title, {", ".join(REASONS)},
                    sharpness_threshold, dark_probability, dark_threshold,
                    screenshot_probability, screenshot_threshold, version)
                {numbers} SELECT 'ada', printf('%05d', n), 't',
                    {", ".join(f"n % 20 = {i}" for i in range(len(REASONS)))},
                    1, 0, 1, 0, 1, 'v' FROM numbers"""
            )
        yield db


_ONE_DAY: Final = {"first_date": "2020-01-21", "last_date": "2020-01-21"}
_AT: Final[Mapping[str, Any]] = {"near": (10.0, 10.0), "within_km": 50}


@pytest.mark.parametrize(
    ("conditions", "number", "first"),
    [
        ({}, 10_000, "photos_by_date (user_id=?)"),
        (
            {"first_date": "2020-02-01", "last_date": "2020-02-02"},
            40,
            "photos_by_date (user_id=? AND date>? AND date<?)",
        ),
        ({"first_date": "2021-05-14"}, 20, "photos_by_date (user_id=? AND date>?)"),
        ({"last_date": "2020-01-01"}, 20, "photos_by_date (user_id=? AND date<?)"),
        (_AT, None, "photos_by_place (user_id=? AND latitude>? AND latitude<?)"),
        (
            {"near": (10.0, 180.0), "within_km": 50},
            None,
            "photos_by_place (user_id=? AND latitude>? AND latitude<?)",
        ),
        ({"reasons": ("any",)}, 500, "photos_recommended (user_id=?)"),
        *(({"reasons": (r,)}, 500, f"deletions_{r} (user_id=?)") for r in REASONS),
        *(({"tags": (tag,)}, 500, f"tags_{tag} (user_id=?)") for tag in TAGS),
        *(({"subject": tag}, 500, f"tags_{tag} (user_id=?)") for tag in TAGS),
        (
            {"decision": "trash"},
            250,
            "photos_decided (user_id=? AND decision=?)",
        ),
        ({"subject": ""}, 5500, "photos_by_date (user_id=?)"),
        (
            {"ids": [f"{n:05d}" for n in range(100)]},
            100,
            "sqlite_autoindex_photos_1 (user_id=? AND id=?)",
        ),
        # The rarest of several.
        (
            {"tags": TAGS[:2], "reasons": REASONS[:2]},
            0,
            f"tags_{TAGS[0]} (user_id=?)",
        ),
        (
            {"reasons": ("any", REASONS[0]), "tags": TAGS[:1]},
            500,
            "photos_recommended (user_id=?)",
        ),
        (
            {"reasons": ("any",), **_ONE_DAY},
            20,
            "photos_recommended (user_id=? AND date>? AND date<?)",
        ),
        (
            {"reasons": REASONS[:1], **_ONE_DAY},
            20,
            "photos_by_date (user_id=? AND date>? AND date<?)",
        ),
        (
            {"reasons": REASONS[:1], "tags": TAGS[:1], **_AT},
            None,
            "photos_by_place (user_id=? AND latitude>? AND latitude<?)",
        ),
        (
            {"first_date": "2020-02-01", "tags": TAGS[:1], "subject": TAGS[0], **_AT},
            None,
            "photos_by_place (user_id=? AND latitude>? AND latitude<?)",
        ),
        (
            {"last_date": "2021-01-01", "reasons": REASONS[:1], "subject": TAGS[0]},
            None,
            f"tags_{TAGS[0]} (user_id=?)",
        ),
        (
            {"ids": ["00000", "00020"], "reasons": REASONS[:1], "tags": TAGS[:1]},
            2,
            "sqlite_autoindex_photos_1 (user_id=? AND id=?)",
        ),
    ],
)
def test_rarest_condition_is_looked_up(
    large: sqlite3.Connection,
    conditions: Mapping[str, Any],
    number: int | None,
    first: str,
) -> None:
    statements: list[str] = []
    large.set_trace_callback(statements.append)
    found = list(find_photos(large, PhotoQuery("ada", **conditions)))
    large.set_trace_callback(None)
    if number is not None:
        assert len(found) == number
    plans = [_plan(large, statement) for statement in statements]
    for step in itertools.chain(*plans):
        # What was found, row by row, or counted.
        assert not re.match(r"SCAN (?!found|\(subquery|json_each)", step), plans
    start, *_ = (step for step in plans[-1] if step.startswith("SEARCH"))
    assert start.endswith(f" INDEX {first}"), plans[-1]
    # An index that has the order needs no sorting, so the first photo comes at once.
    sorted_ = ("photos_by_date", "photos_recommended", "photos_decided")
    in_order = first.startswith(sorted_)
    assert in_order == (not any("TEMP B-TREE" in step for step in plans[-1]))


@pytest.mark.parametrize("wanted", [{"reasons": ("any",)}, {}], ids=["any", "all"])
def test_what_is_common_is_followed_by_day(
    large: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    monkeypatch.setattr("store.search._MANY", 499)
    query = PhotoQuery("ada", tags=TAGS[:1], **wanted)
    statements: list[str] = []
    large.set_trace_callback(statements.append)
    found = list(find_photos(large, query))
    large.set_trace_callback(None)
    assert len(found) == 500
    assert [row["date"] for row in found] == sorted(row["date"] for row in found)
    plan = _plan(large, statements[-1])
    assert "photos_recommended" in plan[1] if wanted else "photos_by_date" in plan[1]
    assert not any("TEMP B-TREE" in step for step in plan)


def _plan(db: sqlite3.Connection, statement: str) -> list[str]:
    return [row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
