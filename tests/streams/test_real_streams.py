"""Real processes of the stream that are killed, frozen out and fed with rubbish."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.emulators import Emulators
from tests.streams.conftest import Streaming
from tests.streams.world import (
    ROOT,
    Bucket,
    differences,
    disordered,
    documents,
    wait_for,
)
from tests.transforms.trouble import answers, running_proxy

USER = "anna"
_FILE_TIME_S = 1_714_564_800


def _name(number: int) -> str:
    return f"users/{USER}/photos/{number}.jpg"


def fill(bucket: Bucket, photos: list[bytes]) -> None:
    """Photos, some of which are overwritten or removed again."""
    for number, photo in enumerate(photos):
        bucket.put(_name(number), photo, _FILE_TIME_S)
    for number in range(0, len(photos), 5):
        # Another day's photo under the same name.
        bucket.put(_name(number), photos[(number + 7) % len(photos)], _FILE_TIME_S)
    for number in range(3, len(photos), 9):
        bucket.remove(_name(number))


def assert_becomes(streaming: Streaming, clean: str, within_s: float) -> None:
    """The documents get to be those of a clean run, and stay so."""
    expected = documents(clean)

    def same() -> bool:
        streaming.assert_alive()
        return streaming.documents() == expected

    try:
        wait_for(same, within_s, "the same documents")
    except TimeoutError:
        found = differences(streaming.documents(), expected)
        said = [stream.said() for stream in streaming.started]
        raise AssertionError("\n".join([*found, *said])) from None
    time.sleep(3)
    assert differences(streaming.documents(), expected) == []


@pytest.mark.parametrize(
    ("killed_at", "streams"),
    [(1, 1), (12, 2), (30, 1)],
    ids=["first photo", "one of two", "late"],
)
def test_a_killed_stream_and_a_backfill_beside_it_lose_nothing(
    killed_at: int,
    streams: int,
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    clean: Callable[..., str],
    tmp_path: Path,
) -> None:
    fill(bucket, real_photos)
    expected = clean(bucket, USER)
    streaming.publish(disordered(bucket.announced, random.Random(killed_at)))
    running = [streaming.start() for _ in range(streams)]

    def written() -> bool:
        streaming.assert_alive()
        return photos_of(streaming) >= killed_at

    wait_for(written, 120, f"{killed_at} photos")
    running[0].kill()
    assert differences(streaming.documents(), documents(expected)), "all was done"
    # A backfill of some of the photos runs beside the other stream.
    if streams == 2:
        backfill_beside(bucket, streaming.project, tmp_path)
    # What the dead one had not acknowledged is delivered again, by Pub/Sub itself.
    streaming.start()
    assert_becomes(streaming, expected, within_s=240)


def backfill_beside(bucket: Bucket, project: str, folder: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline",
            "backfill",
            bucket.path(f"users/{USER}/photos/1"),
            f"--user={USER}",
            f"--store=firestore://{project}",
            f"--dead-letters={folder / 'beside.jsonl'}",
            "--weights=none",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("frozen", ["firestore", "pubsub"])
def test_an_outage_is_waited_for(
    frozen: str,
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    clean: Callable[..., str],
    firestore_emulator: Emulators,
    pubsub_emulator: Emulators,
) -> None:
    fill(bucket, real_photos)
    expected = clean(bucket, USER)
    stream = streaming.start()
    messages = disordered(bucket.announced, random.Random(0))
    streaming.publish(messages[: len(messages) // 2])
    wait_for(
        lambda: photos_of(streaming) >= 3,
        120,
        "the first photos",
    )
    before_mib = resident_mib(stream.process.pid)
    emulators = {"firestore": firestore_emulator, "pubsub": pubsub_emulator}
    pid = emulators[frozen].processes[frozen]
    os.kill(pid, signal.SIGSTOP)
    try:
        if frozen == "firestore":
            streaming.publish(messages[len(messages) // 2 :])
        # Longer than one request may take.
        time.sleep(75)
        stream.assert_alive()
        memory_mib = resident_mib(stream.process.pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    if frozen == "pubsub":
        streaming.publish(messages[len(messages) // 2 :])
    print(f"{frozen} frozen for 75 s: {before_mib} MiB, then {memory_mib} MiB resident")
    assert memory_mib < before_mib + 100
    assert_becomes(streaming, expected, within_s=240)
    stream.assert_alive()


def test_a_bucket_that_answers_503_or_slowly_is_waited_for(
    streaming: Streaming,
    bucket: Bucket,
    real_photos: list[bytes],
    clean: Callable[..., str],
) -> None:
    fill(bucket, real_photos)
    expected = clean(bucket, USER)
    messages = disordered(bucket.announced, random.Random(0))
    with running_proxy() as proxy:
        proxy.trouble += [answers(503)] * 100_000
        stream = streaming.start(STORAGE_EMULATOR_HOST=proxy.url)
        streaming.publish(messages)
        wait_for(lambda: len(proxy.asked) > 0, 120, "a request for a photo")
        time.sleep(30)
        stream.assert_alive()
        assert photos_of(streaming) == 0
        # Slow for some more, then as ever.
        proxy.trouble[:] = [_is_slow] * 10
        assert_becomes(streaming, expected, within_s=240)
    letters = streaming.pubsub.pull_all(streaming.letters)
    print(f"503 for 30 s: {len(proxy.asked)} requests, {len(letters)} dead letters")
    # Of what is no photo, or was removed meanwhile; none for the outage.
    reasons = {letter.attributes["reason"] for letter in letters}
    assert "can not be read" not in reasons


def _is_slow(request: object) -> bool:
    time.sleep(4)
    return False


def photos_of(streaming: Streaming) -> int:
    return sum("/photos/" in path for path in streaming.documents())


def resident_mib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) >> 10
    raise ValueError("no such line")
