"""Taking photos out of the library, and that a group never loses its last one."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from store.interface import Store
from store.records import DayOutcome, DayPhoto, Decision, Trashed, TrashRefusedError
from store.search import PhotoQuery
from tests.store.samples import CAT, MAY_1, MAY_2, pending
from tests.store.tables import Tables
from tests.store.trash_samples import (
    TRASHED_AT,
    by_letter,
    put,
    request,
    restore,
    settle,
    trash,
)


def _refusal(store: Store, tables: Tables, *ids: str, **request_: Any) -> str:
    """Why a unit may not be trashed; nothing of it was."""
    before = tables.everything()
    with pytest.raises(TrashRefusedError) as refused:
        store.trash("ada", [request(id_, "refused", **request_) for id_ in ids])
    assert tables.everything() == before
    return str(refused.value)


def _record(store: Store, id_: str, run: str = "r1") -> Trashed:
    (found,) = (one for one in store.trashed("ada", run=run) if one.id == id_)
    return found


def _kept_for(tables: Tables) -> dict[str, int]:
    return {row["id"]: row["kept_for"] for row in tables.rows("photos", "ada")}


def _recommended(tables: Tables) -> list[str]:
    return [row["id"] for row in tables.rows("photos", "ada") if row["delete"]]


# The first step.


def test_photo_is_decided_trash_and_recommended_no_more(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    before = tables.everything()
    assert _recommended(tables) == ["a2", "a3"]
    store.trash("ada", [request("a2", unit="u", reasons={"similar", "dark"})])
    assert _recommended(tables) == ["a3"]
    after = tables.everything()
    assert tables.row("photos", "a2") == {
        **before["photos"][1],
        "decision": "trash",
        "delete": 0,
        "pending_dates": [MAY_1],
    }
    assert tables.row("photos", "a1") == {**before["photos"][0], "kept_for": 1}
    assert tables.row("photos", "a3") == before["photos"][2]
    for table in ("users", "tags", "deletions", "tombstones"):
        assert after[table] == before[table]
    assert store.pending_days() == [("ada", MAY_1)]


def test_record_tells_how_to_undo_it(store: Store) -> None:
    put(store, "a1", "a2")
    settle(store)
    asked = request("a2", unit="u", reasons={"similar"})
    store.trash("ada", [asked])
    (record,) = store.trashed("ada")
    assert dataclasses.replace(record, files=list(record.files)) == Trashed(
        user_id="ada",
        run="r1",
        id="a2",
        unit="u",
        state="moving",
        trashed_at=TRASHED_AT,
        reason="similar",
        title="a2.jpg",
        date=MAY_1,
        files=list(asked.files),
        kept="a1",
        kept_sha256="sha of a1",
    )


def _finish(store: Store) -> None:
    assert store.finish_trash("ada", "r1", "a2")


def _begin_restore(store: Store) -> None:
    store.begin_restore("ada", "r1", "a2")


def _begin_purge(store: Store) -> None:
    _finish(store)
    store.begin_purge("ada", "r1", "a2")


@pytest.mark.parametrize(
    "then",
    [lambda store: None, _finish, _begin_restore, _begin_purge],
    ids=["moving", "trashed", "restoring", "purging"],
)
def test_asking_again_changes_nothing(
    store: Store, tables: Tables, then: Callable[[Store], None]
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    unit = [request("a2", reasons={"similar"}), request("a3", reasons={"similar"})]
    store.trash("ada", unit)
    then(store)
    before = tables.everything()
    store.trash("ada", unit)
    assert tables.everything() == before


@pytest.mark.parametrize(
    ("change", "asked", "why"),
    [
        (lambda store: store.remove("ada", "a2", 10), {}, "gone"),
        (lambda store: None, {"generation": 9}, "changed"),
        (lambda store: None, {"sha256": "other"}, "changed"),
        (
            lambda store: put(store, "a2", generation=11, sha256="other"),
            {"reasons": {"similar"}},
            "changed",
        ),
        (lambda store: None, {"reasons": {"dark", "shaken"}}, "not recommended"),
        (lambda store: None, {"reasons": {"decided"}}, "not recommended"),
        (lambda store: None, {"reasons": set()}, "not recommended"),
        (
            lambda store: store.decide("ada", "a1", None),
            {"reasons": {"similar"}},
            "not recommended",
        ),
        (
            lambda store: store.decide("ada", "a2", "keep"),
            {"reasons": {"similar", "decided"}},
            "kept",
        ),
        (
            lambda store: store.decide("ada", "a2", "trash"),
            {"reasons": {"similar"}},
            "not recommended",
        ),
    ],
    ids=[
        "gone",
        "other generation",
        "other bytes",
        "overwritten",
        "other reasons",
        "not decided",
        "no reason",
        "recommended no more",
        "decided keep",
        "decided trash",
    ],
)
def test_photo_that_is_not_as_it_was_judged_is_refused(
    store: Store,
    tables: Tables,
    change: Callable[[Store], None],
    asked: dict[str, Any],
    why: str,
) -> None:
    put(store, "a1", "a2", "a3")
    put(store, "a2", user_id="bob", sha256="other", generation=9)
    settle(store)
    change(store)
    assert why in _refusal(store, tables, "a2", **asked)


def test_photo_that_never_was_is_refused(store: Store, tables: Tables) -> None:
    put(store, "a1", user_id="bob")
    assert "gone" in _refusal(store, tables, "a1")


@pytest.mark.parametrize("reason", ["shaken", "dark", "screenshot"])
def test_each_reason_counts_by_itself(
    store: Store, tables: Tables, reason: str
) -> None:
    put(store, "a1", reason=reason)
    settle(store)
    others = {"similar", "shaken", "dark", "screenshot"} - {reason}
    _refusal(store, tables, "a1", reasons=others)
    store.trash("ada", [request("a1", reasons={reason})])
    assert _record(store, "a1").kept is None


def test_keeper_is_trashed_for_no_reason(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", reason="dark")
    settle(store)
    _refusal(store, tables, "a1", reasons={"similar", "dark"})


@pytest.mark.parametrize("decision", ["keep", "trash", None])
def test_the_user_needs_no_reason(store: Store, decision: Decision | None) -> None:
    put(store, "a1", "b1", "b2")
    settle(store)
    for id_ in ("a1", "b2"):
        store.decide("ada", id_, decision)
        store.trash("ada", [request(id_)])
    assert [(one.id, one.kept) for one in store.trashed("ada")] == [
        ("a1", None),
        ("b2", "b1"),
    ]


def test_what_an_app_decided_is_a_reason(store: Store) -> None:
    put(store, "a1", "b1", "b2")
    settle(store)
    for id_ in ("a1", "b2"):
        store.decide("ada", id_, "trash")
        store.trash("ada", [request(id_, reasons={"dark", "decided"})])
    assert len(list(store.trashed("ada", state="moving"))) == 2


def test_photo_that_was_written_and_not_grouped_since_is_refused(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2")
    assert "to be grouped" in _refusal(store, tables, "a1")
    settle(store)
    # It was analysed again, and is in no group for now.
    put(store, "a2")
    assert "to be grouped" in _refusal(store, tables, "a2")
    assert "last" in _refusal(store, tables, "a1")
    settle(store)
    trash(store, "a2")


@pytest.mark.parametrize("state", ["moving", "restoring"])
def test_photo_that_another_run_moves_is_refused(
    store: Store, tables: Tables, state: str
) -> None:
    put(store, "a1")
    settle(store)
    store.trash("ada", [request("a1")])
    if state == "restoring":
        store.begin_restore("ada", "r1", "a1")
    assert "moved" in _refusal(store, tables, "a1")
    assert "moved" in _refusal(store, tables, "a1", reasons={"decided"})


def test_photo_may_be_trashed_again_under_the_name_of_one_in_the_trash(
    store: Store,
) -> None:
    put(store, "a1")
    settle(store)
    trash(store, "a1")
    put(store, "a1", generation=11, sha256="other")
    settle(store)
    store.trash("ada", [request("a1", "r2", generation=11, sha256="other")])
    assert store.finish_trash("ada", "r2", "a1")
    assert [one.run for one in store.trashed("ada")] == ["r1", "r2"]


def test_other_users_keep_what_they_have(store: Store, tables: Tables) -> None:
    for user_id in ("ada", "bob"):
        put(store, "a1", "a2", "a3", user_id=user_id)
        settle(store, user_id)
    store.trash("bob", [request("a3")])

    def of_bob() -> list[list[dict[str, Any]]]:
        return [
            tables.rows(table, "bob")
            for table in ("photos", "tags", "deletions", "tombstones", "trash")
        ]

    before = of_bob()
    trash(store, "a2", "a3")
    store.begin_purge("ada", "r1", "a2")
    store.finish_purge("ada", "r1", "a2")
    restore(store, "a3")
    assert of_bob() == before
    assert [one.id for one in store.trashed("bob")] == ["a3"]
    assert list(store.trashed("nobody")) == []


# The rule of the group.


def test_last_of_a_group_is_refused(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    trash(store, "a2", "a3")
    assert "last" in _refusal(store, tables, "a1")
    settle(store)
    # It is in no group by now.
    assert tables.row("deletions", "a1")["similar_group"] is None
    assert "last" in _refusal(store, tables, "a1")
    assert _kept_for(tables) == {"a1": 2}


@pytest.mark.parametrize(
    "leave",
    [
        lambda store: store.decide("ada", "a1", "trash"),
        lambda store: store.remove("ada", "a1", 10),
        lambda store: put(store, "a1", generation=11, sha256="other"),
        lambda store: put(store, "a1", generation=11, date=MAY_2),
        lambda store: store.trash("ada", [request("a1")]),
        lambda store: trash(store, "a1"),
    ],
    ids=["decided", "removed", "overwritten", "of another day", "moving", "trashed"],
)
def test_only_who_is_there_and_stays_counts_as_another(
    store: Store, tables: Tables, leave: Callable[[Store], None]
) -> None:
    put(store, "a1", "a2")
    settle(store)
    leave(store)
    assert "last" in _refusal(store, tables, "a2")


def test_group_of_the_same_name_on_another_day_is_another(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2")
    settle(store)
    put(store, "a1", generation=11, date=MAY_2)
    put(store, "a3", date=MAY_2)
    store.settle("ada", MAY_2, by_letter)
    rows = tables.rows("deletions")
    assert {row["similar_group"] for row in rows} == {"a"}
    assert "last" in _refusal(store, tables, "a2")


def test_the_keeper_stays_or_else_the_first(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", "a3", "a4", "a5")
    store.decide("ada", "a4", "keep")
    settle(store)
    trash(store, "a5")
    assert _record(store, "a5").kept == "a4"
    store.decide("ada", "a1", "trash")
    trash(store, "a4")
    record = _record(store, "a4")
    assert (record.kept, record.kept_sha256) == ("a2", "sha of a2")
    assert _kept_for(tables) == {"a1": 0, "a2": 2, "a3": 0}


def test_without_its_keeper_no_photo_of_a_group_is_recommended(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    store.trash("ada", [request("a1")])
    assert _recommended(tables) == []
    assert _record(store, "a1").kept == "a2"
    # Also if the day was settled meanwhile.
    settle(store)
    assert _recommended(tables)[-1:] == ["a3"]
    assert store.finish_trash("ada", "r1", "a1")
    settle(store)
    assert _recommended(tables) == ["a3"]


def test_what_a_photo_stayed_for_passes_on_to_the_next(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3", "a4", "b1", "b2")
    settle(store)
    trash(store, "a3", "a4", "b2")
    settle(store)
    assert _kept_for(tables) == {"a1": 2, "a2": 0, "b1": 1}
    store.trash("ada", [request("a1", "r2")])
    assert _kept_for(tables) == {"a1": 0, "a2": 3, "b1": 1}
    assert {(one.id, one.kept, one.kept_sha256) for one in store.trashed("ada")} == {
        ("a1", "a2", "sha of a2"),
        ("a3", "a2", "sha of a2"),
        ("a4", "a2", "sha of a2"),
        ("b2", "b1", "sha of b1"),
    }
    store.finish_trash("ada", "r2", "a1")
    assert _kept_for(tables) == {"a2": 3, "b1": 1}


def test_what_other_bytes_stayed_for_does_not_pass_on(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    trash(store, "a3")
    put(store, "a1", generation=11, sha256="other")
    settle(store)
    assert _kept_for(tables) == {"a1": 0, "a2": 0}
    store.trash("ada", [request("a1", "r2", generation=11, sha256="other")])
    record = _record(store, "a3")
    assert (record.kept, record.kept_sha256) == ("a1", "sha of a1")
    assert _kept_for(tables) == {"a1": 0, "a2": 1}


def test_of_a_unit_each_photo_is_counted_and_none_stays(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3", "b1", "b2", "c1")
    settle(store)
    ids = ["a1", "a2", "b1", "c1"]
    store.trash("ada", [request(id_, unit="a1") for id_ in ids])
    assert {one.id: (one.unit, one.kept) for one in store.trashed("ada")} == {
        "a1": ("a1", "a3"),
        "a2": ("a1", "a3"),
        "b1": ("a1", "b2"),
        "c1": ("a1", None),
    }
    assert {id_: count for id_, count in _kept_for(tables).items() if count} == {
        "a3": 2,
        "b2": 1,
    }


def test_unit_is_trashed_as_one_or_not_at_all(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", "b1", "b2", "c1")
    settle(store)
    trash(store, "a2")
    assert "last" in _refusal(store, tables, "a1", "c1")
    assert "last" in _refusal(store, tables, "c1", "b1", "b2", "a1")
    restore(store, "a2")
    settle(store)
    assert "not recommended" in _refusal(store, tables, "a2", "b1", reasons={"similar"})


def test_unit_of_a_keeper_and_another_is_judged_before_it_changes(
    store: Store,
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    # What is done to the keeper takes back what is recommended of the other.
    store.trash(
        "ada", [request("a1", unit="a1"), request("a2", reasons={"similar"}, unit="a1")]
    )
    assert [one.kept for one in store.trashed("ada")] == ["a3", "a3"]


@pytest.mark.parametrize("decision", ["keep", None])
def test_unit_that_is_a_whole_group_is_one_shot(
    store: Store, tables: Tables, decision: Decision | None
) -> None:
    put(store, "a1", "a2", "b1", "b2", "c1")
    store.decide("ada", "a2", decision)
    settle(store)
    before = tables.everything()
    # Also beside one of another group, and one of none.
    ids = ["a1", "a2", "b2", "c1"]
    store.trash("ada", [request(id_, unit="a1") for id_ in ids])
    assert {one.id: one.kept for one in store.trashed("ada")} == {
        "a1": None,
        "a2": None,
        "b2": "b1",
        "c1": None,
    }
    for id_ in ids:
        assert store.finish_trash("ada", "r1", id_)
    settle(store)
    assert _kept_for(tables) == {"b1": 1}
    for id_ in ids:
        restore(store, id_)
    settle(store)
    assert tables.everything() == before
    # Nothing has to stay for it when it is deleted for good.
    store.trash("ada", [request(id_, "r2", unit="a1") for id_ in ("a1", "a2")])
    for id_ in ("a1", "a2"):
        assert store.finish_trash("ada", "r2", id_)
        assert store.begin_purge("ada", "r2", id_) is not None


def test_photos_of_two_names_are_not_one_shot(store: Store, tables: Tables) -> None:
    put(store, "a1", path="/photos/a.jpg")
    put(store, "a2", path="/photos/b.dng")
    settle(store)
    assert "last of its group" in _refusal(store, tables, "a1", "a2")


def test_what_an_app_decided_of_a_whole_group_is_one_shot(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", reason="dark")
    settle(store)
    reasons = {"similar", "dark"}
    assert "not recommended" in _refusal(store, tables, "a1", "a2", reasons=reasons)
    for id_ in ("a1", "a2"):
        store.decide("ada", id_, "trash")
    settle(store)
    unit = [request(id_, reasons={"decided"}, unit="a1") for id_ in ("a1", "a2")]
    store.trash("ada", unit)
    assert [one.kept for one in store.trashed("ada")] == [None, None]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda store: store.decide("ada", "a3", "trash"), "last"),
        (lambda store: store.trash("ada", [request("a3")]), "last"),
        (lambda store: trash(store, "a3"), "last"),
        (lambda store: (trash(store, "a3"), settle(store)), "last"),
        # Of the group by its look, and not in it yet.
        (lambda store: put(store, "a3"), "to be grouped"),
        (lambda store: (trash(store, "a3"), restore(store, "a3")), "to be grouped"),
        (
            lambda store: (
                store.remove("ada", "a3", 10),
                settle(store),
                put(store, "b1"),
            ),
            "to be grouped",
        ),
    ],
    ids=[
        "decided",
        "moving",
        "trashed",
        "trashed and settled",
        "analysed again",
        "restored",
        "added",
    ],
)
def test_unit_is_not_one_shot_of_a_group_that_has_or_had_more(
    store: Store, tables: Tables, change: Callable[[Store], object], why: str
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    change(store)
    assert why in _refusal(store, tables, "a1", "a2")


def test_unit_is_one_shot_whatever_waits_on_that_day_or_is_of_another(
    store: Store,
) -> None:
    put(store, "a1", "a2", "a3", "b1", "b2", "c1")
    settle(store)
    put(store, "a3", date=MAY_2)
    # Nothing of this leaves a group that is not known.
    store.decide("ada", "c1", "keep")
    trash(store, "b2")
    store.trash("ada", [request("a1", unit="a1"), request("a2", unit="a1")])
    assert {one.id: one.kept for one in store.trashed("ada", state="moving")} == {
        "a1": None,
        "a2": None,
    }


def test_the_same_bytes_stay_for_others_and_no_other_bytes_do(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    put(store, "a1")
    assert _kept_for(tables) == {"a1": 1}
    put(store, "a1", generation=11, date=MAY_2)
    assert _kept_for(tables) == {"a1": 1}
    store.remove("ada", "a1", 11)
    store.remove("ada", "a1", 12)
    put(store, "a1", generation=13)
    assert _kept_for(tables) == {"a1": 1}
    put(store, "a1", generation=14, sha256="other")
    assert _kept_for(tables) == {"a1": 0}


def test_the_day_tells_what_a_photo_stays_for(store: Store) -> None:
    put(store, "a1", "a2", "a3", reason="dark")
    settle(store)
    trash(store, "a2", "a3")
    settle(store)
    (photo,) = store.day("ada", MAY_1)
    assert photo.kept_for == 2
    assert not photo.outcome.delete


# The last step.


def test_rows_leave_the_tables(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2")
    settle(store)
    before = tables.everything()
    store.trash("ada", [request("a2")])
    assert store.finish_trash("ada", "r1", "a2")
    for table in ("photos", "tags", "deletions"):
        assert [row["id"] for row in tables.rows(table)] == ["a1"]
    assert tables.rows("tags") == before["tags"][:1]
    tombstone = tables.row("tombstones", "a2")
    del tombstone["expires_at"]
    assert tombstone == {
        "id": "a2",
        "user_id": "ada",
        "generation": 10,
        "decision": None,
        "sha256": "sha of a2",
        "kept_for": 0,
        "pending_dates": [MAY_1],
    }
    assert _record(store, "a2").state == "trashed"
    assert [row["id"] for row in store.search(PhotoQuery("ada"))] == ["a1"]
    assert store.counts("ada")["photos"] == 1
    assert store.pending_days() == [("ada", MAY_1)]
    with pytest.raises(KeyError):
        store.decide("ada", "a2", "keep")


def test_what_the_trashed_was_the_keeper_of_since_is_recommended_no_more(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    store.trash("ada", [request("a1")])
    # As the day may be written by who read it before.
    store.settle("ada", MAY_1, _undecided)
    assert _recommended(tables) == ["a2", "a3"]
    assert store.finish_trash("ada", "r1", "a1")
    assert _recommended(tables) == []


def _undecided(photos: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    return by_letter([dataclasses.replace(one, decision=None) for one in photos])


def test_finishing_again_changes_nothing(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    before = tables.everything()
    assert store.finish_trash("ada", "r1", "a2")
    assert tables.everything() == before
    store.begin_purge("ada", "r1", "a2")
    before = tables.everything()
    assert store.finish_trash("ada", "r1", "a2")
    assert tables.everything() == before


def test_what_is_being_restored_is_not_trashed(store: Store, tables: Tables) -> None:
    put(store, "a1")
    settle(store)
    store.trash("ada", [request("a1")])
    store.begin_restore("ada", "r1", "a1")
    before = tables.everything()
    assert not store.finish_trash("ada", "r1", "a1")
    assert tables.everything() == before


@pytest.mark.parametrize("decision", ["keep", None])
@pytest.mark.parametrize("removed", [False, True])
def test_who_decides_otherwise_meanwhile_gets_it_back(
    store: Store, tables: Tables, decision: Decision | None, removed: bool
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.trash("ada", [request("a2")])
    store.decide("ada", "a2", decision)
    if removed:
        # The file was moved, which is announced as its end.
        store.remove("ada", "a2", 10)
    before = tables.everything()
    assert not store.finish_trash("ada", "r1", "a2")
    assert tables.everything() == before
    restore(store, "a2", generation=11)
    photo = tables.row("photos", "a2")
    assert (photo["decision"], photo["generation"]) == (decision, 11)
    assert _kept_for(tables) == {"a1": 0, "a2": 0}
    assert tables.rows("trash") == []


@pytest.mark.parametrize("removed", [False, True])
def test_what_others_were_trashed_for_meanwhile_is_to_come_back(
    store: Store, tables: Tables, removed: bool
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.trash("ada", [request("a1")])
    store.decide("ada", "a1", "keep")
    trash(store, "a2", run="r2")
    store.decide("ada", "a1", "trash")
    if removed:
        store.remove("ada", "a1", 10)
    assert not store.finish_trash("ada", "r1", "a1")
    restore(store, "a1")
    assert _kept_for(tables) == {"a1": 1}
    settle(store)
    assert "last" in _refusal(store, tables, "a1")


def test_removal_that_is_announced_meanwhile_is_no_matter(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.trash("ada", [request("a2")])
    assert store.remove("ada", "a2", 10) == {MAY_1}
    assert tables.row("tombstones", "a2")["decision"] == "trash"
    assert store.finish_trash("ada", "r1", "a2")
    assert tables.row("tombstones", "a2")["decision"] is None
    assert pending(store, "a2") == {MAY_1}
    assert _record(store, "a2").state == "trashed"


@pytest.mark.parametrize("sha256", ["other", "sha of a2"], ids=["other", "same"])
@pytest.mark.parametrize("removed", [False, True])
def test_newer_version_stays(
    store: Store, tables: Tables, sha256: str, removed: bool
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.trash("ada", [request("a2")])
    put(store, "a2", date=MAY_2, generation=11, sha256=sha256)
    if removed:
        store.remove("ada", "a2", 11)
    assert store.finish_trash("ada", "r1", "a2")
    row = tables.row("tombstones" if removed else "photos", "a2")
    assert (row["generation"], row["sha256"]) == (11, sha256)
    # The decision went with what it was said of.
    assert row["decision"] is None
    assert pending(store, "a2") == {MAY_1, MAY_2}
    assert _record(store, "a2").state == "trashed"


def test_late_event_resurrects_nothing_and_a_later_photo_starts_anew(
    store: Store, tables: Tables
) -> None:
    put(store, "a1")
    settle(store)
    store.decide("ada", "a1", "keep")
    trash(store, "a1")
    before = tables.everything()
    put(store, "a1")
    store.remove("ada", "a1", 10)
    assert tables.everything() == before
    put(store, "a1", generation=11)
    photo = tables.row("photos", "a1")
    assert (photo["decision"], photo["kept_for"]) == (None, 0)
    assert len(list(store.trashed("ada"))) == 1


def test_steps_of_what_is_not_in_the_trash_do_nothing(
    store: Store, tables: Tables
) -> None:
    put(store, "a1")
    before = tables.everything()
    # Who has moved it just now puts it back: another command restored it.
    assert not store.finish_trash("ada", "r1", "a1")
    assert store.begin_restore("ada", "r1", "a1") is None
    store.finish_restore("ada", "r1", "a1", 10)
    assert store.begin_purge("ada", "r1", "a1") is None
    store.finish_purge("ada", "r1", "a1")
    assert tables.everything() == before


# What is in the trash.


def test_trash_is_told_in_order_and_by_run_state_and_time(store: Store) -> None:
    put(store, "a1", "b1", "c1", "d1", "e1")
    settle(store)
    for id_, run, minute in [
        ("e1", "r1", 1),
        ("d1", "r1", 3),
        ("b1", "r2", 2),
        ("c1", "r2", 2),
        ("a1", "r3", 2),
    ]:
        asked = request(id_, run, trashed_at=f"2026-11-23T03:0{minute}:00Z")
        store.trash("ada", [asked])
        if id_ in "b1 d1":
            store.finish_trash("ada", run, id_)

    def told(**conditions: Any) -> str:
        return " ".join(one.id for one in store.trashed("ada", **conditions))

    assert told() == "e1 b1 c1 a1 d1"
    assert told(run="r1") == "e1 d1"
    assert told(run="r2") == "b1 c1"
    assert told(run="r9") == ""
    assert told(state="trashed") == "b1 d1"
    assert told(state="moving") == "e1 c1 a1"
    assert told(state="purging") == ""
    assert told(before="2026-11-23T03:02:00Z") == "e1"
    assert told(before="2026-11-23T03:02:01Z") == "e1 b1 c1 a1"
    assert told(run="r1", state="trashed", before="2026-11-23T03:03:00Z") == ""
    assert told(run="r1", state="trashed", before="2026-11-23T03:03:01Z") == "d1"


def test_trash_may_be_emptied_while_it_is_told(store: Store, tables: Tables) -> None:
    ids = ["a1", "b1", "c1"]
    put(store, *ids)
    settle(store)
    trash(store, *ids)
    for record in store.trashed("ada"):
        with pytest.raises(TrashRefusedError):
            store.trash("ada", [request(record.id, "r2")])
        restore(store, record.id)
    assert [row["id"] for row in tables.rows("photos")] == ids
    assert CAT.objects in {row["objects"] for row in tables.rows("tags")}
