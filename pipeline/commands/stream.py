"""`piccl stream`: photos as they are uploaded."""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Final

from pipeline.errors import UsageError

DESCRIPTION: Final = """\
Looks at each photo that is uploaded to a bucket, as `piccl backfill` does, and
forgets each that is removed. It reads what the bucket announces on Pub/Sub and
runs until it is interrupted. Days that an earlier job left unsettled come first.

  piccl stream --subscription projects/P/subscriptions/photos \\
      --dead-letter-topic projects/P/topics/photos-dead \\
      --store firestore://P

What it needs is made once:

  gcloud pubsub topics create photos photos-dead
  gcloud pubsub subscriptions create photos --topic=photos --ack-deadline=600
  gcloud pubsub subscriptions create photos-dead --topic=photos-dead
  gcloud storage buckets notifications create gs://BUCKET --topic=photos \\
      --payload-format=json \\
      --event-types=OBJECT_FINALIZE,OBJECT_DELETE,OBJECT_ARCHIVE

Options that are not listed here go to Apache Beam, as --runner=DataflowRunner."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Beam takes a second to import, which other commands need not spend.
    from pipeline.launch import add_job_options

    add_job_options(parser, _groups())


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from apache_beam.io.gcp.pubsub import ReadFromPubSub
    from rich.console import Console

    from pipeline.analyse import analysis_settings
    from pipeline.check_pubsub import (
        MAKE_SUBSCRIPTION,
        MAKE_TOPIC,
        check_subscription,
        check_topic,
    )
    from pipeline.launch import (
        load_models,
        new_pipeline,
        pipeline_options,
        run_job,
        streams_here,
    )
    from pipeline.stream_progress import show_stream
    from pipeline.streaming import build_stream
    from store.records import StoreError
    from store.urls import open_store

    options = pipeline_options(beam_args, args, _groups(), streaming=True)
    is_here = streams_here(options)
    if is_here and args.id_label:
        raise UsageError("--id-label: only Dataflow drops copies by it; leave it out")
    settings = analysis_settings(options)
    if args.subscription is None:
        raise UsageError(
            f"--subscription is needed; {MAKE_SUBSCRIPTION}, of a topic that a bucket "
            "announces its objects on"
        )
    source = check_subscription("--subscription", args.subscription)
    if args.dead_letter_topic is None:
        raise UsageError(
            "--dead-letter-topic is needed, for what can not be processed; "
            f"{MAKE_TOPIC}"
        )
    check_topic("--dead-letter-topic", args.dead_letter_topic, source)
    try:
        store = open_store(settings.store_url)
        store.prepare()
        store.close()
    except StoreError as err:
        raise UsageError(str(err)) from err
    pipeline = new_pipeline(options)
    build_stream(
        pipeline,
        ReadFromPubSub(
            subscription=args.subscription,
            id_label=args.id_label,
            with_attributes=True,
        ),
        settings,
        dead_letter_topic=args.dead_letter_topic,
        regroup_s=args.regroup_seconds,
    )
    # Named, because a running job has stderr to itself.
    console = Console(file=sys.stderr)
    console.print("Loading the models")
    load_models(settings)
    if not is_here:
        pipeline.run()
        console.print("The job was handed over, and runs until it is drained there.")
        return 0
    # As when a service or a container is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with show_stream(console):
            console.print(f"Reading {args.subscription}; Ctrl-C ends it", markup=False)
            run_job(pipeline, show_errors=args.traceback)
    except KeyboardInterrupt:
        console.print(
            "At the next start, what was not finished is announced again, and days "
            "that wait to be regrouped come first.",
            soft_wrap=True,
        )
        raise
    return 0


def _groups() -> tuple[type, ...]:
    from pipeline.options import ANALYSIS_OPTIONS, StoreOptions, StreamOptions

    return (StreamOptions, StoreOptions, *ANALYSIS_OPTIONS)
