"""The stream's end of the graph: announcements of Cloud Storage."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import DoOutputsTuple
from apache_beam.utils.timestamp import Timestamp

from transforms.announcements import (
    EVENT_TYPES,
    AnnouncementError,
    message_to_json,
    parse_announcement,
)
from transforms.counters import count, timed
from transforms.dead_letters import DEAD, DeadOutput, dead_letter
from transforms.elements import DeadLetter, UploadEvent

# Whatever anybody publishes as a type; each would be a counter of its own.
_OTHER: Final = "other"


class ParseUploads(beam.PTransform):
    """PubsubMessage -> `uploads`: UploadEvent; `dead`: DeadLetter.

    What happens to objects without making or removing one is counted alone.
    """

    def expand(self, messages: beam.PCollection[PubsubMessage]) -> DoOutputsTuple:
        return messages | "Parse" >> beam.ParDo(_ParseUploadDoFn()).with_outputs(
            DEAD, main="uploads"
        )


class _ParseUploadDoFn(beam.DoFn):
    def process(
        self,
        message: PubsubMessage,
        published_at: Timestamp = beam.DoFn.TimestampParam,
    ) -> Iterator[UploadEvent | DeadOutput]:
        # A message has either or both.
        attributes, data = message.attributes or {}, message.data or b""
        event_type = attributes.get("eventType")
        count(f"events/{event_type if event_type in EVENT_TYPES else _OTHER}")
        announcement = message_to_json(attributes, data)
        try:
            with timed("ParseUploads"):
                event = parse_announcement(attributes, data)
        except AnnouncementError as err:
            yield dead_letter(_letter(attributes, announcement, err))
            return
        if event is not None:
            yield replace(
                event,
                announced_at_s=published_at.micros / 1e6,
                announcement=announcement,
            )


def _letter(
    attributes: Mapping[str, str], announcement: str, err: AnnouncementError
) -> DeadLetter:
    bucket, name = attributes.get("bucketId"), attributes.get("objectId")
    return DeadLetter(
        step="ParseUploads",
        reason=err.reason,
        detail=str(err),
        # Whose photo it was and which version is in the announcement, if anywhere.
        user_id="",
        path=f"gs://{bucket}/{name}" if bucket and name else "",
        generation=0,
        exception=type(err).__name__,
        announcement=announcement,
    )
