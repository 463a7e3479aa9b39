"""Dead letters in a file or in a subscription, in batches, until there are no more."""

import contextlib
import itertools
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Protocol

from google.api_core.exceptions import DeadlineExceeded, GoogleAPIError
from google.cloud import pubsub_v1

# Letters are at most 250 kB, and gRPC hands on 4 MiB at once.
_BATCH: Final = 10
# A subscription that gives nothing for so long is empty.
_QUIET_S: Final = 10.0
_TIMEOUT_S: Final = 60.0
# The longest that Pub/Sub keeps a message from others.
_HELD_S: Final = 600
_IDS_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Received:
    """What should be a letter.

    Attributes:
        text: JSON.
        where: For a person.
        handle: What the source knows it by.
        published_at: By Pub/Sub's own clock; None out of a file.
    """

    text: bytes
    where: str
    handle: str = ""
    published_at: datetime | None = None


class Letters(AbstractContextManager["Letters"], Protocol):
    """Where letters are; what is not taken out stays there."""

    def batches(self) -> Iterator[Sequence[Received]]:
        """All letters, each once."""

    def take_out(self, letters: Sequence[Received]) -> None:
        """They are dealt with."""


class FileLetters(Letters):
    """One letter a line; nothing is ever taken out.

    Args:
        path: Of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def batches(self) -> Iterator[Sequence[Received]]:
        with open(self._path, "rb") as lines:
            numbered = (
                Received(line, f"line {number}")
                for number, line in enumerate(lines, 1)
                if line.strip()
            )
            while batch := list(itertools.islice(numbered, _BATCH)):
                yield batch

    def take_out(self, letters: Sequence[Received]) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class SubscriptionLetters(Letters):
    """One letter a message.

    Messages are kept from other consumers until they are taken out, or until the
    block ends, also if it fails; after a crash, for ten minutes.

    Args:
        subscription: As projects/PROJECT/subscriptions/SUBSCRIPTION.
    """

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription
        self._client = pubsub_v1.SubscriberClient()
        # Message id to what the latest delivery is acknowledged by.
        self._held: dict[str, str] = {}

    def batches(self) -> Iterator[Sequence[Received]]:
        quiet_since_s = time.monotonic()
        # What is held for longer than can be comes again, and is nothing new.
        while time.monotonic() - quiet_since_s < _QUIET_S and (
            messages := self._wait()
        ):
            new = [one for one in messages if one.message.message_id not in self._held]
            self._held |= {one.message.message_id: one.ack_id for one in messages}
            self._set_deadline([one.ack_id for one in messages], _HELD_S)
            if new:
                yield [
                    Received(
                        one.message.data,
                        f"message {one.message.message_id}",
                        one.message.message_id,
                        one.message.publish_time,
                    )
                    for one in new
                ]
                quiet_since_s = time.monotonic()

    def take_out(self, letters: Sequence[Received]) -> None:
        ids = [self._held.pop(letter.handle) for letter in letters]
        if ids:
            self._client.acknowledge(
                subscription=self._subscription, ack_ids=ids, timeout=_TIMEOUT_S
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ids = list(self._held.values())
        # Where Pub/Sub is the trouble, they come back by themselves.
        with contextlib.suppress(GoogleAPIError):
            for start in range(0, len(ids), _IDS_AT_ONCE):
                self._set_deadline(ids[start : start + _IDS_AT_ONCE], 0)
        self._client.close()

    def _wait(self) -> Sequence[pubsub_v1.types.ReceivedMessage]:
        """The next messages; none if the subscription is empty."""
        started_s = time.monotonic()
        while (left_s := started_s + _QUIET_S - time.monotonic()) > 0:
            if messages := self._pull(left_s):
                return messages
        return self._pull(0)

    def _pull(self, wait_s: float) -> Sequence[pubsub_v1.types.ReceivedMessage]:
        """Wait for messages; without waiting, also find out that Pub/Sub answers."""
        try:
            with warnings.catch_warnings():
                # Deprecated, because it may miss what has just come.
                warnings.simplefilter("ignore", DeprecationWarning)
                answer = self._client.pull(
                    subscription=self._subscription,
                    max_messages=_BATCH,
                    return_immediately=not wait_s,
                    timeout=wait_s or _TIMEOUT_S,
                )
        except DeadlineExceeded:
            if wait_s:
                return []
            raise
        return answer.received_messages

    def _set_deadline(self, ids: Sequence[str], seconds: int) -> None:
        self._client.modify_ack_deadline(
            subscription=self._subscription,
            ack_ids=ids,
            ack_deadline_seconds=seconds,
            timeout=_TIMEOUT_S,
        )
