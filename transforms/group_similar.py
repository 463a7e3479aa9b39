"""A user's day, regrouped: similar shots, and which one of each group to keep."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import apache_beam as beam

from models.similarity import SimilarOptions
from store.records import DayOutcome, DayPhoto
from transforms.counters import count, observe, timed
from transforms.day_outcomes import day_outcomes
from transforms.elements import Day
from transforms.store_dofn import StoreDoFn


class GroupSimilar(beam.PTransform):
    """Day, as often as it likes -> Day, each once and settled in the store.

    A day is read from the store, not from the elements, so the result does not
    depend on what arrived with it, in which order or how often.

    Args:
        store_url: Where the photos are.
        options: What similar means.
    """

    def __init__(self, store_url: str, options: SimilarOptions) -> None:
        super().__init__()
        self._do_fn = _SettleDayDoFn(store_url, options)

    def expand(self, days: beam.PCollection[Day]) -> beam.PCollection[Day]:
        return (
            days
            | "KeyByUserAndDate"
            >> beam.Map(lambda day: (day, None)).with_output_types(
                tuple[tuple[str, str], None]
            )
            | "GroupByUserAndDate" >> beam.GroupByKey()
            | "Days" >> beam.FlatMap(_arrived).with_output_types(Day)
            | "Settle" >> beam.ParDo(self._do_fn).with_output_types(Day)
        )


def _arrived(element: tuple[Day, Iterable[None]]) -> Iterator[Day]:
    """The day; none if a window of a stream fires with nothing new in it."""
    day, arrivals = element
    if any(True for _ in arrivals):
        yield day


class ReadPendingDays(beam.PTransform):
    """The start of a pipeline -> Day, each that an earlier job left unsettled.

    Args:
        store_url: Where the photos are.
        user_id: Whose days; None for everybody's.
    """

    def __init__(self, store_url: str, user_id: str | None) -> None:
        super().__init__()
        self._store_url = store_url
        self._user_id = user_id

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Day]:
        return (
            begin
            | "Once" >> beam.Create([None], reshuffle=False)
            | "Read"
            >> beam.ParDo(
                _ReadPendingDaysDoFn(self._store_url, self._user_id)
            ).with_output_types(Day)
        )


class _ReadPendingDaysDoFn(StoreDoFn):
    def __init__(self, store_url: str, user_id: str | None) -> None:
        super().__init__(store_url)
        self._user_id = user_id

    def process(self, _: None) -> Iterator[Day]:
        yield from self._store.pending_days(self._user_id)


class _SettleDayDoFn(StoreDoFn):
    def __init__(self, store_url: str, options: SimilarOptions) -> None:
        super().__init__(store_url)
        self._options = options

    def process(self, day: Day) -> Iterator[Day]:
        user_id, date = day
        # Of the last try, which is the one that is written; None if nothing waits.
        settled: Mapping[str, DayOutcome] | None = None

        def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
            nonlocal settled
            settled = day_outcomes(photos, self._options)
            return settled

        with timed("GroupSimilar"):
            changed = self._store.settle(user_id, date, group)
        # Another firing or job may have settled it.
        if settled is not None:
            count("days_grouped")
            count("photos_regrouped", changed)
            _observe_day(settled.values())
        yield user_id, date


def _observe_day(outcomes: Collection[DayOutcome]) -> None:
    """Distributions, as a day is regrouped often and sums would grow with it."""
    groups = {one.similar_group for one in outcomes if one.similar_group is not None}
    observe("day/photos", len(outcomes))
    observe("day/groups", len(groups))
    observe("day/similar", sum(one.similar for one in outcomes))
    observe("day/recommended", sum(one.delete for one in outcomes))
