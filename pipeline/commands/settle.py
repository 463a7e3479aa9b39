"""`piccl settle`: regroup what an interrupted run left unsettled."""

import argparse
from collections.abc import Sequence
from typing import Final

from pipeline.errors import UsageError

DESCRIPTION: Final = """\
Regroups the days whose photos changed without the day being regrouped: after a
run that was interrupted, a stream that was cancelled, or a decision of the user.
Days that are settled are not touched. A backfill does the same for its user.

  piccl settle
  piccl settle --user me"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipeline.launch import add_job_options

    parser.add_argument("--user", metavar="U", help="only this user's days")
    add_job_options(parser, _groups())


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from pipeline.launch import new_pipeline, pipeline_options, run_job
    from pipeline.options import SimilarityOptions, StoreOptions
    from store.records import StoreError
    from store.urls import open_store
    from transforms.group_similar import GroupSimilar, ReadPendingDays

    options = pipeline_options(beam_args, args, _groups())
    url = options.view_as(StoreOptions).store
    try:
        open_store(url, must_exist=True).close()
    except StoreError as err:
        raise UsageError(str(err)) from err
    pipeline = new_pipeline(options)
    _ = (
        pipeline
        | "ReadPendingDays" >> ReadPendingDays(url, args.user)
        | "GroupSimilar"
        >> GroupSimilar(url, options.view_as(SimilarityOptions).similar())
    )
    counters = run_job(pipeline, show_errors=args.traceback)
    print(
        f"{counters.get('days_grouped', 0):,} days regrouped, "
        f"{counters.get('photos_regrouped', 0):,} photos changed"
    )
    return 0


def _groups() -> tuple[type, ...]:
    from pipeline.options import SimilarityOptions, StoreOptions

    return (StoreOptions, SimilarityOptions)
