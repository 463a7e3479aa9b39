import json
import os
import signal
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from google.cloud import storage

from demo.pubsub import PubSub
from pipeline import letters
from pipeline.__main__ import main
from transforms.announcements import (
    DELETE,
    FILE_TIME_KEY,
    FINALIZE,
    build_announcement,
    message_to_json,
    parse_announcement,
)
from transforms.dead_letters import DEAD, PublishDeadLetters, to_json
from transforms.elements import DeadLetter, Photo, UploadEvent
from transforms.load_photos import LoadPhotos
from transforms.parse_uploads import ParseUploads

_CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
_LISTED = DeadLetter(
    step="LoadPhotos",
    reason="empty file",
    detail="empty file",
    user_id="ann",
    path="/roll/a.jpg",
    generation=7,
)


def _letter(
    number: int, reason: str = "can not be read", step: str = "LoadPhotos"
) -> DeadLetter:
    name = f"users/ann/photos/{number}.jpg"
    event_type = DELETE if number % 2 else FINALIZE
    data, attributes = build_announcement(
        event_type, "roll", name, number, size_bytes=5, created_at=_CREATED
    )
    return replace(
        _LISTED,
        step=step,
        reason=reason,
        path=f"gs://roll/{name}",
        generation=number,
        announcement=message_to_json(attributes, data),
    )


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_QUIET_S", 0.5)


class _World:
    """Topics of announcements and of dead letters, each with who listens to it."""

    def __init__(self, pubsub: PubSub, folder: Path) -> None:
        self.pubsub = pubsub
        self.folder = folder
        self.uploads_topic = pubsub.topic("uploads")
        self.uploads = pubsub.subscription(self.uploads_topic, "uploads")
        self.dead_topic = pubsub.topic("dead")
        self.dead = pubsub.subscription(self.dead_topic, "dead")

    def die(self, *found: DeadLetter) -> None:
        for letter in found:
            self.pubsub.publish(self.dead_topic, to_json(letter, {}).encode())

    def file(self, *found: DeadLetter) -> str:
        path = self.folder / "dead.jsonl"
        path.write_text("".join(f"{to_json(letter, {})}\n" for letter in found))
        return str(path)

    def announced(self) -> list[str]:
        """What was published since the last call."""
        return sorted(
            message_to_json(message.attributes, message.data)
            for message in self.pubsub.pull_all(self.uploads)
        )

    def left(self) -> list[bytes]:
        """What the subscription still gives."""
        return sorted(message.data for message in self.pubsub.pull_all(self.dead))


@pytest.fixture
def world(pubsub: PubSub, tmp_path: Path) -> _World:
    return _World(pubsub, tmp_path)


@pytest.fixture
def replay(
    world: _World, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Runs `piccl replay`, which has to succeed; returns its summary."""

    def run(source: str, *flags: str) -> dict[str, Any]:
        topic = f"--topic={world.uploads_topic}"
        assert main(["replay", source, topic, "--json", *flags]) == 0
        summary = json.loads(capsys.readouterr().out)
        del summary["seconds"]
        return summary

    return run


def _summary(number: int, **told: object) -> dict[str, object]:
    return {
        "letters": number,
        "replayed": {},
        "left": {},
        "repeats": 0,
        "only_backfill": [],
        "gone": [],
        "problems": [],
        "dry_run": False,
    } | told


def _originals(*found: DeadLetter) -> list[str | None]:
    return sorted(letter.announcement for letter in found)


class TestSubscription:
    def test_what_was_announced_is_announced_again(self, world, replay) -> None:
        found = [_letter(number) for number in range(25)]
        world.die(*found)
        assert replay(world.dead) == _summary(25, replayed={"can not be read": 25})
        assert world.announced() == _originals(*found)
        assert world.left() == []

    def test_nothing_there(self, world, replay) -> None:
        assert replay(world.dead) == _summary(0)

    def test_only_some(self, world, replay) -> None:
        wanted = [_letter(1, "empty file"), _letter(2, "object is gone")]
        others = [_letter(3, "empty file", "ParseUploads"), _letter(4)]
        world.die(*others, *wanted)
        flags = ("--reason=empty file", "--reason=object is gone", "--step=LoadPhotos")
        assert replay(world.dead, *flags) == _summary(
            4,
            replayed={"empty file": 1, "object is gone": 1},
            left={"can not be read": 1, "empty file": 1},
        )
        assert world.announced() == _originals(*wanted)
        assert world.left() == sorted(to_json(letter, {}).encode() for letter in others)

    def test_dry_run_changes_nothing(self, world, replay) -> None:
        found = [_letter(number) for number in range(15)]
        world.die(*found)
        assert replay(world.dead, "--dry-run") == _summary(
            15, replayed={"can not be read": 15}, dry_run=True
        )
        assert world.announced() == []
        assert len(world.left()) == 15

    def test_repeats_are_taken_out(self, world, replay) -> None:
        world.die(_letter(1), _letter(1), _letter(2), _letter(1))
        assert replay(world.dead) == _summary(
            4, replayed={"can not be read": 2}, repeats=2
        )
        assert world.announced() == _originals(_letter(1), _letter(2))
        assert world.left() == []

    def test_photo_that_is_still_bad_stays(self, world, replay) -> None:
        """A stream is at it, and each announcement becomes the same letter again."""
        stopped = threading.Event()
        announced: list[str] = []

        def stream() -> None:
            while not stopped.wait(0.05):
                for again in world.announced():
                    announced.append(again)
                    world.die(replace(_letter(1), announcement=again))

        world.die(_letter(1))
        thread = threading.Thread(target=stream)
        thread.start()
        try:
            summary = replay(world.dead)
        finally:
            stopped.set()
            thread.join()
        assert summary["replayed"] == {"can not be read": 1}
        assert announced == _originals(_letter(1))
        assert world.left() == [to_json(_letter(1), {}).encode()]

    def test_what_is_no_letter_stays(self, world, replay) -> None:
        world.pubsub.publish(world.dead_topic, b"hello")
        world.die(_letter(1))
        summary = replay(world.dead)
        assert summary["replayed"] == {"can not be read": 1}
        (problem,) = summary["problems"]
        assert problem.startswith("message ")
        assert world.left() == [b"hello"]

    def test_attributes_of_any_name(self, world, replay) -> None:
        attributes = {"topic": "a", "data": "b", "retry": "c", "timeout": "d"}
        stray = replace(_letter(1), announcement=message_to_json(attributes, b"x"))
        world.die(stray)
        assert replay(world.dead)["replayed"] == {"can not be read": 1}
        assert world.announced() == _originals(stray)

    def test_letters_stay_where_the_topic_is_missing(self, world, capsys) -> None:
        world.die(_letter(1))
        topic = f"projects/{world.pubsub.project}/topics/none"
        assert main(["replay", world.dead, f"--topic={topic}"]) == 2
        assert topic in capsys.readouterr().err
        assert world.left() == [to_json(_letter(1), {}).encode()]

    def test_letters_stay_where_nobody_would_hear_of_them(self, world, capsys) -> None:
        world.die(_letter(1))
        deserted = world.pubsub.topic("deserted")
        assert main(["replay", world.dead, f"--topic={deserted}"]) == 2
        assert "nobody subscribes" in capsys.readouterr().err
        assert world.left() == [to_json(_letter(1), {}).encode()]

    def test_letters_are_not_announced_to_where_they_are_from(
        self, world, capsys
    ) -> None:
        world.die(_letter(1))
        assert main(["replay", world.dead, f"--topic={world.dead_topic}"]) == 2
        assert "come back for ever" in capsys.readouterr().err

    def test_no_pubsub(self, world, monkeypatch, capsys) -> None:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        path = world.file(_letter(1))
        assert main(["replay", path, f"--topic={world.uploads_topic}"]) == 2
        assert "does not answer" in capsys.readouterr().err

    def test_missing_subscription(self, world, capsys) -> None:
        missing = f"projects/{world.pubsub.project}/subscriptions/none"
        assert main(["replay", missing, f"--topic={world.uploads_topic}"]) == 2
        assert missing in capsys.readouterr().err

    def test_frozen_pubsub_is_not_taken_for_empty(self, world, pubsub_emulator) -> None:
        world.die(_letter(1))
        process = pubsub_emulator.processes["pubsub"]
        with letters.SubscriptionLetters(world.dead) as source:
            os.kill(process, signal.SIGSTOP)
            thaw = threading.Timer(3.0, os.kill, (process, signal.SIGCONT))
            thaw.start()
            try:
                found = [
                    received.text for each in source.batches() for received in each
                ]
            finally:
                thaw.join()
        assert found == [to_json(_letter(1), {}).encode()]


class TestFile:
    def test_what_was_announced_is_announced_again(self, world, replay) -> None:
        found = [_letter(number) for number in range(25)]
        path = world.file(*found, found[3])
        assert replay(path) == _summary(26, replayed={"can not be read": 25}, repeats=1)
        assert world.announced() == _originals(*found)

    def test_bad_lines_are_told_by_their_number(self, world, replay) -> None:
        path = world.file(_letter(1), _letter(2))
        good, other = Path(path).read_text().splitlines()
        Path(path).write_text(f"{good}\n\nhello\n{other[:-9]}\n{other}")
        summary = replay(path)
        assert summary["replayed"] == {"can not be read": 2}
        lines = [problem.partition(":")[0] for problem in summary["problems"]]
        assert lines == ["line 3", "line 4"]

    def test_local_files_are_for_a_backfill(self, world, replay, capsys) -> None:
        path = world.file(_LISTED, _letter(1))
        assert replay(path) == _summary(
            2,
            replayed={"can not be read": 1},
            left={"empty file": 1},
            only_backfill=["/roll/a.jpg"],
        )
        assert main(["replay", path, f"--topic={world.uploads_topic}"]) == 0
        out = capsys.readouterr().out
        assert "/roll/a.jpg" in out
        assert "`piccl backfill PATH --user U`" in out

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["none.jsonl", "--topic=projects/p/topics/t"], "no such file"),
            ([".", "--topic=projects/p/topics/t"], "no such file"),
            (["gs://b/dead.jsonl", "--topic=projects/p/topics/t"], "copy it first"),
            ([__file__, "--topic=uploads"], "write projects/PROJECT/topics"),
            (["none.jsonl"], "required: --topic"),
            (["none.jsonl", "--topic=projects/p/topics/t", "--x"], "unknown option"),
        ],
    )
    def test_misuse(self, arguments: list[str], complaint: str, capsys) -> None:
        assert main(["replay", *arguments]) == 2
        assert complaint in capsys.readouterr().err


class TestListedInABucket:
    """Letters of a backfill have no announcement; the object tells what it would be."""

    @pytest.fixture
    def bucket(self, cloud_storage: storage.Client) -> storage.Bucket:
        return cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")

    def _letter(
        self, bucket: storage.Bucket, name: str, user_id: str = "ann"
    ) -> DeadLetter:
        path = f"gs://{bucket.name}/{name}"
        return replace(_LISTED, path=path, user_id=user_id)

    def test_announced_as_the_bucket_would(self, world, replay, bucket) -> None:
        blob = bucket.blob("users/ann/photos/a.jpg")
        blob.metadata = {FILE_TIME_KEY: "1600000000"}
        blob.upload_from_string(b"photo")
        path = world.file(self._letter(bucket, blob.name))
        assert replay(path) == _summary(1, replayed={"empty file": 1})
        (message,) = world.pubsub.pull_all(world.uploads)
        assert parse_announcement(message.attributes, message.data) == UploadEvent(
            user_id="ann",
            bucket=bucket.name,
            name="users/ann/photos/a.jpg",
            generation=blob.generation,
            size_bytes=5,
            updated_at_s=1_600_000_000.0,
        )

    def test_what_is_gone(self, world, replay, bucket) -> None:
        letter = self._letter(bucket, "users/ann/photos/a.jpg")
        assert replay(world.file(letter)) == _summary(
            1, left={"empty file": 1}, gone=[letter.path]
        )

    @pytest.mark.parametrize(
        ("name", "user_id"),
        [("users/ann/photos/a.jpg", "bob"), ("roll/a.jpg", "ann")],
        ids=["other user", "no user's"],
    )
    def test_what_the_stream_would_take_for_something_else(
        self, world, replay, bucket, name: str, user_id: str
    ) -> None:
        bucket.blob(name).upload_from_string(b"photo")
        letter = self._letter(bucket, name, user_id)
        assert replay(world.file(letter)) == _summary(
            1, left={"empty file": 1}, only_backfill=[letter.path]
        )
        assert world.announced() == []


def test_a_mended_photo_is_read_at_last(
    world: _World, replay, cloud_storage: storage.Client, jpeg
) -> None:
    """From a message to its dead letter, and from there to a photo."""
    bucket = cloud_storage.create_bucket(f"photos-{uuid.uuid4().hex}")
    blob = bucket.blob("users/ann/photos/a.jpg")
    blob.upload_from_string(b"")
    data, attributes = build_announcement(
        FINALIZE,
        bucket.name,
        blob.name,
        blob.generation,
        size_bytes=0,
        created_at=_CREATED,
    )

    def load(message: PubsubMessage, number: int) -> None:
        def check(photos: list[Photo]) -> None:
            assert len(photos) == number

        with TestPipeline("BundleBasedDirectRunner") as p:
            parsed = p | beam.Create([message]) | ParseUploads()
            loaded = parsed.uploads | LoadPhotos(10**6)
            _ = loaded[DEAD] | PublishDeadLetters(world.dead_topic, {})
            assert_that(loaded.photos, check)

    load(PubsubMessage(data, attributes), 0)
    blob.upload_from_string(jpeg(1))
    assert replay(world.dead)["replayed"] == {"empty file": 1}
    (message,) = world.pubsub.pull_all(world.uploads)
    load(PubsubMessage(message.data, dict(message.attributes)), 1)
    assert world.left() == []
