"""`piccl stream` as a person starts and ends it, over the emulators."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from google.cloud import storage

from demo.pubsub import PubSub
from pipeline.__main__ import main
from pipeline.stream_progress import describe
from transforms.announcements import DELETE, announcement_of

pytestmark = pytest.mark.timeout(240)

_ROOT = Path(__file__).parents[2]


@dataclass
class World:
    """A bucket whose announcements a stream reads, in one project of Pub/Sub."""

    pubsub: PubSub
    bucket: storage.Bucket
    topic: str
    subscription: str
    dead: str
    letters: str

    def put(self, name: str, data: bytes) -> None:
        blob = self.bucket.blob(name)
        blob.upload_from_string(data, content_type="image/jpeg")
        self._announce(announcement_of(blob))

    def remove(self, name: str) -> None:
        blob = self.bucket.get_blob(name)
        blob.delete()
        self._announce(announcement_of(blob, DELETE))

    def _announce(self, announcement: tuple[bytes, dict[str, str]]) -> None:
        data, attributes = announcement
        self.pubsub.publish(self.topic, data, **attributes)

    def flags(self, *more: str) -> list[str]:
        return [
            "stream",
            f"--subscription={self.subscription}",
            f"--dead-letter-topic={self.dead}",
            "--weights=none",
            *more,
        ]


@pytest.fixture
def world(pubsub: PubSub, cloud_storage: storage.Client) -> World:
    topic, dead = pubsub.topic("uploads"), pubsub.topic("dead-letters")
    subscription = pubsub.subscriber.subscription_path(pubsub.project, "stream")
    # What a stream that was ended had not acknowledged comes again soon.
    pubsub.subscriber.create_subscription(
        name=subscription, topic=topic, ack_deadline_seconds=10
    )
    return World(
        pubsub,
        cloud_storage.create_bucket(f"piccl-{uuid.uuid4().hex[:12]}"),
        topic,
        subscription,
        dead,
        pubsub.subscription(dead, "dead-letters"),
    )


@pytest.fixture
def start(world: World, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a stream into `piccl.db`; what it says goes to `said.txt`."""
    started: list[subprocess.Popen] = []

    def run(*more: str) -> subprocess.Popen:
        flags = world.flags(f"--store=sqlite:///{tmp_path / 'piccl.db'}", *more)
        with (tmp_path / "said.txt").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", *flags],
                cwd=_ROOT,
                stdout=said,
                stderr=said,
            )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def _wait_until(condition: Callable[[], bool], said: Path) -> None:
    deadline_s = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline_s, said.read_text()
        time.sleep(0.2)


def test_photos_are_analysed_as_they_come(
    world: World,
    start: Callable[..., subprocess.Popen],
    tmp_path: Path,
    jpeg: Callable[..., bytes],
    rows: Callable[[Path], dict[str, list[dict]]],
) -> None:
    db, said = tmp_path / "piccl.db", tmp_path / "said.txt"
    years = ("2035", "1999", "2019")
    names = {}
    for scene, year in enumerate(years):
        for shot in range(2):
            name = f"users/me/photos/{year}-{shot}.jpg"
            names[name] = jpeg(scene, shot, f"{year}:06:15 12:00:0{shot}")
    # The first half waits before the stream is there.
    for name in list(names)[:3]:
        world.put(name, names[name])
    process = start("--regroup-seconds=1")

    def photos() -> list[dict]:
        return rows(db)["photos"] if "Reading" in said.read_text() else []

    _wait_until(lambda: len(photos()) == 3, said)
    for name in list(names)[3:]:
        world.put(name, names[name])
    world.put("users/me/photos/text.jpg", b"no photo")
    world.put("elsewhere/photo.jpg", jpeg(7))

    def groups() -> list[int]:
        found = Counter(row["similar_group"] for row in rows(db)["deletions"])
        del found[None]
        return list(found.values())

    _wait_until(lambda: groups() == [2, 2, 2], said)
    assert Counter(row["date"] for row in photos()) == {
        f"{year}-06-15": 2 for year in years
    }
    world.remove("users/me/photos/1999-1.jpg")
    _wait_until(lambda: len(photos()) == 5 and groups() == [2, 2], said)
    assert all(row["pending_dates"] == "[]" for row in photos())

    letters: set[tuple[str, str]] = set()

    def all_letters() -> bool:
        for one in world.pubsub.pull_all(world.letters):
            letter = json.loads(one.data)
            letters.add((letter["step"], letter["reason"]))
        return len(letters) >= 2

    _wait_until(all_letters, said)
    assert letters == {
        ("LoadPhotos", "not a photo"),
        ("ParseUploads", "foreign object name"),
    }

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    text = said.read_text()
    assert "At the next start" in text
    assert "dead letters 2" in text
    assert "Traceback" not in text


def test_what_an_interrupted_stream_was_at_is_finished_by_the_next(
    world: World,
    start: Callable[..., subprocess.Popen],
    tmp_path: Path,
    jpeg: Callable[..., bytes],
    rows: Callable[[Path], dict[str, list[dict]]],
) -> None:
    db, said = tmp_path / "piccl.db", tmp_path / "said.txt"
    for number in range(40):
        name = f"users/me/photos/{number}.jpg"
        world.put(name, jpeg(number % 3, number, "2024:05:01 12:00:00"))
    # Nothing is regrouped in time.
    process = start("--regroup-seconds=1000")
    _wait_until(lambda: "Reading" in said.read_text(), said)
    _wait_until(lambda: len(rows(db)["photos"]) > 0, said)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 130
    assert "At the next start" in said.read_text()

    start("--regroup-seconds=1")

    def all_is_settled() -> bool:
        waiting = [row for row in rows(db)["photos"] if row["pending_dates"] != "[]"]
        return len(rows(db)["photos"]) == 40 and not waiting

    _wait_until(all_is_settled, said)


def test_dataflow_gets_the_same_graph(world: World, firestore_project: str) -> None:
    place = f"gs://{world.bucket.name}"
    flags = world.flags(
        f"--store=firestore://{firestore_project}",
        "--id-label=photo",
        "--runner=DataflowRunner",
        f"--project={world.pubsub.project}",
        "--region=europe-west1",
        f"--temp_location={place}/temp",
        f"--staging_location={place}/staging",
        f"--template_location={place}/template.json",
        "--no_auth",
    )
    assert main(flags) == 0
    template = json.loads(world.bucket.blob("template.json").download_as_bytes())
    assert template["type"] == "JOB_TYPE_STREAMING"
    (staged,) = (
        blob for blob in world.bucket.list_blobs() if blob.name.endswith("pipeline.pb")
    )
    graph = beam_runner_api_pb2.Pipeline.FromString(staged.download_as_bytes())
    (read,) = (
        beam_runner_api_pb2.PubSubReadPayload.FromString(one.spec.payload)
        for one in graph.components.transforms.values()
        if one.spec.urn == "beam:transform:pubsub_read:v1"
    )
    assert read.subscription == world.subscription
    assert read.id_attribute == "photo"
    assert read.with_attributes


_READS = "--subscription={p}/subscriptions/stream"


def _complaint(flags: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a misused command; returns the one line that it says."""
    assert main(flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("piccl: ")
    return line


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "--subscription is needed; `gcloud pubsub subscriptions create"),
        (["--subscription=mine"], "write projects/PROJECT/subscriptions/NAME"),
        (
            ["--subscription={p}/subscriptions/none"],
            "/subscriptions/none: there is no such subscription",
        ),
        ([_READS], "--dead-letter-topic is needed"),
        ([_READS, "--dead-letter-topic=dead"], "write projects/PROJECT/topics/NAME"),
        (
            [_READS, "--dead-letter-topic={p}/topics/none"],
            "/topics/none: there is no such topic",
        ),
        ([_READS, "--dead-letter-topic={p}/topics/uploads"], "come back for ever"),
        ([_READS, "--dead-letter-topic={p}/topics/unheard"], "nobody subscribes to it"),
        (["--id-label=photo"], "only Dataflow drops copies"),
        (["--regroup-seconds=0.5"], "not a whole number from 1 on"),
        (["--frobnicate"], "unknown option: --frobnicate"),
        (
            ["--runner=DataflowRunner"],
            "with --runner=DataflowRunner each worker would write a file of its own",
        ),
    ],
    ids=[
        "no subscription",
        "no subscription's name",
        "subscription not there",
        "no topic",
        "no topic's name",
        "topic not there",
        "a loop",
        "nobody listens",
        "id label",
        "half seconds",
        "unknown option",
        "store of one machine",
    ],
)
def test_what_would_lose_something_is_refused(
    flags: list[str],
    told: str,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.pubsub.topic("unheard")
    project = f"projects/{world.pubsub.project}"
    store = f"--store=sqlite:///{tmp_path / 'piccl.db'}"
    named = [flag.format(p=project) for flag in flags]
    assert told in _complaint(["stream", store, *named], capsys)
    assert not (tmp_path / "piccl.db").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgres://x", "no store at 'postgres://x'"),
        ("sqlite:///{folder}/none/piccl.db", "/none/piccl.db"),
    ],
    ids=["unknown", "no folder"],
)
def test_store_that_can_not_be_opened(
    url: str,
    told: str,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = f"--store={url.format(folder=tmp_path)}"
    assert told in _complaint(world.flags(store), capsys)


def test_pubsub_that_is_not_there_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    subscription = "projects/some-project/subscriptions/stream"
    told = _complaint(["stream", f"--subscription={subscription}"], capsys)
    assert "Pub/Sub at 127.0.0.1:1 (PUBSUB_EMULATOR_HOST) does not answer" in told


def test_a_line_tells_what_a_stream_has_done() -> None:
    counts = Counter(
        {
            "events/OBJECT_FINALIZE": 1200,
            "events/OBJECT_DELETE": 3,
            "photos_analysed": 1100,
            "photos_skipped": 90,
            "photos_superseded": 5,
            "photos_removed": 3,
            "dead_letters/LoadPhotos/empty file": 4,
            "dead_letters/ParseUploads/not JSON": 1,
            "days_grouped": 40,
        }
    )
    assert describe(counts) == (
        "received 1,203, analysed 1,100, skipped 95, removed 3, dead letters 5, "
        "days regrouped 40"
    )
