"""Photos arrive whole, once, and never in the place of others."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.handlers import objects
from google.api_core.exceptions import PreconditionFailed
from PIL import Image

from pipeline import uploading
from pipeline.local_files import LocalFile
from pipeline.uploading import THREADS, Uploader
from tests.pipeline.uploads import (
    PART_BYTES,
    PREFIX,
    large,
    put,
    with_hash,
)
from transforms.announcements import FILE_TIME_KEY


class TestWhatArrives:
    def test_content_and_metadata(self, cloud, upload, roll) -> None:
        os.utime(roll / "a.jpg", ns=(0, 1_234_567_890_987_654_321))
        summary = upload(roll)
        assert (summary["code"], summary["uploaded"]) == (0, 3)
        for name in ("a.jpg", "b ä.jpg", "day/c.jpg"):
            data = (roll / name).read_bytes()
            blob = cloud.bucket.get_blob(f"{PREFIX}roll/{name}")
            assert blob.download_as_bytes() == data
            assert blob.content_type == "image/jpeg"
            assert blob.metadata == {
                "sha256": hashlib.sha256(data).hexdigest(),
                FILE_TIME_KEY: str(int((roll / name).stat().st_mtime)),
            }
        assert summary["uploaded_bytes"] == sum(map(len, cloud.photos.values()))

    def test_content_tells_the_type(self, cloud, upload, tmp_path) -> None:
        path = tmp_path / "named_wrongly.jpg"
        Image.new("RGB", (8, 8)).save(path, "PNG")
        upload(path)
        blob = cloud.bucket.get_blob(f"{PREFIX}named_wrongly.jpg")
        assert blob.content_type == "image/png"

    def test_large_file(self, cloud, upload, tmp_path) -> None:
        data = large(b"0")
        assert upload(put(tmp_path / "large.jpg", data))["uploaded"] == 1
        assert cloud.photos == {"large.jpg": data}
        assert upload(tmp_path / "large.jpg")["skipped"] == 1

    def test_every_object_has_to_be_new(self, cloud, upload, tmp_path, jpeg) -> None:
        """Or the emulator, as it is extended here, would let others be replaced."""
        upload(put(tmp_path / "a.jpg", jpeg(1)))
        with pytest.raises(PreconditionFailed):
            cloud.bucket.blob(f"{PREFIX}a.jpg").upload_from_string(
                b"other", if_generation_match=0
            )


class TestTakenNames:
    def test_other_content_is_never_replaced(
        self, cloud, upload, tmp_path, jpeg
    ) -> None:
        old, new = jpeg(1), jpeg(2)
        path = put(tmp_path / "roll" / "a.jpg", old)
        upload(path.parent)
        put(path, new)
        summary = upload(path.parent)
        expected = {"roll/a.jpg": old, with_hash("roll/a.jpg", new): new}
        assert cloud.photos == expected
        name = PREFIX + with_hash("roll/a.jpg", new)
        assert summary["renamed"] == [{"path": str(path), "name": name}]
        assert upload(path.parent)["skipped"] == 1
        assert cloud.photos == expected

    def test_same_name_in_two_folders(self, cloud, upload, tmp_path, jpeg) -> None:
        files = [put(tmp_path / str(n) / "a.jpg", jpeg(n)) for n in range(3)]
        assert upload(*files)["uploaded"] == 3
        assert set(cloud.photos.values()) == {jpeg(n) for n in range(3)}
        before = set(cloud.photos)
        # Whatever the order.
        assert upload(*reversed(files))["skipped"] == 3
        assert set(cloud.photos) == before

    def test_same_photo_in_two_folders(self, cloud, upload, tmp_path, jpeg) -> None:
        files = [put(tmp_path / str(n) / "a.jpg", jpeg(1)) for n in range(9)]
        summary = upload(*files)
        assert (summary["uploaded"], summary["skipped"]) == (1, 8)
        assert cloud.photos == {"a.jpg": jpeg(1)}

    def test_photo_that_was_renamed_stays_so(
        self, cloud, upload, tmp_path, jpeg
    ) -> None:
        """Also when its own name has become free, or it would be there twice."""
        path = put(tmp_path / "a.jpg", jpeg(1))
        cloud.bucket.blob(f"{PREFIX}a.jpg").upload_from_string(b"other")
        upload(path)
        cloud.bucket.blob(f"{PREFIX}a.jpg").delete()
        assert upload(path)["skipped"] == 1
        assert list(cloud.photos) == [with_hash("a.jpg", jpeg(1))]

    def test_name_with_hash_is_taken_too(self, cloud, upload, tmp_path, jpeg) -> None:
        path = put(tmp_path / "a.jpg", jpeg(1))
        taken = {"a.jpg": b"1", with_hash("a.jpg", jpeg(1)): b"2"}
        for name, data in taken.items():
            cloud.bucket.blob(PREFIX + name).upload_from_string(data)
        assert upload(path)["uploaded"] == 1
        whole = with_hash("a.jpg", jpeg(1), digits=64)
        assert cloud.photos == taken | {whole: jpeg(1)}

    def test_no_name_is_left(self, cloud, upload, tmp_path, jpeg) -> None:
        path = put(tmp_path / "a.jpg", jpeg(1))
        for name in ["a.jpg", *(with_hash("a.jpg", jpeg(1), n) for n in (8, 64))]:
            cloud.bucket.blob(PREFIX + name).upload_from_string(b"other")
        summary = upload(path)
        assert summary["code"] == 1
        assert summary["failed"][0]["path"] == str(path)
        assert set(cloud.photos.values()) == {b"other"}

    def test_same_checksum_is_not_enough(self, cloud, upload, tmp_path, jpeg) -> None:
        """Photos of one name, size and CRC32C differ in their SHA-256."""
        data = jpeg(1)
        blob = cloud.bucket.blob(f"{PREFIX}a.jpg")
        blob.metadata = {"sha256": hashlib.sha256(b"other").hexdigest()}
        blob.upload_from_string(data)
        assert upload(put(tmp_path / "a.jpg", data))["renamed"]


class TestAtOnce:
    def test_whoever_is_second_takes_another_name(self, cloud, tmp_path, jpeg) -> None:
        first, second = (Uploader(cloud.bucket, "me") for _ in range(2))
        first.list_bucket()
        second.list_bucket()
        one = LocalFile(str(put(tmp_path / "1.jpg", jpeg(1))), "a.jpg")
        two = LocalFile(str(put(tmp_path / "2.jpg", jpeg(2))), "a.jpg")
        assert first.upload(one).kind == "uploaded"
        assert second.upload(two).kind == "renamed"
        assert second.upload(one).kind == "skipped"
        assert cloud.photos == {"a.jpg": jpeg(1), with_hash("a.jpg", jpeg(2)): jpeg(2)}

    def test_whoever_is_second_with_the_same_skips(self, cloud, tmp_path, jpeg) -> None:
        first, second = (Uploader(cloud.bucket, "me") for _ in range(2))
        one = LocalFile(str(put(tmp_path / "1.jpg", jpeg(1))), "a.jpg")
        assert first.upload(one).kind == "uploaded"
        assert second.upload(one).kind == "skipped"
        assert len(cloud.requests) == 2

    def test_large_file_that_was_overtaken(self, cloud, tmp_path) -> None:
        """Another is there when the last part arrives."""

        def overtake(name: str, files: emulator.Storage) -> None:
            if not name:
                path = f"{PREFIX}a.jpg"
                url = os.environ["STORAGE_EMULATOR_HOST"]
                other = objects._make_object_resource(url, cloud.name, path, "", "5")
                objects._checksums(b"other", other)
                files.create_file(cloud.name, path, b"other", other)

        cloud.before = overtake
        data = large(b"0")
        file = LocalFile(str(put(tmp_path / "a.jpg", data)), "a.jpg")
        assert Uploader(cloud.bucket, "me").upload(file).kind == "renamed"
        assert cloud.photos == {"a.jpg": b"other", with_hash("a.jpg", data): data}


class TestChangingFiles:
    """What is written while it is uploaded ends as no torn object."""

    @pytest.mark.parametrize("size", [PART_BYTES // 2, 3 * PART_BYTES])
    def test_while_it_is_looked_at(self, size, cloud, tmp_path, monkeypatch) -> None:
        old, new = (large(seed)[:size] for seed in (b"0", b"1"))
        path = put(tmp_path / "a.jpg", old)
        read = uploading._read_content

        def overwrite_meanwhile(stream: Any) -> uploading.Content:
            content = read(stream)
            if path.read_bytes() == old:
                path.write_bytes(new)
            return content

        monkeypatch.setattr(uploading, "_read_content", overwrite_meanwhile)
        file = LocalFile(str(path), "a.jpg")
        assert Uploader(cloud.bucket, "me").upload(file).kind == "uploaded"
        assert cloud.photos == {"a.jpg": new}

    @pytest.mark.parametrize("size", [3 * PART_BYTES, PART_BYTES + 99])
    def test_between_two_parts(self, size, cloud, tmp_path) -> None:
        old, new = large(b"0"), large(b"1")[:size]
        path = put(tmp_path / "a.jpg", old)

        def overwrite(name: str, _: object) -> None:
            if not name and path.read_bytes() == old:
                path.write_bytes(new)

        cloud.before = overwrite
        file = LocalFile(str(path), "a.jpg")
        assert Uploader(cloud.bucket, "me").upload(file).kind == "uploaded"
        assert cloud.photos == {"a.jpg": new}

    def test_that_never_rests(self, cloud, upload, tmp_path, jpeg, monkeypatch) -> None:
        path = put(tmp_path / "a.jpg", jpeg(1))
        read = uploading._read_content

        def append_meanwhile(stream: Any) -> uploading.Content:
            with path.open("ab") as file:
                file.write(b"more")
            return read(stream)

        monkeypatch.setattr(uploading, "_read_content", append_meanwhile)
        summary = upload(path)
        assert summary["code"] == 1
        assert summary["failed"] == [
            {"path": str(path), "why": "it changes while it is read"}
        ]
        assert cloud.photos == {}


class TestFailures:
    def test_what_can_not_be_read(
        self, cloud, upload, roll, ordinary_user, tmp_path
    ) -> None:
        (roll / "a.jpg").chmod(0)
        (roll / "day").chmod(0)
        tmp_path.chmod(0o777)
        with ordinary_user():
            summary = upload(roll)
        (roll / "day").chmod(0o755)
        assert (summary["code"], summary["uploaded"]) == (1, 1)
        failed = {o["path"]: o["why"] for o in summary["failed"]}
        assert failed == {
            str(roll / "a.jpg"): "Permission denied",
            str(roll / "day"): "can not list the folder: Permission denied",
        }

    def test_passing_failures_are_tried_again(self, cloud, upload, roll) -> None:
        statuses = [503, 429, 500]
        cloud.before = lambda *_: statuses.pop() if statuses else None
        summary = upload(roll)
        assert (summary["code"], summary["uploaded"]) == (0, 3)
        assert not statuses
        assert len(cloud.requests) == 6

    def test_one_that_is_refused_does_not_stop_others(
        self, cloud, upload, tmp_path, jpeg
    ) -> None:
        for number in range(40):
            put(tmp_path / "roll" / f"{number:02}.jpg", jpeg(number))
        cloud.before = lambda name, _: 400 if name < f"{PREFIX}roll/30" else None
        summary = upload(tmp_path / "roll")
        assert (summary["code"], summary["uploaded"]) == (1, 10)
        assert (len(summary["failed"]), summary["not_tried"]) == (30, 0)

    def test_a_bucket_that_fails_is_left_alone(
        self, cloud, upload, tmp_path, jpeg
    ) -> None:
        for number in range(100):
            put(tmp_path / "roll" / f"{number}.jpg", jpeg(1))
            put(tmp_path / "roll" / f"{number}.jpg", jpeg(1, shot=number))
        cloud.before = lambda *_: 403
        summary = upload(tmp_path / "roll")
        assert summary["code"] == 1
        assert len(cloud.requests) <= 3 * THREADS
        assert len(summary["failed"]) + summary["not_tried"] == 100

    def test_files_are_listed_no_faster_than_uploaded(
        self, cloud, tmp_path, jpeg
    ) -> None:
        listed, finished = 0, 0

        def files() -> Iterator[LocalFile]:
            nonlocal listed
            for number in range(100):
                listed += 1
                path = put(tmp_path / f"{number}.jpg", jpeg(number % 5))
                yield LocalFile(str(path), f"{number}.jpg")
                assert listed - finished <= 2 * THREADS + 1

        for _ in Uploader(cloud.bucket, "me").upload_all(files()):
            finished += 1
        assert (listed, finished) == (100, 100)
