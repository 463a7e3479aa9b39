"""Putting photos back out of the trash."""

from collections.abc import Callable
from typing import Any

import pytest

from store.interface import Store
from store.records import Decision, TrashRefusedError
from tests.store.samples import MAY_1, MAY_2, SCORES, make_judge, make_meta, pending
from tests.store.tables import Tables
from tests.store.trash_samples import (
    by_letter,
    put,
    request,
    restore,
    settle,
    trash,
)


def _library(store: Store) -> None:
    """Photos of all kinds, settled."""
    put(store, "a1", "a2", "a3", "b1", "b2")
    put(store, "c1", reason="dark", latitude=None, longitude=None)
    put(store, "d1", date=MAY_2, damaged=True, sharpness=None)
    # No detector looked.
    plain = make_meta("e1", descriptor=b"", sha256="sha of e1")
    store.write(plain, SCORES, make_judge())
    put(store, "a1", "a2", user_id="bob")
    settle(store)
    settle(store, "bob")


@pytest.mark.parametrize(
    "ids",
    [["a2"], ["a1"], ["a1", "a2"], ["a3", "b1"], ["c1"], ["d1"], ["e1"]],
    ids=" ".join,
)
@pytest.mark.parametrize("as_one", [True, False], ids=["unit", "one by one"])
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "at once"])
def test_all_is_as_before(
    store: Store, tables: Tables, ids: list[str], as_one: bool, settled: bool
) -> None:
    _library(store)
    before = tables.everything()
    if as_one:
        store.trash("ada", [request(id_, unit=ids[0]) for id_ in ids])
        for id_ in ids:
            assert store.finish_trash("ada", "r1", id_)
    else:
        trash(store, *ids)
    if settled:
        settle(store)
    for id_ in ids:
        restore(store, id_)
    settle(store)
    assert tables.everything() == before


def test_it_is_not_grouped_until_its_day_is(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    settle(store)
    restore(store, "a2", generation=12)
    photo, deletion = tables.row("photos", "a2"), tables.row("deletions", "a2")
    assert (photo["delete"], photo["generation"]) == (0, 12)
    assert photo["pending_dates"] == [MAY_1]
    assert {
        deletion[name]
        for name in ("similar_group", "similar_kind", "keeper", "grouped_by")
    } == {None}
    assert tables.rows("tombstones") == tables.rows("trash") == []
    assert store.pending_days() == [("ada", MAY_1)]
    # Its keeper is not decided on before that.
    with pytest.raises(TrashRefusedError, match="to be grouped"):
        store.trash("ada", [request("a2", "r2", generation=12)])


@pytest.mark.parametrize(
    ("before", "after"), [("keep", "keep"), ("trash", None), (None, None)]
)
def test_decision_is_as_before_but_never_trash(
    store: Store, tables: Tables, before: Decision | None, after: Decision | None
) -> None:
    put(store, "a1")
    settle(store)
    store.decide("ada", "a1", before)
    trash(store, "a1")
    restore(store, "a1")
    assert tables.row("photos", "a1")["decision"] == after


@pytest.mark.parametrize(
    ("before", "after"), [("keep", "keep"), ("trash", None), (None, None)]
)
def test_photo_that_was_not_moved_yet_stays(
    store: Store, tables: Tables, before: Decision | None, after: Decision | None
) -> None:
    put(store, "a1", "a2", "a3")
    store.decide("ada", "a2", before)
    settle(store)
    rows = tables.row("tags", "a2"), tables.row("photos", "a1")
    store.trash("ada", [request("a2")])
    settle(store)
    restore(store, "a2")
    photo = tables.row("photos", "a2")
    assert (photo["decision"], photo["delete"], photo["generation"]) == (after, 0, 10)
    assert pending(store, "a2") == {MAY_1}
    settle(store)
    assert (tables.row("tags", "a2"), tables.row("photos", "a1")) == rows
    assert tables.rows("trash") == []


def test_copy_of_an_object_that_was_not_removed_yet_has_its_own_generation(
    store: Store, tables: Tables
) -> None:
    put(store, "a1")
    settle(store)
    store.trash("ada", [request("a1")])
    restore(store, "a1", generation=15)
    assert tables.row("photos", "a1")["generation"] == 15


def test_each_step_may_be_repeated(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    trash(store, "a2", "a3")
    first = store.begin_restore("ada", "r1", "a2")
    assert first is not None
    assert first.state == "restoring"
    between = tables.everything()
    assert store.begin_restore("ada", "r1", "a2") == first
    assert tables.everything() == between
    assert list(store.trashed("ada", state="restoring")) == [first]
    store.finish_restore("ada", "r1", "a2", 12)
    after = tables.everything()
    store.finish_restore("ada", "r1", "a2", 12)
    assert store.begin_restore("ada", "r1", "a2") is None
    assert tables.everything() == after
    # One that stays for one more.
    assert tables.row("photos", "a1")["kept_for"] == 1


def test_what_was_not_announced_is_not_put_back(store: Store, tables: Tables) -> None:
    put(store, "a1")
    settle(store)
    trash(store, "a1")
    before = tables.everything()
    store.finish_restore("ada", "r1", "a1", 10)
    assert tables.everything() == before


def test_what_is_being_purged_does_not_come_back(store: Store, tables: Tables) -> None:
    put(store, "a1")
    settle(store)
    trash(store, "a1")
    store.begin_purge("ada", "r1", "a1")
    before = tables.everything()
    with pytest.raises(TrashRefusedError, match="deleted"):
        store.begin_restore("ada", "r1", "a1")
    store.finish_restore("ada", "r1", "a1", 10)
    assert tables.everything() == before


@pytest.mark.parametrize("generation", [9, 11])
def test_other_version_that_is_stored_stays(
    store: Store, tables: Tables, generation: int
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.decide("ada", "a2", "keep")
    trash(store, "a2")
    # A file may be replaced by an older one.
    meta = make_meta("a2", MAY_2, generation=generation, sha256="other")
    store.write(meta, SCORES, make_judge(), replaces=10)
    settle(store)
    before = tables.everything()
    restore(store, "a2", generation=12)
    after = tables.everything()
    assert after["photos"][1] == before["photos"][1]
    assert after["deletions"][1] == before["deletions"][1]
    for table in ("tags", "tombstones"):
        assert after[table] == before[table]
    assert after["photos"][0]["kept_for"] == 0
    assert after["trash"] == []


def test_version_that_came_and_went_meanwhile_is_no_matter(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2")
    settle(store)
    before = tables.everything()
    trash(store, "a2")
    put(store, "a2", date=MAY_2, generation=11, sha256="other")
    store.remove("ada", "a2", 11)
    restore(store, "a2")
    # The day of that version is not forgotten.
    assert pending(store, "a2") == {MAY_1, MAY_2}
    settle(store)
    assert tables.everything() == before


def test_removal_of_the_trashed_file_is_no_matter(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2")
    settle(store)
    before = tables.everything()
    store.trash("ada", [request("a2")])
    store.remove("ada", "a2", 10)
    assert store.finish_trash("ada", "r1", "a2")
    store.remove("ada", "a2", 10)
    restore(store, "a2")
    settle(store)
    assert tables.everything() == before


@pytest.mark.parametrize("first", [True, False])
def test_copy_that_is_announced_at_the_same_time_is_the_same_photo(
    store: Store, tables: Tables, first: bool
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.decide("ada", "a2", "keep")
    trash(store, "a2")
    store.begin_restore("ada", "r1", "a2")
    steps: list[Callable[[], object]] = [
        lambda: put(store, "a2", generation=12),
        lambda: store.finish_restore("ada", "r1", "a2", 12),
    ]
    for step in steps if first else reversed(steps):
        step()
    photo = tables.row("photos", "a2")
    assert (photo["decision"], photo["generation"]) == ("keep", 12)
    assert pending(store, "a2") == {MAY_1}
    assert tables.row("photos", "a1")["kept_for"] == 0
    settle(store)
    assert tables.row("deletions", "a2")["similar_group"] == "a"


@pytest.mark.parametrize("generation", [12, 13])
@pytest.mark.parametrize("known", [True, False], ids=["announced", "not announced"])
def test_what_was_removed_again_before_that_was_told_stays_away(
    store: Store, tables: Tables, generation: int, known: bool
) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    store.begin_restore("ada", "r1", "a2")
    if known:
        put(store, "a2", generation=12)
    # Of the copy that was moved back, or of one that came after it.
    store.remove("ada", "a2", generation)
    gone = tables.row("tombstones", "a2")
    store.finish_restore("ada", "r1", "a2", 12)
    assert [row["id"] for row in tables.rows("photos")] == ["a1"]
    assert tables.row("tombstones", "a2") == gone
    assert tables.rows("trash") == []
    assert _kept(tables)["kept_for"] == 0


def test_what_stayed_for_itself_and_is_gone_again_stays_for_none(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2")
    settle(store)
    store.trash("ada", [request("a2")])
    store.decide("ada", "a2", "keep")
    # What stayed for it goes, because it stays.
    store.trash("ada", [request("a1", "r2")])
    (record,) = store.trashed("ada", run="r1")
    assert record.kept == "a2"
    assert tables.row("photos", "a2")["kept_for"] == 2
    store.begin_restore("ada", "r1", "a2")
    store.remove("ada", "a2", 12)
    store.finish_restore("ada", "r1", "a2", 12)
    assert tables.row("tombstones", "a2")["kept_for"] == 1


# What stayed for it.


def _kept(tables: Tables) -> dict[str, Any]:
    return tables.row("photos", "a1")


def test_what_stayed_for_it_stays_for_one_less(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    trash(store, "a2", "a3")
    restore(store, "a3")
    assert _kept(tables)["kept_for"] == 1
    restore(store, "a2")
    assert _kept(tables)["kept_for"] == 0


def test_no_photo_stays_for_less_than_none(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    put(store, "a1", generation=11, sha256="other")
    put(store, "a1", generation=12)
    restore(store, "a2")
    assert _kept(tables)["kept_for"] == 0


def test_other_bytes_are_left_what_they_stay_for(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    trash(store, "a2")
    put(store, "a1", generation=11, sha256="other")
    settle(store)
    trash(store, "a3")
    assert _kept(tables)["kept_for"] == 1
    restore(store, "a2")
    assert _kept(tables)["kept_for"] == 1


def test_what_stayed_for_it_may_be_gone(store: Store, tables: Tables) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    store.remove("ada", "a1", 10)
    restore(store, "a2")
    assert [row["id"] for row in tables.rows("photos")] == ["a2"]


def test_what_stayed_for_it_may_be_recommended_again(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", reason="dark")
    settle(store)
    trash(store, "a2")
    # A camera's clock was put right.
    put(store, "a1", date=MAY_2, generation=11, reason="dark")
    settle(store)
    assert _kept(tables)["delete"] == 0
    restore(store, "a2")
    assert sorted(store.pending_days()) == [("ada", MAY_1), ("ada", MAY_2)]
    store.settle("ada", MAY_2, by_letter)
    assert _kept(tables)["delete"] == 1


def test_what_stayed_alone_is_not_trashed_before_both_are_grouped(
    store: Store,
) -> None:
    put(store, "a1", "a2")
    settle(store)
    trash(store, "a2")
    settle(store)
    restore(store, "a2")
    with pytest.raises(TrashRefusedError, match="to be grouped"):
        store.trash("ada", [request("a1", "r2")])
    settle(store)
    store.trash("ada", [request("a1", "r2")])
    with pytest.raises(TrashRefusedError, match="last"):
        store.trash("ada", [request("a2", "r2")])


def test_it_comes_back_after_what_stayed_for_it_was_trashed(
    store: Store, tables: Tables
) -> None:
    put(store, "a1", "a2", "a3")
    settle(store)
    before = tables.everything()
    trash(store, "a3")
    trash(store, "a1", run="r2")
    assert tables.row("photos", "a2")["kept_for"] == 2
    restore(store, "a3")
    assert tables.row("photos", "a2")["kept_for"] == 1
    restore(store, "a1", "r2")
    settle(store)
    assert tables.everything() == before
