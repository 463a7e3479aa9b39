"""Real processes of the stream that are killed, and a backfill beside them."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.streams.conftest import Streaming
from tests.streams.world import (
    ROOT,
    Bucket,
    differences,
    disordered,
    documents,
    wait_for,
)

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
    assert_becomes(streaming, expected, within_s=400)


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


def photos_of(streaming: Streaming) -> int:
    return sum("/photos/" in path for path in streaming.documents())


def resident_mib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) >> 10
    raise ValueError("no such line")
