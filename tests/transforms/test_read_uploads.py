import dataclasses
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from google.cloud import storage

from store.records import (
    Judgement,
    PhotoMeta,
    PhotoTags,
    StoredScores,
    Verdicts,
    photo_id,
)
from store.urls import open_store
from transforms.counters import counted_here, reset_counted_here
from transforms.dead_letters import DEAD
from transforms.elements import LOCAL_BUCKET, DeadLetter, UploadEvent
from transforms.read_uploads import FindRemoved, ListUploads, _MissingDoFn


@pytest.fixture(autouse=True)
def _count_from_zero() -> None:
    reset_counted_here()


@pytest.fixture
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/piccl.db"


@pytest.fixture
def roll(tmp_path: Path) -> Path:
    """A folder of two photos, one of them in a folder within."""
    folder = tmp_path / "roll"
    (folder / "day").mkdir(parents=True)
    for name in ("a.jpg", "day/b.jpg"):
        (folder / name).write_bytes(b"photo")
    return folder


def _store(url: str, *paths: str | Path, user_id: str = "ann") -> None:
    """Store photos as analysed, generation 7."""
    store = open_store(url)
    for path in map(str, paths):
        bucket, name = LOCAL_BUCKET, path
        if path.startswith("gs://"):
            bucket, _, name = path.removeprefix("gs://").partition("/")
        meta = PhotoMeta(
            user_id=user_id,
            id=photo_id(bucket, name),
            title=name.rpartition("/")[2],
            path=path,
            date="2021-07-08",
            latitude=None,
            longitude=None,
            taken_at="2021-07-08T09:10:11",
            time_source="exif",
            generation=7,
            width=4000,
            height=3000,
            bytes=5,
            sha256="0" * 64,
            damaged=False,
            sharpness=None,
            exposure=0.5,
            descriptor=b"",
            fingerprint="f",
        )
        verdicts = Verdicts(
            shaken=False,
            dark=False,
            screenshot=False,
            sharpness_threshold=1.0,
            dark_probability=0.0,
            dark_threshold=0.5,
            screenshot_probability=0.0,
            screenshot_threshold=0.5,
            version="v",
        )
        scores = StoredScores(None, 0.0, 0.0)
        judgement = Judgement(verdicts, PhotoTags())
        store.write(meta, scores, lambda _, same=judgement: same)
    store.close()


def _path(found: UploadEvent | DeadLetter) -> str:
    return found.path


class TestListUploads:
    def _expect(
        self, addresses: Sequence[str | Path], *paths: str | Path, dead: Sequence = ()
    ) -> None:
        with TestPipeline() as p:
            listed = p | beam.Create(list(map(str, addresses))) | ListUploads("ann")
            found = listed["uploads"] | beam.Map(_path)
            assert_that(found, equal_to(list(map(str, paths))), label="Uploads")
            assert_that(listed[DEAD], equal_to(list(dead)), label="Dead")

    def test_file_comes_once_however_many_addresses_lead_to_it(
        self, roll: Path
    ) -> None:
        (roll / "link.jpg").symlink_to("a.jpg")
        addresses: list[str | Path] = [
            roll,
            roll / "a.jpg",
            f"{roll}/**/*.jpg",
            f"{roll}/../roll/day",
        ]
        self._expect(addresses, roll / "a.jpg", roll / "day" / "b.jpg")
        assert counted_here()["photos_read"] == 2

    def test_event_belongs_to_the_user(self, roll: Path) -> None:
        path = roll / "a.jpg"
        info = path.stat()
        event = UploadEvent(
            user_id="ann",
            bucket="file",
            name=str(path),
            generation=info.st_mtime_ns,
            size_bytes=5,
            updated_at_s=info.st_mtime,
        )
        with TestPipeline() as p:
            listed = p | beam.Create([str(path)]) | ListUploads("ann")
            assert_that(listed["uploads"], equal_to([event]))

    def test_what_can_not_be_listed_is_a_dead_letter(self, roll: Path) -> None:
        (roll / "link.jpg").symlink_to("gone.jpg")
        open(os.fsencode(roll) + b"/\xff.jpg", "wb").close()
        letter = DeadLetter(
            step="ListUploads",
            reason="can not be listed",
            detail="can not look at the file: No such file or directory",
            user_id="ann",
            path=f"{roll}/link.jpg",
            generation=0,
        )
        no_text = dataclasses.replace(
            letter,
            detail="the file name is not valid UTF-8; rename it",
            path=f"{roll}/\\xff.jpg",
        )
        expected = [roll / "a.jpg", roll / "day" / "b.jpg"]
        self._expect([roll], *expected, dead=[letter, no_text])
        assert counted_here() == {
            "photos_listed": 4,
            "photos_read": 4,
            "dead_letters/ListUploads/can not be listed": 2,
        }

    def test_folder_and_bucket(self, roll: Path, cloud_storage: storage.Client) -> None:
        bucket = cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")
        bucket.blob("users/ann/c.jpg").upload_from_string(b"photo")
        address = f"gs://{bucket.name}/users/ann/"
        self._expect(
            [roll / "day", address, f"gs://{bucket.name}"],
            roll / "day" / "b.jpg",
            f"{address}c.jpg",
        )


class TestFindRemoved:
    def _expect(
        self,
        store_url: str,
        folders: Sequence[str | Path],
        *paths: str | Path,
        extra: Sequence[str | Path] = (),
        whole_folders: bool = False,
    ) -> None:
        """List the folders, and `extra` addresses, and expect removed photos."""
        names = list(map(str, folders))
        with TestPipeline() as p:
            listed = p | beam.Create(names + list(map(str, extra))) | ListUploads("ann")
            removed = listed | FindRemoved(
                store_url, "ann", whole_folders=whole_folders
            )
            found = removed | beam.Map(lambda e: (e.path, e.generation, e.removed))
            expected = [(str(path), 7, True) for path in paths]
            assert_that(found, equal_to(expected))

    def test_missing_photo_is_found(self, roll: Path, store_url: str) -> None:
        gone = roll / "day" / "gone.jpg"
        _store(store_url, roll / "a.jpg", roll / "day" / "b.jpg", gone)
        self._expect(store_url, [roll], gone)

    def test_nothing_is_removed_while_all_is_there(
        self, roll: Path, store_url: str
    ) -> None:
        _store(store_url, roll / "a.jpg", roll / "day" / "b.jpg")
        self._expect(store_url, [roll])

    def test_only_of_this_user_and_these_folders(
        self, roll: Path, store_url: str
    ) -> None:
        _store(store_url, roll / "gone.jpg", user_id="bob")
        _store(store_url, f"{roll}er/gone.jpg", roll.parent / "gone.jpg")
        _store(store_url, roll / "day" / "gone.jpg")
        self._expect(store_url, [f"{roll}/"], roll / "day" / "gone.jpg")

    @pytest.mark.parametrize("is_there", [True, False], ids=["empty", "missing"])
    def test_folder_without_a_photo_proves_nothing(
        self, roll: Path, store_url: str, is_there: bool
    ) -> None:
        unplugged = roll.parent / "disk"
        if is_there:
            unplugged.mkdir()
        _store(store_url, unplugged / "a.jpg", roll / "gone.jpg")
        self._expect(store_url, [unplugged, roll], roll / "gone.jpg")

    def test_what_could_not_be_listed_is_not_removed(
        self, roll: Path, store_url: str
    ) -> None:
        # Both are dead letters of the listing, and so is what would be in them.
        (roll / "link").symlink_to("unplugged")
        _store(store_url, roll / "link" / "a.jpg", roll / "link", roll / "gone.jpg")
        self._expect(store_url, [roll], roll / "gone.jpg")

    def test_an_empty_folder_in_another_proves_nothing(
        self, roll: Path, store_url: str
    ) -> None:
        # A disk of its own, unplugged; the folder around it is there.
        (roll / "disk").mkdir()
        _store(store_url, roll / "disk" / "a.jpg", roll / "gone.jpg")
        self._expect(store_url, [roll, roll / "disk"], roll / "gone.jpg")

    @pytest.mark.parametrize("junk", [".DS_Store", "piccl.db", None])
    def test_a_folder_that_shows_no_photo_proves_nothing(
        self, roll: Path, store_url: str, junk: str | None
    ) -> None:
        # A disk's folder that stays when the disk goes, or a folder of its own.
        (roll / "disk").mkdir()
        if junk is not None:
            (roll / "disk" / junk).write_bytes(b"no photo")
        _store(store_url, roll / "disk" / "a.jpg", roll / "other" / "b.jpg")
        self._expect(store_url, [roll])
        assert counted_here()["photos_kept"] == 2
        self._expect(
            store_url,
            [roll],
            roll / "disk" / "a.jpg",
            roll / "other" / "b.jpg",
            whole_folders=True,
        )

    def test_a_broken_link_shields_nothing_but_itself(
        self, roll: Path, store_url: str
    ) -> None:
        (roll / "1").symlink_to("nowhere")
        _store(store_url, roll / "1.jpg")
        self._expect(store_url, [roll], roll / "1.jpg")

    def test_bucket_whose_name_begins_as_another(
        self, store_url: str, cloud_storage: storage.Client
    ) -> None:
        bucket = cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")
        bucket.blob("a.jpg").upload_from_string(b"photo")
        gone = f"gs://{bucket.name}/gone.jpg"
        _store(store_url, gone, f"gs://{bucket.name}-old/a.jpg")
        self._expect(store_url, [f"gs://{bucket.name}"], gone)

    def test_folders_in_one_another_remove_once(
        self, roll: Path, store_url: str
    ) -> None:
        gone = roll / "day" / "gone.jpg"
        _store(store_url, gone, roll / "a.jpg")
        self._expect(store_url, [roll, roll / "day"], gone)

    def test_photo_that_another_address_finds_is_there(
        self, roll: Path, store_url: str
    ) -> None:
        elsewhere = roll.parent / "elsewhere.jpg"
        elsewhere.write_bytes(b"photo")
        _store(store_url, elsewhere, roll / "gone.jpg")
        self._expect(store_url, [roll], roll / "gone.jpg", extra=[elsewhere])

    def test_bucket(self, store_url: str, cloud_storage: storage.Client) -> None:
        bucket = cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")
        bucket.blob("users/ann/a.jpg").upload_from_string(b"photo")
        address = f"gs://{bucket.name}/users/ann/"
        gone = f"{address}day/gone.jpg"
        _store(store_url, gone, f"{address}a.jpg", f"gs://{bucket.name}/users/bob.jpg")
        self._expect(store_url, [address], gone)


def test_what_a_stream_stored_behind_the_listing_is_not_removed(
    cloud_storage: storage.Client,
) -> None:
    bucket = cloud_storage.create_bucket("stored-behind")
    blob = bucket.blob("users/me/photos/new.jpg")
    blob.upload_from_string(b"a photo")
    stored = UploadEvent(
        user_id="me",
        bucket=bucket.name,
        name=blob.name,
        generation=blob.generation,
        size_bytes=0,
        updated_at_s=0.0,
        removed=True,
    )
    folder = (f"gs://{bucket.name}/users/me/photos", {"listed": [], "stored": [stored]})
    missing = _MissingDoFn(whole_folders=False)
    assert list(missing.process(folder, [])) == []
    blob.delete()
    assert list(missing.process(folder, [])) == [stored]
