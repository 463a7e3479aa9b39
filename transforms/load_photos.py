"""The only step that reads and decodes photos."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from models.budget import Budget
from models.images import BadPhotoError, check_format, decode
from transforms.buckets import (
    ObjectGoneError,
    SupersededError,
    check_size,
    read_photo,
)
from transforms.counters import count, observe, timed
from transforms.dead_letters import DEAD, DeadOutput, dead_letter
from transforms.elements import DeadLetter, Photo, UploadEvent

GONE: Final = "gone"
ONLY_OBJECTS: Final = "only_objects"
_GoneOutput: TypeAlias = TaggedOutput[Literal["gone"], UploadEvent]
_OnlyObjectsOutput: TypeAlias = TaggedOutput[Literal["only_objects"], Photo]

# Photos are smaller; what is larger would have to be held in memory to see it.
_MAX_BYTES: Final = 512 * 1024 * 1024
# What is held encoded at once, however many threads there are.
_ENCODED: Final = Budget(_MAX_BYTES)


class LoadPhotos(beam.PTransform):
    """UploadEvent -> `photos`, `only_objects`: Photo; `gone`: UploadEvent; `dead`.

    `only_objects` are photos that are analysed already, but for their objects;
    `gone` are older versions of photos whose present version is no photo.

    Args:
        max_pixels: Larger photos become dead letters before they are decoded.
        with_full_gray: Keep the grey photo at full size for `ScoreBlur`.
    """

    def __init__(self, max_pixels: int, *, with_full_gray: bool = False) -> None:
        super().__init__()
        self._do_fn = _LoadPhotoDoFn(max_pixels, with_full_gray)

    def expand(self, events: beam.PCollection[UploadEvent]) -> DoOutputsTuple:
        return events | "Load" >> beam.ParDo(self._do_fn).with_outputs(
            ONLY_OBJECTS, GONE, DEAD, main="photos"
        )


class _LoadPhotoDoFn(beam.DoFn):
    def __init__(self, max_pixels: int, with_full_gray: bool) -> None:
        self._max_pixels = max_pixels
        self._with_full_gray = with_full_gray

    def process(
        self, event: UploadEvent
    ) -> Iterator[Photo | _OnlyObjectsOutput | _GoneOutput | DeadOutput]:
        try:
            with timed("LoadPhotos"):
                photo = self._load(event)
            # What changed since it was listed is a new photo.
            if event.only_objects and photo.event.generation == event.generation:
                yield TaggedOutput(ONLY_OBJECTS, photo)
            else:
                yield photo
        except SupersededError:
            count("photos_superseded")
        except ObjectGoneError as err:
            if event.announcement is None:
                count("photos_gone")
            else:
                # Its removal is announced too, and whoever replays the letter
                # later than that finds it settled.
                yield _letter(event, "object is gone", f"nothing is at {err}", err)
        except BadPhotoError as err:
            reason, _, _ = str(err).partition(":")
            yield _letter(event, reason, str(err), err)
            if event.known_generation is not None and not event.only_objects:
                yield _overwritten(event)
        except OSError as err:
            yield _letter(event, "can not be read", err.strerror or str(err), err)
            if event.known_generation not in (None, event.generation):
                yield _overwritten(event)

    def _load(self, event: UploadEvent) -> Photo:
        # Before it waits for that much of the budget.
        check_size(event.size_bytes, _MAX_BYTES)
        with _ENCODED.take(event.size_bytes):
            data, event = read_photo(event, check_format, _MAX_BYTES)
            with timed("LoadPhotos/decode"):
                decoded = decode(
                    data,
                    max_pixels=self._max_pixels,
                    with_full_gray=self._with_full_gray,
                )
        count("photos_decoded")
        observe("bytes/photo", len(data))
        return Photo(
            event=event,
            decoded=decoded,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )


def _overwritten(event: UploadEvent) -> _GoneOutput:
    """The version that was analysed and that this one took the place of."""
    older = replace(event, generation=event.generation - 1, removed=True)
    return TaggedOutput(GONE, older)


def _letter(event: UploadEvent, reason: str, detail: str, err: Exception) -> DeadOutput:
    return dead_letter(
        DeadLetter(
            step="LoadPhotos",
            reason=reason,
            detail=detail,
            user_id=event.user_id,
            path=event.path,
            generation=event.generation,
            # What went wrong at first tells more than what it was made of here.
            exception=type(err.__cause__ or err).__name__,
            announcement=event.announcement,
        )
    )
