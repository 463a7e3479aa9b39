from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue

from transforms.announcements import (
    ARCHIVE,
    DELETE,
    FINALIZE,
    METADATA_UPDATE,
    build_announcement,
    message_to_json,
)
from transforms.counters import counted_here, reset_counted_here
from transforms.dead_letters import DEAD
from transforms.elements import DeadLetter, UploadEvent
from transforms.parse_uploads import ParseUploads

_CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
_NAME = "users/ann/photos/a.jpg"
_PUBLISHED_S = 1_700_000_000.25


@pytest.fixture(autouse=True)
def _count_from_zero() -> None:
    reset_counted_here()


def _message(event_type: str = FINALIZE, name: str = _NAME) -> PubsubMessage:
    data, attributes = build_announcement(
        event_type, "roll", name, 7, size_bytes=5, created_at=_CREATED
    )
    return PubsubMessage(data, attributes)


def _event(message: PubsubMessage, *, removed: bool = False) -> UploadEvent:
    return UploadEvent(
        user_id="ann",
        bucket="roll",
        name=_NAME,
        generation=7,
        size_bytes=5,
        updated_at_s=_CREATED.timestamp(),
        removed=removed,
        announced_at_s=_PUBLISHED_S,
        announcement=message_to_json(message.attributes, message.data),
    )


def _letter(
    message: PubsubMessage, reason: str, detail: str, path: str = ""
) -> DeadLetter:
    return DeadLetter(
        step="ParseUploads",
        reason=reason,
        detail=f"{reason}: {detail}",
        user_id="",
        path=path,
        generation=0,
        exception="AnnouncementError",
        announcement=message_to_json(message.attributes or {}, message.data or b""),
    )


def _check(
    messages: Sequence[PubsubMessage],
    *,
    uploads: Sequence[UploadEvent] = (),
    dead: Sequence[DeadLetter] = (),
) -> None:
    """Run the transform over messages that were published at one time."""
    with TestPipeline() as p:
        parsed = (
            p
            | beam.Create(messages)
            | beam.Map(lambda message: TimestampedValue(message, _PUBLISHED_S))
            | ParseUploads()
        )
        assert_that(parsed.uploads, equal_to(uploads), label="Uploads")
        assert_that(parsed[DEAD], equal_to(dead), label="Dead")


def test_announcements_become_events() -> None:
    made, removed, archived = map(_message, (FINALIZE, DELETE, ARCHIVE))
    _check(
        [made, removed, archived],
        uploads=[
            _event(made),
            _event(removed, removed=True),
            _event(archived, removed=True),
        ],
    )
    assert counted_here() == {
        "events/OBJECT_FINALIZE": 1,
        "events/OBJECT_DELETE": 1,
        "events/OBJECT_ARCHIVE": 1,
    }


def test_what_makes_and_removes_nothing_is_counted() -> None:
    # Each name of its own would be a counter that stays as long as the job.
    _check([_message(METADATA_UPDATE), _message("OBJECT_A"), _message("OBJECT_B")])
    assert counted_here() == {"events/OBJECT_METADATA_UPDATE": 1, "events/other": 2}


def test_what_lies_in_the_trash_is_counted_and_no_dead_letter() -> None:
    _check([_message(name="users/ann/photos/.piccl-trash/run/a.jpg")])
    assert counted_here() == {"events/OBJECT_FINALIZE": 1}


def test_what_is_no_announcement_is_a_dead_letter() -> None:
    good = _message()
    cut = PubsubMessage(good.data[:1], good.attributes)
    foreign = _message(name="thumbnails/a.jpg")
    bare = PubsubMessage(None, {"eventType": FINALIZE, "bucketId": "roll"})
    stray = PubsubMessage(b"hello", None)
    _check(
        [cut, good, foreign, bare, stray],
        uploads=[_event(good)],
        dead=[
            _letter(
                cut,
                "malformed announcement",
                "the payload is no JSON: Expecting property name enclosed in double "
                "quotes: line 1 column 2 (char 1)",
                f"gs://roll/{_NAME}",
            ),
            _letter(
                foreign,
                "foreign object name",
                "'thumbnails/a.jpg' is not users/USER/photos/FILE",
                "gs://roll/thumbnails/a.jpg",
            ),
            _letter(bare, "malformed announcement", "no attribute objectId"),
            _letter(stray, "malformed announcement", "no attribute eventType"),
        ],
    )
    assert counted_here() == {
        "events/OBJECT_FINALIZE": 4,
        "events/other": 1,
        "dead_letters/ParseUploads/malformed announcement": 3,
        "dead_letters/ParseUploads/foreign object name": 1,
    }


def test_id_of_a_letter_is_the_same_whenever_the_message_comes_again() -> None:
    message = _message(name="a.jpg")
    again = PubsubMessage(
        message.data,
        dict(reversed(message.attributes.items())),
        message_id="8",
        publish_time=datetime.now(UTC),
    )
    other = PubsubMessage(message.data, {**message.attributes, "objectId": "b.jpg"})
    letters = [_letter(each, "", "") for each in (message, again, other)]
    first, second, third = (letter.id for letter in letters)
    assert first == second != third
    # Another step may refuse it for a reason of its own.
    assert replace(letters[0], step="LoadPhotos").id != first
