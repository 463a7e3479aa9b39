"""Real photos that meet on few days, and a stream over the emulators."""

import io
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import skimage.data
from google.cloud import storage
from PIL import Image
from PIL.ExifTags import IFD, Base

from demo.emulators import Emulators
from demo.pubsub import PubSub
from pipeline.__main__ import main
from tests.streams.world import Bucket, Stream, documents

# Long ago, the end of a year, today, and a clock that was never set right.
DAYS = ("1999:07:01", "2019:12:31", f"{date.today():%Y:%m:%d}", "2035:01:01")
# Two shots on each day, and one without a date.
PHOTOS_A_SCENE = 2 * len(DAYS) + 1
_SCENES = ("astronaut", "chelsea", "coffee", "rocket")


class Photos(list[bytes]):
    """Encoded photos, which a report of a failed test does not print."""

    def __repr__(self) -> str:
        return f"{len(self)} photos"


@pytest.fixture(scope="session")
def real_photos() -> Photos:
    """Real photos, two shots of each, on few days; the last two are no photos."""
    pool = Photos()
    for number, scene in enumerate(_SCENES):
        photo = Image.fromarray(getattr(skimage.data, scene)())
        for shot in range(2):
            for day in DAYS:
                time = f"{day} 12:{number:02}:{10 * shot:02}"
                pool.append(_shot(photo, shot, time))
        # Without EXIF, so dated by its object.
        pool.append(_shot(photo, 1, None))
    pool.append(pool[0][: len(pool[0]) // 2])
    pool.append(b"no photo")
    return pool


def _shot(photo: Image.Image, shot: int, taken_at: str | None) -> bytes:
    """A photo as if taken from a little further to the side."""
    width, height = photo.size
    moved = photo.crop((4 * shot, 2 * shot, width, height))
    moved.thumbnail((320, 320))
    exif = Image.Exif()
    if taken_at is not None:
        exif[Base.Make] = "test"
        exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken_at
    out = io.BytesIO()
    moved.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


@pytest.fixture
def bucket(cloud_storage: storage.Client) -> Bucket:
    return Bucket(cloud_storage)


@pytest.fixture
def clean(
    firestore_emulator: Emulators, tmp_path: Path
) -> Callable[[Bucket, str], str]:
    """Backfills a user's photos of a bucket into an empty project; returns its id."""

    def run(bucket: Bucket, *users: str) -> str:
        project = f"piccl-{uuid.uuid4().hex[:12]}"
        for user in users:
            code = main(
                [
                    "backfill",
                    bucket.path(f"users/{user}/photos/"),
                    f"--user={user}",
                    f"--store=firestore://{project}",
                    f"--dead-letters={tmp_path / 'clean.jsonl'}",
                    "--weights=none",
                ]
            )
            assert code == 0
        return project

    return run


@pytest.fixture
def streaming(
    pubsub: PubSub, firestore_project: str, tmp_path: Path
) -> Iterator["Streaming"]:
    """Starts processes of `piccl stream` on one subscription."""
    running = Streaming(pubsub, firestore_project, tmp_path)
    yield running
    for stream in running.started:
        stream.kill()


class Streaming:
    """A topic, its subscription, and the processes that hear it.

    Attributes:
        project: Of Firestore.
        topic: Where announcements are published.
        letters: Subscription to what could not be analysed.
    """

    def __init__(self, pubsub: PubSub, project: str, folder: Path) -> None:
        self.pubsub = pubsub
        self.project = project
        self.topic = pubsub.topic("uploads")
        # What a killed process was at comes again soon; that more comes twice
        # is what the stream has to bear.
        self.subscription = pubsub.subscription(self.topic, "stream", 15)
        self._dead = pubsub.topic("dead-letters")
        self.letters = pubsub.subscription(self._dead, "dead-letters")
        self.started: list[Stream] = []
        self.folder = folder

    def start(self, **environment: str) -> Stream:
        log = self.folder / f"stream-{len(self.started)}.log"
        stream = Stream(self.subscription, self.project, self._dead, log, environment)
        self.started.append(stream)
        return stream

    def assert_alive(self) -> None:
        """Every process that was not killed still runs."""
        for stream in self.started:
            stream.assert_alive()

    def publish(self, announcements) -> None:
        """All of them; the emulator has them when this returns."""
        futures = [
            self.pubsub.publisher.publish(self.topic, one.data, **one.attributes)
            for one in announcements
        ]
        for future in futures:
            future.result(timeout=120)

    def documents(self) -> dict:
        return documents(self.project)
