"""A day that is too large for one commit, and what happens between its commits."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from store.firestore_database import FirestoreDatabase
from store.interface import Store
from store.records import DayOutcome, DayPhoto
from tests.store.samples import MAY_1, MAY_2, all_similar, write

# Two photos each, and the newest, which waits until the end.
_PHOTOS: Final = "abcdef"
_COMMITS: Final = range(1, 5)

AfterCommit = Callable[[int, Callable[[], object]], None]


class _Killed(BaseException):
    """The job ends here."""


@pytest.fixture
def url(firestore_project: str) -> str:
    return f"firestore://{firestore_project}"


@pytest.fixture(autouse=True)
def _two_photos_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.firestore_days._PHOTOS_A_COMMIT", 2)


@pytest.fixture
def after_commit(monkeypatch: pytest.MonkeyPatch) -> AfterCommit:
    """Lets something happen after so many commits from now on."""
    commit = FirestoreClient.commit

    def let(number: int, happen: Callable[[], object]) -> None:
        left = number

        def spy(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            response = commit(*args, **kwargs)
            left -= 1
            if left == 0:
                happen()
            return response

        monkeypatch.setattr(FirestoreClient, "commit", spy)

    return let


def _keep_last(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
    """The keeper would be written last if it were not seen to."""
    return all_similar(photos[::-1])


def _settle_all(store: Store) -> None:
    for _, date in store.pending_days("ada"):
        store.settle("ada", date, _keep_last)


def _check_keepers(store: Store) -> None:
    photos = {photo.id: photo for photo in store.day("ada", MAY_1)}
    for photo in photos.values():
        if photo.outcome.delete:
            keeper = photos[str(photo.outcome.keeper)]
            assert not keeper.outcome.delete
            assert keeper.decision != "trash"


@pytest.fixture
def day(store: Store) -> Store:
    for id_ in _PHOTOS:
        write(store, id_)
    return store


def test_day_waits_until_its_last_commit(day: Store, written: list[str]) -> None:
    assert day.settle("ada", MAY_1, _keep_last) == len(_PHOTOS)
    photos = day.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == _keep_last(photos)
    assert day.pending_days() == []
    # And the newest, which waits until the end: in two parts beside its own, and last.
    assert len(written) == 2 * len(_PHOTOS) + 3


@pytest.mark.parametrize("commits", _COMMITS)
def test_job_that_is_killed_between_commits_leaves_the_rest_to_the_next(
    day: Store, other: Store, after_commit: AfterCommit, commits: int
) -> None:
    def kill() -> None:
        raise _Killed

    after_commit(commits, kill)
    with pytest.raises(_Killed):
        day.settle("ada", MAY_1, _keep_last)
    _check_keepers(other)
    done = commits == _COMMITS[-1]
    assert other.pending_days() == ([] if done else [("ada", MAY_1)])
    _settle_all(other)
    photos = other.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == _keep_last(photos)
    assert other.pending_days() == []


@pytest.mark.parametrize("commits", [1, 3, 5])
@pytest.mark.parametrize(
    "change",
    [
        lambda other: other.remove("ada", "f", 10),
        lambda other: other.decide("ada", "f", "trash"),
        lambda other: write(other, "f", MAY_2, generation=11),
        lambda other: write(other, "a", sharpness=1.0),
        lambda other: other.remove("ada", "a", 10),
        lambda other: write(other, "0"),
        lambda other: other.settle("ada", MAY_1, _keep_last),
    ],
    ids=[
        "keeper removed",
        "keeper trashed",
        "keeper moved",
        "analysed",
        "removed",
        "added",
        "settled",
    ],
)
def test_change_between_commits_is_not_lost(
    day: Store,
    other: Store,
    after_commit: AfterCommit,
    commits: int,
    change: Callable[[Store], object],
) -> None:
    def happen() -> None:
        change(other)
        _check_keepers(other)

    after_commit(commits, happen)
    day.settle("ada", MAY_1, _keep_last)
    _settle_all(other)
    photos = other.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == _keep_last(photos)
    assert other.pending_days() == []


@pytest.mark.parametrize("order", ["ABBBABBBBBB", "AABBBBBBAAAA", "BBBAAAABBBB"])
def test_two_that_regroup_a_day_undo_nothing_of_each_other(
    day: Store, other: Store, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """The second knows of a photo more; their commits come in any order."""
    day.settle("ada", MAY_1, _keep_last)
    write(day, "q1")
    transact = FirestoreDatabase.transact
    turns = {name: threading.Semaphore(0) for name in "AB"}
    done = {name: threading.Semaphore(0) for name in "AB"}
    has_read = {name: threading.Event() for name in "AB"}

    def in_turn(self: FirestoreDatabase, change: Callable) -> object:
        name = threading.current_thread().name
        if name not in turns:
            return transact(self, change)
        turns[name].acquire()
        try:
            return transact(self, change)
        finally:
            done[name].release()

    monkeypatch.setattr(FirestoreDatabase, "transact", in_turn)

    def settle(name: str, store: Store) -> threading.Thread:
        def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
            has_read[name].set()
            return _keep_last(photos)

        args = ("ada", MAY_1, group)
        thread = threading.Thread(target=store.settle, args=args, name=name)
        thread.start()
        assert has_read[name].wait(30)
        return thread

    threads = {"A": settle("A", day)}
    write(other, "q2")
    threads["B"] = settle("B", other)
    for name in order:
        if threads[name].is_alive():
            turns[name].release()
            done[name].acquire(timeout=10)
    for name in "AB":
        turns[name].release(100)
        threads[name].join(60)
        assert not threads[name].is_alive()
    _settle_all(day)
    photos = day.day("ada", MAY_1)
    assert {photo.id: photo.outcome for photo in photos} == _keep_last(photos)
