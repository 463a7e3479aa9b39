"""`piccl upload`, from what is typed to what is said in the end."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.handlers import objects

from pipeline.__main__ import main
from pipeline.uploading import THREADS
from tests.pipeline.uploads import (
    PREFIX,
    command,
    large,
    nothing,
    put,
    start,
)
from transforms.announcements import parse_announcement
from transforms.buckets import list_photos, storage_client


class TestAgain:
    def test_second_run_uploads_nothing(self, cloud, upload, roll) -> None:
        upload(roll)
        cloud.requests.clear()
        summary = upload(roll)
        assert (summary["code"], summary["uploaded"], summary["skipped"]) == (0, 0, 3)
        assert cloud.requests == []

    def test_only_what_is_new(self, cloud, upload, roll, jpeg) -> None:
        upload(roll)
        put(roll / "d.jpg", jpeg(9))
        summary = upload(roll)
        assert (summary["uploaded"], summary["skipped"]) == (1, 3)
        assert len(cloud.photos) == 4

    def test_what_others_put_there_is_recognised(self, cloud, upload, roll) -> None:
        """It has no SHA-256 in its metadata; size and CRC32C are Cloud Storage's."""
        blob = cloud.bucket.blob(f"{PREFIX}roll/a.jpg")
        blob.upload_from_filename(roll / "a.jpg")
        cloud.requests.clear()
        assert upload(roll)["skipped"] == 1
        assert f"{PREFIX}roll/a.jpg" not in cloud.requests


def test_two_processes_at_once(cloud, tmp_path, jpeg) -> None:
    """Of the same names, some have the same content."""
    photos = set()
    for number in range(30):
        for side in ("left", "right"):
            data = jpeg(number, shot=side == "right" and number % 3)
            put(tmp_path / side / "roll" / f"{number}.jpg", data)
            photos.add(data)
    processes = [
        start(tmp_path / side / "roll", where=tmp_path) for side in ("left", "right")
    ]
    summaries = [json.loads(p.communicate(timeout=100)[0]) for p in processes]
    assert [p.returncode for p in processes] == [0, 0]
    assert set(cloud.photos.values()) == photos
    assert len(cloud.photos) == len(photos) == 50
    assert sum(summary["uploaded"] for summary in summaries) == 50


class TestInterrupted:
    @pytest.mark.parametrize("uploads", [1, 15, 32], ids=["start", "middle", "end"])
    def test_killed_and_repeated(self, uploads, cloud, upload, tmp_path, jpeg) -> None:
        photos = {f"roll/{number}.jpg": jpeg(number) for number in range(40)}
        for name, data in photos.items():
            put(tmp_path / name, data)
        reached = threading.Event()

        def wait_for_it(*_: object) -> None:
            if len(cloud.requests) >= uploads:
                reached.set()
            time.sleep(0.02)

        cloud.before = wait_for_it
        process = start(tmp_path / "roll", where=tmp_path)
        assert reached.wait(60)
        process.kill()
        process.communicate()
        cloud.before = nothing
        there = cloud.photos
        assert there.items() <= photos.items()
        assert uploads - THREADS <= len(there) < 40
        summary = upload(tmp_path / "roll")
        assert (summary["code"], summary["renamed"]) == (0, [])
        assert cloud.photos == photos

    def test_killed_within_a_large_file(self, cloud, upload, tmp_path) -> None:
        data = large(b"0")
        path = put(tmp_path / "large.jpg", data)
        reached = threading.Event()

        def wait_for_it(name: str, _: object) -> None:
            if not name:
                reached.set()
                time.sleep(0.5)

        cloud.before = wait_for_it
        process = start(path, where=tmp_path)
        assert reached.wait(60)
        process.kill()
        process.communicate()
        cloud.before = nothing
        assert cloud.photos == {}
        assert upload(path)["uploaded"] == 1
        assert cloud.photos == {"large.jpg": data}

    def test_ctrl_c(self, cloud, tmp_path, jpeg) -> None:
        for number in range(40):
            put(tmp_path / "roll" / f"{number}.jpg", jpeg(number))
        reached, let_go = threading.Event(), threading.Event()

        def hold(*_: object) -> None:
            reached.set()
            let_go.wait(60)

        cloud.before = hold
        process = start(tmp_path / "roll", where=tmp_path)
        assert reached.wait(60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        let_go.set()
        assert process.returncode == 130
        assert b"the same command goes on where it stopped" in errors


class TestWhatIsNoPhoto:
    def test_it_is_named_and_left(self, cloud, upload, roll) -> None:
        put(roll / "notes.txt", b"not a photo")
        put(roll / "video.mov", b"\0\0\0\x14ftypqt  " + bytes(1000))
        put(roll / "empty.jpg", b"")
        summary = upload(roll)
        assert (summary["code"], summary["files"], summary["uploaded"]) == (0, 6, 3)
        why = {Path(o["path"]).name: o["why"] for o in summary["not_photos"]}
        assert why.pop("empty.jpg") == "empty file"
        assert why.keys() == {"notes.txt", "video.mov"}
        assert all(text.startswith("not a photo: ") for text in why.values())
        assert len(cloud.photos) == 3

    def test_table(self, cloud, roll, capsys, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        for number in range(30):
            put(roll / f"{number}.txt", b"not a photo")
        assert main([word for word in command(roll) if word != "--json"]) == 0
        out = capsys.readouterr().out
        assert "not a photo" in out
        assert f"  {roll}/0.txt: not a photo" in out
        assert "and 10 more, which --json lists" in out


class TestAnnouncements:
    @pytest.fixture
    def topic(self, pubsub) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        topic = pubsub.topic("uploads")
        subscription = pubsub.subscription(topic, "stream")

        def pull() -> list[Any]:
            messages = pubsub.pull_all(subscription)
            events = [parse_announcement(m.attributes, m.data) for m in messages]
            return sorted(events, key=lambda event: event.name)

        return topic, pull

    def test_they_say_what_a_listing_says(self, cloud, upload, roll, topic) -> None:
        path, pull = topic
        upload(roll, flags=(f"--topic={path}",))
        listed = sorted(
            list_photos(f"gs://{cloud.name}/{PREFIX}", "me"), key=lambda e: e.name
        )
        assert pull() == listed
        assert len(listed) == 3
        assert listed[0].updated_at_s == 1_500_000_000

    def test_what_is_there_is_announced_again(self, cloud, upload, roll, topic) -> None:
        """The run that uploaded it may have been killed before it came to that."""
        path, pull = topic
        upload(roll)
        assert pull() == []
        assert upload(roll, flags=(f"--topic={path}",))["skipped"] == 3
        assert len(pull()) == 3

    def test_real_buckets_do_it_themselves(self, roll, capsys, monkeypatch) -> None:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        line = _complaint(capsys, roll, "--topic=projects/p/topics/uploads")
        assert (
            "gcloud storage buckets notifications create gs://photos-of-all "
            "--topic=uploads --payload-format=json "
            "--event-types=OBJECT_FINALIZE,OBJECT_DELETE,OBJECT_ARCHIVE"
        ) in line

    def test_topics_that_can_not_be(
        self, cloud, pubsub, roll, capsys, monkeypatch
    ) -> None:
        assert "no such topic" in _complaint(
            capsys, roll, f"--topic=projects/{pubsub.project}/topics/nowhere"
        )
        assert "nobody subscribes" in _complaint(
            capsys, roll, f"--topic={pubsub.topic('deserted')}"
        )
        assert "projects/PROJECT/topics/NAME" in _complaint(
            capsys, roll, "--topic=uploads"
        )
        monkeypatch.delenv("PUBSUB_EMULATOR_HOST")
        assert "PUBSUB_EMULATOR_HOST" in _complaint(
            capsys, roll, "--topic=projects/p/topics/t"
        )


class TestStore:
    def test_photo_without_a_date_keeps_that_of_its_file(
        self, cloud, upload, backfill, rows, tmp_path, jpeg
    ) -> None:
        path = put(tmp_path / "a.jpg", jpeg(1), mtime_s=1_000_000_000)
        upload(path)
        db = tmp_path / "piccl.db"
        assert backfill(f"gs://{cloud.name}/{PREFIX}", db=db) == 0
        (photo,) = rows(db)["photos"]
        assert photo["path"] == f"gs://{cloud.name}/{PREFIX}a.jpg"
        assert photo["taken_at"].startswith("2001-09-09")

    def test_user_is_registered(self, cloud, upload, roll, rows, tmp_path) -> None:
        store = f"--store=sqlite:///{tmp_path}/users.db"
        upload(roll, flags=(store, "--email=me@example.com"))
        upload(roll, flags=(store,))
        (user,) = rows(tmp_path / "users.db")["users"]
        assert (user["id"], user["email"]) == ("me", "me@example.com")


def _complaint(capsys, address: object, *flags: str) -> str:
    """Runs a misused command; returns its last line."""
    capsys.readouterr()
    assert main(command(address, flags=flags)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.strip().splitlines()[-1]
    assert line.startswith("piccl: ")
    return line


class TestMisuse:
    @pytest.fixture(autouse=True)
    def _in_a_folder_of_its_own(self, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize(
        ("flag", "text"),
        [
            ("--bucket=nowhere", "there is no such bucket"),
            ("--bucket=No Bucket", "can not be a bucket's name"),
            ("--user=a/b", "--user 'a/b'"),
            ("--email=nobody", "no e-mail address"),
            ("--store=postgres://x", "no store at"),
            ("--frobnicate", "unknown option: --frobnicate"),
        ],
    )
    def test_arguments(self, flag, text, cloud, roll, capsys) -> None:
        assert text in _complaint(capsys, roll, flag)
        assert cloud.requests == []

    @pytest.mark.parametrize(
        ("address", "text"),
        [
            ("empty", "nothing is there"),
            ("nowhere", "no such file or folder"),
            ("*.jpg", "no photos at"),
            ("gs://photos-of-all/users", "in a bucket already"),
        ],
    )
    def test_addresses(self, address, text, cloud, tmp_path, capsys) -> None:
        (tmp_path / "empty").mkdir()
        assert text in _complaint(capsys, address)

    def test_bucket_of_others(self, cloud, roll, capsys, monkeypatch) -> None:
        def refuse(_: object, response: Any, *__: object) -> None:
            response.status = HTTPStatus.FORBIDDEN

        for _, handlers in emulator.HANDLERS:
            if handlers.get("GET") is objects.ls:
                monkeypatch.setitem(handlers, "GET", refuse)
        line = _complaint(capsys, roll)
        assert "no permission" in line
        assert "storage.objectUser" in line

    def test_no_credentials(self, roll, capsys, monkeypatch) -> None:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        # Else it would look for the metadata of a machine of Google's.
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        storage_client.cache_clear()
        assert "gcloud auth application-default login" in _complaint(capsys, roll)

    def test_help(self, capsys) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["upload", "--help"])
        assert ended.value.code == 0
        out = capsys.readouterr().out
        for flag in ("FILES", "--user", "--bucket", "--email", "--topic", "--json"):
            assert flag in out
