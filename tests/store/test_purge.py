"""Forgetting photos of the trash for good."""

from collections.abc import Callable

import pytest

from store.interface import Store
from store.records import TrashRefusedError
from tests.store.tables import Tables
from tests.store.trash_samples import put, request, settle, trash


@pytest.fixture
def trashed(store: Store) -> Store:
    """Of a group a2 is in the trash, and a1 and a3 stay; b1 was in none."""
    put(store, "a1", "a2", "a3", "b1")
    settle(store)
    trash(store, "a2", "b1")
    settle(store)
    return store


@pytest.mark.parametrize("id_", ["a2", "b1"])
def test_photo_is_forgotten(trashed: Store, tables: Tables, id_: str) -> None:
    before = tables.everything()
    record = trashed.begin_purge("ada", "r1", id_)
    assert record is not None
    assert record.state == "purging"
    assert list(trashed.trashed("ada", state="purging")) == [record]
    trashed.finish_purge("ada", "r1", id_)
    after = tables.everything()
    assert id_ not in {row["id"] for row in after.pop("trash")}
    # What stays for it does so all the more.
    assert after == {table: rows for table, rows in before.items() if table != "trash"}


def test_each_step_may_be_repeated(trashed: Store, tables: Tables) -> None:
    first = trashed.begin_purge("ada", "r1", "a2")
    between = tables.everything()
    assert trashed.begin_purge("ada", "r1", "a2") == first
    assert tables.everything() == between
    trashed.finish_purge("ada", "r1", "a2")
    after = tables.everything()
    trashed.finish_purge("ada", "r1", "a2")
    assert trashed.begin_purge("ada", "r1", "a2") is None
    assert tables.everything() == after


def test_purge_that_is_given_up_leaves_all_as_it_was(
    trashed: Store, tables: Tables
) -> None:
    before = tables.everything()
    for id_ in ("a2", "b1", "unknown"):
        trashed.cancel_purge("ada", "r1", id_)
    assert tables.everything() == before
    trashed.begin_purge("ada", "r1", "a2")
    assert tables.everything() != before
    trashed.cancel_purge("ada", "r1", "a2")
    assert tables.everything() == before


@pytest.mark.parametrize("state", ["moving", "restoring"])
def test_only_a_purge_is_given_up(store: Store, tables: Tables, state: str) -> None:
    put(store, "b1")
    settle(store)
    store.trash("ada", [request("b1")])
    if state == "restoring":
        store.finish_trash("ada", "r1", "b1")
        store.begin_restore("ada", "r1", "b1")
    before = tables.everything()
    store.cancel_purge("ada", "r1", "b1")
    assert tables.everything() == before


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.remove("ada", "a1", 10),
        lambda store: put(store, "a1", generation=11, sha256="other"),
        lambda store: store.decide("ada", "a1", "trash"),
    ],
    ids=["gone", "other bytes", "decided trash"],
)
def test_photo_that_nothing_stays_for_is_not_deleted(
    trashed: Store, tables: Tables, change: Callable[[Store], object], begun: bool
) -> None:
    (record,) = (one for one in trashed.trashed("ada") if one.id == "a2")
    if begun:
        trashed.begin_purge("ada", "r1", "a2")
    change(trashed)
    before = tables.everything()
    with pytest.raises(TrashRefusedError, match="stay"):
        trashed.begin_purge("ada", "r1", "a2")
    after = tables.everything()
    del before["trash"], after["trash"]
    assert after == before
    # Nor does it stay half deleted.
    assert [one for one in trashed.trashed("ada") if one.id == "a2"] == [record]
    trashed.finish_purge("ada", "r1", "a2")
    restored = trashed.begin_restore("ada", "r1", "a2")
    assert restored is not None
    trashed.finish_restore("ada", "r1", "a2", 10)
    assert tables.row("photos", "a2")["generation"] == 10
    # It is not a matter of those that were in no group.
    assert trashed.begin_purge("ada", "r1", "b1") is not None


def test_photo_that_is_being_restored_is_not_deleted(
    trashed: Store, tables: Tables
) -> None:
    trashed.begin_restore("ada", "r1", "a2")
    before = tables.everything()
    with pytest.raises(TrashRefusedError):
        trashed.begin_purge("ada", "r1", "a2")
    trashed.finish_purge("ada", "r1", "a2")
    assert tables.everything() == before


def test_photo_that_is_not_moved_yet_is_not_deleted(
    store: Store, tables: Tables
) -> None:
    put(store, "a1")
    settle(store)
    store.trash("ada", [request("a1")])
    before = tables.everything()
    with pytest.raises(TrashRefusedError):
        store.begin_purge("ada", "r1", "a1")
    store.finish_purge("ada", "r1", "a1")
    assert tables.everything() == before


def test_what_was_not_announced_is_not_forgotten(
    trashed: Store, tables: Tables
) -> None:
    before = tables.everything()
    trashed.finish_purge("ada", "r1", "a2")
    assert tables.everything() == before


def test_what_stays_may_have_been_analysed_again_and_moved(trashed: Store) -> None:
    put(trashed, "a1", generation=11, title="renamed.jpg")
    assert trashed.begin_purge("ada", "r1", "a2") is not None


def test_what_stays_is_the_last_for_ever(trashed: Store) -> None:
    trash(trashed, "a3")
    settle(trashed)
    for id_ in ("a2", "a3"):
        trashed.begin_purge("ada", "r1", id_)
        trashed.finish_purge("ada", "r1", id_)
    # Also when it comes back from a removal, as those do that unplug a disk.
    trashed.remove("ada", "a1", 10)
    put(trashed, "a1", generation=11, reason="dark")
    settle(trashed)
    (row,) = trashed.day("ada", "2024-05-01")
    assert not row.outcome.delete
    with pytest.raises(TrashRefusedError, match="last"):
        trashed.trash("ada", [request("a1", "r2", generation=11)])


def test_what_passed_on_is_purged_because_of_what_stays_now(
    trashed: Store, tables: Tables
) -> None:
    trash(trashed, "a1", run="r2")
    trashed.begin_purge("ada", "r2", "a1")
    trashed.finish_purge("ada", "r2", "a1")
    assert trashed.begin_purge("ada", "r1", "a2") is not None
    trashed.finish_purge("ada", "r1", "a2")
    assert tables.row("photos", "a3")["kept_for"] == 2
