"""What SQLite does is to be found by an index, and not to grow with what is stored."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.search import REASONS, TAGS, PhotoQuery, find_photos
from store.sqlite import SqliteStore
from store.sqlite_file import open_database, transaction
from tests.store.samples import MAY_1, MAY_2, all_similar, make_judge, write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "photos.db")) as store:
        yield store


def _steps_to_settle(path: Path, others: int) -> int:
    """What SQLite does to settle one of many days that wait."""
    with closing(SqliteStore(path)) as store:
        for number in range(others):
            date = f"2023-01-{number % 28 + 1:02d}"
            write(store, f"other{number}", date)
            write(store, f"gone{number}", date)
            store.remove("ada", f"gone{number}", 10)
        for id_ in "abc":
            write(store, id_)
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        store._db.set_progress_handler(count, 1)
        store.settle("ada", MAY_1, all_similar)
        return steps


def test_settling_a_day_costs_the_same_among_many_others(tmp_path: Path) -> None:
    few = _steps_to_settle(tmp_path / "few.db", 10)
    many = _steps_to_settle(tmp_path / "many.db", 300)
    assert many < 1.5 * few


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
    ],
)
def test_no_table_is_read_from_end_to_end(
    store: SqliteStore, use: Callable[[SqliteStore], object]
) -> None:
    for id_ in "abc":
        write(store, id_)
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
            assert not step.startswith("SCAN"), step


# Searching.


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """10,000 photos of one user, 500 days, a twentieth of them for each reason."""
    db = open_database(tmp_path_factory.mktemp("large") / "photos.db")
    numbers = """WITH RECURSIVE numbers (n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)"""
    with closing(db):
        with transaction(db):
            db.execute("INSERT INTO users (id) VALUES ('ada')")
            db.execute(
                f"""INSERT INTO photos (user_id, id, title, path, date, taken_at,
                    latitude, longitude, "delete", time_source, generation, width,
                    height, bytes, sha256, damaged, exposure, descriptor, fingerprint,
                    analysed_at)
                {numbers} SELECT 'ada', printf('%05d', n), 't', '/' || n,
                    date('2020-01-01', (n % 500) || ' days'), 'T', n % 179 - 89,
                    n % 359 - 179, n % 20 = 0, 'exif', 1, 1, 1, 1, '', 0, 1,
                    zeroblob(512), 'f', '' FROM numbers"""
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


@pytest.mark.parametrize(
    ("conditions", "number", "index"),
    [
        ({}, 10_000, "photos_by_date (user_id=?)"),
        (
            {"first_date": "2020-02-01", "last_date": "2020-02-02"},
            40,
            "photos_by_date (user_id=? AND date>? AND date<?)",
        ),
        ({"first_date": "2021-05-14"}, 20, "photos_by_date (user_id=? AND date>?)"),
        ({"last_date": "2020-01-01"}, 20, "photos_by_date (user_id=? AND date<?)"),
        (
            {"near": (10.0, 10.0), "within_km": 50},
            None,
            "photos_by_place (user_id=? AND latitude>? AND latitude<?)",
        ),
        (
            {"near": (10.0, 180.0), "within_km": 50},
            None,
            "photos_by_place (user_id=? AND latitude>? AND latitude<?)",
        ),
        ({"reason": "any"}, 500, "photos_recommended (user_id=?)"),
        *(({"reason": r}, 500, f"deletions_{r} (user_id=?)") for r in REASONS),
        *(({"tag": tag}, 500, f"tags_{tag} (user_id=?)") for tag in TAGS),
    ],
    ids=[
        "all",
        "days",
        "from",
        "until",
        "near",
        "near the date line",
        "any",
        *REASONS,
        *TAGS,
    ],
)
def test_condition_uses_its_index(
    large: sqlite3.Connection,
    conditions: dict[str, Any],
    number: int | None,
    index: str,
) -> None:
    statements: list[str] = []
    large.set_trace_callback(statements.append)
    found = list(find_photos(large, PhotoQuery("ada", **conditions)))
    large.set_trace_callback(None)
    if number is not None:
        assert len(found) == number
    (statement,) = statements
    plan = [row["detail"] for row in large.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert not [step for step in plan if step.startswith("SCAN")], plan
    assert plan[0].endswith(f" INDEX {index}"), plan
