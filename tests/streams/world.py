"""A bucket with its announcements, the stream's process, and what it writes.

The Storage emulator announces nothing and keeps one version of an object, so a
`Bucket` writes the announcements that Cloud Storage would make.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.cloud import firestore, storage

from models.similarity import SimilarOptions
from store.records import photo_id
from store.urls import open_store
from transforms.announcements import (
    DELETE,
    FILE_TIME_KEY,
    FINALIZE,
    announcement_of,
)
from transforms.day_outcomes import day_outcomes

ROOT: Final = Path(__file__).parents[2]
COLLECTIONS: Final = ("users", "photos", "tags", "deletions")


@dataclass(frozen=True)
class Announcement:
    """One message of a bucket."""

    name: str
    generation: int
    data: bytes
    attributes: Mapping[str, str]


@dataclass
class Bucket:
    """A new bucket of the emulator, and what it announced so far."""

    client: storage.Client
    name: str = field(default_factory=lambda: f"piccl-{uuid.uuid4().hex[:12]}")
    announced: list[Announcement] = field(default_factory=list)
    _there: dict[str, storage.Blob] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client.create_bucket(self.name)

    def put(self, name: str, data: bytes, file_time_s: int | None = None) -> None:
        """Upload; overwriting announces the old version's removal too."""
        blob = self.client.bucket(self.name).blob(name)
        if file_time_s is not None:
            blob.metadata = {FILE_TIME_KEY: str(file_time_s)}
        blob.upload_from_string(data, content_type="image/jpeg")
        self._announce(FINALIZE, blob)
        if name in self._there:
            self._announce(DELETE, self._there[name])
        self._there[name] = blob

    def remove(self, name: str) -> None:
        blob = self._there.pop(name)
        blob.delete()
        self._announce(DELETE, blob)

    def has(self, name: str) -> bool:
        return name in self._there

    def path(self, name: str) -> str:
        return f"gs://{self.name}/{name}"

    def photo_id(self, name: str) -> str:
        return photo_id(self.name, name)

    def _announce(self, event_type: str, blob: storage.Blob) -> None:
        data, attributes = announcement_of(blob, event_type)
        self.announced.append(
            Announcement(blob.name, blob.generation, data, attributes)
        )


def disordered(
    announcements: Sequence[Announcement], chance: random.Random
) -> list[Announcement]:
    """Each once to three times, in any order."""
    many = [one for one in announcements for _ in range(chance.randint(1, 3))]
    chance.shuffle(many)
    return many


def documents(project: str) -> dict[str, dict[str, Any]]:
    """All that is stored, by path; tombstones and the clock of the run aside."""
    db = firestore.Client(project)
    found = {}
    for collection in COLLECTIONS:
        for document in db.collection_group(collection).stream():
            fields = document.to_dict()
            fields.pop("analysed_at", None)
            found[document.reference.path] = fields
    return found


def settle(project: str) -> None:
    """As `piccl settle` does with its own options."""
    store = open_store(f"firestore://{project}")
    for user, date in store.pending_days():
        store.settle(user, date, lambda day: day_outcomes(day, SimilarOptions()))


def decide_alike(project: str, other: str) -> None:
    """Decisions belong to the user: another run's photos get the same ones."""
    store = open_store(f"firestore://{other}")
    theirs = {path: one for path, one in documents(other).items() if "/photos/" in path}
    for path, photo in documents(project).items():
        if path in theirs and photo["decision"] != theirs[path]["decision"]:
            store.decide(photo["user_id"], photo["id"], photo["decision"])


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Where documents differ, for a person."""
    found = []
    for path in sorted({*one, *other}):
        if path not in one or path not in other:
            found.append(f"{path}: only in the {'first' if path in one else 'second'}")
            continue
        for name in sorted({*one[path], *other[path]}):
            values = one[path].get(name, ...), other[path].get(name, ...)
            if values[0] != values[1]:
                found.append(f"{path}: {name}: {values[0]!r:.80} and {values[1]!r:.80}")
    return found


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} did not come in {timeout_s:.0f} s")
        time.sleep(0.25)


class Stream:
    """A process of `piccl stream`, until it is killed or ended.

    Args:
        subscription: Where the announcements come from.
        project: Of Firestore.
        dead_letters: Topic for what could not be analysed.
        log: File for what it says.
        environment: What differs from this process's.
    """

    def __init__(
        self,
        subscription: str,
        project: str,
        dead_letters: str,
        log: Path,
        environment: Mapping[str, str] = {},
    ) -> None:
        self._log = log
        self._is_killed = False
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pipeline",
                    "stream",
                    f"--subscription={subscription}",
                    f"--store=firestore://{project}",
                    f"--dead-letter-topic={dead_letters}",
                    "--weights=none",
                ],
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env={**os.environ, **environment},
            )

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def received(self) -> int:
        """How many messages it says it has received."""
        told = re.findall(r"received ([0-9,]+)", self.said())
        return int(told[-1].replace(",", "")) if told else 0

    def kill(self) -> None:
        """As if the machine were gone."""
        self._is_killed = True
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def assert_alive(self) -> None:
        """Unless it was killed."""
        assert self._is_killed or self.process.poll() is None, self.said()[-3000:]
