"""A group never loses its last photo, whatever is done to its photos at once.

A pair of one name that is all of its group is one shot, of which none has to stay. So
it is in groups of two; in larger ones any two are held to the same as any photo.

Grouped by the pipeline's own rules: what a day decides of the photos that are left is
part of what has to hold.
"""

import itertools
import random
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.descriptors import DESCRIPTOR_BYTES
from models.similarity import SimilarOptions
from store.interface import Store
from store.records import TrashRefusedError
from store.sqlite import SqliteStore
from store.urls import open_store
from tests.store.samples import (
    MAY_1,
    SCORES,
    make_judge,
    make_meta,
    make_verdicts,
)
from tests.store.trash_requests import request_of
from transforms.day_outcomes import day_outcomes

_TIMEOUT_S: Final = 120.0
_group: Final = partial(day_outcomes, options=SimilarOptions())


@dataclass(frozen=True)
class Group:
    """Photos of one thing, taken seconds apart.

    Attributes:
        photos: Their ids.
        faults: Verdicts that hold for all of them.
    """

    user_id: str
    photos: Sequence[str]
    faults: Collection[str] = ()

    def analyse(self, store: Store, id_: str) -> None:
        """Write a photo, or write it again as a backfill does."""
        second = self.photos.index(id_)
        look = np.random.default_rng(1).integers(-40, 40, DESCRIPTOR_BYTES)
        look[0] = 1
        # Two are a RAW and its JPEG; more are not, whatever is tried.
        name = f"shot.{id_}" if len(self.photos) == 2 else f"{id_}.jpg"
        store.write(
            make_meta(
                id_,
                path=f"/photos/{name}",
                user_id=self.user_id,
                taken_at=f"{MAY_1}T12:00:{second:02d}",
                sha256=_sha256(id_),
                descriptor=look.astype(np.int8).tobytes(),
                sharpness=300.0 + second,
            ),
            SCORES,
            make_judge(make_verdicts(**dict.fromkeys(self.faults, True))),
        )

    def fill(self, store: Store) -> None:
        for id_ in self.photos:
            self.analyse(store, id_)
        self.settle(store)
        groups = {photo.outcome.similar_group for photo in self._live(store)}
        assert len(groups) == 1
        assert None not in groups

    def settle(self, store: Store) -> None:
        store.settle(self.user_id, MAY_1, _group)

    def check(self, store: Store) -> None:
        """See that one of the group is in the library.

        What leaves it is not there before, and what comes back not after its record
        goes; so one that is restored meanwhile is found on the second look.
        """
        if not self._live(store):
            left = [(it.id, it.state, it.kept) for it in store.trashed(self.user_id)]
            assert self._live(store), f"all of {self.photos} are gone: {left}"

    def _live(self, store: Store) -> Sequence[Any]:
        return store.day(self.user_id, MAY_1)


def _sha256(id_: str) -> str:
    return f"{id_:0>64}"


# What is done: a kind, the number of a photo, and whether the steps that follow the
# first are left to others.
Step = tuple[str, int, bool]
_RUNS: Final = itertools.count()


def _trash(
    group: Group, store: Store, ids: Sequence[str], reasons: Collection[str] | None
) -> Sequence[tuple[str, str]]:
    run = f"run{next(_RUNS):06d}"
    store.trash(
        group.user_id,
        [
            request_of(id_, run, sha256=_sha256(id_), unit=ids[0], reasons=reasons)
            for id_ in ids
        ],
    )
    return [(run, id_) for id_ in ids]


def _trash_and_restore_shot(group: Group, store: Store, ids: Sequence[str]) -> None:
    trashed = _trash(group, store, ids, None)
    for run, id_ in trashed:
        assert store.finish_trash(group.user_id, run, id_)
    assert not store.day(group.user_id, MAY_1)
    for run, id_ in trashed:
        _restore(group, store, run, id_, False)
    assert len(store.day(group.user_id, MAY_1)) == len(ids)


def _finish_trash(group: Group, store: Store, run: str, id_: str) -> None:
    if not store.finish_trash(group.user_id, run, id_):
        _restore(group, store, run, id_, False)


def _restore(group: Group, store: Store, run: str, id_: str, leave: bool) -> None:
    found = store.begin_restore(group.user_id, run, id_)
    if found is not None and not leave:
        store.finish_restore(group.user_id, run, id_, 10)


def _purge(group: Group, store: Store, run: str, id_: str, leave: bool) -> None:
    found = store.begin_purge(group.user_id, run, id_)
    if found is not None and not leave:
        store.finish_purge(group.user_id, run, id_)


_REASONS: Final = ("similar", "shaken", "dark")
_DECISIONS: Final[Mapping[str, Any]] = {"keep": "keep", "gone": "trash", "open": None}
_KINDS: Final = (
    *("user", "user", "automatic", "automatic", "decided", "pair"),
    *("keep", "gone", "open"),
    *("finish", "finish", "restore", "purge", "purge"),
    *("analyse", "settle", "settle", "settle"),
)


def _do(group: Group, store: Store, step: Step) -> None:
    """Do one thing as its command does; what is refused is not done."""
    kind, number, leave = step
    id_ = group.photos[number % len(group.photos)]
    next_id = group.photos[(number + 1) % len(group.photos)]
    trashing: Mapping[str, tuple[Sequence[str], Collection[str] | None]] = {
        "user": ([id_], None),
        "automatic": ([id_], _REASONS),
        "decided": ([id_], ["decided"]),
        "pair": ([id_, next_id], None),
    }
    try:
        if kind == "pair" and len(group.photos) == 2:
            # What holds is asked of what comes after.
            _trash_and_restore_shot(group, store, [id_, next_id])
        elif kind in trashing:
            for run, trashed in _trash(group, store, *trashing[kind]):
                if not leave:
                    _finish_trash(group, store, run, trashed)
        elif kind in _DECISIONS:
            store.decide(group.user_id, id_, _DECISIONS[kind])
        elif kind == "analyse":
            group.analyse(store, id_)
        elif kind == "settle":
            group.settle(store)
        else:
            for record in store.trashed(group.user_id):
                if record.id != id_:
                    continue
                if kind == "finish" and record.state == "moving":
                    _finish_trash(group, store, record.run, id_)
                elif kind == "restore":
                    _restore(group, store, record.run, id_, leave)
                elif kind == "purge":
                    _purge(group, store, record.run, id_, leave)
    except (TrashRefusedError, KeyError):
        # Refused, or there is no such photo now.
        pass


def _recover(group: Group, store: Store) -> None:
    """What every command does before its own work."""
    for record in store.trashed(group.user_id):
        if record.state == "moving":
            _finish_trash(group, store, record.run, record.id)
        elif record.state == "restoring":
            _restore(group, store, record.run, record.id, False)


def _empty_trash(group: Group, store: Store) -> None:
    """Trash and purge what can be, over and over, by all ways that there are."""
    for kinds in (("automatic",), ("gone", "decided", "user")):
        for number in range(len(group.photos)):
            for kind in (*kinds, "purge"):
                _do(group, store, (kind, number, False))
        group.settle(store)
        group.check(store)


def _size_of(store: Store, sqlite: int, firestore: int) -> int:
    """The emulator takes a hundred times as long."""
    return sqlite if isinstance(store, SqliteStore) else firestore


def test_a_group_keeps_a_photo_whatever_is_done_at_once(
    shared: Store, shared_url: str
) -> None:
    """Threads with a connection each, and one that looks on."""
    chance = random.Random(1)
    sizes = [2, 3, 4, 5, 6] * 16 if isinstance(shared, SqliteStore) else [2, 3, 6]
    for number, size in enumerate(sizes):
        photos = [f"p{photo}" for photo in range(size)]
        # Each photo of it is recommended, in a group or not.
        faults = ["shaken"] if number % 2 == 0 else []
        group = Group(f"at-once-{number}", photos, faults)
        group.fill(shared)
        kinds = [kind for kind in _KINDS if size > 2 or kind != "pair"]
        steps = [
            [
                (chance.choice(kinds), chance.randrange(size), chance.random() < 0.4)
                for _ in range(_size_of(shared, 20, 6))
            ]
            for _ in range(_size_of(shared, 4, 3))
        ]
        _all_at_once(shared_url, group, steps)
        _recover(group, shared)
        group.settle(shared)
        group.check(shared)
        _empty_trash(group, shared)


def _all_at_once(url: str, group: Group, steps: Sequence[Sequence[Step]]) -> None:
    def work(store: Store, todo: Sequence[Step]) -> None:
        for step in todo:
            _do(group, store, step)

    _at_once(url, group, [partial(work, todo=todo) for todo in steps])


def _at_once(url: str, group: Group, tasks: Sequence[Callable[[Store], None]]) -> None:
    ready = threading.Barrier(len(tasks) + 1)
    done = threading.Event()
    errors: list[BaseException] = []

    def watch(store: Store) -> None:
        while not done.wait(0.02):
            group.check(store)

    def run(do: Callable[[Store], None]) -> None:
        try:
            with closing(open_store(url)) as store:
                ready.wait(_TIMEOUT_S)
                do(store)
        except BaseException as err:
            errors.append(err)

    workers = [threading.Thread(target=run, args=(task,)) for task in tasks]
    watcher = threading.Thread(target=run, args=(watch,))
    for thread in (*workers, watcher):
        thread.start()
    for thread in workers:
        thread.join(_TIMEOUT_S)
    done.set()
    watcher.join(_TIMEOUT_S)
    assert not any(thread.is_alive() for thread in (*workers, watcher))
    if errors:
        raise errors[0]


@pytest.mark.parametrize("size", [2, 3])
def test_two_users_of_one_account_trash_a_whole_group_at_the_same_moment(
    shared: Store, shared_url: str, size: int
) -> None:
    for number in range(_size_of(shared, 30, 1)):
        user_id = f"moment-{size}-{number}"
        group = Group(user_id, [f"p{photo}" for photo in range(size)])
        group.fill(shared)
        _all_at_once(
            shared_url, group, [[("user", photo, False)] for photo in range(size)]
        )
        group.check(shared)
        assert len(list(shared.trashed(user_id))) <= size - 1


def test_a_shot_and_one_photo_of_it_are_trashed_at_the_same_moment(
    shared: Store, shared_url: str
) -> None:
    for number in range(_size_of(shared, 30, 2)):
        group = Group(f"shot-{number}", ["p0", "p1"])
        group.fill(shared)

        def trash_shot(store: Store, group: Group = group) -> None:
            with suppress(TrashRefusedError):
                _trash(group, store, group.photos, None)

        def trash_one(store: Store, group: Group = group) -> None:
            _do(group, store, ("user", 0, False))

        _at_once(shared_url, group, [trash_shot, trash_one])
        kept = [record.kept for record in shared.trashed(group.user_id)]
        assert kept in ([None, None], ["p1"])


@pytest.mark.parametrize("first", ["purge", "gone"])
def test_purge_and_the_decision_against_what_stays_meet(
    shared: Store, shared_url: str, first: str
) -> None:
    for number in range(_size_of(shared, 30, 3)):
        group = Group(f"meet-{first}-{number}", ["p0", "p1"])
        group.fill(shared)
        keeper = str(shared.day(group.user_id, MAY_1)[0].outcome.keeper)
        stays = group.photos.index(keeper)
        _do(group, shared, ("user", 1 - stays, False))
        purge, decide = ("purge", 1 - stays, False), ("gone", stays, False)
        trash = ("decided", stays, False)
        _all_at_once(
            shared_url, group, [[purge], [decide, trash], [("settle", 0, True)]]
        )
        group.check(shared)


_STEPS: Final = st.lists(
    st.tuples(st.sampled_from(_KINDS), st.integers(0, 5), st.booleans()), max_size=25
)


def test_no_history_takes_the_last_photo(shared: Store) -> None:
    users = itertools.count()

    @settings(deadline=None, max_examples=_size_of(shared, 150, 8))
    @given(st.integers(2, 6), st.booleans(), _STEPS)
    # Restored, and trashed again before they are a group again.
    @example(
        2,
        False,
        [
            ("user", 0, False),
            ("settle", 0, False),
            ("restore", 0, False),
            ("user", 0, False),
            ("user", 1, False),
            ("settle", 0, False),
            ("user", 0, False),
        ],
    )
    # Analysed again, and trashed before they are a group again.
    @example(2, True, [("analyse", 0, False), ("user", 0, False), ("user", 1, False)])
    @example(
        2,
        False,
        [
            ("analyse", 0, False),
            ("analyse", 1, False),
            ("user", 0, False),
            ("user", 1, False),
        ],
    )
    # Decided otherwise in the middle, for which another goes, and decided again.
    @example(
        2,
        False,
        [
            ("user", 0, True),
            ("keep", 0, False),
            ("user", 1, False),
            ("gone", 0, False),
            ("finish", 0, False),
        ],
    )
    # One is restored, or analysed again, and the others are not one shot meanwhile.
    @example(
        3,
        False,
        [
            ("user", 2, False),
            ("restore", 2, False),
            ("pair", 0, False),
            ("settle", 0, False),
            ("user", 2, False),
        ],
    )
    @example(
        3,
        False,
        [
            ("analyse", 2, False),
            ("pair", 0, False),
            ("settle", 0, False),
            ("user", 2, False),
        ],
    )
    # A shot comes back, and half of it goes before it is grouped, or after.
    @example(
        2,
        True,
        [
            ("pair", 0, False),
            ("user", 0, False),
            ("settle", 0, False),
            ("pair", 1, False),
            ("settle", 0, False),
            ("user", 1, False),
            ("pair", 0, False),
        ],
    )
    # The user wants none of them.
    @example(
        2,
        False,
        [
            ("gone", 0, False),
            ("gone", 1, False),
            ("settle", 0, False),
            ("decided", 0, False),
            ("decided", 1, False),
        ],
    )
    def check(size: int, shaken: bool, steps: list[Step]) -> None:
        photos = [f"p{number}" for number in range(size)]
        faults = ["shaken"] if shaken else []
        group = Group(f"history-{next(users)}", photos, faults)
        group.fill(shared)
        for step in steps:
            _do(group, shared, step)
            group.check(shared)
        _recover(group, shared)
        _empty_trash(group, shared)

    check()
