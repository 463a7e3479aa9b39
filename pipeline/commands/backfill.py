"""`piccl backfill`: photos that were there before."""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.check_addresses import check_addresses, check_user
from pipeline.errors import UsageError

DESCRIPTION: Final = """\
Looks at photos and writes down what it finds, in four tables: which are shaken,
too dark, screenshots, or one of several similar shots, and which one of these
to keep. It changes no photo and deletes none.

PHOTOS are files, folders (searched to any depth), quoted globs, or
gs://bucket/prefix. Photos that were analysed before are skipped, so the same
command again looks only at what is new, and an interrupted run goes on.

  piccl backfill ~/Pictures --user me
  piccl backfill ~/Pictures --user me --weights yolov3
  piccl backfill 'trip/**/*.jpg' --user me --store sqlite:///trip.db
  piccl backfill gs://bucket/users/me/photos/ --user me

Options that are not listed here go to Apache Beam, as --runner=DataflowRunner."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipeline.profile import Profiler

    parser.set_defaults(profiler=Profiler())
    # Beam takes a second to import, which other commands need not spend.
    from pipeline.launch import add_job_options

    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="where to look")
    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON on stdout"
    )
    parser.add_argument(
        "--profile", action="store_true", help="show where the time went, step by step"
    )
    add_job_options(parser, _groups())


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from rich.console import Console

    from pipeline.analyse import analysis_settings
    from pipeline.backfill import build_backfill
    from pipeline.detector import hint_for_tags
    from pipeline.launch import (
        check_models,
        new_pipeline,
        pipeline_options,
        run_job,
        threads_here,
        without_native_stderr,
    )
    from pipeline.options import DetectorOptions
    from pipeline.profile import print_profile
    from pipeline.progress import show_progress
    from pipeline.summary import print_summary, summarise
    from store.records import StoreError
    from store.urls import open_store
    from transforms.counters import profile_here

    options = pipeline_options(beam_args, args, _groups())
    if args.profile and not threads_here(options):
        raise UsageError("--profile: only where the workers are threads of the command")
    check_user(args.user)
    addresses = [os.path.expanduser(address) for address in args.photos]
    check_addresses(addresses, args.user, prune=args.prune or args.prune_folders)
    settings = analysis_settings(options)
    try:
        store = open_store(settings.store_url)
        store.prepare()
    except StoreError as err:
        raise UsageError(str(err)) from err
    check_dead_letters(args.dead_letters, store.files)
    pipeline = new_pipeline(options)

    check_models(settings)
    started_s = time.monotonic()
    # A failed job leaves its half-written files there, not beside the photos.
    quiet = contextlib.nullcontext() if args.traceback else without_native_stderr()
    with quiet, tempfile.TemporaryDirectory() as temporary:
        # Named, because a running job has stderr to itself.
        console = Console(file=sys.stderr)
        letters = args.dead_letters
        if not letters.startswith("gs://"):
            letters = os.path.join(temporary, "dead-letters.jsonl")
        build_backfill(
            pipeline,
            addresses,
            args.user,
            settings,
            dead_letters=letters,
            leave_out=[*store.files, os.path.realpath(args.dead_letters)],
            prune=args.prune,
            prune_folders=args.prune_folders,
        )
        args.profiler.start_job()
        profile_here(args.profiler.steps if args.profile else None)
        with show_progress(console):
            counters = run_job(pipeline, show_errors=args.traceback)
        profile_here(None)
        if letters != args.dead_letters:
            shutil.move(letters, args.dead_letters)
    summary = summarise(counters, store.counts(args.user), time.monotonic() - started_s)
    store.close()
    profile = args.profiler.profile(threads_here(options)) if args.profile else None
    if args.json:
        told = summary.as_json()
        if profile is not None:
            told["profile"] = profile.as_json()
        json.dump(told, sys.stdout, indent=2)
        print()
        return 0
    print_summary(Console(), summary)
    if profile is not None:
        print_profile(Console(), profile)
    if summary.dead:
        print(f"What could not be analysed, and why: {args.dead_letters}")
    if settings.detector is None and summary.with_tags < summary.photos:
        print(hint_for_tags(options.view_as(DetectorOptions)), end="")
    if summary.outdated:
        print("--reanalyse=outdated looks again at what other settings analysed.")
    if summary.kept:
        print(
            f"{summary.kept:,} photos are gone and were not forgotten: their folder is "
            "missing or shows no photo. --prune-folders forgets them."
        )
    return 0


def check_dead_letters(path: str, store_files: Sequence[str]) -> None:
    """Refuse a file that can not be written or that would be lost by it.

    Args:
        path: What the user named.
        store_files: Absolute paths of the store's own files.

    Raises:
        UsageError: It is of no use.
    """
    if path.startswith("gs://"):
        return
    file = Path(path).resolve()
    if not file.parent.is_dir() or not os.access(
        file.parent, os.W_OK, effective_ids=True
    ):
        raise UsageError(f"--dead-letters {path}: can not write this file")
    if not file.exists():
        return
    if str(file) in store_files or not file.is_file() or not _has_letters(file):
        raise UsageError(
            f"--dead-letters {path}: there is something else, which would be lost"
        )


def _has_letters(file: Path) -> bool:
    """Whether it is a list of an earlier run, or empty."""
    with file.open("rb") as lines:
        first = lines.readline(10_000)
    try:
        return not first or "reason" in json.loads(first)
    except (ValueError, TypeError):
        return False


def _groups() -> tuple[type, ...]:
    from pipeline.options import ANALYSIS_OPTIONS, BackfillOptions, StoreOptions

    return (StoreOptions, BackfillOptions, *ANALYSIS_OPTIONS)
