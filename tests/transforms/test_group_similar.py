"""A day regrouped from the store, and pending days."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from models.descriptors import describe
from models.similarity import SimilarOptions
from store.records import (
    DayOutcome,
    DayPhoto,
    Judgement,
    PhotoMeta,
    PhotoTags,
    StoredScores,
    Verdicts,
)
from store.sqlite import SqliteStore
from store.urls import open_store
from transforms.day_outcomes import day_outcomes
from transforms.group_similar import GroupSimilar, ReadPendingDays

_LOOKS = [
    describe(np.random.default_rng(seed).integers(0, 255, (96, 96, 3), np.uint8))
    for seed in range(3)
]
MAY_1, MAY_2 = "2024-05-01", "2024-05-02"


def _write(
    store: SqliteStore,
    name: str,
    date: str,
    *,
    look: int = 0,
    clock: str = "12:00:00",
    sha256: str | None = None,
) -> None:
    meta = PhotoMeta(
        user_id="ann",
        id=name,
        title=f"{name}.jpg",
        path=f"/{name}.jpg",
        date=date,
        latitude=None,
        longitude=None,
        taken_at=f"{date}T{clock}",
        time_source="exif",
        generation=1,
        width=96,
        height=96,
        bytes=1,
        sha256=sha256 or name,
        damaged=False,
        sharpness=300.0,
        exposure=0.5,
        descriptor=_LOOKS[look],
        fingerprint="f",
    )
    verdicts = Verdicts(False, False, False, 200.0, 0.1, 0.9, 0.1, 0.7, "v")
    scores = StoredScores(None, 0.0, 0.0)
    store.write(meta, scores, lambda _: Judgement(verdicts, PhotoTags()))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/photos.db"


@pytest.fixture
def store(url: str) -> Iterator[SqliteStore]:
    store = open_store(url)
    yield store
    store.close()


def test_each_day_is_settled_once_however_often_it_comes(url, store) -> None:
    for name in "ab":
        _write(store, name, MAY_1)
    _write(store, "c", MAY_2)
    days = [("ann", MAY_1), ("ann", MAY_2), ("ann", MAY_1)]
    with TestPipeline(runner="FnApiRunner") as p:
        settled = p | beam.Create(days) | GroupSimilar(url, SimilarOptions())
        assert_that(settled, equal_to([("ann", MAY_1), ("ann", MAY_2)]))
    assert store.pending_days() == []
    outcomes = [photo.outcome for photo in store.day("ann", MAY_1)]
    assert [outcome.delete for outcome in outcomes] == [False, True]
    assert {outcome.keeper for outcome in outcomes} == {"a"}
    assert store.day("ann", MAY_2)[0].outcome.similar_group is None


def test_midnight_parts_a_burst_and_even_copies(url, store) -> None:
    """A date is a day of its own, as the camera showed it."""
    for n, (date, clock) in enumerate(
        [(MAY_1, "23:59:57"), (MAY_1, "23:59:58"), (MAY_2, "00:00:00")]
    ):
        _write(store, f"shot{n}", date, clock=clock)
        _write(store, f"copy{n}", date, look=1, clock=clock, sha256="same")
    _write(store, "shot3", MAY_2, clock="00:00:01")
    with TestPipeline(runner="FnApiRunner") as p:
        _ = p | beam.Create(store.pending_days()) | GroupSimilar(url, SimilarOptions())
    groups = {
        photo.id: photo.outcome.similar_group
        for date in (MAY_1, MAY_2)
        for photo in store.day("ann", date)
    }
    assert groups == {
        **dict.fromkeys(("shot0", "shot1"), "shot0"),
        **dict.fromkeys(("copy0", "copy1"), "copy0"),
        **dict.fromkeys(("shot2", "shot3"), "shot2"),
        "copy2": None,
    }


def test_what_was_found_in_a_day_is_observed(measured, url, store) -> None:
    for name, look in [("a", 0), ("b", 0), ("c", 0), ("d", 1), ("e", 1), ("f", 2)]:
        _write(store, name, MAY_1, look=look)
    with measured() as (p, metrics):
        days = p | beam.Create([("ann", MAY_1), ("ann", MAY_2)])
        _ = days | GroupSimilar(url, SimilarOptions())
    assert metrics.counters == {"days_grouped": 2, "photos_regrouped": 6}
    seen = metrics.distributions
    assert seen["us/GroupSimilar"].count == seen["day/photos"].count == 2
    # The other day is empty.
    found = {name: (seen[name].min, seen[name].max) for name in seen if "day" in name}
    assert found == {
        "day/photos": (0, 6),
        "day/groups": (0, 2),
        "day/similar": (0, 3),
        "day/recommended": (0, 3),
    }


@pytest.mark.parametrize(("user", "expected"), [("ann", [MAY_1]), ("bob", [])])
def test_pending_days_of_a_user(url, store, user, expected) -> None:
    _write(store, "a", MAY_1)
    with TestPipeline(runner="FnApiRunner") as p:
        days = p | ReadPendingDays(url, user)
        assert_that(days, equal_to([("ann", date) for date in expected]))


_PHOTOS = st.lists(
    st.builds(
        DayPhoto,
        id=st.uuids().map(str),
        taken_at=st.integers(0, 59).map(lambda s: f"{MAY_1}T12:{s:02}:00"),
        time_source=st.sampled_from(["exif", "file"]),
        latitude=st.none(),
        longitude=st.none(),
        generation=st.just(1),
        sha256=st.sampled_from("abcdefgh"),
        damaged=st.booleans(),
        pixels=st.integers(1, 10**8),
        subject=st.sampled_from([None, "", "person"]),
        sharpness=st.none() | st.floats(0, 1000),
        exposure=st.floats(0, 1),
        descriptor=st.sampled_from(_LOOKS),
        decision=st.sampled_from([None, "keep", "trash"]),
        shaken=st.booleans(),
        dark=st.booleans(),
        screenshot=st.booleans(),
        outcome=st.just(DayOutcome()),
    ),
    max_size=25,
    unique_by=lambda photo: photo.id,
)


@given(
    photos=_PHOTOS,
    method=st.sampled_from(["pixels", "paper"]),
    order=st.randoms(use_true_random=False),
)
def test_nothing_is_recommended_away_whole(photos, method, order) -> None:
    options = SimilarOptions(method=method, time_s=600)
    outcomes = day_outcomes(photos, options)
    assert set(outcomes) == {photo.id for photo in photos}
    by_id = {photo.id: photo for photo in photos}
    groups: dict[str, set[str]] = {}
    for name, outcome in outcomes.items():
        assert not (outcome.delete and by_id[name].decision == "keep")
        assert not (outcome.delete and by_id[name].damaged)
        if outcome.similar_group is not None:
            groups.setdefault(outcome.similar_group, set()).add(name)
    for members in groups.values():
        assert len(members) >= 2
        (keeper,) = {outcomes[name].keeper for name in members}
        assert keeper in members
        assert not outcomes[keeper].delete
        assert not outcomes[keeper].similar
        if any(by_id[name].decision != "trash" for name in members):
            assert by_id[keeper].decision != "trash"
        assert all(outcomes[name].similar for name in members - {keeper})
    shuffled = list(photos)
    order.shuffle(shuffled)
    assert day_outcomes(shuffled, options) == outcomes
