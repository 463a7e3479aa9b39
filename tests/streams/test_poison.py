"""Rubbish among good announcements: each is a dead letter, and the stream goes on."""

import base64
import json
import random
import struct
import zlib
from collections import Counter
from typing import Final

import pytest

from demo.emulators import Emulators
from pipeline.__main__ import main
from tests.streams.conftest import Streaming
from tests.streams.world import Announcement, Bucket, wait_for

_EVENTS: Final = 2000
_BAD: Final = _EVENTS // 20
_USERS: Final = 20


def _of(user: int, name: str) -> str:
    return f"users/user-{user % _USERS}/photos/{name}"


def _png_bomb(side: int) -> bytes:
    """A black square that is small in the file and gigabytes in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * (1 + 3 * side), 9))
        + chunk(b"IEND", b"")
    )


def _bad_objects(photo: bytes) -> dict[str, bytes]:
    """By the reason that a dead letter must give."""
    return {
        "empty file": b"",
        "damaged header": photo[:60],
        "not a photo": b"no photo at all" * 50,
        "too large": _png_bomb(30_000),
    }


def _bad_messages(good: Announcement) -> list[Announcement]:
    """The same announcement, spoilt in one way each."""

    def spoilt(data: bytes | None = None, **attributes: str | None) -> Announcement:
        changed = {**good.attributes, **attributes}
        kept = {name: value for name, value in changed.items() if value is not None}
        return Announcement(
            good.name, good.generation, good.data if data is None else data, kept
        )

    foreign = good.data.replace(good.name.encode(), b"backup/database.sql")
    return [
        spoilt(good.data[: len(good.data) // 2]),
        spoilt(base64.b64encode(good.data)[:-3]),
        spoilt(b""),
        spoilt(objectId=None),
        spoilt(objectGeneration="seven"),
        spoilt(foreign, objectId="backup/database.sql"),
    ]


@pytest.mark.timeout(900)
def test_five_percent_of_rubbish_does_not_stop_the_stream(
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    firestore_emulator: Emulators,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chance = random.Random(0)
    photos = real_photos[:-2]  # the last two are none
    good = [_of(i, f"{i}.jpg") for i in range(_EVENTS - _BAD)]
    for i, name in enumerate(good):
        bucket.put(name, photos[i % len(photos)], 1_714_564_800)
    announced = [*bucket.announced]
    bucket.announced.clear()

    objects = _bad_objects(photos[0])
    for i in range(_BAD // 2):
        reason = sorted(objects)[i % len(objects)]
        bucket.put(_of(i, f"bad-{i}.jpg"), objects[reason])
    for i in range(_BAD // 10):
        name = _of(i, f"gone-{i}.jpg")
        bucket.put(name, photos[0])
        # Its removal is announced too, but that message is still on its way.
        bucket.client.bucket(bucket.name).delete_blob(name)
    broken = [*bucket.announced]
    bucket.announced.clear()
    spoilt = [bad for one in announced[: _BAD // 10] for bad in _bad_messages(one)]
    spoilt = spoilt[: _BAD - len(broken)]
    assert len(announced) + len(broken) + len(spoilt) == _EVENTS
    events = [*announced, *broken, *spoilt]
    chance.shuffle(events)

    stream = streaming.start()
    streaming.publish(events)
    letters: dict[str, dict] = {}

    def done() -> bool:
        stream.assert_alive()
        for message in streaming.pubsub.pull_all(streaming.letters):
            letters[message.attributes["id"]] = json.loads(message.data)
        return len(letters) >= _BAD and _analysed(streaming) >= len(good)

    wait_for(done, 600, "all photos and letters")
    assert len(letters) == _BAD
    assert _analysed(streaming) == len(good)
    reasons = Counter(letter["reason"] for letter in letters.values())
    print(dict(reasons))
    assert reasons["object is gone"] == _BAD // 10
    for reason in objects:
        assert reasons[reason] >= _BAD // 2 // len(objects)
    assert sum(letter["step"] == "ParseUploads" for letter in letters.values()) == len(
        spoilt
    )
    assert all(
        letter["detail"] and letter["announcement"] for letter in letters.values()
    )

    # The objects are repaired, which the bucket announces; then what was refused is
    # heard once more, and nothing is refused any more.
    for one in broken:
        bucket.put(one.name, photos[0], 1_714_564_800)
    streaming.publish(bucket.announced)
    file = streaming.folder / "letters.jsonl"
    file.write_text("".join(json.dumps(letter) + "\n" for letter in letters.values()))
    capsys.readouterr()
    flags = [f"--topic={streaming.topic}", "--step=LoadPhotos", "--json"]
    assert main(["replay", str(file), *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sum(report["replayed"].values()) == len(broken)
    assert sum(report["left"].values()) == len(spoilt)
    received = _EVENTS + len(bucket.announced) + len(broken)
    wait_for(lambda: stream.received() >= received, 240, "all that was replayed")
    stream.assert_alive()
    assert _analysed(streaming) == len(good) + len(broken)
    assert streaming.pubsub.pull_all(streaming.letters) == []


def _analysed(streaming: Streaming) -> int:
    from google.cloud import firestore

    photos = firestore.Client(streaming.project).collection_group("photos")
    return int(photos.count().get()[0][0].value)
