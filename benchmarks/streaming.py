"""The same photos through `piccl stream` and through `piccl backfill`.

Both read a bucket of the Storage emulator and write SQLite; the stream hears of
the photos from Pub/Sub's. So what is compared is how they run, not a network.

    python -m benchmarks.streaming TIMES.json SUBSCRIPTION ...

is `piccl stream` with the arguments, and writes down where its time went.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from benchmarks.backfill import made_photos
from benchmarks.contestants import run_piccl
from benchmarks.inputs import Inputs, first
from benchmarks.processes import AS_PICCL, kill, module
from benchmarks.report import Report
from benchmarks.settings import ROOT
from demo.emulators import missing, running
from demo.pubsub import PubSub
from store.interface import Store
from store.urls import open_store
from transforms.announcements import FINALIZE, announcement_of

SECTION: Final = "streaming"
_PHOTOS: Final = 400
_QUICK_PHOTOS: Final = 100
_PROJECT: Final = "piccl-benchmark"
_USER: Final = "me"
_PREFIX: Final = f"users/{_USER}/photos/"
_FEW: Final = 20
_MOST_ROUNDS: Final = 2
_LOOK_EVERY_S: Final = 0.1
_START_WITHIN_S: Final = 120.0
_DONE_WITHIN_S: Final = 300.0
_END_WITHIN_S: Final = 60.0
_SHOWN_STEPS: Final = 4
_START_AGAIN: Final = signal.SIGUSR1


def run(report: Report, quick: bool) -> None:
    if why := missing("pubsub", "storage"):
        report.missing(SECTION, "the stream", why)
        return
    number = _QUICK_PHOTOS if quick else _PHOTOS
    made = made_photos("0.3 MP", quick, report.settings)
    photos = first(made, number, report.settings)
    report.doing(f"{SECTION}: starting the emulators")
    with running("pubsub", "storage") as emulators:
        before = dict(os.environ)
        os.environ.update(emulators.environment)
        try:
            _compare(report, photos)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _compare(report: Report, photos: Inputs) -> None:
    report.doing(f"{SECTION}: uploading {len(photos)} photos")
    blobs = _uploaded(photos)
    streams, backfills, limits = [], [], []
    rounds = min(_MOST_ROUNDS, report.settings.rounds)
    for number in range(rounds):
        report.doing(f"{SECTION}: round {number + 1} of {rounds}")
        backfills.append(_backfill_speed(blobs))
        seconds, steps = _stream_s(blobs)
        streams.append((len(blobs) - 1) / seconds)
        limits.append((seconds, steps))
    case = "0.3 MP, no tags, from a bucket"
    stream = report.add(SECTION, "piccl stream", "photos/s", streams, case=case)
    backfill = report.add(SECTION, "piccl backfill", "photos/s", backfills, case=case)
    report.ratio(f"{case}: the stream, of the backfill", stream, backfill, None)
    report.note(_limit(*limits[-1]))


def _uploaded(photos: Inputs) -> list[storage.Blob]:
    """The first few apart, so that a backfill can be of them alone."""
    bucket = storage.Client(_PROJECT, AnonymousCredentials()).create_bucket(
        f"photos-{uuid.uuid4().hex[:8]}"
    )
    blobs = []
    for number, path in enumerate(photos.paths):
        folder = "few" if number < _FEW else "more"
        blob = bucket.blob(f"{_PREFIX}{folder}/{path.name}")
        blob.upload_from_filename(str(path), content_type="image/jpeg")
        blobs.append(blob)
    return blobs


def _backfill_speed(blobs: list[storage.Blob]) -> float:
    """Photos a second, without the start, as `contestants.piccl_backfill` has it."""
    address = f"gs://{blobs[0].bucket.name}/{_PREFIX}"
    done = run_piccl(address, len(blobs), None)
    start = run_piccl(f"{address}few/", _FEW, None)
    return (len(blobs) - _FEW) / (done.wall_s - start.wall_s)


def _stream_s(blobs: list[storage.Blob]) -> tuple[float, dict[str, float]]:
    """Seconds from the second announcement to the last photo's row, and by step."""
    pubsub = PubSub(_PROJECT)
    name = uuid.uuid4().hex[:8]
    topic, dead = pubsub.topic(f"uploads-{name}"), pubsub.topic(f"dead-{name}")
    subscription = pubsub.subscription(topic, f"stream-{name}")
    pubsub.subscription(dead, f"dead-{name}")
    announced = [announcement_of(blob, FINALIZE) for blob in blobs]
    with tempfile.TemporaryDirectory() as folder:
        url, times = f"sqlite:///{folder}/piccl.db", Path(folder) / "times.json"
        command = module(
            "streaming",
            times,
            f"--subscription={subscription}",
            f"--dead-letter-topic={dead}",
            f"--store={url}",
            "--weights=none",
        )
        said = Path(folder) / "log"
        with said.open("wb") as log:
            stream = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **AS_PICCL},
                start_new_session=True,
            )
        try:
            with closing(open_store(url)) as store:
                # One first: what it does once is not its speed.
                data, attributes = announced[0]
                pubsub.publish(topic, data, **attributes)
                _wait(stream, store, 1, _START_WITHIN_S)
                stream.send_signal(_START_AGAIN)
                began_s = time.perf_counter()
                futures = [
                    pubsub.publisher.publish(topic, data, **attributes)
                    for data, attributes in announced[1:]
                ]
                for future in futures:
                    future.result()
                _wait(stream, store, len(blobs), _DONE_WITHIN_S)
                seconds = time.perf_counter() - began_s
        except RuntimeError as err:
            last = said.read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"{err}, saying: {' '.join(last)}") from err
        finally:
            stream.send_signal(signal.SIGTERM)
            try:
                stream.wait(_END_WITHIN_S)
            finally:
                kill(stream)
        return seconds, json.loads(times.read_text())


def _wait(
    stream: "subprocess.Popen[bytes]", store: Store, photos: int, within_s: float
) -> None:
    deadline_s = time.monotonic() + within_s
    while store.counts(_USER)["photos"] < photos:
        if stream.poll() is not None:
            raise RuntimeError(f"the stream ended with {stream.returncode}")
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{photos} photos did not come within {within_s:.0f} s")
        time.sleep(_LOOK_EVERY_S)


def _limit(seconds: float, steps: dict[str, float]) -> str:
    """What a stream's time went into, for a person."""
    largest = sorted(steps.items(), key=lambda item: -item[1])[:_SHOWN_STEPS]
    listed = ", ".join(f"{name} {spent / seconds:.0%}" for name, spent in largest)
    rest = max(0.0, 1 - sum(steps.values()) / seconds)
    return (
        f"Of the stream's time in its last round, by the wall: {listed}; {rest:.0%} is "
        "outside all steps, which is the runner and what it waits for."
    )


def _stream(times: Path, arguments: list[str]) -> int:
    """`piccl stream`, which leaves behind what its steps took, in seconds.

    `_START_AGAIN` has it forget what they took before.
    """
    from pipeline.__main__ import main as run_piccl
    from transforms.counters import profile_here
    from transforms.step_times import StepTimes

    steps = StepTimes()

    def start(*_: object) -> None:
        nonlocal steps
        steps = StepTimes()
        profile_here(steps)

    signal.signal(_START_AGAIN, start)
    start()
    try:
        return run_piccl(["stream", *arguments])
    finally:
        spent: dict[str, Any] = {
            name: step.wall_ns / 1e9 for name, step in steps.alone().items()
        }
        times.write_text(json.dumps(spent))


if __name__ == "__main__":
    sys.exit(_stream(Path(sys.argv[1]), sys.argv[2:]))
