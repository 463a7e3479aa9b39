"""The same documents whatever happened on the way: the law of this project."""

import random
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue
from google.cloud import firestore, storage

from demo.emulators import Emulators
from demo.pubsub import PubSub
from pipeline.analyse import analysis_settings
from pipeline.backfill import build_backfill
from pipeline.streaming import build_stream
from store.firestore import FirestoreStore
from store.urls import open_store
from tests.crashes import crashes
from tests.streams.conftest import PHOTOS_A_SCENE
from tests.streams.world import (
    Announcement,
    Bucket,
    decide_alike,
    differences,
    disordered,
    documents,
    settle,
)

_HISTORIES: Final = 50
# The second owns fewer photos, on the same days as the first.
NAMES = [
    *(f"users/anna/photos/{i}.jpg" for i in range(6)),
    *(f"users/ben/photos/trip/{i}.jpg" for i in range(2)),
]
USERS = ("anna", "ben")
# 2024-05-01 noon, for photos without EXIF; some objects have no time of their own.
_FILE_TIMES_S = (1_714_564_800, 1_714_651_200)


@pytest.fixture(scope="module")
def dead_letters(pubsub_emulator: Emulators) -> str:
    return PubSub("piccl-convergence").topic("dead-letters")


@pytest.fixture(scope="module")
def effects() -> Iterator[Counter[str]]:
    """What the histories really did, so that they can not all be idle."""
    done: Counter[str] = Counter()
    yield done
    print(dict(done))
    if done["histories"] == _HISTORIES:
        assert done["overwritten"] > _HISTORIES
        assert done["removed"] > _HISTORIES
        assert done["decided"] > _HISTORIES
        assert done["similar"] > _HISTORIES
        assert done["crashed"] > _HISTORIES // 10


@pytest.mark.parametrize("seed", range(_HISTORIES))
def test_any_history_ends_in_the_documents_of_one_clean_backfill(
    seed: int,
    real_photos: list[bytes],
    cloud_storage: storage.Client,
    firestore_emulator: Emulators,
    dead_letters: str,
    effects: Counter[str],
    crash_after: Callable[[int | None], None],
) -> None:
    chance = random.Random(seed)
    # Few, so that similar shots and copies meet; the last two are no photos.
    few = [
        *chance.sample(real_photos[:PHOTOS_A_SCENE], 5),
        chance.choice(real_photos[PHOTOS_A_SCENE:-2]),
        *real_photos[-2:],
    ]
    world = _World(
        Bucket(cloud_storage), few, dead_letters, chance, effects, crash_after
    )
    for _ in range(chance.randint(5, 9)):
        world.put()
    world.work(heard=chance.uniform(0.5, 1))
    for _ in range(chance.randint(5, 10)):
        chance.choice([world.put, world.remove, world.decide])()
    # In the end everything that was announced is heard by somebody who survives.
    world.work(heard=1, to_the_end=True)
    settle(world.project)

    clean = f"piccl-{uuid.uuid4().hex[:12]}"
    world.backfill(clean, *USERS)
    decide_alike(world.project, clean)
    settle(clean)
    found = differences(documents(world.project), documents(clean))
    assert not found, "\n".join(found)
    _assert_every_group_keeps_one(documents(world.project))
    effects["histories"] += 1
    effects["similar"] += sum(
        "/deletions/" in path and one["similar"]
        for path, one in documents(clean).items()
    )


@pytest.fixture
def crash_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Sets how many changes of a store go well from now on; None heals it."""
    return crashes(FirestoreStore, monkeypatch)


class _World:
    """A bucket, and workers on what it announces.

    Attributes:
        project: Of Firestore, where the workers write.
    """

    def __init__(
        self,
        bucket: Bucket,
        contents: Sequence[bytes],
        dead_letters: str,
        chance: random.Random,
        effects: Counter[str],
        crash_after: Callable[[int | None], None],
    ) -> None:
        self.project = f"piccl-{uuid.uuid4().hex[:12]}"
        self._bucket = bucket
        self._contents = contents
        self._dead_letters = dead_letters
        self._chance = chance
        self._effects = effects
        self._crash_after = crash_after
        self._unheard: list[Announcement] = []
        for user in USERS:
            self._bucket.put(f"users/{user}/photos/always-there.jpg", contents[0])

    def put(self) -> None:
        name = self._chance.choice(NAMES)
        if self._bucket.has(name):
            self._effects["overwritten"] += 1
        self._bucket.put(
            name,
            self._chance.choice(self._contents),
            self._chance.choice(_FILE_TIMES_S),
        )

    def remove(self) -> None:
        there = [name for name in NAMES if self._bucket.has(name)]
        if there:
            self._bucket.remove(self._chance.choice(there))
            self._effects["removed"] += 1

    def decide(self) -> None:
        """As a user does: in an app, which writes one field, or through the store."""
        photos = firestore.Client(self.project).collection_group("photos").get()
        if not photos:
            return
        photo = self._chance.choice(photos)
        decision = self._chance.choice(["keep", "trash", None])
        if self._chance.random() < 0.5:
            # All that the rules let an app change.
            photo.reference.update({"decision": decision})
        else:
            store = open_store(f"firestore://{self.project}")
            store.decide(photo.get("user_id"), photo.id, decision)
        self._effects["decided"] += 1

    def work(self, heard: float, *, to_the_end: bool = False) -> None:
        """One or two streams, and perhaps a backfill beside them, all at once.

        Args:
            heard: How much they hear of what was announced; the rest comes late.
            to_the_end: Nothing crashes.
        """
        self._unheard += self._bucket.announced
        self._bucket.announced.clear()
        self._chance.shuffle(self._unheard)
        number = round(heard * len(self._unheard))
        now, self._unheard = self._unheard[:number], self._unheard[number:]
        messages = disordered(now, self._chance)
        streams = self._chance.randint(1, 2)
        jobs: list[Callable[[], None]] = [
            lambda part=part: self._stream(messages[part::streams], early=part == 0)
            for part in range(streams)
        ]
        if self._chance.random() < 0.3:
            jobs.append(lambda: self.backfill(self.project, USERS[0]))
        if not to_the_end and self._chance.random() < 0.3:
            self._crash_after(self._chance.randint(0, 8))
        try:
            with ThreadPoolExecutor(len(jobs)) as pool:
                done = [pool.submit(job) for job in jobs]
            failed = [job.exception() for job in done if job.exception()]
        finally:
            self._crash_after(None)
        if failed:
            assert all("CrashError" in repr(err) for err in failed), failed
            assert not to_the_end
            self._effects["crashed"] += 1
            # None of it was acknowledged.
            self._unheard += now

    def backfill(self, project: str, *users: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pipeline = beam.Pipeline(options=_options("FnApiRunner"))
            for user in users:
                address = self._bucket.path(f"users/{user}/photos/")
                letters = str(Path(folder) / f"{user}.jsonl")
                _ = pipeline | user >> _Backfill(address, user, project, letters)
            pipeline.run().wait_until_finish()

    def _stream(self, messages: Sequence[Announcement], *, early: bool) -> None:
        """Hear messages, some of them published long ago, and none in order.

        Args:
            messages: What is heard.
            early: Panes fire in between and late, as in a real stream; only one
                pipeline of a process can tell its time. Else all at the end.
        """
        now_s = time.time()
        published = [
            TimestampedValue(
                PubsubMessage(one.data, dict(one.attributes)),
                now_s - self._chance.choice([0, 0, 10, 3600]),
            )
            for one in messages
        ]
        read: beam.PTransform = TestStream()
        if early:
            while published:
                number = self._chance.randint(1, 5)
                heard, published = published[:number], published[number:]
                read.add_elements(heard).advance_processing_time(
                    self._chance.choice([1, 40])
                )
            read.advance_watermark_to_infinity()
        else:
            read = _Published(published)
        pipeline = beam.Pipeline(options=_options("BundleBasedDirectRunner"))
        build_stream(
            pipeline,
            read,
            _settings(self.project),
            dead_letter_topic=self._dead_letters,
            regroup_s=10,
        )
        pipeline.run().wait_until_finish()


class _Backfill(beam.PTransform):
    """The steps of a backfill; to build and run one for each user takes longer."""

    def __init__(self, address: str, user: str, project: str, letters: str) -> None:
        super().__init__()
        self._of = (address, user, project, letters)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.pvalue.PDone:
        address, user, project, letters = self._of
        build_backfill(
            begin.pipeline, [address], user, _settings(project), dead_letters=letters
        )
        return beam.pvalue.PDone(begin.pipeline)


class _Published(beam.PTransform):
    """The start of a pipeline -> messages at the times they were published."""

    def __init__(self, messages: Sequence[TimestampedValue]) -> None:
        super().__init__()
        self._messages = messages

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[PubsubMessage]:
        return (
            begin
            | "Create" >> beam.Create([(m.value, m.timestamp) for m in self._messages])
            | "Time" >> beam.MapTuple(TimestampedValue)
        )


def _options(runner: str) -> PipelineOptions:
    return PipelineOptions(
        [],
        runner=runner,
        streaming=runner == "BundleBasedDirectRunner",
        direct_running_mode="in_memory",
    )


def _settings(project: str):
    return analysis_settings(
        PipelineOptions(["--weights=none"], store=f"firestore://{project}")
    )


def _assert_every_group_keeps_one(found: dict[str, dict]) -> None:
    for path, document in found.items():
        if "/deletions/" in path and document["similar_group"] is not None:
            folder = path.replace("/deletions/", "/photos/").rpartition("/")[0]
            keeper = found[f"{folder}/{document['keeper']}"]
            assert not keeper["delete"]
            # The user may want none of them.
            wanted = {
                found[other.replace("/deletions/", "/photos/")]["decision"]
                for other, fields in found.items()
                if other.rpartition("/")[0] == path.rpartition("/")[0]
                and fields["similar_group"] == document["similar_group"]
            }
            assert keeper["decision"] != "trash" or wanted == {"trash"}
        if "/photos/" in path:
            assert not (document["delete"] and document["decision"] == "keep")
