import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from google.api_core.exceptions import NotFound
from hypothesis import given
from hypothesis import strategies as st

from transforms.announcements import message_to_json
from transforms.counters import counted_here, reset_counted_here
from transforms.dead_letters import (
    PublishDeadLetters,
    WriteDeadLetters,
    dead_letter,
    from_json,
    to_json,
)
from transforms.elements import DeadLetter

_VERSIONS = {"piccl": "0.1.0", "analysis": "abc", "detector": None}
_LISTED = DeadLetter(
    step="LoadPhotos",
    reason="not a photo",
    detail="not a photo: its content is none of JPEG",
    user_id="ann",
    path="/roll/ü.jpg",
    generation=1_600_000_000_000_000_001,
    exception="BadPhotoError",
)
_ANNOUNCED = replace(
    _LISTED,
    path="gs://roll/users/ann/photos/ü.jpg",
    announcement=message_to_json({"objectId": "users/ann/photos/ü.jpg"}, b'{"a": 1}'),
)
_LETTERS = [_LISTED, _ANNOUNCED]


@pytest.mark.parametrize("letter", _LETTERS, ids=["listed", "announced"])
def test_written_and_read_again(letter: DeadLetter) -> None:
    line = to_json(letter, _VERSIONS)
    assert "\n" not in line
    assert from_json(line) == letter
    assert from_json(line.encode()) == letter


def test_keys() -> None:
    assert json.loads(to_json(_ANNOUNCED, _VERSIONS)) == {
        "id": _ANNOUNCED.id,
        "step": "LoadPhotos",
        "reason": "not a photo",
        "detail": "not a photo: its content is none of JPEG",
        "user_id": "ann",
        "path": "gs://roll/users/ann/photos/ü.jpg",
        "generation": 1_600_000_000_000_000_001,
        "exception": "BadPhotoError",
        "announcement": {
            "attributes": {"objectId": "users/ann/photos/ü.jpg"},
            "data": "eyJhIjogMX0=",
        },
        "versions": _VERSIONS,
    }


def test_letters_of_earlier_versions_can_be_read() -> None:
    fields = json.loads(to_json(_LISTED, {}))
    for name in ("id", "exception", "announcement", "versions"):
        del fields[name]
    assert from_json(json.dumps(fields)) == replace(_LISTED, exception="")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        b"\xff",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        to_json(_ANNOUNCED, {}).replace("eyJhIjogMX0=", "eyJhIjogMX0"),
        to_json(_ANNOUNCED, {}).replace('"attributes"', '"attribute"'),
        to_json(_LISTED, {}).replace('"announcement": null', '"announcement": 1'),
        to_json(_LISTED, {}).replace('"/roll/ü.jpg"', "7"),
    ],
)
def test_what_is_no_letter(line: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^no dead letter: "):
        from_json(line)


@given(size=st.integers(0, 3_000), limit=st.integers(700, 3_000))
def test_letter_fits(size: int, limit: int) -> None:
    letter = replace(_LISTED, announcement=message_to_json({"a": "b"}, b"x" * size))
    whole = to_json(letter, _VERSIONS)
    line = to_json(letter, _VERSIONS, max_bytes=limit)
    assert len(line.encode()) <= limit
    read = from_json(line)
    if len(whole.encode()) <= limit:
        assert read == letter
    else:
        # What is left of it must not be published as if it were the original.
        assert read == replace(letter, announcement=None)
        announcement = json.loads(line)["announcement"]
        assert announcement["truncated"] is True
        assert announcement["attributes"] == {"a": "b"}
        assert json.loads(line)["id"] == letter.id


def test_written_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    with TestPipeline() as p:
        _ = p | beam.Create(_LETTERS) | WriteDeadLetters(str(path), _VERSIONS)
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(to_json(each, _VERSIONS) for each in _LETTERS)


def test_counted_by_step_and_reason() -> None:
    reset_counted_here()
    dead_letter(_LISTED)
    assert counted_here() == {"dead_letters/LoadPhotos/not a photo": 1}


def _publish(letters: list[DeadLetter], topic: str) -> None:
    with TestPipeline("BundleBasedDirectRunner") as p:
        _ = p | beam.Create(letters) | PublishDeadLetters(topic, _VERSIONS)


class TestPublish:
    def test_message(self, pubsub) -> None:
        topic = pubsub.topic("dead")
        subscription = pubsub.subscription(topic, "dead")
        _publish(_LETTERS, topic)
        messages = {m.attributes["id"]: m for m in pubsub.pull_all(subscription)}
        assert messages.keys() == {letter.id for letter in _LETTERS}
        for letter in _LETTERS:
            message = messages[letter.id]
            assert from_json(message.data) == letter
            assert json.loads(message.data)["versions"] == _VERSIONS
            assert message.attributes == {
                "id": letter.id,
                "step": "LoadPhotos",
                "reason": "not a photo",
            }

    def test_original_larger_than_consumers_take(self, pubsub) -> None:
        topic = pubsub.topic("dead")
        subscription = pubsub.subscription(topic, "dead")
        huge = message_to_json({"eventType": "x" * 1000}, os.urandom(1_000_000))
        _publish([replace(_LISTED, announcement=huge)], topic)
        (message,) = pubsub.pull_all(subscription)
        assert from_json(message.data) == _LISTED
        assert 200_000 < len(message.data) <= 250_000

    def test_frozen_pubsub_is_waited_for(self, pubsub, pubsub_emulator) -> None:
        topic = pubsub.topic("dead")
        subscription = pubsub.subscription(topic, "dead")
        process = pubsub_emulator.processes["pubsub"]
        os.kill(process, signal.SIGSTOP)
        thaw = threading.Timer(5.0, os.kill, (process, signal.SIGCONT))
        thaw.start()
        try:
            _publish(_LETTERS, topic)
            assert not thaw.is_alive()
        finally:
            thaw.join()
        ids = {m.attributes["id"] for m in pubsub.pull_all(subscription)}
        assert ids == {letter.id for letter in _LETTERS}

    def test_topic_that_is_not_there_fails_the_job(self, pubsub) -> None:
        with pytest.raises(NotFound):
            _publish(_LETTERS, f"projects/{pubsub.project}/topics/none")
