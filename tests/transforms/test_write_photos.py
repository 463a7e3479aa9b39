"""Results and removals into the store, and what is counted of them."""

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from models.exif import Capture
from models.images import DecodedPhoto
from models.tags import DetectedObject, TagThresholds
from store.search import PhotoQuery
from store.sqlite import SqliteStore
from store.urls import open_store
from transforms.counters import counted_here, reset_counted_here
from transforms.elements import Day, Photo, UploadEvent
from transforms.verdicts import Thresholds
from transforms.write_photos import (
    RemovePhotos,
    WriteObjects,
    WritePhotos,
    _WritePhotoDoFn,
)

THRESHOLDS: Final = Thresholds(5.0, 0.5, 0.75, TagThresholds(), "v1", "t1")
DAY: Final = "2024-05-01"
DOG: Final = DetectedObject("dog", 0.9, 0.0, 0.0, 50.0, 50.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/photos.db"


def _photo(name: str = "a", *, announced_at_s: float | None = None) -> Photo:
    """A photo that is sharp, bright and none of a screen."""
    event = UploadEvent(
        user_id="ann",
        bucket="b",
        name=name,
        generation=10,
        size_bytes=100,
        updated_at_s=1714557600.0,  # noon of DAY
        announced_at_s=announced_at_s,
    )
    decoded = DecodedPhoto(
        rgb=np.zeros((3, 4, 3), np.uint8),
        full_gray=None,
        width=4,
        height=3,
        format="JPEG",
        capture=Capture(),
        damaged=False,
    )
    return Photo(event=event, decoded=decoded, sha256=name, size_bytes=100, sharpness=9)


def _write(
    measured, url: str, *photos: Photo, detector: str | None = None, days: int = 1
) -> Any:
    with measured() as (p, metrics):
        written = (
            p
            | beam.Create(photos)
            | WritePhotos(url, "f1", detector, THRESHOLDS)
            # Each photo names the day, and a photo that is late does not.
            | beam.Distinct()
        )
        expected: list[Day] = [("ann", DAY)] * days
        assert_that(written, equal_to(expected))
    return metrics


def test_verdicts_are_counted_by_kind(measured, url) -> None:
    photos = [
        _photo("good"),
        _photo("fine"),
        replace(_photo("shaken"), sharpness=1.0),
        replace(_photo("both"), sharpness=1.0, dark_probability=0.9),
        replace(_photo("screen"), screenshot_probability=0.9),
        replace(_photo("flat"), sharpness=None),
    ]
    counters = _write(measured, url, *photos).counters
    assert counters["photos_analysed"] == 6
    assert {name: n for name, n in counters.items() if "/" in name} == {
        "verdicts/shaken": 2,
        "verdicts/dark": 1,
        "verdicts/screenshot": 1,
        "verdicts/none": 3,
    }


def test_photos_with_and_without_tags_are_counted(measured, url) -> None:
    photos = [
        replace(_photo("dog"), objects=(DOG,)),
        replace(_photo("sky"), objects=()),
    ]
    counters = _write(measured, url, *photos, detector="d").counters
    assert (counters["tags/some"], counters["tags/none"]) == (1, 1)
    with closing(open_store(url)) as store:
        seen = {photo["title"]: photo["animal"] for photo in store.search(_ALL)}
    assert seen == {"dog": 1, "sky": 0}


_ALL: Final = PhotoQuery("ann")


def test_photo_older_than_what_is_stored_counts_no_verdict(measured, url) -> None:
    newer = _photo(announced_at_s=time.time())
    newer = replace(newer, event=replace(newer.event, generation=11))
    _write(measured, url, newer)
    with closing(open_store(url)) as store:
        store.settle("ann", DAY, lambda _: {})
    metrics = _write(measured, url, _photo(announced_at_s=time.time()), days=0)
    assert metrics.counters == {"photos_analysed": 1}
    assert set(metrics.distributions) == {"us/WritePhotos"}


def test_verdict_of_a_repeated_transaction_is_counted_once(tmp_path) -> None:
    class Repeats(SqliteStore):
        def write(self, meta, scores, judge, **others):
            # As a transaction that is aborted before it is committed.
            judge(scores)
            return super().write(meta, scores, judge, **others)

    do_fn = _WritePhotoDoFn("", "f1", None, THRESHOLDS)
    with closing(Repeats(tmp_path / "photos.db")) as store:
        do_fn._store = store
        reset_counted_here()
        assert list(do_fn.process(_photo())) == [("ann", DAY)]
    assert counted_here() == {"photos_analysed": 1, "verdicts/none": 1}


def test_time_from_announcement_to_document_is_observed(measured, url) -> None:
    now_s = time.time()
    photos = [
        _photo("just now", announced_at_s=now_s - 5),
        _photo("long ago", announced_at_s=now_s - 3600),
        _photo("listed"),
    ]
    metrics = _write(measured, url, *photos)
    seen = metrics.distributions["ms/event_to_document"]
    took_ms = (time.time() - now_s) * 1000
    assert seen.count == 2
    assert 5_000 <= seen.min <= 5_000 + took_ms + 1
    assert 3_600_000 <= seen.max <= 3_600_000 + took_ms + 1
    assert metrics.counters["documents_late"] == 1
    assert metrics.distributions["us/WritePhotos"].count == 3


def test_objects_of_an_analysed_photo_are_added(measured, url) -> None:
    photos = [_photo("a"), _photo("b"), _photo("gone")]
    _write(measured, url, *photos[:2])
    with measured() as (p, metrics):
        _ = (
            p
            | beam.Create([replace(photo, objects=(DOG,)) for photo in photos])
            | WriteObjects(url, "d", THRESHOLDS)
        )
    # What is not there is not judged.
    assert metrics.counters == {"photos_tagged": 3, "tags/some": 2}
    assert metrics.distributions["us/WriteObjects"].count == 3
    with closing(open_store(url)) as store:
        assert [json.loads(p["objects"])[0][0] for p in store.search(_ALL)] == [
            "dog",
            "dog",
        ]


def test_removed_photos_are_counted_and_timed(measured, url) -> None:
    _write(measured, url, _photo())
    event = replace(_photo().event, removed=True)
    with measured() as (p, metrics):
        _ = p | beam.Create([event, replace(event, name="other")]) | RemovePhotos(url)
    assert metrics.counters == {"photos_removed": 1}
    assert metrics.distributions["us/RemovePhotos"].count == 2
