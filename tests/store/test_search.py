import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.records import (
    DayOutcome,
    Judgement,
    PhotoMeta,
    PhotoTags,
    StoredScores,
    Verdicts,
)
from store.search import REASONS, TAGS, PhotoQuery, find_photos
from store.sqlite import SqliteStore
from store.sqlite_file import open_database, transaction


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "photos.db")) as store:
        yield store


def _write(
    store: SqliteStore,
    id_: str,
    *,
    user_id: str = "ada",
    taken_at: str = "2024-05-01T12:00:00",
    place: tuple[float, float] | None = None,
    tags: tuple[str, ...] = (),
    reasons: tuple[str, ...] = (),
) -> None:
    verdicts = Verdicts(
        shaken="shaken" in reasons,
        dark="dark" in reasons,
        screenshot="screenshot" in reasons,
        sharpness_threshold=5.0,
        dark_probability=0.25,
        dark_threshold=0.5,
        screenshot_probability=0.125,
        screenshot_threshold=0.75,
        version="v",
    )
    store.write(
        PhotoMeta(
            user_id=user_id,
            id=id_,
            title=f"{id_}.jpg",
            path=f"/{user_id}/{id_}.jpg",
            date=taken_at[:10],
            latitude=place[0] if place else None,
            longitude=place[1] if place else None,
            taken_at=taken_at,
            time_source="exif",
            generation=1,
            width=4,
            height=3,
            bytes=100,
            sha256="00",
            damaged=False,
            sharpness=7.5,
            exposure=1.0,
            descriptor=b"",
            fingerprint="f",
        ),
        StoredScores(7.5, 0.25, 0.125),
        lambda _: Judgement(verdicts, PhotoTags(**{tag: tag in tags for tag in TAGS})),
    )


def _found(store: SqliteStore, user_id: str = "ada", **conditions: Any) -> list[str]:
    return [photo["id"] for photo in store.search(PhotoQuery(user_id, **conditions))]


def test_without_conditions_all_of_a_user_in_the_order_taken(
    store: SqliteStore,
) -> None:
    _write(store, "c", taken_at="2024-05-02T08:00:00")
    _write(store, "b", taken_at="2024-05-01T12:00:00")
    _write(store, "a", taken_at="2024-05-01T12:00:00")
    _write(store, "d", taken_at="2024-05-01T11:59:59.500000+02:00")
    _write(store, "x", user_id="bob")
    assert _found(store) == ["d", "a", "b", "c"]
    assert _found(store, "bob") == ["x"]
    assert _found(store, "nobody") == []


def test_photo_comes_with_what_explains_it(store: SqliteStore) -> None:
    _write(store, "a", place=(48.5, -2.25), reasons=("shaken",))
    outcome = DayOutcome(
        delete=True,
        similar=True,
        similar_group="g",
        similar_kind="shot",
        keeper="k",
        similarity=0.875,
        similarity_threshold=0.5,
    )
    store.settle("ada", "2024-05-01", lambda _: {"a": outcome})
    _write(store, "k", taken_at="2024-05-02T12:00:00")
    photo, _ = store.search(PhotoQuery("ada"))
    assert photo == {
        "id": "a",
        "title": "a.jpg",
        "path": "/ada/a.jpg",
        "date": "2024-05-01",
        "taken_at": "2024-05-01T12:00:00",
        "latitude": 48.5,
        "longitude": -2.25,
        "delete": 1,
        "decision": None,
        "similar": 1,
        "shaken": 1,
        "dark": 0,
        "screenshot": 0,
        "similar_group": "g",
        "similar_kind": "shot",
        "keeper": "k",
        "keeper_title": "k.jpg",
        "similarity": 0.875,
        "similarity_threshold": 0.5,
        "sharpness": 7.5,
        "sharpness_threshold": 5.0,
        "dark_probability": 0.25,
        "dark_threshold": 0.5,
        "screenshot_probability": 0.125,
        "screenshot_threshold": 0.75,
        "subject": None,
        **dict.fromkeys(TAGS, 0),
        "objects": None,
    }


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2024-05-02", "2024-05-03", ["2", "3"]),
        ("2024-05-02", "2024-05-02", ["2"]),
        ("2024-05-03", None, ["3", "4"]),
        (None, "2024-05-01", ["1"]),
        ("2024-05-03", "2024-05-02", []),
    ],
    ids=["between", "one day", "from", "until", "reversed"],
)
def test_dates_are_both_included(
    store: SqliteStore, first: str | None, last: str | None, expected: list[str]
) -> None:
    for day in "1234":
        _write(store, day, taken_at=f"2024-05-0{day}T23:59:59")
        _write(store, day, user_id="bob", taken_at=f"2024-05-0{day}T23:59:59")
    assert _found(store, first_date=first, last_date=last) == expected


@pytest.mark.parametrize("reason", ["shaken", "dark", "screenshot"])
def test_reason_finds_those_it_holds_for(store: SqliteStore, reason: str) -> None:
    for other in ("shaken", "dark", "screenshot"):
        _write(store, other, reasons=(other,))
    _write(store, "none")
    _write(store, "all", reasons=("shaken", "dark", "screenshot"))
    _write(store, "x", user_id="bob", reasons=(reason,))
    assert _found(store, reason=reason) == sorted(["all", reason])


def test_any_reason_finds_what_is_recommended_only(store: SqliteStore) -> None:
    for id_ in "abc":
        _write(store, id_, reasons=("dark",))
    _write(store, "x", user_id="bob", reasons=("dark",))
    outcomes = {
        "a": DayOutcome(similar_group="a", keeper="a"),
        "b": DayOutcome(delete=True, similar=True, similar_group="a", keeper="a"),
        "x": DayOutcome(delete=True),
    }
    for user_id in ("ada", "bob"):
        store.settle(user_id, "2024-05-01", lambda _: outcomes)
    assert _found(store, reason="any") == ["b"]
    assert _found(store, reason="similar") == ["b"]
    assert _found(store, reason="dark") == ["a", "b", "c"]


@pytest.mark.parametrize("tag", TAGS)
def test_tag_finds_those_that_carry_it(store: SqliteStore, tag: str) -> None:
    for other in TAGS:
        _write(store, other, tags=(other,))
    _write(store, "zz", tags=TAGS)
    _write(store, "x", user_id="bob", tags=(tag,))
    assert _found(store, tag=tag) == [tag, "zz"]


def test_photo_without_a_detector_has_no_tag(store: SqliteStore) -> None:
    _write(store, "a", tags=("food",))
    with transaction(store._db):
        store._db.execute("UPDATE tags SET food = NULL")
    assert _found(store, tag="food") == []


@pytest.mark.parametrize("query", [{"reason": "ugly"}, {"tag": "cat"}])
def test_unknown_names_are_refused(store: SqliteStore, query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        _found(store, **query)


def test_all_conditions_have_to_hold(store: SqliteStore) -> None:
    match: dict[str, Any] = {
        "taken_at": "2024-05-01T12:00:00",
        "place": (50.0, 10.0),
        "tags": ("food",),
        "reasons": ("dark",),
    }
    _write(store, "match", **match)
    _write(store, "day", **match | {"taken_at": "2024-05-02T12:00:00"})
    _write(store, "place", **match | {"place": (50.1, 10.0)})
    _write(store, "nowhere", **match | {"place": None})
    _write(store, "tag", **match | {"tags": ("book",)})
    _write(store, "reason", **match | {"reasons": ("shaken",)})
    _write(store, "user", **match, user_id="bob")
    conditions: dict[str, Any] = {
        "first_date": "2024-05-01",
        "last_date": "2024-05-01",
        "near": (50.0, 10.0),
        "tag": "food",
        "reason": "dark",
    }
    assert _found(store, **conditions) == ["match"]


# Places. A degree of latitude is 111.2 km, of longitude so much at the equator only.


@pytest.mark.parametrize(
    ("near", "place", "km"),
    [
        ((0.0, 0.0), (1.0, 0.0), 111.195),
        ((0.0, 0.0), (0.0, -1.0), 111.195),
        ((60.0, 10.0), (60.0, 11.0), 55.596),
        ((0.0, 179.9), (0.0, -179.9), 22.239),
        ((0.0, -179.9), (0.0, 179.9), 22.239),
        ((0.0, 180.0), (0.0, -180.0), 0.0),
        ((-16.5, 179.99), (-16.5, -179.98), 3.1985),
        ((89.9, 0.0), (89.9, 180.0), 22.239),
        ((-89.9, 90.0), (-89.9, -90.0), 22.239),
        ((90.0, 0.0), (89.5, 123.0), 55.597),
        ((-90.0, 0.0), (-90.0, 123.0), 0.0),
        ((85.0, 10.0), (86.0, 40.0), 280.177),
        ((48.8584, 2.2945), (51.5007, -0.1246), 340.54),
        ((10.0, 20.0), (-10.0, -160.0), 20015.1),
    ],
    ids=[
        "north",
        "west",
        "parallel",
        "across the date line",
        "back across it",
        "on it",
        "Fiji",
        "over the north pole",
        "over the south pole",
        "from the pole",
        "at the pole",
        "arctic",
        "Paris to London",
        "antipodes",
    ],
)
def test_near_is_the_great_circle(
    store: SqliteStore,
    near: tuple[float, float],
    place: tuple[float, float],
    km: float,
) -> None:
    _write(store, "a", place=place)
    _write(store, "nowhere")
    _write(store, "x", user_id="bob", place=place)
    assert _found(store, near=near, within_km=km * 1.0005 + 1e-6) == ["a"]
    if km:
        assert _found(store, near=near, within_km=km * 0.9995) == []


def test_near_is_a_kilometre_unless_told(store: SqliteStore) -> None:
    _write(store, "near", place=(50.0, 10.0139))
    _write(store, "far", place=(50.0, 10.0141))
    assert _found(store, near=(50.0, 10.0)) == ["near"]


@pytest.fixture(scope="module")
def globe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """Photos all over, and more of them where a map is torn."""
    path = tmp_path_factory.mktemp("globe") / "photos.db"
    latitudes = [-90, -89.99, -89, -60, -30, 0, 0.01, 30, 60, 85, 89, 89.99, 90]
    longitudes = [-180, -179.99, -179, -90, 0, 0.01, 45, 90, 135, 179, 179.99, 180]
    with closing(SqliteStore(path)) as store:
        for latitude in latitudes:
            for longitude in longitudes:
                _write(store, f"{latitude} {longitude}", place=(latitude, longitude))
        yield store


def _chord_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great circle by way of vectors, another way than the one that is tested."""
    vectors = []
    for latitude, longitude in (one, other):
        phi, lam = math.radians(latitude), math.radians(longitude)
        vectors.append(
            (
                math.cos(phi) * math.cos(lam),
                math.cos(phi) * math.sin(lam),
                math.sin(phi),
            )
        )
    return 6371.0 * 2 * math.asin(min(1.0, math.dist(*vectors) / 2))


@settings(deadline=None, max_examples=150)
@given(
    latitude=st.floats(-90, 90) | st.sampled_from([-90.0, -89.9, 0.0, 89.9, 90.0]),
    longitude=st.floats(-180, 180) | st.sampled_from([-180.0, -179.9, 0.0, 180.0]),
    km=st.floats(0.5, 20040) | st.sampled_from([1.0, 10.0, 112.0, 1000.0, 9999.0]),
)
def test_near_misses_nothing(
    globe: SqliteStore, latitude: float, longitude: float, km: float
) -> None:
    near = (latitude, longitude)
    found = {
        photo["id"]
        for photo in globe.search(PhotoQuery("ada", near=near, within_km=km))
    }
    for photo in globe.search(PhotoQuery("ada")):
        distance = _chord_km(near, (photo["latitude"], photo["longitude"]))
        if abs(distance - km) > 1e-3 * km:  # 6371 km and its degree are rounded
            assert (photo["id"] in found) == (distance < km), photo["id"]


# Indexes.


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
