"""The same documents whatever happened on the way: the law of this project."""

import random
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue
from google.cloud import firestore, storage
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from demo.emulators import Emulators
from demo.pubsub import PubSub
from pipeline.analyse import analysis_settings
from pipeline.backfill import build_backfill
from pipeline.streaming import build_stream
from store.urls import open_store
from tests.streams.world import (
    Announcement,
    Bucket,
    differences,
    disordered,
    documents,
)

# The second owns fewer photos, on the same days as the first.
NAMES = [
    *(f"users/anna/photos/{i}.jpg" for i in range(6)),
    *(f"users/ben/photos/trip/{i}.jpg" for i in range(2)),
]
USERS = ("anna", "ben")
# 2024-05-01 noon, for photos without EXIF; some objects have no time of their own.
_FILE_TIMES_S = (1_714_564_800, 1_714_651_200)


def _histories(contents: int) -> st.SearchStrategy[list[tuple]]:
    """Changes of a bucket, and in between workers that hear what it announced."""
    name = st.sampled_from(NAMES)
    put = st.tuples(
        st.just("put"),
        name,
        st.integers(0, contents - 1),
        st.sampled_from(_FILE_TIMES_S),
    )
    remove = st.tuples(st.just("remove"), name)
    decide = st.tuples(
        st.sampled_from(["decide", "decide in the app"]),
        name,
        st.sampled_from(["keep", "trash", None]),
    )
    changes = st.lists(st.one_of(put, put, put, remove, decide), min_size=3, max_size=8)
    # How many streams at once, whether a backfill beside them, and how much of what
    # was announced they hear; the rest comes late.
    work = st.tuples(
        st.just("work"), st.integers(1, 2), st.booleans(), st.floats(0.2, 1.0)
    )
    phases = st.lists(st.tuples(changes, work), min_size=1, max_size=2)
    return phases.map(
        lambda phases: [step for changes, work in phases for step in (*changes, work)]
    )


@pytest.fixture(scope="module")
def dead_letters(pubsub_emulator: Emulators) -> str:
    return PubSub("piccl-convergence").topic("dead-letters")


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    # A history takes seconds, so a failing one is shown as it is.
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_any_history_ends_in_the_documents_of_one_clean_backfill(
    data,
    seed: int,
    real_photos: list[bytes],
    cloud_storage: storage.Client,
    firestore_emulator: Emulators,
    dead_letters: str,
) -> None:
    world = _World(Bucket(cloud_storage), real_photos, dead_letters, seed)
    for step in data.draw(_histories(len(real_photos))):
        world.perform(step)
    world.work(streams=2, backfill=False, heard=1.0)
    world.settle()

    clean = f"piccl-{uuid.uuid4().hex[:12]}"
    world.backfill(clean, *USERS)
    _decide_alike(world.project, clean)
    world.settle(clean)
    found = differences(documents(world.project), documents(clean))
    assert not found, "\n".join(found)
    _assert_every_group_keeps_one(documents(world.project))


class _World:
    """A bucket, and workers on what it announces.

    Attributes:
        project: Of Firestore, where the workers write.
    """

    def __init__(
        self, bucket: Bucket, contents: Sequence[bytes], dead_letters: str, seed: int
    ) -> None:
        self.project = f"piccl-{uuid.uuid4().hex[:12]}"
        self._bucket = bucket
        self._contents = contents
        self._dead_letters = dead_letters
        self._chance = random.Random(seed)
        self._unheard: list[Announcement] = []
        for user in USERS:
            self._bucket.put(f"users/{user}/photos/always-there.jpg", contents[0])

    def perform(self, step: tuple) -> None:
        match step:
            case "put", name, content, file_time_s:
                self._bucket.put(name, self._contents[content], file_time_s)
            case "remove", name:
                self._bucket.remove(name)
            case "work", streams, backfill, heard:
                self.work(streams, backfill, heard)
            case how, name, decision:
                self._decide(name, decision, in_app=how != "decide")

    def work(self, streams: int, backfill: bool, heard: float) -> None:
        """Streams hear some of what was announced, all at once."""
        self._unheard += self._bucket.announced
        self._bucket.announced.clear()
        self._chance.shuffle(self._unheard)
        number = round(heard * len(self._unheard))
        now, self._unheard = self._unheard[:number], self._unheard[number:]
        messages = disordered(now, self._chance)
        jobs: list[Callable[[], None]] = [
            lambda part=part: self._stream(messages[part::streams], early=part == 0)
            for part in range(streams)
        ]
        if backfill:
            jobs.append(lambda: self.backfill(self.project, USERS[0]))
        with ThreadPoolExecutor(len(jobs)) as pool:
            for done in [pool.submit(job) for job in jobs]:
                done.result()

    def backfill(self, project: str, *users: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pipeline = beam.Pipeline(options=_options("FnApiRunner"))
            for user in users:
                address = self._bucket.path(f"users/{user}/photos/")
                letters = str(Path(folder) / f"{user}.jsonl")
                _ = pipeline | user >> _Backfill(address, user, project, letters)
            pipeline.run().wait_until_finish()

    def settle(self, project: str | None = None) -> None:
        """As `piccl settle` does."""
        from transforms.group_similar import day_outcomes

        url = f"firestore://{project or self.project}"
        options = _settings(self.project).similar
        store = open_store(url)
        for user, date in store.pending_days():
            store.settle(user, date, lambda photos: day_outcomes(photos, options))
        assert store.pending_days() == []

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

    def _decide(self, name: str, decision: str | None, *, in_app: bool) -> None:
        user, id_ = name.split("/")[1], self._bucket.photo_id(name)
        photo = firestore.Client(self.project).document(f"users/{user}/photos/{id_}")
        if not photo.get().exists:
            return
        if in_app:
            # All that the rules let an app change.
            photo.update({"decision": decision})
        else:
            open_store(f"firestore://{self.project}").decide(user, id_, decision)


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


def _decide_alike(project: str, clean: str) -> None:
    """Decisions belong to the user: the clean run gets the same ones."""
    store = open_store(f"firestore://{clean}")
    photos = firestore.Client(project).collection_group("photos")
    for decision in ("keep", "trash"):
        same = firestore.FieldFilter("decision", "==", decision)
        for photo in photos.where(filter=same).stream():
            store.decide(photo.get("user_id"), photo.id, decision)


def _assert_every_group_keeps_one(found: dict[str, dict]) -> None:
    for path, document in found.items():
        if "/deletions/" in path and document["similar_group"] is not None:
            folder = path.replace("/deletions/", "/photos/").rpartition("/")[0]
            keeper = found[f"{folder}/{document['keeper']}"]
            assert not keeper["delete"]
            assert keeper["decision"] != "trash"
        if "/photos/" in path:
            assert not (document["delete"] and document["decision"] == "keep")
