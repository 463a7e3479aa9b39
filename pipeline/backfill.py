"""The backfill: a listing in, the same middle, everything settled at the end."""

from collections.abc import Sequence

import apache_beam as beam

from pipeline.analyse import AnalysePhotos, AnalysisSettings
from transforms.dead_letters import DEAD, WriteDeadLetters
from transforms.group_similar import GroupSimilar, ReadPendingDays
from transforms.read_uploads import FindRemoved, ListUploads
from transforms.skip_analysed import DAYS


def build_backfill(
    pipeline: beam.Pipeline,
    addresses: Sequence[str],
    user_id: str,
    settings: AnalysisSettings,
    *,
    dead_letters: str,
    leave_out: Sequence[str] = (),
    prune: bool = False,
    prune_folders: bool = False,
) -> None:
    """Add the steps of a backfill to a pipeline.

    Args:
        pipeline: An empty pipeline.
        addresses: Files, folders, globs, `gs://bucket/prefix`.
        user_id: The owner of all photos.
        settings: What is looked for.
        dead_letters: File for what could not be analysed.
        leave_out: Absolute paths that are not listed: our own files.
        prune: Forget the photos that are gone from the folders among
            `addresses`.
        prune_folders: The same, and believe that folders that are missing or
            show no photo are gone for good.
    """
    listed = (
        pipeline
        | "Addresses" >> beam.Create(list(addresses))
        | "ListUploads" >> ListUploads(user_id, leave_out)
    )
    events = listed["uploads"]
    if prune or prune_folders:
        missing = listed | "FindRemoved" >> FindRemoved(
            settings.store_url, user_id, whole_folders=prune_folders
        )
        events = (events, missing) | "ListedAndRemoved" >> beam.Flatten()
    analysed = events | "AnalysePhotos" >> AnalysePhotos(settings)
    # Of this user only, so that users' backfills do not do each other's work.
    pending = pipeline | "ReadPendingDays" >> ReadPendingDays(
        settings.store_url, user_id
    )
    _ = (
        (analysed[DAYS], pending)
        | "Days" >> beam.Flatten()
        | "GroupSimilar" >> GroupSimilar(settings.store_url, settings.similar)
    )
    _ = (
        (listed[DEAD], analysed[DEAD])
        | "DeadLetters" >> beam.Flatten()
        | "WriteDeadLetters" >> WriteDeadLetters(dead_letters, settings.versions)
    )
