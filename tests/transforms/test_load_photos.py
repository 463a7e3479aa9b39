import hashlib
import os
import uuid
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from google.cloud import storage
from PIL import Image

from models.images import FORMATS, decode
from tests.transforms.trouble import answers, lead_to, running_proxy
from transforms.buckets import list_photos
from transforms.counters import counted_here, reset_counted_here
from transforms.dead_letters import DEAD
from transforms.elements import DeadLetter, Photo, UploadEvent
from transforms.load_photos import GONE, ONLY_OBJECTS, LoadPhotos

_LIMIT = 1_000_000


@pytest.fixture(autouse=True)
def _count_from_zero() -> None:
    reset_counted_here()


def _photo(path: Path, size: tuple[int, int] = (80, 60)) -> UploadEvent:
    Image.new("RGB", size, (200, 100, 50)).save(path)
    return _event(path)


def _event(path: Path) -> UploadEvent:
    (event,) = list_photos(str(path), "ann")
    assert isinstance(event, UploadEvent)
    return event


def _check_outputs(
    events: list[UploadEvent],
    *,
    photos: Callable[[list[Photo]], None] | None = None,
    gone: list[UploadEvent] | None = None,
    dead: list[DeadLetter] | None = None,
    with_full_gray: bool = False,
) -> None:
    """Run the transform and compare its three outputs."""
    with TestPipeline() as p:
        loaded = (
            p | beam.Create(events) | LoadPhotos(_LIMIT, with_full_gray=with_full_gray)
        )
        assert_that(loaded.photos, photos or equal_to([]), label="Photos")
        assert_that(loaded[GONE], equal_to(gone or []), label="Gone")
        assert_that(loaded[DEAD], equal_to(dead or []), label="Dead")


def _dead(
    event: UploadEvent, reason: str, detail: str, exception: str = "BadPhotoError"
) -> DeadLetter:
    return DeadLetter(
        step="LoadPhotos",
        reason=reason,
        detail=detail,
        user_id="ann",
        path=event.path,
        generation=event.generation,
        exception=exception,
        announcement=event.announcement,
    )


def test_photo_is_decoded_and_described(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    event = _photo(path, (1000, 600))
    data = path.read_bytes()

    def check(photos: list[Photo]) -> None:
        (photo,) = photos
        assert photo.event == event
        assert photo.sha256 == hashlib.sha256(data).hexdigest()
        assert photo.size_bytes == len(data)
        assert photo.decoded.rgb.shape == (307, 512, 3)
        assert (photo.decoded.rgb == decode(data).rgb).all()
        assert photo.decoded.full_gray is None

    _check_outputs([event], photos=check)
    assert counted_here() == {"photos_decoded": 1}


def test_size_and_time_are_observed(tmp_path: Path, measured) -> None:
    event = _photo(tmp_path / "a.jpg")
    with measured() as (p, metrics):
        _ = p | beam.Create([event]) | LoadPhotos(_LIMIT)
    size = metrics.distributions["bytes/photo"]
    assert (size.count, size.sum) == (1, event.size_bytes)
    assert metrics.distributions["us/LoadPhotos"].count == 1


def test_full_gray_is_kept_if_asked_for(tmp_path: Path) -> None:
    def check(photos: list[Photo]) -> None:
        (photo,) = photos
        assert photo.decoded.full_gray is not None
        assert photo.decoded.full_gray.shape == (600, 1000)

    event = _photo(tmp_path / "a.jpg", (1000, 600))
    _check_outputs([event], photos=check, with_full_gray=True)


def test_changed_file_is_loaded_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    listed = _photo(path)
    now = _photo(path, (30, 20))
    os.utime(path, ns=(0, listed.generation + 10**9))

    def check(photos: list[Photo]) -> None:
        (photo,) = photos
        assert photo.event == _event(path)
        assert photo.event.generation == listed.generation + 10**9
        assert photo.size_bytes == now.size_bytes
        assert (photo.decoded.width, photo.decoded.height) == (30, 20)

    _check_outputs([listed], photos=check)


def test_removed_photo_is_counted_and_no_dead_letter(tmp_path: Path) -> None:
    event = _photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").unlink()
    _check_outputs([event])
    assert counted_here() == {"photos_gone": 1}


class TestBucket:
    @pytest.fixture
    def bucket(self, cloud_storage: storage.Client) -> storage.Bucket:
        return cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")

    def _event(self, bucket: storage.Bucket, data: bytes) -> UploadEvent:
        bucket.blob("users/ann/photos/a.jpg").upload_from_string(data)
        (event,) = list_photos(f"gs://{bucket.name}", "ann")
        assert isinstance(event, UploadEvent)
        return event

    def test_what_went_after_it_was_listed_is_counted(
        self, bucket: storage.Bucket
    ) -> None:
        event = self._event(bucket, b"photo")
        bucket.blob("users/ann/photos/a.jpg").delete()
        _check_outputs([event])
        assert counted_here() == {"photos_gone": 1}

    def test_what_went_after_it_was_announced_is_a_dead_letter(
        self, bucket: storage.Bucket
    ) -> None:
        event = replace(self._event(bucket, b"photo"), announcement="{}")
        bucket.blob("users/ann/photos/a.jpg").delete()
        detail = f"nothing is at gs://{bucket.name}/users/ann/photos/a.jpg"
        _check_outputs(
            [event], dead=[_dead(event, "object is gone", detail, "NotFound")]
        )
        assert counted_here() == {"dead_letters/LoadPhotos/object is gone": 1}

    @pytest.mark.parametrize("announcement", [None, "{}"], ids=["listed", "announced"])
    def test_what_was_overwritten_is_counted(
        self,
        bucket: storage.Bucket,
        announcement: str | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        event = replace(self._event(bucket, b"photo"), announcement=announcement)
        self._event(bucket, b"edited")
        with running_proxy() as proxy:
            lead_to(proxy.url, monkeypatch)
            proxy.trouble.append(answers(404))
            _check_outputs([event])
        assert counted_here() == {"photos_superseded": 1}

    def test_announcement_is_handed_on_with_a_bad_photo(
        self, bucket: storage.Bucket
    ) -> None:
        event = replace(self._event(bucket, b""), announcement='{"a": 1}')
        _check_outputs([event], dead=[_dead(event, "empty file", "empty file")])

    def test_what_can_not_be_read_says_why(
        self, bucket: storage.Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = replace(self._event(bucket, b"photo"), announcement='{"a": 1}')

        def check(letters: list[DeadLetter]) -> None:
            (letter,) = letters
            assert letter.reason == "can not be read"
            assert letter.detail.startswith("Cloud Storage: 403")
            assert letter.exception == "Forbidden"
            assert letter.announcement == event.announcement

        with running_proxy() as proxy:
            lead_to(proxy.url, monkeypatch)
            proxy.trouble.append(answers(403))
            with TestPipeline() as p:
                loaded = p | beam.Create([event]) | LoadPhotos(_LIMIT)
                assert_that(loaded[DEAD], check)


def test_bad_photos_are_dead_letters_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("Dear diary")
    (tmp_path / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    Image.new("1", (2000, 1000)).save(tmp_path / "large.png")
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: data.index(b"IDAT") + 6])
    (tmp_path / "folder.jpg").touch()
    details = {
        "cut.png": "damaged: nothing of it can be decoded",
        "empty.jpg": "empty file",
        "folder.jpg": "Is a directory",
        "header.png": "damaged header: no picture can be found in it",
        "large.png": "too large: 2000 x 1000 is 2 MP, the limit is 1 MP",
        "text.jpg": (
            "not a photo: its content is none of JPEG, PNG, WEBP, HEIF, GIF, TIFF, BMP"
        ),
    }
    reasons = {
        "cut.png": "damaged",
        "folder.jpg": "can not be read",
        "header.png": "damaged header",
        "text.jpg": "not a photo",
        "large.png": "too large",
    }
    exceptions = {
        "folder.jpg": "IsADirectoryError",
        "header.png": "UnidentifiedImageError",
    }
    events = {name: _event(tmp_path / name) for name in details}
    (tmp_path / "folder.jpg").unlink()
    (tmp_path / "folder.jpg").mkdir()
    good = [_photo(tmp_path / f"{i}.png", (10 + i, 10)) for i in range(3)]

    def check(photos: list[Photo]) -> None:
        assert sorted(photo.event.name for photo in photos) == [e.name for e in good]

    _check_outputs(
        [good[0], *events.values(), *good[1:]],
        photos=check,
        dead=[
            _dead(
                events[name],
                reasons.get(name, detail),
                detail,
                exceptions.get(name, "BadPhotoError"),
            )
            for name, detail in details.items()
        ],
    )
    counted = {
        f"dead_letters/LoadPhotos/{reasons.get(name, detail)}": 1
        for name, detail in details.items()
    }
    assert counted_here() == counted | {"photos_decoded": 3}


def test_too_large_photo_is_not_decoded(tmp_path: Path) -> None:
    # Its header says 2 MP and there is no pixel behind it: who decodes it, sees
    # that it is damaged.
    header = b"IHDR" + (2000).to_bytes(4) + (1000).to_bytes(4) + b"\x08\2\0\0\0"
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + (13).to_bytes(4)
        + header
        + zlib.crc32(header).to_bytes(4)
        + bytes(4)
        + b"IDAT"
        + zlib.crc32(b"IDAT").to_bytes(4)
    )
    event = _event(path)
    detail = "too large: 2000 x 1000 is 2 MP, the limit is 1 MP"
    _check_outputs([event], dead=[_dead(event, "too large", detail)])


def test_huge_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.truncate(600 * 2**20)  # takes no room on the disk
    event = _event(path)
    detail = "too large: 600 MiB, the limit is 512 MiB"
    _check_outputs([event], dead=[_dead(event, "too large", detail)])


def test_version_that_was_analysed_is_gone_when_the_present_is_no_photo(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"Dear diary")
    event = _event(path)
    known = UploadEvent(**(vars(event) | {"known_generation": 7}))
    older = vars(known) | {"generation": event.generation - 1, "removed": True}
    _check_outputs(
        [known],
        gone=[UploadEvent(**older)],
        dead=[
            _dead(
                event,
                "not a photo",
                "not a photo: its content is none of " + ", ".join(FORMATS),
            )
        ],
    )


def _only_objects(event: UploadEvent) -> UploadEvent:
    """Of a photo that is analysed already, but for its objects."""
    return replace(event, known_generation=event.generation, only_objects=True)


def _check_ways(
    event: UploadEvent, *, photos: int = 0, only_objects: int = 0, dead: int = 0
) -> None:
    """One event leads to so many elements of each kind, and nothing is removed."""

    def has(number: int) -> Callable[[list], None]:
        def check(found: list) -> None:
            assert len(found) == number

        return check

    with TestPipeline() as p:
        loaded = p | beam.Create([event]) | LoadPhotos(_LIMIT)
        assert_that(loaded.photos, has(photos), label="Photos")
        assert_that(loaded[ONLY_OBJECTS], has(only_objects), label="OnlyObjects")
        assert_that(loaded[DEAD], has(dead), label="Dead")
        assert_that(loaded[GONE], equal_to([]), label="Gone")


def test_photo_for_its_objects_alone_goes_its_own_way(tmp_path: Path) -> None:
    _check_ways(_only_objects(_photo(tmp_path / "a.png")), only_objects=1)


def test_photo_that_changed_since_it_was_listed_is_a_new_one(tmp_path: Path) -> None:
    event = _only_objects(_photo(tmp_path / "a.png"))
    os.utime(tmp_path / "a.png", (1_700_000_000, 1_700_000_000))
    _check_ways(event, photos=1)


def test_what_is_analysed_stays_if_its_objects_can_not_be_seen(tmp_path: Path) -> None:
    _check_ways(_only_objects(_photo(tmp_path / "a.png", (2000, 2000))), dead=1)
