"""Several connections change the same day at once."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import pytest

from store.interface import Store
from store.records import DayOutcome, DayPhoto
from store.sqlite import SqliteStore
from tests.store.samples import MAY_1, MAY_2, write
from tests.store.tables import Tables

_TIMEOUT_S: Final = 120.0


def _at_once(*works: Callable[[], object]) -> None:
    """Do all of it, each in a thread of its own; raises what one of them raised."""
    ready = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            ready.wait(_TIMEOUT_S)
            work()
        except BaseException as err:
            errors.append(err)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_TIMEOUT_S)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def _keep_first(photos: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    """A group of all, that keeps the first which its owner does not want gone."""
    group = " ".join(f"{photo.id}@{photo.generation}" for photo in photos)
    keeper = next((photo.id for photo in photos if photo.decision != "trash"), None)
    return {
        photo.id: DayOutcome(
            delete=photo.id != keeper and keeper is not None and not photo.decision,
            similar=photo.id != keeper,
            similar_group=group,
            similar_kind="shot",
            keeper=keeper,
        )
        for photo in photos
    }


def _settle(store: Store, user_id: str) -> None:
    for _, date in store.pending_days(user_id):
        store.settle(user_id, date, _keep_first)


_PHOTOS: Final = ["p0", "p1", "p2", "p3", "p4"]
_GONE: Final = ["p1", "p4"]
_Step = tuple[str, str, int]


def _history(chance: random.Random) -> list[_Step]:
    """Versions of photos come and go in any order, some more than once."""
    steps: list[_Step] = []
    for photo in _PHOTOS:
        for generation in range(2, 6):
            steps += [("write", photo, generation)] * chance.randint(1, 2)
            removed = generation if photo in _GONE else generation - 1
            steps += [("remove", photo, removed), ("settle", photo, generation)]
    chance.shuffle(steps)
    return steps


def _do(store: Store, user_id: str, step: _Step) -> None:
    kind, photo, generation = step
    # The same version of the same photo always shows the same date.
    date = MAY_2 if (int(photo[1:]) + generation) % 3 == 0 else MAY_1
    if kind == "write":
        write(store, photo, date, user_id=user_id, generation=generation)
    elif kind == "remove":
        store.remove(user_id, photo, generation)
    else:
        store.settle(user_id, date, _keep_first)


def test_writers_of_the_same_days_end_as_one_alone(
    reopen: Callable[[], Store], tables: Tables
) -> None:
    one, other, user = reopen(), reopen(), reopen()
    for user_id in ("both", "alone"):
        for photo in ("a", "b", *_PHOTOS):
            write(one, photo, user_id=user_id, generation=1)
    history = _history(random.Random(1))

    def work(store: Store, steps: list[_Step]) -> None:
        for step in steps:
            _do(store, "both", step)

    def decide() -> None:
        for decision in ("keep", None, "trash") * 4:
            user.decide("both", "a", decision)

    _at_once(
        lambda: work(one, history[::2]), lambda: work(other, history[1::2]), decide
    )
    _settle(one, "both")
    assert other.pending_days("both") == []

    for step in history:
        _do(one, "alone", step)
    one.decide("alone", "a", "trash")
    _settle(one, "alone")
    assert tables.documents("both") == tables.documents("alone")
    left = [row["id"] for row in tables.rows("photos", "both")]
    assert left == ["a", "b", "p0", "p2", "p3"]


@pytest.mark.parametrize(
    ("known", "removed", "alive"),
    [(False, 10, False), (False, 9, True), (True, 10, False), (True, 9, True)],
    ids=["new", "newer", "known", "overwritten"],
)
def test_removal_and_upload_may_come_at_the_same_moment(
    reopen: Callable[[], Store],
    tables: Tables,
    known: bool,
    removed: int,
    alive: bool,
) -> None:
    store = reopen()
    ids = [f"photo{number}" for number in range(6)]
    if known:
        for id_ in ids:
            write(store, id_, MAY_1, generation=9)
            store.decide("ada", id_, "keep")

    def upload(store: Store, id_: str) -> object:
        return write(store, id_, MAY_2, generation=10)

    def remove(store: Store, id_: str) -> object:
        return store.remove("ada", id_, removed)

    _at_once(*(partial(do, reopen(), id_) for id_ in ids for do in (upload, remove)))
    found = [row["id"] for row in tables.rows("photos")]
    gone = [row["id"] for row in tables.rows("tombstones")]
    assert (found, gone) == ((ids, []) if alive else ([], ids))
    if alive:
        # What the user wants outlives the tombstone, in whichever order.
        wanted = {row["decision"] for row in tables.rows("photos")}
        assert wanted == {"keep" if known else None}
    _settle(store, "ada")
    assert store.pending_days("ada") == []


def test_no_photo_is_recommended_without_its_keeper_at_any_moment(
    reopen: Callable[[], Store],
) -> None:
    changing, settling, watching = reopen(), reopen(), reopen()
    for id_ in "abcdef":
        write(changing, id_, generation=1)
    settling.settle("ada", MAY_1, _keep_first)
    done = threading.Event()
    # The emulator takes a hundred times as long.
    generations = range(2, 60 if isinstance(changing, SqliteStore) else 9)
    groups: set[str | None] = set()
    watched = 0

    def change() -> None:
        try:
            for generation in generations:
                photos = _recommended(changing)
                (keeper,) = {str(photo.outcome.keeper) for photo in photos}
                groups.add(photos[0].outcome.similar_group)
                if generation % 3 == 0:
                    changing.decide("ada", keeper, "trash")
                    changing.decide("ada", keeper, None)
                elif generation % 3 == 1:
                    changing.remove("ada", keeper, generation)
                else:
                    write(changing, keeper, MAY_2, generation=generation)
                for id_ in "abcdef":
                    write(changing, id_, generation=generation + 1)
        finally:
            done.set()

    def settle() -> None:
        while not done.is_set():
            settling.settle("ada", MAY_1, _keep_first)

    def watch() -> None:
        nonlocal watched
        while not done.is_set():
            photos = {photo.id: photo for photo in watching.day("ada", MAY_1)}
            for photo in photos.values():
                if photo.outcome.delete:
                    watched += 1
                    keeper = photos[str(photo.outcome.keeper)]
                    assert not keeper.outcome.delete
                    assert keeper.decision != "trash"

    _at_once(change, settle, watch)
    assert len(groups) == len(generations)
    assert watched


def _recommended(store: Store) -> list[DayPhoto]:
    """A day's photos that are recommended, as soon as there are some."""
    give_up_at_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < give_up_at_s:
        photos = [photo for photo in store.day("ada", MAY_1) if photo.outcome.delete]
        if photos:
            return photos
    raise TimeoutError
