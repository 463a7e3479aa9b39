"""Where inputs go that could not be processed."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.publisher.futures import Future

from transforms.announcements import message_from_json, message_to_json
from transforms.counters import count
from transforms.elements import DeadLetter

DEAD: Final = "dead"
DeadOutput: TypeAlias = TaggedOutput[Literal["dead"], DeadLetter]
# What found the input wanting: "piccl" and the fingerprints of what it ran.
Versions: TypeAlias = Mapping[str, str | None]

# What Cloud Storage publishes is some kilobytes. Pub/Sub would take 10 MB, but gRPC
# by default gives a consumer no more than 4 MiB at once.
_MAX_MESSAGE_BYTES: Final = 250_000
# What passes; any other error ends the job, as a topic that is not there.
WAIT_FOR_PUBSUB: Final = Retry(
    predicate=if_exception_type(
        exceptions.Aborted,
        exceptions.Cancelled,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.ServiceUnavailable,
        exceptions.Unknown,
    ),
    initial=0.1,
    maximum=20.0,
    timeout=None,  # There is nothing better to do: a letter must not be lost.
)


def dead_letter(letter: DeadLetter) -> DeadOutput:
    """Count a dead letter and address it to the step's dead output."""
    count(f"dead_letters/{letter.step}/{letter.reason}")
    return TaggedOutput(DEAD, letter)


class WriteDeadLetters(beam.PTransform):
    """DeadLetter -> one JSON object a line, in one file.

    Args:
        path: Local or `gs://`; replaced by each run, empty if all went well.
        versions: What the inputs were processed by.
    """

    def __init__(self, path: str, versions: Versions) -> None:
        super().__init__()
        self._path = path
        self._versions = versions

    def expand(self, letters: beam.PCollection[DeadLetter]) -> beam.PCollection[str]:
        return (
            letters
            | "ToJson" >> beam.Map(to_json, self._versions).with_output_types(str)
            | "WriteLines"
            >> beam.io.WriteToText(self._path, num_shards=1, shard_name_template="")
        )


class PublishDeadLetters(beam.PTransform):
    """DeadLetter -> one JSON message each, on a topic.

    Attributes `id`, `step` and `reason` are for consumers to filter by; the id is
    the same at every retry, so that they can drop repeats.

    Beam's `WriteToPubSub` gives up after five minutes without Pub/Sub, which ends
    a local job, and there opens a connection for every bundle.

    Args:
        topic: As projects/PROJECT/topics/TOPIC.
        versions: What the inputs were processed by.
    """

    def __init__(self, topic: str, versions: Versions) -> None:
        super().__init__()
        self._do_fn = _PublishDoFn(topic, versions)

    def expand(self, letters: beam.PCollection[DeadLetter]) -> beam.PCollection[None]:
        return letters | "Publish" >> beam.ParDo(self._do_fn).with_output_types(None)


class _PublishDoFn(beam.DoFn):
    def __init__(self, topic: str, versions: Versions) -> None:
        self._topic = topic
        self._versions = versions

    def start_bundle(self) -> None:
        self._futures: list[Future] = []

    def process(self, letter: DeadLetter) -> None:
        line = to_json(letter, self._versions, max_bytes=_MAX_MESSAGE_BYTES)
        self._futures.append(
            _publisher().publish(
                self._topic,
                line.encode(),
                id=letter.id,
                step=letter.step,
                reason=letter.reason,
            )
        )

    def finish_bundle(self) -> None:
        for future in self._futures:
            future.result()


@functools.cache
def _publisher() -> pubsub_v1.PublisherClient:
    """The process's only client; it may be used from several threads."""
    return pubsub_v1.PublisherClient(
        publisher_options=pubsub_v1.types.PublisherOptions(retry=WAIT_FOR_PUBSUB)
    )


def to_json(
    letter: DeadLetter, versions: Versions, max_bytes: int | None = None
) -> str:
    """One line with all of a letter.

    Args:
        letter: Its announcement is written as the object that it is.
        versions: What the input was processed by.
        max_bytes: Of the line; the data of a longer announcement are cut off, and
            it says that it is truncated.
    """
    announcement = json.loads(letter.announcement) if letter.announcement else None
    fields = {
        "id": letter.id,
        **dataclasses.asdict(letter),
        "announcement": announcement,
        "versions": dict(versions),
    }
    line = json.dumps(fields, ensure_ascii=False)
    too_much = len(line.encode()) - max_bytes if max_bytes else 0
    if announcement and too_much > 0:
        announcement["truncated"] = True
        data = announcement["data"]
        # Base64 comes in fours, and the mark takes some room too.
        announcement["data"] = data[: max(len(data) - too_much - 100, 0) // 4 * 4]
        line = json.dumps(fields, ensure_ascii=False)
    return line


def from_json(line: str | bytes) -> DeadLetter:
    """Read a letter back; one whose announcement was truncated has none.

    Raises:
        ValueError: It is no dead letter; the text says why.
    """
    try:
        fields = json.loads(line)
        announcement = fields.get("announcement")
        if announcement is not None:
            is_whole = not announcement.get("truncated")
            message = message_from_json(json.dumps(announcement))
            announcement = message_to_json(*message) if is_whole else None
        letter = DeadLetter(
            step=fields["step"],
            reason=fields["reason"],
            detail=fields["detail"],
            user_id=fields["user_id"],
            path=fields["path"],
            generation=fields["generation"],
            exception=fields.get("exception", ""),
            announcement=announcement,
        )
    except (
        ValueError,  # no JSON, no base64
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as err:
        raise ValueError(f"no dead letter: {err!r}") from err
    texts = (letter.step, letter.reason, letter.user_id, letter.path)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("no dead letter: what should be text is not")
    return letter
