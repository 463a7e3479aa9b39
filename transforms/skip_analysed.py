"""What the store already knows decides what has to be looked at."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from store.records import Judgement, PhotoState, StoredScores
from transforms.counters import count, timed
from transforms.elements import LOCAL_BUCKET, Day, UploadEvent
from transforms.store_dofn import StoreDoFn
from transforms.verdicts import Thresholds

REMOVED: Final = "removed"
DAYS: Final = "days"
_RemovedOutput: TypeAlias = TaggedOutput[Literal["removed"], UploadEvent]
_DaysOutput: TypeAlias = TaggedOutput[Literal["days"], Day]

# What to do with photos that are analysed already.
REANALYSE_NOTHING: Final = "nothing"
REANALYSE_OUTDATED: Final = "outdated"
REANALYSE_ALL: Final = "all"


class SkipAnalysed(beam.PTransform):
    """UploadEvent -> `uploads` to analyse, `removed` ones, pending `days`.

    A photo that is analysed is skipped from the listing alone. Where only the
    thresholds changed, its stored scores are judged again without decoding it;
    where only the detector has not looked, only the detector looks.

    Args:
        store_url: Where the results are.
        fingerprint: Of the analysis that this job would make.
        detector: Fingerprint of the job's detector; None if it has none.
        thresholds: What this job judges by.
        grouped_by: Version of the options that this job groups by.
        reanalyse: "nothing" that is analysed, what is "outdated" (has another
            fingerprint), or "all".
    """

    def __init__(
        self,
        store_url: str,
        fingerprint: str,
        detector: str | None,
        thresholds: Thresholds,
        grouped_by: str,
        reanalyse: str,
    ) -> None:
        super().__init__()
        self._do_fn = _SkipAnalysedDoFn(
            store_url, fingerprint, detector, thresholds, grouped_by, reanalyse
        )

    def expand(self, events: beam.PCollection[UploadEvent]) -> DoOutputsTuple:
        return events | "LookUp" >> beam.ParDo(self._do_fn).with_outputs(
            REMOVED, DAYS, main="uploads"
        )


class _SkipAnalysedDoFn(StoreDoFn):
    def __init__(
        self,
        store_url: str,
        fingerprint: str,
        detector: str | None,
        thresholds: Thresholds,
        grouped_by: str,
        reanalyse: str,
    ) -> None:
        super().__init__(store_url)
        self._detector = detector
        self._grouped_by = grouped_by
        self._fingerprint = fingerprint
        self._thresholds = thresholds
        self._reanalyse = reanalyse

    def process(
        self, event: UploadEvent
    ) -> Iterator[UploadEvent | _RemovedOutput | _DaysOutput]:
        if event.removed:
            yield TaggedOutput(REMOVED, event)
            return
        with timed("SkipAnalysed"):
            # While this step yields, those after it work.
            outputs = list(self._look_up(event))
        yield from outputs

    def _look_up(self, event: UploadEvent) -> Iterator[UploadEvent | _DaysOutput]:
        state = self._store.state(event.user_id, event.photo_id)
        if state is not None:
            event = replace(event, known_generation=state.generation)
            if _is_superseded(event, state):
                count("photos_superseded")
                yield from _days(event, state.pending_dates)
                return
        if state is None or self._must_analyse(event, state):
            yield event
            return
        pending = state.pending_dates
        judge = self._judge(state)
        if judge is not None:
            count("photos_rejudged")
            pending = self._store.rejudge(
                event.user_id, event.photo_id, state.generation, judge
            )
        detect = self._must_detect(state)
        if state.fingerprint != self._fingerprint or (
            not detect and self._detector not in (None, state.detector)
        ):
            count("photos_outdated")
        if detect:
            yield replace(event, only_objects=True)
        else:
            count("photos_skipped")
        yield from _days(event, pending)

    def _must_analyse(self, event: UploadEvent, state: PhotoState) -> bool:
        if state.removed or state.generation != event.generation:
            return True
        # Some file systems know the time to two seconds only.
        if state.bytes != event.size_bytes:
            return True
        if self._reanalyse == REANALYSE_OUTDATED:
            return state.fingerprint != self._fingerprint
        return self._reanalyse == REANALYSE_ALL

    def _judge(self, state: PhotoState) -> Callable[[StoredScores], Judgement] | None:
        """What of a photo is judged again; None if nothing."""
        # Scores of another analysis are not what these thresholds are for.
        verdicts = state.fingerprint == self._fingerprint and (
            state.version != self._thresholds.version
            # A day that still waits to be grouped has no options yet.
            or state.grouped_by not in (None, self._grouped_by)
        )
        tags = state.detector is not None and (
            state.tags_version != self._thresholds.tags_version
        )
        if verdicts and tags:
            return self._thresholds.judge
        if tags:
            return self._thresholds.judge_tags
        return self._thresholds.judge_verdicts if verdicts else None

    def _must_detect(self, state: PhotoState) -> bool:
        if self._detector is None:
            return False
        if self._reanalyse == REANALYSE_OUTDATED:
            return state.detector != self._detector
        return state.detector is None


def _is_superseded(event: UploadEvent, state: PhotoState) -> bool:
    """A newer generation is known, or this one was removed."""
    if event.bucket == LOCAL_BUCKET:
        # The number of a file's generation does not order it.
        return False
    if state.removed:
        return event.generation <= state.generation
    return event.generation < state.generation


def _days(event: UploadEvent, dates: frozenset[str]) -> Iterator[_DaysOutput]:
    for date in sorted(dates):
        day: Day = (event.user_id, date)
        yield TaggedOutput(DAYS, day)
