from collections.abc import Callable, Mapping, Sequence

import pytest

from store.interface import Store
from store.records import DayOutcome, DayPhoto
from tests.store.samples import (
    MAY_1,
    MAY_2,
    MAY_3,
    all_similar,
    make_judge,
    make_verdicts,
    nothing,
    pending,
    write,
)
from tests.store.tables import Tables


def test_day_holds_all_that_grouping_needs(store: Store) -> None:
    for id_ in "cab":
        write(store, id_)
    write(store, "d", MAY_2)
    write(store, "e", user_id="bob")
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
        fingerprint="f1",
        decision=None,
        shaken=False,
        dark=False,
        screenshot=False,
        outcome=DayOutcome(),
    )


def test_settling_writes_the_outcome_once(
    store: Store, tables: Tables, writes: Callable[[], int]
) -> None:
    for id_ in "abc":
        write(store, id_)
    assert store.settle("ada", MAY_1, all_similar) == 3
    photos = store.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)
    before = tables.everything()
    written = writes()
    assert store.settle("ada", MAY_1, all_similar) == 0
    assert writes() == written
    assert tables.everything() == before


def test_settling_changes_only_what_changed(store: Store, tables: Tables) -> None:
    for id_ in "abc":
        write(store, id_)
    store.settle("ada", MAY_1, lambda _: {"a": DayOutcome(delete=True)})

    def two(_: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        return {"a": DayOutcome(delete=True), "b": DayOutcome(delete=True)}

    store.decide("ada", "c", None)
    assert store.settle("ada", MAY_1, two) == 1
    # What has no outcome any more loses the one it had.
    store.decide("ada", "c", None)
    assert store.settle("ada", MAY_1, nothing) == 2
    assert [row["delete"] for row in tables.rows("photos")] == [0, 0, 0]


def test_settling_takes_exactly_its_day_off(store: Store, tables: Tables) -> None:
    write(store, "stays", MAY_1)
    write(store, "moved", MAY_1)
    write(store, "moved", MAY_2, generation=11)
    write(store, "removed", MAY_1)
    write(store, "removed", MAY_2, generation=11)
    store.remove("ada", "removed", 11)
    write(store, "gone", MAY_1)
    store.remove("ada", "gone", 10)
    write(store, "else", MAY_2)
    write(store, "bobs", MAY_1, user_id="bob")
    store.settle("ada", MAY_1, nothing)
    assert {
        (row["id"], *row["pending_dates"])
        for table in ("photos", "tombstones")
        for row in tables.rows(table)
    } == {
        ("stays",),
        ("moved", MAY_2),
        ("removed", MAY_2),
        ("gone",),
        ("else", MAY_2),
        ("bobs", MAY_1),
    }
    assert sorted(store.pending_days()) == [("ada", MAY_2), ("bob", MAY_1)]
    store.settle("ada", MAY_2, nothing)
    assert store.pending_days("ada") == []


def test_settling_a_day_that_is_empty_by_now(store: Store) -> None:
    write(store)
    store.remove("ada", "a", 10)
    assert store.settle("ada", MAY_1, all_similar) == 0
    assert store.pending_days() == []


def test_pending_days_come_once_each(store: Store) -> None:
    for id_ in "abc":
        write(store, id_)
    write(store, "c", MAY_2, generation=11)
    store.remove("ada", "b", 10)
    write(store, "d", MAY_3, user_id="bob")
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
        (lambda other: write(other, "a", sharpness=1.5), ["a", "c"]),
        (lambda other: other.decide("ada", "a", "trash"), ["a", "c"]),
        (lambda other: other.remove("ada", "c", 10), ["a"]),
        (lambda other: write(other, "c", MAY_2, generation=11), ["a"]),
    ],
    ids=["analysed", "decided", "removed", "moved"],
)
def test_settling_starts_over_when_the_day_changed_meanwhile(
    store: Store,
    other: Store,
    change: Callable[[Store], object],
    expected: list[str],
) -> None:
    write(store, "a")
    write(store, "c")
    seen: list[list[str]] = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        seen.append([photo.id for photo in photos])
        if len(seen) == 1:
            change(other)
        return all_similar(photos)

    assert store.settle("ada", MAY_1, group) == len(expected)
    assert seen == [["a", "c"], expected]
    photos = other.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)
    assert ("ada", MAY_1) not in other.pending_days()


def _darken(store: Store, id_: str) -> None:
    store.rejudge("ada", id_, 10, make_judge(make_verdicts(dark=True)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda other: write(other, "a", sharpness=1.5), ["a", "c"]),
        (lambda other: _darken(other, "a"), ["a", "c"]),
        (lambda other: other.decide("ada", "a", "trash"), ["a", "c"]),
        (lambda other: other.remove("ada", "a", 10), ["c"]),
        (lambda other: write(other, "a", MAY_2, generation=11), ["c"]),
    ],
    ids=["analysed", "rejudged", "decided", "removed", "moved"],
)
def test_settling_starts_over_when_what_was_settled_before_changed_meanwhile(
    store: Store,
    other: Store,
    change: Callable[[Store], object],
    expected: list[str],
) -> None:
    write(store, "a")
    store.settle("ada", MAY_1, all_similar)
    write(store, "c")
    seen: list[list[str]] = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        seen.append([photo.id for photo in photos])
        if len(seen) == 1:
            change(other)
        return all_similar(photos)

    store.settle("ada", MAY_1, group)
    assert seen == [["a", "c"], expected]
    photos = other.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)
    assert ("ada", MAY_1) not in other.pending_days()


def test_photo_that_is_added_meanwhile_is_grouped_at_once_or_waits(
    store: Store, other: Store
) -> None:
    write(store, "a")
    write(store, "c")
    seen: list[list[str]] = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        seen.append([photo.id for photo in photos])
        if len(seen) == 1:
            write(other, "b")
        return all_similar(photos)

    store.settle("ada", MAY_1, group)
    if pending(other, "b"):
        assert other.pending_days() == [("ada", MAY_1)]
        assert seen == [["a", "c"]]
        assert [photo.outcome.delete for photo in other.day("ada", MAY_1)] == [
            False,
            False,
            True,
        ]
        store.settle("ada", MAY_1, group)
    assert seen == [["a", "c"], ["a", "b", "c"]]
    photos = other.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)
    assert other.pending_days() == []


def test_settling_does_not_mind_other_days(store: Store, other: Store) -> None:
    write(store, "a")
    calls = []

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        calls.append(write(other, "b", MAY_2))
        return all_similar(photos)

    store.settle("ada", MAY_1, group)
    assert len(calls) == 1
    assert store.pending_days() == [("ada", MAY_2)]
