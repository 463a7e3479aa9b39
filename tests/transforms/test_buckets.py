import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from models.images import BadPhotoError
from tests.transforms.trouble import (
    Proxy,
    Trouble,
    answers,
    hangs_up,
    is_slow,
    lead_to,
    running_proxy,
    sends,
)
from transforms import buckets
from transforms.announcements import (
    FILE_TIME_KEY,
    FINALIZE,
    build_announcement,
    parse_announcement,
)
from transforms.buckets import (
    ListingError,
    ObjectGoneError,
    SupersededError,
    list_photos,
    read_photo,
)
from transforms.counters import counted_here, reset_counted_here
from transforms.elements import UploadEvent

_LIMIT = 50_000_000


def _put(path: Path, data: bytes = b"photo") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def _names(address: str | Path) -> list[str]:
    found = list(list_photos(str(address), "ann"))
    assert [event for event in found if isinstance(event, ListingError)] == []
    return [event.name for event in found if isinstance(event, UploadEvent)]


def _errors(address: str | Path) -> list[ListingError]:
    found = list_photos(str(address), "ann")
    return [error for error in found if isinstance(error, ListingError)]


def _event(address: str | Path) -> UploadEvent:
    (event,) = list_photos(str(address), "ann")
    assert isinstance(event, UploadEvent)
    return event


def _accept(_: bytes) -> None:
    pass


class TestFolders:
    def test_folder_is_searched_to_any_depth(self, tmp_path: Path) -> None:
        names = ["a.jpg", "b/c.jpg", "b/d/e/notes.txt", ".hidden/.f.jpg", "ä ö/🌅.jpg"]
        expected = sorted(_put(tmp_path / name) for name in names)
        (tmp_path / "empty").mkdir()
        assert sorted(_names(tmp_path)) == expected
        assert sorted(_names(f"{tmp_path}/b/..//")) == expected

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "/roll",
            "/**",
            "/**/*.jpg",
            "/roll/*",
            "/roll/.piccl-trash",
            "/roll/.piccl-trash/*",
            "/roll/.piccl-trash/run/b.jpg",
        ],
    )
    def test_trash_is_not_listed(self, address: str, tmp_path: Path) -> None:
        path = _put(tmp_path / "roll" / "a.jpg")
        for name in (".piccl-trash/run/b.jpg", ".piccl-trash/c.jpg"):
            _put(tmp_path / "roll" / name)
        (tmp_path / "roll" / "link.jpg").symlink_to(".piccl-trash/c.jpg")
        found = _names(f"{tmp_path}{address}")
        assert found == ([] if "trash" in address else [path])

    def test_event_tells_what_is_known_of_the_file(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "a.jpg", b"12345")
        os.utime(path, ns=(0, 1_600_000_000_125_000_001))
        assert _event(tmp_path) == UploadEvent(
            user_id="ann",
            bucket="file",
            name=path,
            generation=1_600_000_000_125_000_001,
            size_bytes=5,
            updated_at_s=1_600_000_000.125,
        )

    def test_relative_addresses_give_absolute_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = _put(tmp_path / "roll" / "a.jpg")
        monkeypatch.chdir(tmp_path)
        for address in ("roll", "roll/a.jpg", "./roll/../roll/*.jpg", "."):
            assert _names(address) == [path]

    def test_link_to_a_file_has_the_name_of_the_file(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "a.jpg")
        (tmp_path / "b.jpg").symlink_to("a.jpg")
        (tmp_path / "c.jpg").symlink_to("b.jpg")
        assert _names(tmp_path) == [path] * 3
        assert _names(tmp_path / "c.jpg") == [path]

    def test_links_to_folders_are_not_followed(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "roll" / "a.jpg")
        _put(tmp_path / "elsewhere" / "b.jpg")
        (tmp_path / "roll" / "out").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "roll" / "up").symlink_to("..")
        (tmp_path / "roll" / "self").symlink_to(".")
        assert _names(tmp_path / "roll") == [path]

    def test_folder_may_be_named_by_a_link(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "roll" / "a.jpg")
        (tmp_path / "link").symlink_to("roll")
        assert _names(tmp_path / "link") == [path]

    @pytest.mark.parametrize("target", ["gone.jpg", "link.jpg"], ids=["gone", "self"])
    def test_link_that_leads_nowhere(self, tmp_path: Path, target: str) -> None:
        path = _put(tmp_path / "a.jpg")
        link = tmp_path / "link.jpg"
        link.symlink_to(target)
        found = list(list_photos(str(tmp_path), "ann"))
        (error,) = (each for each in found if isinstance(each, ListingError))
        assert error.path == str(link)
        assert error.detail.startswith("can not look at the file: ")
        assert [each.name for each in found if isinstance(each, UploadEvent)] == [path]

    @pytest.mark.parametrize(
        "make",
        [
            lambda name: open(name, "wb").close(),
            lambda name: os.symlink(b"gone.jpg", name),
        ],
        ids=["file", "link"],
    )
    def test_name_that_is_no_text(
        self, tmp_path: Path, make: Callable[[bytes], None]
    ) -> None:
        make(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
        (error,) = _errors(tmp_path)
        # It is written to files and shown, so it has to be text.
        assert error.path == f"{tmp_path}/caf\\xe9.jpg"
        assert error.path.encode()

    def test_folder_whose_name_is_no_text(self, tmp_path: Path) -> None:
        folder = os.fsencode(tmp_path) + b"/\xff"
        os.mkdir(folder)
        open(folder + b"/a.jpg", "wb").close()
        assert _errors(tmp_path) == [
            ListingError(
                f"{tmp_path}/\\xff/a.jpg", "the file name is not valid UTF-8; rename it"
            )
        ]

    def test_folder_without_permission(self, tmp_path: Path, ordinary_user) -> None:
        _put(tmp_path / "locked" / "a.jpg")
        tmp_path.chmod(0o755)
        (tmp_path / "locked").chmod(0)
        with ordinary_user():
            errors = _errors(tmp_path)
        (tmp_path / "locked").chmod(0o700)
        (error,) = errors
        assert error.path == str(tmp_path / "locked")
        assert error.detail == "can not list the folder: Permission denied"

    def test_time_beyond_64_bits(self, tmp_path: Path) -> None:
        os.utime(_put(tmp_path / "a.jpg"), (1.05e10, 1.05e10))
        (error,) = _errors(tmp_path)
        assert "time is out of range" in error.detail

    def test_pipes_are_no_photos(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        assert _names(tmp_path) == []


class TestFilesAndGlobs:
    def test_single_file(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "a.jpg")
        _put(tmp_path / "b.jpg")
        assert _names(path) == [path]

    def test_missing_file(self, tmp_path: Path) -> None:
        missing = str(tmp_path / "a.jpg")
        (error,) = _errors(missing)
        assert error.path == missing
        assert error.detail == "can not look at the file: No such file or directory"

    @pytest.mark.parametrize("name", ["a[1].jpg", "why?.jpg", "*.jpg"])
    def test_name_that_looks_like_a_pattern(self, tmp_path: Path, name: str) -> None:
        path = _put(tmp_path / name)
        _put(tmp_path / "a1.jpg")
        assert _names(path) == [path]

    def test_folder_that_looks_like_a_pattern(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "trip [2020]" / "a.jpg")
        assert _names(tmp_path / "trip [2020]") == [path]

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.jpg", ["a.jpg", "b.jpg"]),
            ("[a]*", ["a.jpg", "a.png"]),
            ("**/*.jpg", ["a.jpg", "b.jpg", "c/d.jpg", "c/e/f.jpg"]),
            ("c/**", ["c/d.jpg", "c/e/f.jpg"]),
            ("*/d.???", ["c/d.jpg"]),
            # A folder that matches is searched as one that is named.
            ("c*", ["c/d.jpg", "c/e/f.jpg"]),
            ("*.heic", []),
        ],
    )
    def test_pattern(self, tmp_path: Path, pattern: str, expected: list[str]) -> None:
        for name in ("a.jpg", "a.png", "b.jpg", "c/d.jpg", "c/e/f.jpg"):
            _put(tmp_path / name)
        # Neither way may a pattern go round in circles.
        (tmp_path / "c" / "loop").symlink_to(tmp_path)
        names = [str(tmp_path / name) for name in expected]
        assert sorted(_names(tmp_path / pattern)) == names


class TestReadFile:
    def test_reads_it_whole(self, tmp_path: Path) -> None:
        data = os.urandom(200_000)
        event = _event(_put(tmp_path / "a.jpg", data))
        seen: list[bytes] = []
        assert read_photo(event, seen.append, _LIMIT) == (data, event)
        assert seen == [data[: 64 * 1024]]

    def test_what_the_check_raises_ends_the_reading(self, tmp_path: Path) -> None:
        event = _event(_put(tmp_path / "a.jpg"))

        def refuse(beginning: bytes) -> None:
            raise LookupError(beginning)

        with pytest.raises(LookupError, match="photo"):
            read_photo(event, refuse, _LIMIT)

    def test_changed_file_counts_as_it_is_now(self, tmp_path: Path) -> None:
        path = _put(tmp_path / "a.jpg", b"old")
        os.utime(path, ns=(0, 10**18))
        listed = _event(path)
        _put(tmp_path / "a.jpg", b"longer than before")
        os.utime(path, ns=(0, 2 * 10**18))
        data, event = read_photo(listed, _accept, _LIMIT)
        assert data == b"longer than before"
        assert event == _event(path)
        assert (event.generation, event.size_bytes) == (2 * 10**18, 18)

    def test_removed_file_is_gone(self, tmp_path: Path) -> None:
        event = _event(_put(tmp_path / "a.jpg"))
        (tmp_path / "a.jpg").unlink()
        with pytest.raises(ObjectGoneError):
            read_photo(event, _accept, _LIMIT)

    def test_file_that_grew_too_large(self, tmp_path: Path) -> None:
        event = _event(_put(tmp_path / "a.jpg"))
        _put(tmp_path / "a.jpg", bytes(3 * 2**20))
        with pytest.raises(BadPhotoError, match="too large: 3 MiB, the limit is 2 MiB"):
            read_photo(event, _accept, 2 * 2**20)

    def test_what_became_a_folder_can_not_be_read(self, tmp_path: Path) -> None:
        event = _event(_put(tmp_path / "a.jpg"))
        (tmp_path / "a.jpg").unlink()
        (tmp_path / "a.jpg").mkdir()
        with pytest.raises(IsADirectoryError):
            read_photo(event, _accept, _LIMIT)


@pytest.fixture
def bucket(cloud_storage: storage.Client) -> storage.Bucket:
    return cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")


def _upload(bucket: storage.Bucket, name: str, data: bytes = b"photo") -> None:
    bucket.blob(name).upload_from_string(data)


class TestCloudStorage:
    def test_prefix(self, bucket: storage.Bucket) -> None:
        for name in ("users/ann/a.jpg", "users/ann/b/ä c.jpg", "users/bob/d.jpg"):
            _upload(bucket, name)
        _upload(bucket, "users/ann/folder/", b"")
        _upload(bucket, "users/ann/.piccl-trash/run/e.jpg")
        address = f"gs://{bucket.name}"
        names = ["users/ann/a.jpg", "users/ann/b/ä c.jpg", "users/bob/d.jpg"]
        assert _names(address) == names
        assert _names(f"{address}/users/ann/") == names[:2]
        assert _names(f"{address}/users/bob/d.jpg") == names[2:]
        assert _names(f"{address}/users/eve/") == []

    def test_pattern(self, bucket: storage.Bucket) -> None:
        trashed = "b/.piccl-trash/run/g.jpg"
        for name in ("a.jpg", "b/c.jpg", "b/d.png", "b/e/f.jpg", trashed):
            _upload(bucket, name)
        address = f"gs://{bucket.name}"
        assert _names(f"{address}/**.jpg") == ["a.jpg", "b/c.jpg", "b/e/f.jpg"]
        assert _names(f"{address}/b/*.jpg") == ["b/c.jpg"]

    def test_event_tells_what_is_known_of_the_object(
        self, bucket: storage.Bucket
    ) -> None:
        _upload(bucket, "users/ann/a.jpg", b"12345")
        blob = bucket.get_blob("users/ann/a.jpg")
        assert blob is not None
        event = _event(f"gs://{bucket.name}")
        assert event == UploadEvent(
            user_id="ann",
            bucket=bucket.name,
            name="users/ann/a.jpg",
            generation=blob.generation,
            size_bytes=5,
            updated_at_s=blob.updated.timestamp(),
        )
        assert event.path == f"gs://{bucket.name}/users/ann/a.jpg"

    def test_missing_bucket(self, cloud_storage: storage.Client) -> None:
        with pytest.raises(OSError, match="can not list gs://no-such-bucket/a: 404"):
            list(list_photos("gs://no-such-bucket/a", "ann"))

    # Larger than one request fetches.
    @pytest.mark.parametrize("size", [0, 1, 70_000, 20_000_000])
    def test_reads_it_whole(self, bucket: storage.Bucket, size: int) -> None:
        data = os.urandom(size)
        _upload(bucket, "a.jpg", data)
        event = _event(f"gs://{bucket.name}")
        seen: list[bytes] = []
        assert read_photo(event, seen.append, _LIMIT) == (data, event)
        assert seen == [data[: 64 * 1024]]

    @pytest.mark.parametrize("metadata", [None, {FILE_TIME_KEY: "1600000000"}])
    def test_announcement_tells_the_same(
        self, bucket: storage.Bucket, metadata: dict[str, str] | None
    ) -> None:
        blob = bucket.blob("users/ann/photos/a.jpg")
        blob.metadata = metadata
        blob.upload_from_string(b"photo")
        data, attributes = build_announcement(
            FINALIZE,
            bucket.name,
            blob.name,
            blob.generation,
            size_bytes=blob.size,
            created_at=blob.time_created,
            metadata=blob.metadata or {},
        )
        assert _event(f"gs://{bucket.name}") == parse_announcement(attributes, data)

    def test_time_of_the_file_counts_where_the_uploader_set_it(
        self, bucket: storage.Bucket
    ) -> None:
        blob = bucket.blob("a.jpg")
        blob.metadata = {FILE_TIME_KEY: "1600000000.125"}
        blob.upload_from_string(b"photo")
        assert _event(f"gs://{bucket.name}").updated_at_s == 1_600_000_000.125

    def test_removed_object_is_gone(self, bucket: storage.Bucket) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        bucket.blob("a.jpg").delete()
        with pytest.raises(ObjectGoneError, match=f"^{event.path}$"):
            read_photo(event, _accept, _LIMIT)

    @pytest.mark.parametrize("size", [10, 70_000])
    def test_what_the_check_raises_ends_the_reading(
        self, bucket: storage.Bucket, size: int
    ) -> None:
        _upload(bucket, "a.jpg", bytes(size))
        seen: list[bytes] = []

        def refuse(beginning: bytes) -> None:
            seen.append(beginning)
            raise BadPhotoError("not a photo")

        with pytest.raises(BadPhotoError, match="not a photo"):
            read_photo(_event(f"gs://{bucket.name}"), refuse, _LIMIT)
        assert seen == [bytes(size)[: 64 * 1024]]

    def test_object_is_larger_than_announced(self, bucket: storage.Bucket) -> None:
        _upload(bucket, "a.jpg", bytes(5_000_000))
        event = replace(_event(f"gs://{bucket.name}"), size_bytes=17)
        with pytest.raises(BadPhotoError, match="too large: 1 MiB, the limit is 1 MiB"):
            read_photo(event, _accept, 2**20)

    def test_no_connection_is_an_os_error(
        self, cloud_storage: storage.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lead_to("http://127.0.0.1:1", monkeypatch)
        # Minutes of trying again, made short.
        monkeypatch.setattr(DEFAULT_RETRY, "_timeout", 0.1)
        monkeypatch.setattr(buckets, "_RETRY", DEFAULT_RETRY)
        event = UploadEvent("ann", "bucket", "a.jpg", 1, 5, 0.0)
        with pytest.raises(OSError, match="Cloud Storage: "):
            read_photo(event, _accept, _LIMIT)
        with pytest.raises(OSError, match="can not list gs://bucket: "):
            list(list_photos("gs://bucket", "ann"))


@pytest.fixture
def proxy(
    cloud_storage: storage.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """What `gs://` leads to; in a hurry, where the real one waits for minutes."""
    with running_proxy() as proxy:
        lead_to(proxy.url, monkeypatch)
        in_a_hurry = buckets._RETRY.with_delay(initial=0.01, maximum=0.05)
        monkeypatch.setattr(buckets, "_RETRY", in_a_hurry)
        monkeypatch.setattr(buckets, "_TIMEOUT_S", (5.0, 0.5))
        reset_counted_here()
        yield proxy


class TestTrouble:
    @pytest.mark.parametrize(
        "trouble",
        [
            [answers(503)] * 5,
            [answers(status) for status in (429, 500, 502, 504, 408)],
            [hangs_up] * 3,
            [sends(change=lambda body: body[:100_000])] * 2,
            [sends(change=lambda body: body[:-1] + b"?")] * 2,
            [is_slow],
            [is_slow, answers(503), hangs_up, is_slow],
        ],
        ids=["503", "others", "reset", "cut", "corrupt", "slow", "mixed"],
    )
    def test_what_passes_is_waited_for(
        self, bucket: storage.Bucket, proxy: Proxy, trouble: list[Trouble]
    ) -> None:
        data = os.urandom(200_000)
        _upload(bucket, "a.jpg", data)
        event = _event(f"gs://{bucket.name}")
        proxy.trouble += trouble
        assert read_photo(event, _accept, _LIMIT) == (data, event)
        assert proxy.trouble == []
        assert counted_here() == {"bucket_retries": len(trouble)}

    def test_what_does_not_pass_is_given_up(
        self, bucket: storage.Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        assert buckets._RETRY.timeout == 600.0
        monkeypatch.setattr(buckets, "_RETRY", buckets._RETRY.with_timeout(0.5))
        proxy.trouble += [answers(503)] * 1_000
        with pytest.raises(OSError, match=r"Cloud Storage: .*503"):
            read_photo(event, _accept, _LIMIT)
        assert counted_here()["bucket_retries"] > 5

    def test_what_is_forbidden_stays_so(
        self, bucket: storage.Bucket, proxy: Proxy
    ) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        proxy.trouble.append(answers(403))
        with pytest.raises(OSError, match="Cloud Storage: 403"):
            read_photo(event, _accept, _LIMIT)
        assert counted_here() == {}


class TestGenerations:
    # The emulator looks at none, so the proxy is what has them here.

    def test_is_asked_for(self, bucket: storage.Bucket, proxy: Proxy) -> None:
        _upload(bucket, "a.jpg", bytes(20_000_000))
        event = _event(f"gs://{bucket.name}")
        proxy.asked.clear()
        read_photo(event, _accept, _LIMIT)
        (asked,) = proxy.asked
        assert f"generation={event.generation}" in asked
        assert "alt=media" in asked

    def test_is_the_one_that_came(self, bucket: storage.Bucket, proxy: Proxy) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        same = {"X-Goog-Generation": str(event.generation)}
        proxy.trouble.append(sends(same))
        assert read_photo(event, _accept, _LIMIT) == (b"photo", event)

    def test_another_one_came(self, bucket: storage.Bucket, proxy: Proxy) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        proxy.trouble.append(sends({"X-Goog-Generation": str(event.generation + 1)}))
        with pytest.raises(SupersededError):
            read_photo(event, _accept, _LIMIT)

    def test_old_one_is_superseded_where_there_is_a_newer(
        self, bucket: storage.Bucket, proxy: Proxy
    ) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        _upload(bucket, "a.jpg", b"edited")
        proxy.trouble.append(answers(404))
        with pytest.raises(SupersededError):
            read_photo(event, _accept, _LIMIT)

    def test_new_one_is_gone_where_there_is_an_older(
        self, bucket: storage.Bucket, proxy: Proxy
    ) -> None:
        _upload(bucket, "a.jpg")
        event = _event(f"gs://{bucket.name}")
        proxy.trouble.append(answers(404))
        with pytest.raises(ObjectGoneError):
            read_photo(event, _accept, _LIMIT)

    def test_outage_while_it_asks_for_a_newer(
        self, bucket: storage.Bucket, proxy: Proxy
    ) -> None:
        event = UploadEvent("ann", bucket.name, "a.jpg", 1, 5, 0.0)
        _upload(bucket, "a.jpg")
        proxy.trouble += [answers(404), answers(503), answers(404)]
        with pytest.raises(SupersededError):
            read_photo(event, _accept, _LIMIT)
        assert counted_here() == {"bucket_retries": 1}
