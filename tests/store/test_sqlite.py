import dataclasses
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.records import (
    DayOutcome,
    DayPhoto,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoState,
    PhotoTags,
    StoredScores,
    StoreError,
    Verdicts,
    photo_id,
)
from store.sqlite import SqliteStore

ROOT: Final = Path(__file__).resolve().parents[2]
MAY_1: Final = "2024-05-01"
MAY_2: Final = "2024-05-02"
MAY_3: Final = "2024-05-03"
TABLES: Final = ("users", "photos", "tags", "deletions", "tombstones")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "photos.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as store:
        yield store


@pytest.fixture
def other(store: SqliteStore, path: Path) -> Iterator[SqliteStore]:
    """A second connection to the same file."""
    with closing(SqliteStore(path, must_exist=True)) as other:
        yield other


def _meta(id_: str = "a", date: str = MAY_1, **columns: Any) -> PhotoMeta:
    values: dict[str, Any] = {
        "user_id": "ada",
        "id": id_,
        "title": f"{id_}.jpg",
        "path": f"/photos/{id_}.jpg",
        "date": date,
        "latitude": 48.5,
        "longitude": -2.25,
        "taken_at": f"{date}T12:00:00+02:00",
        "time_source": "exif",
        "generation": 10,
        "width": 40,
        "height": 30,
        "bytes": 1000,
        "sha256": "00ff",
        "damaged": False,
        "sharpness": 7.5,
        "exposure": 0.75,
        "descriptor": b"\x00\x01\xff",
        "fingerprint": "f1",
    }
    return PhotoMeta(**values | columns)


def _verdicts(**columns: Any) -> Verdicts:
    values: dict[str, Any] = {
        "shaken": False,
        "dark": False,
        "screenshot": False,
        "sharpness_threshold": 5.0,
        "dark_probability": 0.25,
        "dark_threshold": 0.5,
        "screenshot_probability": 0.125,
        "screenshot_threshold": 0.75,
        "version": "v1",
    }
    return Verdicts(**values | columns)


_SCORES: Final = StoredScores(7.5, 0.25, 0.125)
_FOOD: Final = PhotoTags(food=True, person=False, subject="food")


def _judge(
    verdicts: Verdicts | None = None, tags: PhotoTags = _FOOD
) -> Callable[[StoredScores], Judgement]:
    """A judge who says the same whatever the scores are."""
    return lambda _: Judgement(verdicts or _verdicts(), tags)


def _write(
    store: SqliteStore,
    id_: str = "a",
    date: str = MAY_1,
    *,
    replaces: int | None = None,
    detected: Detected | None = None,
    **columns: Any,
) -> frozenset[str]:
    return store.write(
        _meta(id_, date, **columns),
        _SCORES,
        _judge(),
        detected=detected,
        replaces=replaces,
    )


def _all_similar(photos: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    """A group of all the day's photos; it tells which photos it saw."""
    group = " ".join(photo.id for photo in photos)
    keeper = photos[0].id if photos else None
    return {
        photo.id: DayOutcome(
            delete=photo.id != keeper,
            similar=photo.id != keeper,
            similar_group=group,
            similar_kind="shot",
            keeper=keeper,
            similarity=0.875,
        )
        for photo in photos
    }


def _nothing(_: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    return {}


def _rows(store: SqliteStore, table: str) -> list[dict[str, Any]]:
    order = "id" if table == "users" else "user_id, id"
    return [
        dict(row)
        for row in store._db.execute(f"SELECT * FROM {table} ORDER BY {order}")
    ]


def _everything(store: SqliteStore) -> dict[str, list[dict[str, Any]]]:
    return {table: _rows(store, table) for table in TABLES}


def _row(store: SqliteStore, table: str, id_: str = "a") -> dict[str, Any]:
    (row,) = (row for row in _rows(store, table) if row["id"] == id_)
    return row


def _pending(store: SqliteStore, id_: str = "a", user_id: str = "ada") -> set[str]:
    state = store.state(user_id, id_)
    assert state is not None
    return set(state.pending_dates)


# Writing.


def test_written_photo_fills_the_three_tables(store: SqliteStore) -> None:
    assert _write(store) == {MAY_1}
    photo = _row(store, "photos")
    assert photo.pop("analysed_at").endswith("+00:00")
    assert photo == dataclasses.asdict(_meta()) | {
        "subject": "food",
        "features": None,
        "delete": 0,
        "decision": None,
        "pending_dates": f'["{MAY_1}"]',
    }
    assert _row(store, "tags") == dataclasses.asdict(PhotoTags()) | {
        "user_id": "ada",
        "id": "a",
        "title": "a.jpg",
        "food": 1,
        "person": 0,
        "subject": "food",
        "objects": None,
        "detector": None,
        "version": None,
    }
    assert _row(store, "deletions") == dataclasses.asdict(_verdicts()) | {
        "user_id": "ada",
        "id": "a",
        "title": "a.jpg",
        "sharpness": 7.5,
        "similar": 0,
        "similar_group": None,
        "similar_kind": None,
        "keeper": None,
        "similarity": None,
        "similarity_threshold": None,
        "grouped_by": None,
    }
    assert _rows(store, "users") == [{"id": "ada", "email": None}]


def test_writing_keeps_the_address_of_the_user(store: SqliteStore) -> None:
    _write(store)
    store._db.execute("UPDATE users SET email = 'ada@example.org'")
    _write(store, "b")
    assert _rows(store, "users") == [{"id": "ada", "email": "ada@example.org"}]


def test_unknown_photo_has_no_state(store: SqliteStore) -> None:
    _write(store)
    assert store.state("ada", "b") is None
    assert store.state("bob", "a") is None


def test_state_tells_what_is_known(store: SqliteStore) -> None:
    _write(store)
    assert store.state("ada", "a") == PhotoState(
        generation=10,
        removed=False,
        bytes=_meta().bytes,
        fingerprint="f1",
        version="v1",
        detector=None,
        tags_version=None,
        grouped_by=None,
        pending_dates=frozenset({MAY_1}),
    )


def test_same_id_of_two_users_is_two_photos(store: SqliteStore) -> None:
    _write(store, title="one")
    _write(store, title="two", user_id="bob")
    store.remove("bob", "a", 10)
    assert _row(store, "photos")["title"] == "one"


def test_older_generation_changes_nothing(store: SqliteStore) -> None:
    _write(store, generation=10)
    before = _everything(store)
    assert _write(store, date=MAY_2, generation=9, title="old") == {MAY_1}
    assert _everything(store) == before


def test_same_generation_is_analysed_again(store: SqliteStore) -> None:
    _write(store, fingerprint="f1", sharpness=7.5)
    store.write(
        _meta(fingerprint="f2", sharpness=1.5),
        _SCORES,
        _judge(_verdicts(shaken=True, version="v2"), PhotoTags()),
    )
    assert _row(store, "photos")["fingerprint"] == "f2"
    assert _row(store, "tags")["food"] is None
    assert _row(store, "tags")["subject"] is None
    assert _row(store, "deletions")["shaken"] == 1
    assert _row(store, "deletions")["sharpness"] == 1.5


def test_newer_generation_replaces_all_columns(
    store: SqliteStore, tmp_path: Path
) -> None:
    newer = _meta(
        date=MAY_2,
        generation=11,
        title="new.jpg",
        path="/new.jpg",
        latitude=None,
        longitude=None,
        sharpness=None,
        descriptor=b"",
        fingerprint="f2",
    )
    _write(store)
    store.settle("ada", MAY_1, _all_similar)
    store.write(newer, _SCORES, _judge(_verdicts(version="v2")))
    store.settle("ada", MAY_1, _nothing)
    with closing(SqliteStore(tmp_path / "fresh.db")) as fresh:
        fresh.write(newer, _SCORES, _judge(_verdicts(version="v2")))
        for table in ("photos", "tags", "deletions"):
            expected = _row(fresh, table)
            expected.pop("analysed_at", None)
            assert expected.items() <= _row(store, table).items()


def test_user_decision_survives_writing_and_judging(store: SqliteStore) -> None:
    _write(store)
    store.decide("ada", "a", "keep")
    _write(store)
    assert _row(store, "photos")["decision"] == "keep"
    _write(store, date=MAY_2, generation=11)
    assert _row(store, "photos")["decision"] == "keep"
    store.rejudge("ada", "a", 11, _judge(_verdicts(dark=True)))
    store.settle("ada", MAY_2, _all_similar)
    assert _row(store, "photos")["decision"] == "keep"


@pytest.mark.parametrize("first", ["write", "remove"])
def test_user_decision_survives_overwriting_in_any_order(
    store: SqliteStore, first: str
) -> None:
    _write(store, generation=10)
    store.decide("ada", "a", "keep")
    if first == "write":
        _write(store, generation=11)
    store.remove("ada", "a", 10)
    _write(store, generation=11)
    assert _row(store, "photos")["decision"] == "keep"


def test_nothing_is_recommended_before_the_day_is_regrouped(
    store: SqliteStore,
) -> None:
    for id_ in "ab":
        _write(store, id_)
    assert store.settle("ada", MAY_1, _all_similar) == 2
    assert _row(store, "photos", "b")["delete"] == 1
    store.write(_meta("b"), _SCORES, _judge(_verdicts(dark=True)))
    assert _row(store, "photos", "b")["delete"] == 0
    outcome = _row(store, "deletions", "b")
    assert outcome["similar"] == 0
    assert outcome["keeper"] is outcome["similar_group"] is None


def test_moved_photo_waits_for_both_days(store: SqliteStore) -> None:
    _write(store, date=MAY_1)
    store.settle("ada", MAY_1, _nothing)
    assert _write(store, date=MAY_2, generation=11) == {MAY_1, MAY_2}
    assert _write(store, date=MAY_3, generation=12) == {MAY_1, MAY_2, MAY_3}
    assert _pending(store) == {MAY_1, MAY_2, MAY_3}
    store.settle("ada", MAY_2, _nothing)
    assert _pending(store) == {MAY_1, MAY_3}


# Removing.


def test_removed_photo_leaves_a_tombstone_only(store: SqliteStore) -> None:
    _write(store)
    _write(store, "b")
    assert store.remove("ada", "a", 10) == {MAY_1}
    for table in ("photos", "tags", "deletions"):
        assert [row["id"] for row in _rows(store, table)] == ["b"]
    assert store.state("ada", "a") == PhotoState(
        10, True, None, None, None, None, None, None, frozenset({MAY_1})
    )


def test_removing_an_older_generation_changes_nothing(store: SqliteStore) -> None:
    _write(store, generation=10)
    before = _everything(store)
    assert store.remove("ada", "a", 9) == {MAY_1}
    assert _everything(store) == before


def test_removing_twice_changes_nothing(store: SqliteStore) -> None:
    _write(store)
    store.remove("ada", "a", 10)
    before = _everything(store)
    assert store.remove("ada", "a", 10) == {MAY_1}
    assert store.remove("ada", "a", 9) == {MAY_1}
    assert _everything(store) == before


def test_removal_of_a_moved_photo_keeps_its_days(store: SqliteStore) -> None:
    _write(store, date=MAY_1)
    _write(store, date=MAY_2, generation=11)
    assert store.remove("ada", "a", 11) == {MAY_1, MAY_2}
    assert store.remove("ada", "a", 12) == {MAY_1, MAY_2}
    assert _write(store, date=MAY_3, generation=13) == {MAY_1, MAY_2, MAY_3}
    assert _rows(store, "tombstones") == []


def test_removed_generation_is_not_resurrected(store: SqliteStore) -> None:
    _write(store, generation=10)
    store.remove("ada", "a", 10)
    before = _everything(store)
    assert _write(store, generation=10) == {MAY_1}
    assert _write(store, generation=9) == {MAY_1}
    assert _everything(store) == before


def test_removal_before_the_write_is_remembered(store: SqliteStore) -> None:
    assert store.remove("ada", "a", 10) == set()
    assert _write(store, generation=10) == set()
    assert store.state("ada", "a") == PhotoState(
        10, True, None, None, None, None, None, None, frozenset()
    )
    assert _rows(store, "users") == []


def test_newer_generation_lives_again(store: SqliteStore) -> None:
    store.remove("ada", "a", 10)
    assert _write(store, generation=11) == {MAY_1}
    assert _rows(store, "tombstones") == []
    assert _row(store, "photos")["generation"] == 11


def test_late_removal_of_what_was_overwritten_removes_nothing(
    store: SqliteStore,
) -> None:
    _write(store, generation=10)
    _write(store, generation=11)
    store.remove("ada", "a", 10)
    assert _row(store, "photos")["generation"] == 11


# A file's generation is its time, which does not order what is there.


def test_older_file_takes_the_place_of_the_known_one(store: SqliteStore) -> None:
    _write(store, generation=10)
    assert _write(store, date=MAY_2, generation=5, replaces=10) == {MAY_1, MAY_2}
    assert _row(store, "photos")["generation"] == 5


def test_removed_file_comes_back_out_of_a_backup(store: SqliteStore) -> None:
    _write(store, generation=10)
    store.remove("ada", "a", 10)
    _write(store, generation=10, replaces=10)
    assert _row(store, "photos")["generation"] == 10
    assert _rows(store, "tombstones") == []


def test_older_file_than_another_run_has_found_is_ignored(store: SqliteStore) -> None:
    _write(store, generation=10)
    _write(store, generation=20)
    before = _everything(store)
    _write(store, generation=5, replaces=10)
    store.remove("ada", "a", 5, replaces=10)
    assert _everything(store) == before


def test_file_is_removed_whatever_its_number(store: SqliteStore) -> None:
    _write(store, generation=10)
    assert store.remove("ada", "a", 5, replaces=10) == {MAY_1}
    state = store.state("ada", "a")
    assert state is not None
    assert state.removed


# Judging again.


def test_rejudging_sees_the_stored_scores(store: SqliteStore) -> None:
    _write(store)
    store.settle("ada", MAY_1, _nothing)
    before = _row(store, "photos"), _row(store, "tags")
    seen = []

    def judge(scores: StoredScores) -> Judgement:
        seen.append(scores)
        return Judgement(_verdicts(dark=True, dark_threshold=0.2, version="v2"), _FOOD)

    assert store.rejudge("ada", "a", 10, judge) == {MAY_1}
    assert seen == [_SCORES]
    row = _row(store, "deletions")
    assert (row["dark"], row["dark_threshold"], row["version"]) == (1, 0.2, "v2")
    assert row["sharpness"] == 7.5
    assert _pending(store) == {MAY_1}
    assert (
        _row(store, "photos") | {"pending_dates": "[]"},
        _row(store, "tags"),
    ) == before


_CAT: Final = Detected('[["cat",0.9,1,2,3,4]]', "d1", b"cat")


def _judge_objects(scores: StoredScores) -> Judgement:
    return Judgement(_verdicts(), PhotoTags(subject=scores.objects))


def _detected(store: SqliteStore) -> Detected | None:
    """What is stored; the subject is the judge's, that is the objects."""
    tags, photo = _row(store, "tags"), _row(store, "photos")
    assert tags["subject"] == photo["subject"] == tags["objects"]
    if tags["detector"] is None:
        return None
    return Detected(tags["objects"], tags["detector"], photo["features"])


def test_what_a_detector_found_is_written_with_the_photo(store: SqliteStore) -> None:
    store.write(_meta(), _SCORES, _judge_objects, detected=_CAT)
    assert _detected(store) == _CAT
    state = store.state("ada", "a")
    assert state is not None
    assert state.detector == "d1"


def test_what_a_detector_found_is_filled_in_alone(store: SqliteStore) -> None:
    store.write(_meta(), _SCORES, _judge_objects)
    store.settle("ada", MAY_1, _nothing)
    before = _row(store, "deletions"), _row(store, "photos")["analysed_at"]
    assert store.rejudge("ada", "a", 10, _judge_objects, _CAT) == {MAY_1}
    assert _detected(store) == _CAT
    assert (_row(store, "deletions"), _row(store, "photos")["analysed_at"]) == before
    assert _pending(store) == {MAY_1}


def test_what_is_not_judged_stays(store: SqliteStore) -> None:
    _write(store)
    before = _row(store, "tags"), _row(store, "photos")["subject"]
    store.rejudge(
        "ada", "a", 10, lambda _: Judgement(_verdicts(dark=True, version="v2"), None)
    )
    assert (_row(store, "tags"), _row(store, "photos")["subject"]) == before
    verdicts = _row(store, "deletions")
    assert (verdicts["dark"], verdicts["version"]) == (1, "v2")
    store.rejudge("ada", "a", 10, lambda _: Judgement(None, PhotoTags(subject="bag")))
    assert _row(store, "deletions") == verdicts
    assert _row(store, "tags")["subject"] == _row(store, "photos")["subject"] == "bag"


def test_day_has_the_features_behind_the_descriptor(store: SqliteStore) -> None:
    _write(store, detected=_CAT)
    _write(store, "b")
    with_cat, without = store.day("ada", MAY_1)
    assert with_cat.descriptor == without.descriptor + b"cat"
    # An analysis without a detector has another descriptor, not other features.
    _write(store, descriptor=b"new")
    assert store.day("ada", MAY_1)[0].descriptor == b"newcat"


def test_another_generation_is_not_filled_in(store: SqliteStore) -> None:
    store.write(_meta(), _SCORES, _judge_objects)
    store.rejudge("ada", "a", 9, _judge_objects, _CAT)
    assert _detected(store) is None


@pytest.mark.parametrize("generation", [10, 11], ids=["again", "touched"])
def test_run_without_a_detector_keeps_what_one_found(
    store: SqliteStore, generation: int
) -> None:
    store.write(_meta(), _SCORES, _judge_objects, detected=_CAT)
    store.write(_meta(generation=generation), _SCORES, _judge_objects)
    assert _detected(store) == _CAT


def test_other_bytes_are_not_what_a_detector_saw(store: SqliteStore) -> None:
    store.write(_meta(), _SCORES, _judge_objects, detected=_CAT)
    store.write(_meta(generation=11, sha256="11"), _SCORES, _judge_objects)
    assert _detected(store) is None


@pytest.mark.parametrize("generation", [9, 11])
def test_rejudging_leaves_another_generation_alone(
    store: SqliteStore, generation: int
) -> None:
    _write(store)
    before = _everything(store)
    changed = store.rejudge("ada", "a", generation, _judge(_verdicts(dark=True)))
    assert changed == {MAY_1}
    assert _everything(store) == before


def test_rejudging_what_is_not_there_does_nothing(store: SqliteStore) -> None:
    assert store.rejudge("ada", "a", 10, _judge()) == set()
    _write(store)
    store.remove("ada", "a", 10)
    before = _everything(store)
    assert store.rejudge("ada", "a", 10, _judge()) == {MAY_1}
    assert _everything(store) == before


# The user's decision.


@pytest.mark.parametrize("decision", ["keep", "trash"])
def test_decision_lets_the_day_wait_and_can_be_taken_back(
    store: SqliteStore, decision: Any
) -> None:
    _write(store)
    store.settle("ada", MAY_1, _nothing)
    store.decide("ada", "a", decision)
    assert [photo.decision for photo in store.day("ada", MAY_1)] == [decision]
    assert store.pending_days() == [("ada", MAY_1)]
    store.decide("ada", "a", None)
    assert [photo.decision for photo in store.day("ada", MAY_1)] == [None]


def test_decision_needs_a_photo(store: SqliteStore) -> None:
    _write(store)
    store.remove("ada", "a", 10)
    for user_id, id_ in [("ada", "a"), ("ada", "b"), ("bob", "a")]:
        with pytest.raises(KeyError):
            store.decide(user_id, id_, "keep")


# Days.


def test_day_holds_all_that_grouping_needs(store: SqliteStore) -> None:
    for id_ in "cab":
        _write(store, id_)
    _write(store, "d", MAY_2)
    _write(store, "e", user_id="bob")
    photos = store.day("ada", MAY_1)
    assert [photo.id for photo in photos] == ["a", "b", "c"]
    assert photos[0] == DayPhoto(
        id="a",
        taken_at=f"{MAY_1}T12:00:00+02:00",
        time_source="exif",
        latitude=48.5,
        longitude=-2.25,
        generation=10,
        sha256="00ff",
        damaged=False,
        pixels=1200,
        subject="food",
        sharpness=7.5,
        exposure=0.75,
        descriptor=b"\x00\x01\xff",
        decision=None,
        shaken=False,
        dark=False,
        screenshot=False,
        outcome=DayOutcome(),
    )


def test_settling_writes_the_outcome_once(store: SqliteStore) -> None:
    for id_ in "abc":
        _write(store, id_)
    assert store.settle("ada", MAY_1, _all_similar) == 3
    photos = store.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == _all_similar(photos)
    before = _everything(store)
    writes = store._db.total_changes
    assert store.settle("ada", MAY_1, _all_similar) == 0
    assert store._db.total_changes == writes
    assert _everything(store) == before


def test_settling_changes_only_what_changed(store: SqliteStore) -> None:
    for id_ in "abc":
        _write(store, id_)
    store.settle("ada", MAY_1, lambda _: {"a": DayOutcome(delete=True)})

    def two(_: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        return {"a": DayOutcome(delete=True), "b": DayOutcome(delete=True)}

    assert store.settle("ada", MAY_1, two) == 1
    # What has no outcome any more loses the one it had.
    assert store.settle("ada", MAY_1, _nothing) == 2
    assert [row["delete"] for row in _rows(store, "photos")] == [0, 0, 0]


def test_settling_takes_exactly_its_day_off(store: SqliteStore) -> None:
    _write(store, "stays", MAY_1)
    _write(store, "moved", MAY_1)
    _write(store, "moved", MAY_2, generation=11)
    _write(store, "removed", MAY_1)
    _write(store, "removed", MAY_2, generation=11)
    store.remove("ada", "removed", 11)
    _write(store, "gone", MAY_1)
    store.remove("ada", "gone", 10)
    _write(store, "else", MAY_2)
    _write(store, "bobs", MAY_1, user_id="bob")
    store.settle("ada", MAY_1, _nothing)
    assert {
        (row["id"], row["pending_dates"])
        for table in ("photos", "tombstones")
        for row in _rows(store, table)
    } == {
        ("stays", "[]"),
        ("moved", f'["{MAY_2}"]'),
        ("removed", f'["{MAY_2}"]'),
        ("gone", "[]"),
        ("else", f'["{MAY_2}"]'),
        ("bobs", f'["{MAY_1}"]'),
    }
    assert sorted(store.pending_days()) == [("ada", MAY_2), ("bob", MAY_1)]
    store.settle("ada", MAY_2, _nothing)
    assert store.pending_days("ada") == []


def test_settling_a_day_that_is_empty_by_now(store: SqliteStore) -> None:
    _write(store)
    store.remove("ada", "a", 10)
    assert store.settle("ada", MAY_1, _all_similar) == 0
    assert store.pending_days() == []


def test_pending_days_come_once_each(store: SqliteStore) -> None:
    for id_ in "abc":
        _write(store, id_)
    _write(store, "c", MAY_2, generation=11)
    store.remove("ada", "b", 10)
    _write(store, "d", MAY_3, user_id="bob")
    assert sorted(store.pending_days()) == [
        ("ada", MAY_1),
        ("ada", MAY_2),
        ("bob", MAY_3),
    ]
    assert store.pending_days("bob") == [("bob", MAY_3)]
    assert store.pending_days("nobody") == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda other: _write(other, "b"), ["a", "b", "c"]),
        (lambda other: _write(other, "a", sharpness=1.5), ["a", "c"]),
        (lambda other: other.decide("ada", "a", "trash"), ["a", "c"]),
        (lambda other: other.remove("ada", "c", 10), ["a"]),
        (lambda other: _write(other, "c", MAY_2, generation=11), ["a"]),
    ],
    ids=["added", "analysed", "decided", "removed", "moved"],
)
def test_settling_starts_over_when_the_day_changed_meanwhile(
    store: SqliteStore,
    other: SqliteStore,
    change: Callable[[SqliteStore], object],
    expected: list[str],
) -> None:
    _write(store, "a")
    _write(store, "c")
    seen: list[list[str]] = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        seen.append([photo.id for photo in photos])
        if len(seen) == 1:
            change(other)
        return _all_similar(photos)

    assert store.settle("ada", MAY_1, group) == len(expected)
    assert seen == [["a", "c"], expected]
    photos = other.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == _all_similar(photos)
    assert ("ada", MAY_1) not in other.pending_days()


def test_settling_does_not_mind_other_days(
    store: SqliteStore, other: SqliteStore
) -> None:
    _write(store, "a")
    calls = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        calls.append(_write(other, "b", MAY_2))
        return _all_similar(photos)

    store.settle("ada", MAY_1, group)
    assert len(calls) == 1
    assert store.pending_days() == [("ada", MAY_2)]


# All or nothing.


@pytest.mark.parametrize(
    "fail",
    [
        lambda store: store.write(
            _meta("new", user_id="bob"), _SCORES, _judge(_verdicts(version=None))
        ),
        lambda store: store.write(
            _meta("a", MAY_2, generation=11), _SCORES, _judge(_verdicts(dark=2))
        ),
        lambda store: store.write(
            _meta("gone", MAY_2, generation=11), _SCORES, _judge(_verdicts(dark=2))
        ),
        lambda store: store.remove("ada", "a", 2**63),
        lambda store: store.rejudge("ada", "a", 10, _judge(_verdicts(dark=2))),
        lambda store: store.rejudge("ada", "a", 10, lambda _: 1 / 0),
        lambda store: store.decide("ada", "a", "perhaps"),
        lambda store: store.settle(
            "ada",
            MAY_1,
            lambda _: {"a": DayOutcome(True), "b": DayOutcome(similar_kind="twin")},
        ),
    ],
    ids=[
        "write",
        "overwrite",
        "write again",
        "remove",
        "rejudge",
        "judge",
        "decide",
        "settle",
    ],
)
def test_failure_leaves_all_tables_as_they_were(
    store: SqliteStore, fail: Callable[[SqliteStore], object]
) -> None:
    for id_ in ("a", "b", "gone"):
        _write(store, id_)
    store.remove("ada", "gone", 10)
    before = _everything(store)
    with pytest.raises((sqlite3.IntegrityError, OverflowError, ZeroDivisionError)):
        fail(store)
    assert _everything(store) == before
    _write(store, "c")


# Any order, any number of times.

DAYS: Final = (MAY_1, MAY_2, MAY_3)
_users: Final = itertools.count()


@dataclass(frozen=True)
class Event:
    kind: Literal["write", "remove", "settle"]
    photo: int
    generation: int

    @property
    def id(self) -> str:
        return f"p{self.photo}"

    @property
    def date(self) -> str:
        """The same version of the same photo always shows the same date."""
        return DAYS[(self.photo + self.generation) % len(DAYS)]

    def apply(self, store: SqliteStore, user_id: str) -> None:
        if self.kind == "settle":
            store.settle(user_id, self.date, _all_similar)
        elif self.kind == "remove":
            store.remove(user_id, self.id, self.generation)
        else:
            _write(
                store,
                self.id,
                self.date,
                user_id=user_id,
                generation=self.generation,
                title=f"{self.generation}.jpg",
            )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """One store for many examples, each of which has a user of its own."""
    path = tmp_path_factory.mktemp("shared") / "photos.db"
    with closing(SqliteStore(path)) as store:
        yield store


def _settle_all(store: SqliteStore, user_id: str) -> None:
    for _, date in store.pending_days(user_id):
        store.settle(user_id, date, _all_similar)


def _documents(store: SqliteStore, user_id: str) -> dict[str, list[dict[str, Any]]]:
    """A user's rows, without the user and the clock."""
    return {
        table: [
            {k: v for k, v in dict(row).items() if k not in ("user_id", "analysed_at")}
            for row in store._db.execute(
                f"SELECT * FROM {table} WHERE user_id = ? ORDER BY id", (user_id,)
            )
        ]
        for table in ("photos", "tags", "deletions")
    }


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.builds(
            Event,
            st.sampled_from(["write", "write", "remove", "settle"]),
            st.integers(0, 2),
            st.integers(1, 4),
        ),
        max_size=20,
    )
)
@example([Event("write", 0, 2), Event("remove", 0, 1)])
@example([Event("remove", 0, 1), Event("write", 0, 1)])
def test_any_order_of_events_ends_as_the_newest_alone(
    shared: SqliteStore, events: list[Event]
) -> None:
    user_id = f"any-{next(_users)}"
    for event in events:
        event.apply(shared, user_id)

    # What waits for no regrouping needs none.
    waiting = {date for _, date in shared.pending_days(user_id)}
    for date in set(DAYS) - waiting:
        photos = shared.day(user_id, date)
        assert {photo.id: photo.outcome for photo in photos} == _all_similar(photos)
    _settle_all(shared, user_id)
    assert shared.pending_days(user_id) == []

    alone = f"alone-{next(_users)}"
    newest: dict[str, Event] = {}
    for event in events:
        if event.kind != "settle":
            # A version that is removed was there before.
            newest[event.id] = max(
                newest.get(event.id, event),
                event,
                key=lambda one: (one.generation, one.kind == "remove"),
            )
    for event in newest.values():
        event.apply(shared, alone)
    _settle_all(shared, alone)
    assert _documents(shared, user_id) == _documents(shared, alone)


# Several writers.

_PHOTOS_EACH: Final = 100


def _write_many(path: Path, writer: str, number: int = _PHOTOS_EACH) -> None:
    """Write photos of ten days, regroup now and then, settle all at the end."""
    with closing(SqliteStore(path)) as store:
        for i in range(number):
            id_ = f"{writer}-{i:06d}"
            date = f"2024-06-{i % 10 + 1:02d}"
            _write(store, id_, date)
            print(id_, flush=True)
            if i % 25 == 0:
                store.settle("ada", date, _all_similar)
        _settle_all(store, "ada")


def _start_writer(path: Path, writer: str, number: int) -> subprocess.Popen[str]:
    """Run this file as a program, see its end."""
    return subprocess.Popen(
        [sys.executable, __file__, path, writer, str(number)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _photos_without_rows(store: SqliteStore) -> list[str]:
    return [
        row["id"]
        for row in store._db.execute(
            """SELECT id FROM photos LEFT JOIN tags USING (user_id, id)
               LEFT JOIN deletions USING (user_id, id)
               WHERE tags.id IS NULL OR deletions.id IS NULL"""
        )
    ]


def test_threads_and_processes_write_one_file(path: Path) -> None:
    errors: list[Exception] = []

    def write(writer: str) -> None:
        try:
            _write_many(path, writer)
        except Exception as err:
            errors.append(err)

    processes = [_start_writer(path, f"process{i}", _PHOTOS_EACH) for i in range(3)]
    threads = [threading.Thread(target=write, args=(f"thread{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for process in processes:
        process.communicate(timeout=120)
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert [process.returncode for process in processes] == [0, 0, 0]
    with closing(SqliteStore(path)) as store:
        assert store.counts("ada")["photos"] == 7 * _PHOTOS_EACH
        assert _photos_without_rows(store) == []
        assert store.pending_days() == []
        for day in range(1, 11):
            photos = store.day("ada", f"2024-06-{day:02d}")
            assert {photo.id: photo.outcome for photo in photos} == _all_similar(photos)


def test_killed_writer_leaves_whole_photos(path: Path) -> None:
    written: set[str] = set()
    for number, lines in enumerate((1, 17, 60)):
        process = _start_writer(path, f"writer{number}", 1_000_000)
        assert process.stdout is not None
        written |= {process.stdout.readline().strip() for _ in range(lines)}
        process.send_signal(signal.SIGKILL)
        written |= set(process.stdout.read().split())
        process.stdout.close()
        assert process.wait(60) == -signal.SIGKILL
        with closing(SqliteStore(path, must_exist=True)) as store:
            assert store._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            stored = {row["id"] for row in _rows(store, "photos")}
            assert written <= stored
            # One more may have been written and not yet told.
            assert len(stored - written) <= number + 1
            assert _photos_without_rows(store) == []
    with closing(SqliteStore(path)) as store:
        _settle_all(store, "ada")
        assert store.pending_days() == []


# Finding by path, forgetting, counting.


def test_photo_id_tells_bucket_and_name_apart() -> None:
    assert photo_id("ab", "c") != photo_id("a", "bc")
    assert photo_id("file", "/ü.jpg") == "91462e2f43fbafeeaa4f3af5dce1cb19"


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_photos_under_a_folder_by_path(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("store.sqlite._PAGE", page)
    under = ["/p/a.jpg", "/p/b/c.jpg", "/p/z.jpg", "/p/ü.jpg", "/p/😀.jpg"]
    for number, path in enumerate([*under, "/p.jpg", "/p2/a.jpg", "/o/a.jpg", "/P/a"]):
        _write(store, f"{9 - number}", path=path, generation=number)
    _write(store, "bobs", user_id="bob", path="/p/bob.jpg")
    found = itertools.islice(store.photos_under("ada", "/p/"), 99)
    assert list(found) == [(path, number) for number, path in enumerate(under)]
    assert list(store.photos_under("ada", "/q/")) == []


def test_photo_is_found_by_its_address(store: SqliteStore) -> None:
    _write(store, "a", MAY_2, path="gs://b/users/ada/photos/a.jpg")
    assert store.find_path("ada", "gs://b/users/ada/photos/a.jpg") == ("a", MAY_2)
    assert store.find_path("ada", "gs://b/users/ada/photos/A.jpg") is None
    assert store.find_path("bob", "gs://b/users/ada/photos/a.jpg") is None


def test_only_expired_and_settled_tombstones_are_forgotten(store: SqliteStore) -> None:
    for id_ in ("fresh", "old", "old waiting"):
        _write(store, id_)
        store.remove("ada", id_, 10)
        if id_ != "old waiting":
            store.settle("ada", MAY_1, _nothing)
    expires = datetime.fromisoformat(_row(store, "tombstones", "fresh")["expires_at"])
    # Pub/Sub keeps a message for 31 days at most.
    assert expires > datetime.now(UTC) + timedelta(days=31)
    store._db.execute(
        "UPDATE tombstones SET expires_at = ? WHERE id <> 'fresh'",
        ((datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds"),),
    )
    store.prepare()
    left = [row["id"] for row in _rows(store, "tombstones")]
    assert left == ["fresh", "old waiting"]
    store.settle("ada", MAY_1, _nothing)
    store.prepare()
    assert [row["id"] for row in _rows(store, "tombstones")] == ["fresh"]


def test_counts_are_of_one_user(store: SqliteStore) -> None:
    for id_, verdicts in {
        "a": _verdicts(shaken=True, dark=True),
        "b": _verdicts(screenshot=True),
        "c": _verdicts(dark=True),
        "d": _verdicts(),
    }.items():
        store.write(_meta(id_, bytes=ord(id_)), _SCORES, _judge(verdicts))
    store.write(_meta("e", user_id="bob"), _SCORES, _judge(_verdicts(shaken=True)))
    member = DayOutcome(similar_group="c", similar_kind="shot", keeper="c")
    copy = dataclasses.replace(member, delete=True, similar=True)
    outcomes = {"b": DayOutcome(delete=True), "c": member, "d": copy}
    store.settle("ada", MAY_1, lambda _: outcomes)
    assert store.counts("ada") == {
        "photos": 4,
        "recommended": 2,
        "recommended_bytes": ord("b") + ord("d"),
        "shaken": 1,
        "dark": 2,
        "screenshot": 1,
        "similar": 1,
        "groups": 1,
        "with_tags": 0,
    }
    assert set(store.counts("nobody").values()) == {0}


# Cost.


def _steps_to_settle(path: Path, others: int) -> int:
    """What SQLite does to settle one of many days that wait."""
    with closing(SqliteStore(path)) as store:
        for number in range(others):
            date = f"2023-01-{number % 28 + 1:02d}"
            _write(store, f"other{number}", date)
            _write(store, f"gone{number}", date)
            store.remove("ada", f"gone{number}", 10)
        for id_ in "abc":
            _write(store, id_)
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        store._db.set_progress_handler(count, 1)
        store.settle("ada", MAY_1, _all_similar)
        return steps


def test_settling_a_day_costs_the_same_among_many_others(tmp_path: Path) -> None:
    few = _steps_to_settle(tmp_path / "few.db", 10)
    many = _steps_to_settle(tmp_path / "many.db", 300)
    assert many < 1.5 * few


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.state("ada", "a"),
        lambda store: _write(store, "b", MAY_2, generation=11),
        lambda store: store.remove("ada", "a", 11),
        lambda store: store.rejudge("ada", "a", 10, _judge()),
        lambda store: store.decide("ada", "a", "keep"),
        lambda store: store.day("ada", MAY_1),
        lambda store: store.settle("ada", MAY_1, _all_similar),
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
        _write(store, id_)
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


if __name__ == "__main__":
    _write_many(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))


def test_closing_waits_for_what_another_thread_does(tmp_path) -> None:
    # In a process of its own: without the wait it would crash.
    script = """
import sys, threading, time
from pathlib import Path
from store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
def read():
    try:
        while True:
            store.counts("me"), store.day("me", "2024-05-01"), store.prepare()
    except Exception as err:
        sys.stdout.write(type(err).__name__ + chr(10))
threads = [threading.Thread(target=read) for _ in range(3)]
[thread.start() for thread in threads]
time.sleep(0.3)
store.close()
[thread.join() for thread in threads]
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "piccl.db"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.split() == ["ProgrammingError"] * 3


@pytest.fixture
def group(store: SqliteStore) -> SqliteStore:
    """A settled group of a, b and c that keeps a and recommends the others."""
    for name in "abc":
        _write(store, name)
    outcomes = {
        name: DayOutcome(
            delete=name != "a", similar=name != "a", similar_group="a", keeper="a"
        )
        for name in "abc"
    }
    store.settle("ada", MAY_1, lambda _: outcomes)
    assert _recommended(store) == ["b", "c"]
    return store


def _recommended(store: SqliteStore) -> list[str]:
    return [row["id"] for row in _rows(store, "photos") if row["delete"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.remove("ada", "a", 10),
        lambda store: store.decide("ada", "a", "trash"),
        lambda store: _write(store, "a", generation=11),
        lambda store: _write(store, "a", generation=11, date=MAY_2),
        lambda store: store.rejudge("ada", "a", 10, _judge()),
    ],
    ids=["removed", "trashed", "overwritten", "moved", "rejudged"],
)
def test_no_group_stands_recommended_without_its_keeper(group, change) -> None:
    change(group)
    assert _recommended(group) == []
    assert (("ada", MAY_1)) in group.pending_days("ada")


def test_a_photo_that_is_kept_is_recommended_no_longer(group) -> None:
    group.decide("ada", "b", "keep")
    assert _recommended(group) == ["c"]


def test_a_member_that_goes_leaves_the_others_as_they_are(group) -> None:
    group.remove("ada", "c", 10)
    assert _recommended(group) == ["b"]


def test_a_file_that_can_not_be_written_is_said_so(store: SqliteStore) -> None:
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="can not write"):
        store.prepare()
