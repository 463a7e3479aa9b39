"""Results and removals into the store, one transaction a photo."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

import apache_beam as beam

from store.records import Detected, Judgement, PhotoMeta, StoredScores
from transforms.counters import count, observe, timed
from transforms.elements import Day, Photo, UploadEvent
from transforms.store_dofn import StoreDoFn
from transforms.verdicts import Thresholds, objects_to_json

_KINDS: Final = ("shaken", "dark", "screenshot")
# A distribution knows no percentiles and never forgets; with this count, that one
# photo in twenty is late can be told of the last minutes.
_LATE_S: Final = 60.0


class WritePhotos(beam.PTransform):
    """Photo -> Day, each that has to be regrouped because of it.

    Args:
        store_url: Where to write.
        fingerprint: Of the analysis behind the scores.
        detector: Fingerprint of what looked for objects; None if nothing did.
        thresholds: What the scores are judged by.
    """

    def __init__(
        self,
        store_url: str,
        fingerprint: str,
        detector: str | None,
        thresholds: Thresholds,
    ) -> None:
        super().__init__()
        self._do_fn = _WritePhotoDoFn(store_url, fingerprint, detector, thresholds)

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Day]:
        return photos | "Write" >> beam.ParDo(self._do_fn).with_output_types(Day)


class WriteObjects(beam.PTransform):
    """Photo that is analysed already -> Day, each that has to be regrouped.

    Only what the detector found is written.

    Args:
        store_url: Where to write.
        detector: Fingerprint of what looked for objects.
        thresholds: What photos are judged by.
    """

    def __init__(self, store_url: str, detector: str, thresholds: Thresholds) -> None:
        super().__init__()
        self._do_fn = _WriteObjectsDoFn(store_url, detector, thresholds)

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Day]:
        return photos | "Write" >> beam.ParDo(self._do_fn).with_output_types(Day)


class RemovePhotos(beam.PTransform):
    """UploadEvent of what is gone -> Day, each that has to be regrouped.

    Args:
        store_url: Where to remove it.
    """

    def __init__(self, store_url: str) -> None:
        super().__init__()
        self._do_fn = _RemovePhotoDoFn(store_url)

    def expand(self, events: beam.PCollection[UploadEvent]) -> beam.PCollection[Day]:
        return events | "Remove" >> beam.ParDo(self._do_fn).with_output_types(Day)


class _Judge:
    """Remembers what a photo was judged, for counting it once it is written.

    The store asks within its transaction: not at all if it knows a newer version,
    and again at every try.

    Attributes:
        said: The last answer; None if it was not asked.
    """

    def __init__(self, judge: Callable[[StoredScores], Judgement]) -> None:
        self._judge = judge
        self.said: Judgement | None = None

    def __call__(self, scores: StoredScores) -> Judgement:
        self.said = self._judge(scores)
        return self.said


def _count_judgement(judgement: Judgement) -> None:
    verdicts, tags = judgement.verdicts, judgement.tags
    if verdicts is not None:
        kinds = [kind for kind in _KINDS if getattr(verdicts, kind)]
        for kind in kinds or ["none"]:
            count(f"verdicts/{kind}")
    # No version: no detector has looked.
    if tags is not None and tags.version is not None:
        count("tags/some" if tags.subject else "tags/none")


def _observe_latency(event: UploadEvent) -> None:
    """How long after its announcement a photo is in the store."""
    if event.announced_at_s is None:
        return
    latency_s = time.time() - event.announced_at_s
    observe("ms/event_to_document", latency_s * 1000)
    if latency_s > _LATE_S:
        count("documents_late")


class _WritePhotoDoFn(StoreDoFn):
    def __init__(
        self,
        store_url: str,
        fingerprint: str,
        detector: str | None,
        thresholds: Thresholds,
    ) -> None:
        super().__init__(store_url)
        self._fingerprint = fingerprint
        self._detector = detector
        self._thresholds = thresholds

    def process(self, photo: Photo) -> Iterator[Day]:
        scores = StoredScores(
            sharpness=photo.sharpness,
            dark_probability=photo.dark_probability,
            screenshot_probability=photo.screenshot_probability,
        )
        judge = _Judge(self._thresholds.judge)
        with timed("WritePhotos"):
            dates = self._store.write(
                photo_meta(photo, self._fingerprint),
                scores,
                judge,
                detected=_detected(photo, self._detector),
                replaces=photo.event.replaces,
            )
        count("photos_analysed")
        if judge.said is not None:
            _count_judgement(judge.said)
            _observe_latency(photo.event)
        for date in sorted(dates):
            yield photo.event.user_id, date


class _WriteObjectsDoFn(StoreDoFn):
    def __init__(self, store_url: str, detector: str, thresholds: Thresholds) -> None:
        super().__init__(store_url)
        self._detector = detector
        self._thresholds = thresholds

    def process(self, photo: Photo) -> Iterator[Day]:
        event = photo.event
        # The other scores may be of another analysis, which this job's thresholds
        # are not for.
        judge = _Judge(self._thresholds.judge_tags)
        with timed("WriteObjects"):
            dates = self._store.rejudge(
                event.user_id,
                event.photo_id,
                event.generation,
                judge,
                _detected(photo, self._detector),
            )
        count("photos_tagged")
        if judge.said is not None:
            _count_judgement(judge.said)
        for date in sorted(dates):
            yield event.user_id, date


def _detected(photo: Photo, detector: str | None) -> Detected | None:
    if photo.objects is None or detector is None:
        return None
    return Detected(
        objects=objects_to_json(photo.objects),
        detector=detector,
        features=photo.features,
    )


class _RemovePhotoDoFn(StoreDoFn):
    def process(self, event: UploadEvent) -> Iterator[Day]:
        with timed("RemovePhotos"):
            dates = self._store.remove(
                event.user_id, event.photo_id, event.generation, replaces=event.replaces
            )
        if dates:
            count("photos_removed")
        for date in sorted(dates):
            yield event.user_id, date


def photo_meta(photo: Photo, fingerprint: str) -> PhotoMeta:
    """The row of `photos` for an analysed photo."""
    event, decoded = photo.event, photo.decoded
    capture = decoded.capture
    taken_at = capture.taken_at
    if taken_at is None:
        # The same on every machine, wherever it stands.
        taken_at = datetime.fromtimestamp(event.updated_at_s, UTC)
    return PhotoMeta(
        user_id=event.user_id,
        id=event.photo_id,
        title=PurePosixPath(event.name).name,
        path=event.path,
        date=taken_at.date().isoformat(),
        latitude=capture.latitude,
        longitude=capture.longitude,
        taken_at=taken_at.isoformat(),
        time_source="exif" if capture.taken_at else "file",
        generation=event.generation,
        width=decoded.width,
        height=decoded.height,
        bytes=photo.size_bytes,
        sha256=photo.sha256,
        damaged=decoded.damaged,
        sharpness=photo.sharpness,
        exposure=photo.exposure,
        descriptor=photo.descriptor,
        fingerprint=fingerprint,
    )
