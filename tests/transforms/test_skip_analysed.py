import dataclasses
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from models.tags import TagThresholds
from store.records import DayOutcome, Detected, PhotoMeta, StoredScores
from store.search import PhotoQuery
from store.urls import open_store
from transforms.counters import NAMESPACE
from transforms.elements import LOCAL_BUCKET, Day, UploadEvent
from transforms.skip_analysed import (
    DAYS,
    REANALYSE_ALL,
    REANALYSE_NOTHING,
    REANALYSE_OUTDATED,
    REMOVED,
    SkipAnalysed,
)
from transforms.verdicts import Thresholds

FINGERPRINT: Final = "f1"
GROUPED_BY: Final = "g1"
THRESHOLDS: Final = Thresholds(
    sharpness=5.0,
    dark=0.5,
    screenshot=0.75,
    tags=TagThresholds(),
    version="v1",
    tags_version="t1",
)
MAY_1: Final = "2024-05-01"
MAY_2: Final = "2024-05-02"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/photos.db"


def _event(
    name: str = "/p/a.jpg",
    *,
    generation: int = 10,
    bucket: str = LOCAL_BUCKET,
    removed: bool = False,
    user_id: str = "ada",
) -> UploadEvent:
    return UploadEvent(
        user_id=user_id,
        bucket=bucket,
        name=name,
        generation=generation,
        size_bytes=1000,
        updated_at_s=1714557600.0,
        removed=removed,
    )


def _analysed(
    url: str,
    event: UploadEvent,
    date: str = MAY_1,
    *,
    settled: bool = True,
    fingerprint: str = FINGERPRINT,
    detector: str | None = None,
) -> None:
    """Store an event's photo as a job before has left it."""
    scores = StoredScores(
        sharpness=7.5,
        dark_probability=0.25,
        screenshot_probability=0.125,
    )
    detected = None if detector is None else Detected("[]", detector, b"")
    meta = PhotoMeta(
        user_id=event.user_id,
        id=event.photo_id,
        title="a.jpg",
        path=event.path,
        date=date,
        latitude=None,
        longitude=None,
        taken_at=f"{date}T12:00:00",
        time_source="exif",
        generation=event.generation,
        width=4,
        height=3,
        bytes=event.size_bytes,
        sha256="00",
        damaged=False,
        sharpness=scores.sharpness,
        exposure=1.0,
        descriptor=b"",
        fingerprint=fingerprint,
    )
    with closing(open_store(url)) as store:
        store.write(meta, scores, THRESHOLDS.judge, detected=detected)
        if settled:
            store.settle(event.user_id, date, lambda _: {})


def _removed(url: str, event: UploadEvent) -> None:
    with closing(open_store(url)) as store:
        store.remove(event.user_id, event.photo_id, event.generation)


def _known(event: UploadEvent, generation: int) -> UploadEvent:
    return dataclasses.replace(event, known_generation=generation)


def _with_label(element: object, label: str) -> tuple[str, object]:
    return label, element


def _check(
    url: str,
    events: Iterable[UploadEvent],
    *,
    uploads: Iterable[UploadEvent] = (),
    removed: Iterable[UploadEvent] = (),
    days: Iterable[Day] = (),
    thresholds: Thresholds = THRESHOLDS,
    grouped_by: str = GROUPED_BY,
    reanalyse: str = REANALYSE_NOTHING,
    detector: str | None = None,
) -> dict[str, int]:
    """Run the events through and compare all outputs, in one step as that is fast.

    Returns:
        The counters.
    """
    pipeline = TestPipeline(runner="FnApiRunner")
    out = (
        pipeline
        | beam.Create(list(events))
        | SkipAnalysed(url, FINGERPRINT, detector, thresholds, grouped_by, reanalyse)
    )
    expected = {"uploads": uploads, REMOVED: removed, DAYS: days}
    labelled = [
        out[name] | name >> beam.Map(_with_label, name).with_output_types(Any)
        for name in expected
    ]
    assert_that(
        labelled | beam.Flatten(),
        equal_to([(name, one) for name in expected for one in expected[name]]),
    )
    result = pipeline.run()
    result.wait_until_finish()
    return {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == NAMESPACE
    }


def test_new_photo_is_analysed(url: str) -> None:
    event = _event()
    assert _check(url, [event], uploads=[event]) == {}


def test_photo_of_another_user_is_new(url: str) -> None:
    _analysed(url, _event(user_id="bob"))
    event = _event(user_id="ada")
    _check(url, [event], uploads=[event])


def test_analysed_photo_is_skipped(url: str) -> None:
    _analysed(url, _event())
    assert _check(url, [_event()]) == {"photos_skipped": 1}


def test_skipped_photo_emits_the_days_that_wait_for_it(url: str) -> None:
    _analysed(url, _event(generation=9), MAY_1, settled=False)
    _analysed(url, _event(generation=10), MAY_2, settled=False)
    _analysed(url, _event("/p/settled.jpg"), "2024-05-03")
    _check(
        url,
        [_event(), _event("/p/settled.jpg")],
        days=[("ada", MAY_1), ("ada", MAY_2)],
    )


def test_changed_file_is_analysed_whatever_its_time(url: str) -> None:
    events = [_event("/p/older", generation=9), _event("/p/newer", generation=11)]
    for event in events:
        _analysed(url, dataclasses.replace(event, generation=10))
    assert _check(url, events, uploads=[_known(event, 10) for event in events]) == {}


def test_newer_object_is_analysed(url: str) -> None:
    _analysed(url, _event(bucket="b", generation=10))
    event = _event(bucket="b", generation=11)
    _check(url, [event], uploads=[_known(event, 10)])


def test_superseded_object_emits_the_days_that_wait_only(url: str) -> None:
    _analysed(url, _event(bucket="b", generation=10), settled=False)
    counted = _check(
        url,
        [_event(bucket="b", generation=9)],
        days=[("ada", MAY_1)],
        reanalyse=REANALYSE_ALL,
    )
    assert counted == {"photos_superseded": 1}


def test_removed_event_goes_to_removed_unseen(url: str) -> None:
    _analysed(url, _event(generation=10), settled=False)
    events = [
        _event(generation=10, removed=True),
        _event("users/ada/photos/b", bucket="b", generation=3, removed=True),
    ]
    assert _check(url, events, removed=events) == {}


def test_removed_object_stays_removed(url: str) -> None:
    _analysed(url, _event("same", bucket="b", generation=10), MAY_1, settled=False)
    _analysed(url, _event("older", bucket="b", generation=10), MAY_2, settled=False)
    _removed(url, _event("same", bucket="b", generation=10))
    _removed(url, _event("older", bucket="b", generation=10))
    counted = _check(
        url,
        [
            _event("same", bucket="b", generation=10),
            _event("older", bucket="b", generation=9),
        ],
        days=[("ada", MAY_1), ("ada", MAY_2)],
    )
    assert counted == {"photos_superseded": 2}


def test_object_uploaded_after_its_removal_is_analysed(url: str) -> None:
    _removed(url, _event(bucket="b", generation=10))
    event = _event(bucket="b", generation=11)
    _check(url, [event], uploads=[_known(event, 10)])


def test_file_that_is_back_is_analysed_whatever_its_time(url: str) -> None:
    events = [
        _event("/p/older", generation=9),
        _event("/p/same", generation=10),
        _event("/p/newer", generation=11),
    ]
    for event in events:
        _analysed(url, dataclasses.replace(event, generation=10))
        _removed(url, dataclasses.replace(event, generation=10))
    _check(url, events, uploads=[_known(event, 10) for event in events])


def test_outdated_photos_are_counted_and_skipped_unless_asked(url: str) -> None:
    _analysed(url, _event("/p/old"), fingerprint="f0", settled=False)
    _analysed(url, _event("/p/new"), MAY_2)
    counted = _check(url, [_event("/p/old"), _event("/p/new")], days=[("ada", MAY_1)])
    assert counted == {"photos_skipped": 2, "photos_outdated": 1}


def test_outdated_photos_are_analysed_where_asked(url: str) -> None:
    _analysed(url, _event("/p/old"), fingerprint="f0", settled=False)
    _analysed(url, _event("/p/new"), MAY_2)
    counted = _check(
        url,
        [_event("/p/old"), _event("/p/new")],
        uploads=[_known(_event("/p/old"), 10)],
        reanalyse=REANALYSE_OUTDATED,
    )
    assert counted == {"photos_skipped": 1}


def test_all_photos_are_analysed_where_asked(url: str) -> None:
    _analysed(url, _event("/p/old"), fingerprint="f0")
    _analysed(url, _event("/p/new"))
    events = [_event("/p/old"), _event("/p/new")]
    counted = _check(
        url,
        events,
        uploads=[_known(event, 10) for event in events],
        reanalyse=REANALYSE_ALL,
    )
    assert counted == {}


@pytest.mark.parametrize("reanalyse", [REANALYSE_NOTHING, REANALYSE_OUTDATED])
def test_changed_threshold_judges_the_stored_scores(url: str, reanalyse: str) -> None:
    _analysed(url, _event())
    stricter = dataclasses.replace(THRESHOLDS, sharpness=8.0, dark=0.2, version="v2")
    counted = _check(
        url,
        [_event()],
        days=[("ada", MAY_1)],
        thresholds=stricter,
        reanalyse=reanalyse,
    )
    assert counted == {"photos_skipped": 1, "photos_rejudged": 1}
    with closing(open_store(url)) as store:
        (photo,) = store.day("ada", MAY_1)
        state = store.state("ada", _event().photo_id)
    assert (photo.shaken, photo.dark, photo.screenshot) == (True, True, False)
    assert state is not None
    assert (state.version, state.fingerprint) == ("v2", FINGERPRINT)


def test_scores_of_another_analysis_are_not_judged(url: str) -> None:
    # Its scores may mean something else than these thresholds do.
    _analysed(url, _event(), fingerprint="f0")
    stricter = dataclasses.replace(THRESHOLDS, sharpness=8.0, dark=0.2, version="v2")
    counted = _check(url, [_event()], thresholds=stricter)
    assert counted == {"photos_skipped": 1, "photos_outdated": 1}
    with closing(open_store(url)) as store:
        (photo,) = store.day("ada", MAY_1)
    assert not photo.dark


def test_second_run_with_the_same_thresholds_changes_nothing(url: str) -> None:
    _analysed(url, _event())
    stricter = dataclasses.replace(THRESHOLDS, sharpness=8.0, dark=0.2, version="v2")
    _check(url, [_event()], days=[("ada", MAY_1)], thresholds=stricter)
    with closing(open_store(url)) as store:
        store.settle("ada", MAY_1, lambda _: {})
    assert _check(url, [_event()], thresholds=stricter) == {"photos_skipped": 1}


@pytest.mark.parametrize(
    ("grouped_by", "counted"),
    [
        (GROUPED_BY, {"photos_skipped": 1}),
        ("g2", {"photos_skipped": 1, "photos_rejudged": 1}),
    ],
    ids=["same", "other"],
)
def test_day_grouped_by_other_options_is_grouped_again(
    url: str, grouped_by: str, counted: dict[str, int]
) -> None:
    _analysed(url, _event(), settled=False)
    with closing(open_store(url)) as store:
        outcome = DayOutcome(grouped_by=GROUPED_BY)
        store.settle("ada", MAY_1, lambda photos: {photos[0].id: outcome})
    days = [] if grouped_by == GROUPED_BY else [("ada", MAY_1)]
    assert _check(url, [_event()], days=days, grouped_by=grouped_by) == counted


def test_file_of_the_same_time_and_another_size_is_analysed(url: str) -> None:
    _analysed(url, _event())
    other = dataclasses.replace(_event(), size_bytes=999)
    expected = dataclasses.replace(other, known_generation=10)
    _check(url, [other], uploads=[expected])


def test_photo_without_objects_is_looked_at_by_the_detector_alone(url: str) -> None:
    event = _event()
    _analysed(url, event, fingerprint="older")
    known = dataclasses.replace(_known(event, 10), only_objects=True)
    counters = _check(url, [event], uploads=[known], detector="d1")
    assert counters == {"photos_outdated": 1}


@pytest.mark.parametrize("detector", [None, "d1"], ids=["none", "the same"])
def test_photo_with_objects_is_skipped(url: str, detector: str | None) -> None:
    event = _event()
    _analysed(url, event, detector="d1")
    counters = _check(url, [event], detector=detector)
    assert counters == {"photos_skipped": 1}


def test_photo_of_another_detector_is_outdated(url: str) -> None:
    event = _event()
    _analysed(url, event, detector="d1")
    counters = _check(url, [event], detector="d2")
    assert counters == {"photos_skipped": 1, "photos_outdated": 1}
    known = dataclasses.replace(_known(event, 10), only_objects=True)
    _check(url, [event], uploads=[known], detector="d2", reanalyse=REANALYSE_OUTDATED)


def test_without_a_detector_no_photo_is_outdated_by_one(url: str) -> None:
    event = _event()
    _analysed(url, event, detector="d1")
    counters = _check(url, [event], reanalyse=REANALYSE_OUTDATED)
    assert counters == {"photos_skipped": 1}


def _tags_of(url: str) -> tuple[str | None, bool | None]:
    with closing(open_store(url)) as store:
        (photo,) = store.search(PhotoQuery("ada"))
        state = store.state("ada", photo["id"])
        assert state is not None
        return state.tags_version, photo["shaken"]


@pytest.mark.parametrize("detector", [None, "d1", "d2"])
@pytest.mark.parametrize("fingerprint", [FINGERPRINT, "older"])
def test_changed_tag_thresholds_judge_stored_objects_whoever_saw_them(
    url: str, detector: str | None, fingerprint: str
) -> None:
    event = _event()
    _analysed(url, event, detector="d1", fingerprint=fingerprint)
    other = dataclasses.replace(THRESHOLDS, sharpness=8.0, tags_version="t2")
    # Verdicts have a version of their own, which did not change.
    days = [("ada", MAY_1)]
    counters = _check(url, [event], days=days, detector=detector, thresholds=other)
    assert counters["photos_rejudged"] == 1
    assert _tags_of(url) == ("t2", 0)


def test_another_detector_does_not_keep_verdicts_from_being_judged(url: str) -> None:
    event = _event()
    _analysed(url, event, detector="d1")
    stricter = dataclasses.replace(THRESHOLDS, sharpness=8.0, version="v2")
    days = [("ada", MAY_1)]
    counters = _check(url, [event], days=days, detector="d2", thresholds=stricter)
    assert counters == {
        "photos_skipped": 1,
        "photos_outdated": 1,
        "photos_rejudged": 1,
    }
    assert _tags_of(url) == ("t1", 1)
