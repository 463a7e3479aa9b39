"""Announcing again what became dead letters."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from google import pubsub_v1 as api
from google.api_core.exceptions import GoogleAPIError
from google.cloud import pubsub_v1
from google.cloud.storage.retry import DEFAULT_RETRY

from pipeline.letters import Letters, Received
from transforms.announcements import (
    AnnouncementError,
    announcement_of,
    message_from_json,
    owner,
)
from transforms.buckets import storage_client
from transforms.dead_letters import from_json
from transforms.elements import DeadLetter

_GS: Final = "gs://"
_RETRY: Final = DEFAULT_RETRY.with_timeout(600.0)
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


@dataclass
class Report:
    """What became of the letters, so far.

    Attributes:
        seen: All of them.
        replayed: By reason; with `--dry-run` those that would be.
        left: By reason: not asked for, or nothing can announce them.
        repeats: Of letters that had come before.
        only_backfill: Paths of photos that no stream knows.
        gone: Addresses where there is no object any more.
        problems: What could not be read, and why.
        seconds: Wall time.
    """

    seen: int = 0
    replayed: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    only_backfill: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "letters": self.seen,
            "replayed": dict(sorted(self.replayed.items())),
            "left": dict(sorted(self.left.items())),
            "repeats": self.repeats,
            "only_backfill": self.only_backfill,
            "gone": self.gone,
            "problems": self.problems,
            "seconds": round(self.seconds, 2),
        }


class Replayer:
    """Publishes what was announced once more, each letter once.

    Args:
        topic: Of the announcements, as projects/PROJECT/topics/TOPIC.
        reasons: Only letters of these reasons; of all, if it is empty.
        steps: Only letters of these steps; of all, if it is empty.
        dry_run: Publish nothing.
    """

    def __init__(
        self,
        topic: str,
        *,
        reasons: Collection[str] = (),
        steps: Collection[str] = (),
        dry_run: bool = False,
    ) -> None:
        self.report = Report()
        self._topic = topic
        self._reasons = reasons
        self._steps = steps
        self._dry_run = dry_run
        # The other client takes attributes as arguments, and those of a stray
        # message may have the names of its own; but it finds the emulator.
        client = pubsub_v1.PublisherClient()
        self._publisher = api.PublisherClient(transport=client.transport)
        # Letters that were replayed, and the newest that Pub/Sub had by then.
        self._replayed: dict[str, datetime] = {}
        self._newest = _BEFORE_ALL

    def replay(self, letters: Letters) -> None:
        """Replay all, and take those out that were.

        Raises:
            GoogleAPIError: Pub/Sub does not take the announcements.
        """
        for batch in letters.batches():
            letters.take_out(self._replay_batch(batch))
            self.report.seen += len(batch)

    def _replay_batch(self, batch: Sequence[Received]) -> Sequence[Received]:
        """Returns those that are dealt with."""
        times = [one.published_at for one in batch if one.published_at]
        self._newest = max([self._newest, *times])
        done: list[Received] = []
        replayed: list[DeadLetter] = []
        messages: list[api.PubsubMessage] = []
        for received in batch:
            try:
                letter = from_json(received.text)
            except ValueError as err:
                self.report.problems.append(f"{received.where}: {err}")
                continue
            if letter.id in self._replayed:
                self.report.repeats += 1
                if self._came_before(received, self._replayed[letter.id]):
                    done.append(received)
                continue
            message = self._message(letter) if self._is_wanted(letter) else None
            if message is None:
                self.report.left[letter.reason] += 1
                continue
            self._replayed[letter.id] = self._newest
            messages.append(message)
            replayed.append(letter)
            done.append(received)
        if self._dry_run:
            done.clear()
        elif messages:
            self._publisher.publish(topic=self._topic, messages=messages)
        self.report.replayed.update(letter.reason for letter in replayed)
        return done

    def _is_wanted(self, letter: DeadLetter) -> bool:
        return (not self._reasons or letter.reason in self._reasons) and (
            not self._steps or letter.step in self._steps
        )

    def _came_before(self, repeat: Received, newest: datetime) -> bool:
        """Whether a repeat was published before its letter was replayed.

        One of afterwards may tell that the photo is still bad. Only Pub/Sub's own
        clock counts: what is no newer than what had come by then.
        """
        return repeat.published_at is not None and repeat.published_at <= newest

    def _message(self, letter: DeadLetter) -> api.PubsubMessage | None:
        """What to publish; the report says why if there is nothing."""
        if letter.announcement is not None:
            attributes, data = message_from_json(letter.announcement)
            return api.PubsubMessage(data=data, attributes=attributes)
        if not _is_announced(letter):
            self.report.only_backfill.append(letter.path)
            return None
        bucket, _, name = letter.path.removeprefix(_GS).partition("/")
        try:
            blob = storage_client().bucket(bucket).get_blob(name, retry=_RETRY)
        except GoogleAPIError as err:
            self.report.problems.append(f"{letter.path}: {err}")
            return None
        if blob is None:
            self.report.gone.append(letter.path)
            return None
        data, attributes = announcement_of(blob)
        return api.PubsubMessage(data=data, attributes=attributes)


def _is_announced(letter: DeadLetter) -> bool:
    """Whether the bucket announces the object as a photo of the letter's user."""
    if not letter.path.startswith(_GS):
        return False
    _, _, name = letter.path.removeprefix(_GS).partition("/")
    try:
        return owner(name) == (letter.user_id or owner(name))
    except AnnouncementError:
        return False
