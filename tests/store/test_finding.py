import dataclasses
import itertools

import pytest

from store.interface import Store
from store.records import DayOutcome
from tests.store.samples import (
    MAY_1,
    MAY_2,
    SCORES,
    make_judge,
    make_meta,
    make_verdicts,
    write,
)


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_photos_under_a_folder_by_path(
    store: Store, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("store.sqlite._PAGE", page)
    monkeypatch.setattr("store.firestore_search._PAGE", page)
    under = ["/p/a.jpg", "/p/b/c.jpg", "/p/z.jpg", "/p/ü.jpg", "/p/😀.jpg"]
    for number, path in enumerate([*under, "/p.jpg", "/p2/a.jpg", "/o/a.jpg", "/P/a"]):
        write(store, f"{9 - number}", path=path, generation=number)
    write(store, "bobs", user_id="bob", path="/p/bob.jpg")
    found = itertools.islice(store.photos_under("ada", "/p/"), 99)
    assert list(found) == [(path, number) for number, path in enumerate(under)]
    assert list(store.photos_under("ada", "/q/")) == []


def test_photo_is_found_by_its_address(store: Store) -> None:
    write(store, "a", MAY_2, path="gs://b/users/ada/photos/a.jpg")
    assert store.find_path("ada", "gs://b/users/ada/photos/a.jpg") == ("a", MAY_2)
    assert store.find_path("ada", "gs://b/users/ada/photos/A.jpg") is None
    assert store.find_path("bob", "gs://b/users/ada/photos/a.jpg") is None


def test_counts_are_of_one_user(store: Store) -> None:
    for id_, verdicts in {
        "a": make_verdicts(shaken=True, dark=True),
        "b": make_verdicts(screenshot=True),
        "c": make_verdicts(dark=True),
        "d": make_verdicts(),
    }.items():
        store.write(make_meta(id_, bytes=ord(id_)), SCORES, make_judge(verdicts))
    store.write(
        make_meta("e", user_id="bob"), SCORES, make_judge(make_verdicts(shaken=True))
    )
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
