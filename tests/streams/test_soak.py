"""What takes too long for every day: `make soak` and `make soak-load` run it."""

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from google.cloud import firestore

from demo.emulators import Emulators
from tests.streams.conftest import Streaming
from tests.streams.test_real_streams import (
    assert_becomes,
    backfill_beside,
    fill,
    resident_mib,
)
from tests.streams.world import Bucket, disordered, wait_for

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
    """One or two streams, each killed up to twice, perhaps a backfill beside them."""
    chance = random.Random(seed)
    photos = chance.sample(real_photos, len(real_photos))
    fill(bucket, photos)
    expected = clean(bucket, "anna")
    messages = disordered(bucket.announced, chance)
    streams = chance.randint(1, 2)
    running = [streaming.start() for _ in range(streams)]
    streaming.publish(messages[: len(messages) // 2])
    for _ in range(chance.randint(0, 2)):
        photos_before = chance.randint(0, len(photos))
        wait_for(
            lambda number=photos_before: (
                number <= sum("/photos/" in path for path in streaming.documents()) + 10
            ),
            120,
            "some photos",
        )
        running[0].kill()
        running[0] = streaming.start()
    streaming.publish(messages[len(messages) // 2 :])
    if chance.random() < 0.5:
        backfill_beside(bucket, streaming.project, tmp_path)
    assert_becomes(streaming, expected, within_s=300)
    print(f"history {seed}: {streams} streams, {len(streaming.started)} processes")


def test_load(
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    firestore_emulator: Emulators,
) -> None:
    """Memory, throughput and latency over many events of small photos."""
    photos = real_photos[:-2]
    for i in range(_EVENTS):
        # Days of a few hundred photos a user would be a trip's; these are ordinary.
        user, day = i % _USERS, i // _USERS // 20
        bucket.put(
            f"users/user-{user}/photos/{i}.jpg",
            photos[i % len(photos)],
            _FILE_TIME_S + 86_400 * day,
        )
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
        document.get("analysed_at").timestamp() - sent[document.id]
        for document in documents
        if document.id in sent
    )
    p50, p95 = (latencies[int(len(latencies) * q)] for q in (0.5, 0.95))
    print(f"event to document at 5/s: p50 {p50:.2f} s, p95 {p95:.2f} s")


def _count(project: str) -> int:
    photos = firestore.Client(project).collection_group("photos")
    return int(photos.count().get()[0][0].value)
