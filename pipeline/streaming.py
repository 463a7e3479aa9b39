"""The stream: announcements in, the same middle, days regrouped as they change."""

import time
from typing import Final, TypeVar

import apache_beam as beam
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterProcessingTime,
    AfterWatermark,
)
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Duration

from pipeline.analyse import AnalysePhotos, AnalysisSettings
from transforms.dead_letters import DEAD, PublishDeadLetters
from transforms.elements import Day
from transforms.group_similar import GroupSimilar, ReadPendingDays
from transforms.parse_uploads import ParseUploads
from transforms.skip_analysed import DAYS

_WINDOW_S: Final = 30
# A backlog is late, however old it is, and Pub/Sub keeps one for up to 31 days.
_ALLOWED_LATENESS: Final = Duration(seconds=32 * 24 * 60 * 60)

_T = TypeVar("_T")


class WindowByArrival(beam.PTransform):
    """Put elements into windows of when they arrived, not of when a photo was taken.

    Old photos would be too late for a window of their own time, and be lost. A
    window gives what has arrived every `regroup_s` seconds, also when it is long
    over: to regroup a day for each late photo would read it as often.

    Args:
        regroup_s: Seconds.
    """

    def __init__(self, regroup_s: int) -> None:
        super().__init__()
        self._regroup_s = regroup_s

    def expand(self, elements: beam.PCollection[_T]) -> beam.PCollection[_T]:
        return elements | "Window" >> beam.WindowInto(
            FixedWindows(_WINDOW_S),
            trigger=AfterWatermark(
                early=AfterProcessingTime(self._regroup_s),
                late=AfterProcessingTime(self._regroup_s),
            ),
            accumulation_mode=AccumulationMode.DISCARDING,
            allowed_lateness=_ALLOWED_LATENESS,
        )


def build_stream(
    pipeline: beam.Pipeline,
    read: beam.PTransform,
    settings: AnalysisSettings,
    *,
    dead_letter_topic: str,
    regroup_s: int,
) -> beam.PCollection[Day]:
    """Add the steps of a stream to a pipeline.

    The days that an earlier job left unsettled are settled first.

    Args:
        pipeline: An empty streaming pipeline.
        read: The start of a pipeline -> PubsubMessage, at the time it was
            published: what Cloud Storage announces.
        settings: What is looked for.
        dead_letter_topic: projects/P/topics/T, for what could not be analysed.
        regroup_s: A day that changes is regrouped every so many seconds.

    Returns:
        The days that were settled.
    """
    # Windows come before anything else: in the global one RunInference moves what
    # it hands on to the end of time, and no day would ever be regrouped.
    parsed = (
        pipeline
        | "ReadFromPubSub" >> read
        | "WindowByArrival" >> WindowByArrival(regroup_s)
        | "ParseUploads" >> ParseUploads()
    )
    analysed = parsed.uploads | "AnalysePhotos" >> AnalysePhotos(settings)
    _ = (
        (parsed[DEAD], analysed[DEAD])
        | "DeadLetters" >> beam.Flatten()
        | "PublishDeadLetters"
        >> PublishDeadLetters(dead_letter_topic, settings.versions)
    )
    pending = (
        pipeline
        | "ReadPendingDays" >> ReadPendingDays(settings.store_url, None)
        | "ArriveNow" >> beam.Map(_arriving_now).with_output_types(Day)
        | "WindowPendingDays" >> WindowByArrival(regroup_s)
    )
    return (
        (analysed[DAYS], pending)
        | "Days" >> beam.Flatten()
        | "GroupSimilar" >> GroupSimilar(settings.store_url, settings.similar)
    )


def _arriving_now(day: Day) -> TimestampedValue:
    """What a pipeline starts with is of the beginning of time, later than late."""
    return TimestampedValue(day, time.time())
