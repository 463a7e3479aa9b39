import dataclasses
from datetime import timedelta

from store.interface import Store
from store.records import PhotoState, PhotoTags
from tests.store.samples import (
    MAY_1,
    MAY_2,
    MAY_3,
    SCORES,
    all_similar,
    make_judge,
    make_meta,
    make_verdicts,
    nothing,
    pending,
    write,
)
from tests.store.tables import Tables


def test_written_photo_fills_the_three_tables(store: Store, tables: Tables) -> None:
    assert write(store) == {MAY_1}
    photo = tables.row("photos")
    assert photo.pop("analysed_at").utcoffset() == timedelta(0)
    assert photo == dataclasses.asdict(make_meta()) | {
        "subject": "food",
        "features": None,
        "delete": 0,
        "decision": None,
        "pending_dates": [MAY_1],
        "kept_for": 0,
    }
    assert tables.row("tags") == dataclasses.asdict(PhotoTags()) | {
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
    assert tables.row("deletions") == dataclasses.asdict(make_verdicts()) | {
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
    assert tables.rows("users") == [{"id": "ada", "email": None}]


def test_writing_keeps_the_address_of_the_user(store: Store, tables: Tables) -> None:
    write(store)
    store.register("ada", "ada@example.org")
    write(store, "b")
    assert tables.rows("users") == [{"id": "ada", "email": "ada@example.org"}]


def test_unknown_photo_has_no_state(store: Store) -> None:
    write(store)
    assert store.state("ada", "b") is None
    assert store.state("bob", "a") is None


def test_state_tells_what_is_known(store: Store) -> None:
    write(store)
    assert store.state("ada", "a") == PhotoState(
        generation=10,
        removed=False,
        bytes=make_meta().bytes,
        fingerprint="f1",
        version="v1",
        detector=None,
        tags_version=None,
        grouped_by=None,
        pending_dates=frozenset({MAY_1}),
    )


def test_same_id_of_two_users_is_two_photos(store: Store, tables: Tables) -> None:
    write(store, title="one")
    write(store, title="two", user_id="bob")
    store.remove("bob", "a", 10)
    assert tables.row("photos")["title"] == "one"


def test_older_generation_changes_nothing(store: Store, tables: Tables) -> None:
    write(store, generation=10)
    before = tables.everything()
    assert write(store, date=MAY_2, generation=9, title="old") == {MAY_1}
    assert tables.everything() == before


def test_same_generation_is_analysed_again(store: Store, tables: Tables) -> None:
    write(store, fingerprint="f1", sharpness=7.5)
    store.write(
        make_meta(fingerprint="f2", sharpness=1.5),
        SCORES,
        make_judge(make_verdicts(shaken=True, version="v2"), PhotoTags()),
    )
    assert tables.row("photos")["fingerprint"] == "f2"
    assert tables.row("tags")["food"] is None
    assert tables.row("tags")["subject"] is None
    assert tables.row("deletions")["shaken"] == 1
    assert tables.row("deletions")["sharpness"] == 1.5


def test_newer_generation_replaces_all_columns(store: Store, tables: Tables) -> None:
    write(store)
    store.settle("ada", MAY_1, all_similar)
    for user_id in ("ada", "bob"):
        newer = make_meta(
            user_id=user_id,
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
        store.write(newer, SCORES, make_judge(make_verdicts(version="v2")))
    store.settle("ada", MAY_1, nothing)
    assert tables.documents("ada") == tables.documents("bob")


def test_nothing_is_recommended_before_the_day_is_regrouped(
    store: Store,
    tables: Tables,
) -> None:
    for id_ in "ab":
        write(store, id_)
    assert store.settle("ada", MAY_1, all_similar) == 2
    assert tables.row("photos", "b")["delete"] == 1
    store.write(make_meta("b"), SCORES, make_judge(make_verdicts(dark=True)))
    assert tables.row("photos", "b")["delete"] == 0
    outcome = tables.row("deletions", "b")
    assert outcome["similar"] == 0
    assert outcome["keeper"] is outcome["similar_group"] is None


def test_moved_photo_waits_for_both_days(store: Store) -> None:
    write(store, date=MAY_1)
    store.settle("ada", MAY_1, nothing)
    assert write(store, date=MAY_2, generation=11) == {MAY_1, MAY_2}
    assert write(store, date=MAY_3, generation=12) == {MAY_1, MAY_2, MAY_3}
    assert pending(store) == {MAY_1, MAY_2, MAY_3}
    store.settle("ada", MAY_2, nothing)
    assert pending(store) == {MAY_1, MAY_3}


def test_older_file_takes_the_place_of_the_known_one(
    store: Store, tables: Tables
) -> None:
    write(store, generation=10)
    assert write(store, date=MAY_2, generation=5, replaces=10) == {MAY_1, MAY_2}
    assert tables.row("photos")["generation"] == 5


def test_older_file_than_another_run_has_found_is_ignored(
    store: Store, tables: Tables
) -> None:
    write(store, generation=10)
    write(store, generation=20)
    before = tables.everything()
    write(store, generation=5, replaces=10)
    store.remove("ada", "a", 5, replaces=10)
    assert tables.everything() == before


# Users.


def test_registering_remembers_the_address(store: Store, tables: Tables) -> None:
    store.register("ada", "ada@example.org")
    store.register("bob", None)
    assert tables.rows("users") == [
        {"id": "ada", "email": "ada@example.org"},
        {"id": "bob", "email": None},
    ]


def test_registering_again_changes_an_address_that_is_given(
    store: Store, tables: Tables
) -> None:
    write(store)
    store.register("ada", "ada@example.org")
    store.register("ada", None)
    assert tables.rows("users") == [{"id": "ada", "email": "ada@example.org"}]
    store.register("ada", "ada@example.com")
    assert tables.rows("users") == [{"id": "ada", "email": "ada@example.com"}]
