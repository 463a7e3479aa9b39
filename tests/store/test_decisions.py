from collections.abc import Callable
from typing import Any

import pytest

from store.interface import Store
from store.records import DayOutcome, Decision
from tests.store.samples import (
    MAY_1,
    MAY_2,
    all_similar,
    make_judge,
    make_verdicts,
    nothing,
    write,
)
from tests.store.tables import Tables


def test_user_decision_survives_writing_and_judging(
    store: Store, tables: Tables
) -> None:
    write(store)
    store.decide("ada", "a", "keep")
    write(store)
    assert tables.row("photos")["decision"] == "keep"
    write(store, date=MAY_2, generation=11)
    assert tables.row("photos")["decision"] == "keep"
    store.rejudge("ada", "a", 11, make_judge(make_verdicts(dark=True)))
    store.settle("ada", MAY_2, all_similar)
    assert tables.row("photos")["decision"] == "keep"


@pytest.mark.parametrize("first", ["write", "remove"])
def test_user_decision_survives_overwriting_in_any_order(
    store: Store, tables: Tables, first: str
) -> None:
    write(store, generation=10)
    store.decide("ada", "a", "keep")
    if first == "write":
        write(store, generation=11)
    store.remove("ada", "a", 10)
    write(store, generation=11)
    assert tables.row("photos")["decision"] == "keep"


def _overwrite(store: Store) -> None:
    write(store, generation=11, sha256="other")


def _remove_and_write(store: Store) -> None:
    store.remove("ada", "a", 10)
    write(store, generation=11, sha256="other")


def _remove_twice_and_write(store: Store) -> None:
    store.remove("ada", "a", 10)
    store.remove("ada", "a", 11)
    write(store, generation=12, sha256="other")


@pytest.mark.parametrize(
    "again", [_overwrite, _remove_and_write, _remove_twice_and_write]
)
@pytest.mark.parametrize(
    ("decision", "inherited"), [("keep", "keep"), ("trash", None), (None, None)]
)
def test_trash_is_said_of_bytes_and_keep_of_the_name(
    store: Store,
    tables: Tables,
    again: Callable[[Store], None],
    decision: Decision | None,
    inherited: Decision | None,
) -> None:
    write(store)
    store.decide("ada", "a", decision)
    again(store)
    assert tables.row("photos")["sha256"] == "other"
    assert tables.row("photos")["decision"] == inherited


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_trash_stays_with_the_bytes(store: Store, tables: Tables, removed: int) -> None:
    write(store)
    store.decide("ada", "a", "trash")
    for generation in range(10, 10 + removed):
        store.remove("ada", "a", generation)
        assert tables.row("tombstones")["sha256"] == "00ff"
    write(store, generation=12)
    assert tables.row("photos")["decision"] == "trash"


def test_tombstone_of_what_never_was_knows_no_bytes(
    store: Store, tables: Tables
) -> None:
    store.remove("ada", "a", 10)
    tombstone = tables.row("tombstones")
    assert (tombstone["sha256"], tombstone["kept_for"]) == (None, 0)


@pytest.mark.parametrize("decision", ["keep", "trash"])
def test_decision_lets_the_day_wait_and_can_be_taken_back(
    store: Store, decision: Any
) -> None:
    write(store)
    store.settle("ada", MAY_1, nothing)
    store.decide("ada", "a", decision)
    assert [photo.decision for photo in store.day("ada", MAY_1)] == [decision]
    assert store.pending_days() == [("ada", MAY_1)]
    store.decide("ada", "a", None)
    assert [photo.decision for photo in store.day("ada", MAY_1)] == [None]


def test_decision_needs_a_photo(store: Store) -> None:
    write(store)
    store.remove("ada", "a", 10)
    for user_id, id_ in [("ada", "a"), ("ada", "b"), ("bob", "a")]:
        with pytest.raises(KeyError):
            store.decide(user_id, id_, "keep")


@pytest.fixture
def recommended(store: Store, tables: Tables) -> Callable[[], list[str]]:
    """Tells what of a settled group of a, b and c, that keeps a, is recommended."""
    for name in "abc":
        write(store, name)
    outcomes = {
        name: DayOutcome(
            delete=name != "a", similar=name != "a", similar_group="a", keeper="a"
        )
        for name in "abc"
    }
    store.settle("ada", MAY_1, lambda _: outcomes)

    def recommended() -> list[str]:
        return [row["id"] for row in tables.rows("photos") if row["delete"]]

    assert recommended() == ["b", "c"]
    return recommended


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.remove("ada", "a", 10),
        lambda store: store.decide("ada", "a", "trash"),
        lambda store: write(store, "a", generation=11),
        lambda store: write(store, "a", generation=11, date=MAY_2),
        lambda store: store.rejudge("ada", "a", 10, make_judge()),
    ],
    ids=["removed", "trashed", "overwritten", "moved", "rejudged"],
)
def test_no_group_stands_recommended_without_its_keeper(
    store: Store,
    recommended: Callable[[], list[str]],
    change: Callable[[Store], object],
) -> None:
    change(store)
    assert recommended() == []
    assert ("ada", MAY_1) in store.pending_days("ada")


def test_a_photo_that_is_kept_is_recommended_no_longer(
    store: Store, recommended: Callable[[], list[str]]
) -> None:
    store.decide("ada", "b", "keep")
    assert recommended() == ["c"]


def test_a_member_that_goes_leaves_the_others_as_they_are(
    store: Store, recommended: Callable[[], list[str]]
) -> None:
    store.remove("ada", "c", 10)
    assert recommended() == ["b"]
