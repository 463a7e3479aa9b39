"""Firestore, Pub/Sub and the bucket fail for a while; the stream waits for them."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from demo.emulators import Emulators
from tests.streams.conftest import Streaming
from tests.streams.test_killed_streams import (
    USER,
    assert_becomes,
    fill,
    photos_of,
    resident_mib,
)
from tests.streams.world import Bucket, disordered, wait_for
from tests.transforms.trouble import answers, running_proxy


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
        time.sleep(65)
        stream.assert_alive()
        memory_mib = resident_mib(stream.process.pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    if frozen == "pubsub":
        streaming.publish(messages[len(messages) // 2 :])
    print(f"{frozen} frozen for 65 s: {before_mib} MiB, then {memory_mib} MiB resident")
    assert memory_mib < before_mib + 100
    assert_becomes(streaming, expected, within_s=400)
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
        assert_becomes(streaming, expected, within_s=400)
    letters = streaming.pubsub.pull_all(streaming.letters)
    print(f"503 for 30 s: {len(proxy.asked)} requests, {len(letters)} dead letters")
    # Of what is no photo, or was removed meanwhile; none for the outage.
    reasons = {letter.attributes["reason"] for letter in letters}
    assert "can not be read" not in reasons


def _is_slow(request: object) -> bool:
    time.sleep(4)
    return False
