"""`piccl replay`: announce again what became dead letters."""

import argparse
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.letters import Letters
    from pipeline.replaying import Replayer, Report

DESCRIPTION: Final = """\
Announces photos again that could not be analysed, when what was wrong has been
mended: the stream that listens to the topic then looks at them once more. What
is still wrong becomes a dead letter again.

LETTERS is a file of dead letters, one JSON object a line, or a subscription of
the stream's dead-letter topic. From a subscription, letters are removed after
their announcement has been published; those that are not asked for stay there,
and so do those that nothing can announce.

  piccl replay projects/P/subscriptions/dead --topic projects/P/topics/uploads
  piccl replay projects/P/subscriptions/dead --topic projects/P/topics/uploads \\
      --reason 'can not be read' --reason 'object is gone'
  piccl replay piccl-dead-letters.jsonl --topic projects/P/topics/uploads --dry-run

PUBSUB_EMULATOR_HOST leads to an emulator."""

_TOPIC: Final = re.compile(r"projects/[^/]+/topics/[^/]+")
_SUBSCRIPTION: Final = re.compile(r"projects/[^/]+/subscriptions/[^/]+")
_SHOWN: Final = 20
_ANSWER_WITHIN_S: Final = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "letters",
        metavar="LETTERS",
        help="a file, or projects/P/subscriptions/S",
    )
    parser.add_argument(
        "--topic",
        required=True,
        metavar="T",
        help="the topic that the bucket publishes to: projects/P/topics/T",
    )
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        metavar="R",
        help="only letters of this reason; may be given several times",
    )
    parser.add_argument(
        "--step",
        action="append",
        default=[],
        metavar="S",
        help="only letters of this step, as LoadPhotos; may be given several times",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="publish nothing, and say what would be"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON on stdout"
    )


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    if not _TOPIC.fullmatch(args.topic):
        raise UsageError(f"--topic {args.topic}: write projects/PROJECT/topics/TOPIC")
    is_subscription = _SUBSCRIPTION.fullmatch(args.letters) is not None
    if not is_subscription:
        _check_file(args.letters)

    from rich.console import Console

    from pipeline.letters import FileLetters, SubscriptionLetters
    from pipeline.replaying import Replayer

    _check_topic(args.topic, args.letters if is_subscription else None)
    letters: Letters = (
        SubscriptionLetters(args.letters)
        if is_subscription
        else FileLetters(args.letters)
    )
    replayer = Replayer(
        args.topic, reasons=args.reason, steps=args.step, dry_run=args.dry_run
    )
    _replay(replayer, letters, Console(file=sys.stderr), args)
    if args.json:
        summary = {**replayer.report.as_json(), "dry_run": args.dry_run}
        json.dump(summary, sys.stdout, indent=2)
        print()
    else:
        _print_report(Console(), replayer.report, dry_run=args.dry_run)
    return 0


def _replay(
    replayer: "Replayer",
    letters: "Letters",
    console: "Console",
    args: argparse.Namespace,
) -> None:
    from google.api_core.exceptions import NotFound, PermissionDenied

    from pipeline.progress import show_progress

    report = replayer.report
    started_s = time.monotonic()
    try:
        # How many there are, a subscription does not tell.
        with (
            letters,
            show_progress(
                console, lambda: (report.seen, report.seen, "Replaying letters")
            ),
        ):
            replayer.replay(letters)
    except (NotFound, PermissionDenied) as err:
        raise UsageError(f"{args.letters} to {args.topic}: {err.message}") from err
    report.seconds = time.monotonic() - started_s


def _check_topic(topic: str, subscription: str | None) -> None:
    """Make sure that what is published reaches somebody, before letters are removed.

    Raises:
        UsageError: It would not, or Pub/Sub does not answer.
    """
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import pubsub_v1

    try:
        with contextlib.suppress(exceptions.PermissionDenied):
            # It takes more to look at them than to use them.
            listeners = pubsub_v1.PublisherClient().list_topic_subscriptions(
                topic=topic, retry=None, timeout=_ANSWER_WITHIN_S
            )
            if not any(listeners):
                raise UsageError(
                    f"--topic {topic}: nobody subscribes to it, and what is published "
                    "would be lost"
                )
        if subscription is not None:
            with contextlib.suppress(exceptions.PermissionDenied):
                source = pubsub_v1.SubscriberClient().get_subscription(
                    subscription=subscription, retry=None, timeout=_ANSWER_WITHIN_S
                )
                if source.topic == topic:
                    raise UsageError(f"--topic {topic} is where the letters are from")
    except exceptions.NotFound as err:
        named = topic if subscription is None else f"{topic} and {subscription}"
        raise UsageError(f"{named}: {err.message}") from err
    except exceptions.GoogleAPICallError as err:
        raise UsageError(f"Pub/Sub does not answer: {err.message}") from err
    except GoogleAuthError as err:
        raise UsageError(
            "no credentials for Google Cloud: `gcloud auth application-default login` "
            f"({str(err).splitlines()[0]})"
        ) from err


def _check_file(path: str) -> None:
    if path.startswith("gs://"):
        raise UsageError(f"copy it first: `gcloud storage cp {path} .`")
    if not os.path.isfile(path):
        raise UsageError(
            f"{path}: no such file, nor is it projects/PROJECT/subscriptions/NAME"
        )
    if not os.access(path, os.R_OK, effective_ids=True):
        raise UsageError(f"can not read {path}: no permission")


def _print_report(console: "Console", report: "Report", *, dry_run: bool) -> None:
    from rich.table import Table

    table = Table(title="Dead letters", title_justify="left", show_footer=True)
    replayed, left = report.replayed, report.left
    table.add_column("reason", "all")
    table.add_column(
        "would be replayed" if dry_run else "replayed",
        f"{replayed.total():,}",
        justify="right",
    )
    table.add_column("left", f"{left.total():,}", justify="right")
    for reason in sorted({*replayed, *left}):
        table.add_row(reason, f"{replayed[reason]:,}", f"{left[reason]:,}")
    console.print(table)
    if report.repeats:
        print(f"{report.repeats:,} were repeats of these.")
    _print_list("Could not be read", report.problems)
    _print_list("Is gone, so there is nothing to announce", report.gone)
    _print_list("Not announced by a bucket", report.only_backfill)
    if report.only_backfill:
        print("`piccl backfill PATH --user U` looks at them again.")


def _print_list(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    print(f"{title}:")
    for line in lines[:_SHOWN]:
        print(f"  {line}")
    if len(lines) > _SHOWN:
        print(f"  and {len(lines) - _SHOWN:,} more, which --json lists")
