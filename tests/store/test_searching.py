import math
from contextlib import closing
from typing import Any

import pytest
from google.cloud import firestore
from hypothesis import given, settings
from hypothesis import strategies as st

from store.interface import Store
from store.records import DayOutcome, PhotoTags
from store.search import TAGS, PhotoQuery
from store.sqlite import SqliteStore
from store.urls import open_store
from tests.store.samples import SCORES, make_judge, make_meta, make_verdicts


def _write(
    store: Store,
    id_: str,
    *,
    user_id: str = "ada",
    taken_at: str = "2024-05-01T12:00:00",
    place: tuple[float, float] | None = None,
    tags: tuple[str, ...] = (),
    reasons: tuple[str, ...] = (),
    subject: str = "",
    detector: bool = True,
) -> None:
    latitude, longitude = place or (None, None)
    verdicts = dict.fromkeys(reasons, True)
    found: dict[str, Any] = {}
    if detector:
        found = {tag: tag in (*tags, subject) for tag in TAGS} | {"subject": subject}
    store.write(
        make_meta(
            id_,
            taken_at[:10],
            user_id=user_id,
            path=f"/{user_id}/{id_}.jpg",
            taken_at=taken_at,
            latitude=latitude,
            longitude=longitude,
        ),
        SCORES,
        make_judge(make_verdicts(**verdicts), PhotoTags(**found)),
    )


def _found(store: Store, user_id: str = "ada", **conditions: Any) -> list[str]:
    return [photo["id"] for photo in store.search(PhotoQuery(user_id, **conditions))]


def test_without_conditions_all_of_a_user_in_the_order_taken(
    store: Store,
) -> None:
    _write(store, "c", taken_at="2024-05-02T08:00:00")
    _write(store, "b", taken_at="2024-05-01T12:00:00")
    _write(store, "a", taken_at="2024-05-01T12:00:00")
    _write(store, "d", taken_at="2024-05-01T11:59:59.500000+02:00")
    _write(store, "x", user_id="bob")
    assert _found(store) == ["d", "a", "b", "c"]
    assert _found(store, "bob") == ["x"]
    assert _found(store, "nobody") == []


def test_photo_comes_with_what_explains_it(store: Store) -> None:
    _write(store, "a", place=(48.5, -2.25), reasons=("shaken",))
    outcome = DayOutcome(
        delete=True,
        similar=True,
        similar_group="g",
        similar_kind="shot",
        keeper="k",
        similarity=0.875,
        similarity_threshold=0.5,
        grouped_by="g1",
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
        "bytes": 1000,
        "generation": 10,
        "width": 40,
        "height": 30,
        "damaged": 0,
        "kept_for": 0,
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
        "keeper_path": "/ada/k.jpg",
        "keeper_sha256": "00ff",
        "keeper_fingerprint": "f1",
        "keeper_sharpness": 7.5,
        "sha256": "00ff",
        "fingerprint": "f1",
        "grouped_by": "g1",
        "version": "v1",
        "similarity": 0.875,
        "similarity_threshold": 0.5,
        "sharpness": 7.5,
        "sharpness_threshold": 5.0,
        "dark_probability": 0.25,
        "dark_threshold": 0.5,
        "screenshot_probability": 0.125,
        "screenshot_threshold": 0.75,
        "subject": "",
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
    store: Store, first: str | None, last: str | None, expected: list[str]
) -> None:
    for day in "1234":
        _write(store, day, taken_at=f"2024-05-0{day}T23:59:59")
        _write(store, day, user_id="bob", taken_at=f"2024-05-0{day}T23:59:59")
    assert _found(store, first_date=first, last_date=last) == expected


@pytest.mark.parametrize("reason", ["shaken", "dark", "screenshot"])
def test_reason_finds_those_it_holds_for(store: Store, reason: str) -> None:
    for other in ("shaken", "dark", "screenshot"):
        _write(store, other, reasons=(other,))
    _write(store, "none")
    _write(store, "all", reasons=("shaken", "dark", "screenshot"))
    _write(store, "x", user_id="bob", reasons=(reason,))
    assert _found(store, reasons=(reason,)) == sorted(["all", reason])


def test_any_reason_finds_what_is_recommended_only(store: Store) -> None:
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
    assert _found(store, reasons=("any",)) == ["b"]
    assert _found(store, reasons=("similar",)) == ["b"]
    assert _found(store, reasons=("dark",)) == ["a", "b", "c"]


@pytest.mark.parametrize("tag", TAGS)
def test_tag_finds_those_that_carry_it(store: Store, tag: str) -> None:
    for other in TAGS:
        _write(store, other, tags=(other,))
    _write(store, "zz", tags=TAGS)
    _write(store, "x", user_id="bob", tags=(tag,))
    assert _found(store, tags=(tag,)) == [tag, "zz"]


def test_all_tags_and_all_reasons_have_to_hold(store: Store) -> None:
    _write(store, "a", tags=("person", "food"), reasons=("dark",))
    _write(store, "b", tags=("person", "food", "book"), reasons=("dark", "shaken"))
    _write(store, "c", tags=("person",), reasons=("dark", "shaken"))
    store.settle("ada", "2024-05-01", lambda _: {"b": DayOutcome(delete=True)})
    assert _found(store, tags=("person", "food")) == ["a", "b"]
    assert _found(store, tags=("food", "food", "person")) == ["a", "b"]
    assert _found(store, tags=("book", "animal")) == []
    assert _found(store, reasons=("dark", "shaken")) == ["b", "c"]
    assert _found(store, reasons=("shaken", "any")) == ["b"]
    assert _found(store, reasons=("any", "screenshot")) == []
    assert _found(store, reasons=("shaken",), tags=("person", "food")) == ["b"]


def test_subject_is_the_tag_that_dominates(store: Store) -> None:
    _write(store, "a", subject="food", tags=("person",))
    _write(store, "b", subject="person", tags=("food",))
    _write(store, "nothing")
    _write(store, "unseen", detector=False)
    _write(store, "x", user_id="bob", subject="food")
    assert _found(store, subject="food") == ["a"]
    assert _found(store, subject="person", tags=("food",)) == ["b"]
    assert _found(store, subject="food", tags=("book",)) == []
    assert _found(store, subject="") == ["nothing"]
    assert _found(store, subject="", tags=("food",)) == []


def test_decision_finds_what_the_user_decided(store: Store) -> None:
    for id_ in "abc":
        _write(store, id_, taken_at=f"2024-05-0{'abc'.index(id_) + 1}T12:00:00")
    _write(store, "b", user_id="bob")
    store.decide("bob", "b", "trash")
    store.decide("ada", "b", "trash")
    store.decide("ada", "c", "keep")
    assert _found(store, decision="trash") == ["b"]
    assert _found(store, decision="keep") == ["c"]
    assert _found(store, decision="trash", ids=["a", "c"]) == []
    assert _found(store, decision="trash", last_date="2024-05-01") == []


def test_ids_find_those_that_are_the_users(store: Store) -> None:
    for id_ in "abc":
        _write(store, id_, reasons=("dark",) if id_ != "a" else ())
    _write(store, "x", user_id="bob")
    assert _found(store, ids=["c", "a", "gone", "x", "c"]) == ["a", "c"]
    assert _found(store, ids={"a", "b"}, reasons=("dark",)) == ["b"]
    assert _found(store, ids=()) == []


def test_ids_may_be_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.firestore_search._PAGE", 2)
    for id_ in "abcde":
        _write(store, id_)
    # SQLite takes 32,766 values, Firestore documents by pages.
    many = 40_000 if isinstance(store, SqliteStore) else 5
    wanted = [*"abcde", *(f"gone{number}" for number in range(many))]
    assert _found(store, ids=wanted) == [*"abcde"]


def test_photo_without_a_detector_has_no_tag(store: Store) -> None:
    _write(store, "a", detector=False)
    (photo,) = store.search(PhotoQuery("ada"))
    assert {photo[tag] for tag in TAGS} == {None}
    for tag in TAGS:
        assert _found(store, tags=(tag,)) == []


@pytest.mark.parametrize(
    "query", [{"reasons": ("ugly",)}, {"tags": ("cat",)}, {"subject": "cat"}]
)
def test_unknown_names_are_refused(store: Store, query: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        _found(store, **query)


def test_all_conditions_have_to_hold(store: Store) -> None:
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
        "tags": ("food",),
        "reasons": ("dark",),
    }
    assert _found(store, **conditions) == ["match"]


def test_documents_older_than_the_trash_are_kept_for_none(
    firestore_project: str,
) -> None:
    with closing(open_store(f"firestore://{firestore_project}")) as store:
        _write(store, "a")
        document = firestore.Client(firestore_project).document("users/ada/photos/a")
        document.update({"kept_for": firestore.DELETE_FIELD})
        assert [row["kept_for"] for row in store.search(PhotoQuery("ada"))] == [0]
        document.update({"kept_for": 2})
        assert [row["kept_for"] for row in store.search(PhotoQuery("ada"))] == [2]


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
    store: Store,
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


def test_near_is_a_kilometre_unless_told(store: Store) -> None:
    _write(store, "near", place=(50.0, 10.0139))
    _write(store, "far", place=(50.0, 10.0141))
    assert _found(store, near=(50.0, 10.0)) == ["near"]


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


def test_near_misses_nothing(shared: Store) -> None:
    # All over, and more of them where a map is torn.
    latitudes = [-90, -89.99, -89, -60, -30, 0, 0.01, 30, 60, 85, 89, 89.99, 90]
    longitudes = [-180, -179.99, -179, -90, 0, 0.01, 45, 90, 135, 179, 179.99, 180]
    places = {
        f"{latitude} {longitude}": (latitude, longitude)
        for latitude in latitudes
        for longitude in longitudes
    }
    for id_, place in places.items():
        _write(shared, id_, place=place)
    assert set(_found(shared)) == set(places)

    @settings(
        deadline=None, max_examples=150 if isinstance(shared, SqliteStore) else 15
    )
    @given(
        latitude=st.floats(-90, 90) | st.sampled_from([-90.0, -89.9, 0.0, 89.9, 90.0]),
        longitude=st.floats(-180, 180) | st.sampled_from([-180.0, -179.9, 0.0, 180.0]),
        km=st.floats(0.5, 20040) | st.sampled_from([1.0, 10.0, 112.0, 1000.0, 9999.0]),
    )
    def check(latitude: float, longitude: float, km: float) -> None:
        near = (latitude, longitude)
        found = set(_found(shared, near=near, within_km=km))
        for id_, place in places.items():
            distance = _chord_km(near, place)
            if abs(distance - km) > 1e-3 * km:  # 6371 km and its degree are rounded
                assert (id_ in found) == (distance < km), id_

    check()
