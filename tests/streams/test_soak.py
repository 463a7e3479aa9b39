"""What takes too long for every day: `make soak` and `make soak-load` run it."""

import contextlib
import io
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from google.cloud import firestore
from PIL import Image
from PIL.ExifTags import Base

from demo.emulators import Emulators
from store.urls import open_store
from tests.streams.conftest import Streaming
from tests.streams.test_killed_streams import (
    backfill_beside,
    fill,
    photos_of,
    resident_mib,
)
from tests.streams.world import (
    Bucket,
    decide_alike,
    disordered,
    documents,
    settle,
    wait_for,
)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

_HISTORIES: Final = int(os.environ.get("HISTORIES", "50"))
_EVENTS: Final = int(os.environ.get("EVENTS", "10000"))
_USERS: Final = 50
_FILE_TIME_S: Final = 1_714_564_800


@pytest.mark.parametrize("seed", range(_HISTORIES))
def test_real_history(
    seed: int,
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    clean: Callable[..., str],
    tmp_path: Path,
) -> None:
    """One or two streams that are killed, a user who decides, perhaps a backfill."""
    chance = random.Random(seed)
    photos = chance.sample(real_photos, len(real_photos))
    fill(bucket, photos)
    expected = clean(bucket, "anna")
    messages = disordered(bucket.announced, chance)
    streams = chance.randint(1, 2)
    running = [streaming.start() for _ in range(streams)]
    streaming.publish(messages[: len(messages) // 2])
    for _ in range(chance.randint(1, 2)):
        least = chance.randint(1, 12)
        wait_for(lambda n=least: photos_of(streaming) >= n, 180, f"{least} photos")
        _decide(streaming.project, chance)
        running[0].kill()
        running[0] = streaming.start()
    streaming.publish(messages[len(messages) // 2 :])
    if chance.random() < 0.5:
        backfill_beside(bucket, streaming.project, tmp_path)

    def same() -> bool:
        streaming.assert_alive()
        settle(streaming.project)
        # What a user decided is not the run's to find out.
        decide_alike(streaming.project, expected)
        settle(expected)
        return streaming.documents() == documents(expected)

    wait_for(same, 300, "the documents of a clean run")
    print(f"history {seed}: {streams} streams, {len(streaming.started)} processes")


def _decide(project: str, chance: random.Random) -> None:
    photo = chance.choice(firestore.Client(project).collection_group("photos").get())
    decision = chance.choice(["keep", "trash"])
    with contextlib.suppress(KeyError):  # it was removed meanwhile
        open_store(f"firestore://{project}").decide("anna", photo.id, decision)


def test_load(
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    firestore_emulator: Emulators,
) -> None:
    """Memory, throughput and latency over many events of small photos."""
    photos = untimed(real_photos)
    for i in range(_EVENTS):
        user, day = i % _USERS, i // _USERS // 20
        name = f"users/user-{user}/photos/{i}.jpg"
        # Without EXIF: 20 a user and day, as on an ordinary one.
        bucket.put(name, photos[i % len(photos)], _FILE_TIME_S + 86_400 * day)
    stream = streaming.start()
    streaming.publish(bucket.announced[:1])
    wait_for(lambda: _count(streaming.project) == 1, 120, "the first photo")
    started_s = time.monotonic()
    streaming.publish(bucket.announced[1:])
    curve: list[tuple[float, int, int]] = []
    while (done := _count(streaming.project)) < _EVENTS:
        stream.assert_alive()
        seconds = time.monotonic() - started_s
        curve.append((seconds, done, resident_mib(stream.process.pid)))
        print(f"{seconds:6.0f} s {done:6,} photos {curve[-1][2]:6,} MiB", flush=True)
        time.sleep(10)
    seconds = time.monotonic() - started_s
    print(f"backlog: {_EVENTS:,} events in {seconds:.0f} s, {_EVENTS / seconds:.1f}/s")
    _print_steady_latency(streaming, bucket, photos)
    # Flat after warm-up: the last tenth is no higher than the second tenth.
    resident = [mib for _, _, mib in curve]
    tenth = max(1, len(resident) // 10)
    early = statistics.median(resident[tenth : 2 * tenth + 1])
    late = statistics.median(resident[-tenth:])
    print(f"resident: {early:.0f} MiB early, {late:.0f} MiB late")
    assert late < early * 1.1


def _print_steady_latency(
    streaming: Streaming, bucket: Bucket, photos: list[bytes]
) -> None:
    """Events at a rate that the machine keeps up with, as phones send them."""
    bucket.announced.clear()
    sent: dict[str, float] = {}
    for i in range(300):
        name = f"users/user-{i % _USERS}/photos/steady-{i}.jpg"
        bucket.put(name, photos[i % len(photos)], _FILE_TIME_S)
        sent[bucket.photo_id(name)] = time.time()
        streaming.publish(bucket.announced[-1:])
        time.sleep(0.2)
    wait_for(lambda: _count(streaming.project) == _EVENTS + 300, 300, "the last photos")
    documents = firestore.Client(streaming.project).collection_group("photos").stream()
    latencies = sorted(
        # The server's own clock, once the transaction is done.
        document.create_time.timestamp() - sent[document.id]
        for document in documents
        if document.id in sent
    )
    p50, p95 = (latencies[int(len(latencies) * q)] for q in (0.5, 0.95))
    print(f"event to document at 5/s: p50 {p50:.2f} s, p95 {p95:.2f} s")


def untimed(photos: list[bytes]) -> list[bytes]:
    """Those that no camera dated."""
    return [
        photo
        for photo in photos[:-2]
        if Image.open(io.BytesIO(photo)).getexif().get(Base.Make) is None
    ]


def _count(project: str) -> int:
    photos = firestore.Client(project).collection_group("photos")
    return int(photos.count().get()[0][0].value)
