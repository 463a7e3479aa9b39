"""`piccl replay`: announce again what became dead letters."""

import argparse
import json
import os
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

    from rich.console import Console

    from pipeline.check_pubsub import check_subscription, check_topic, is_subscription
    from pipeline.letters import FileLetters, SubscriptionLetters
    from pipeline.replaying import Replayer

    letters: Letters
    if is_subscription(args.letters):
        source = check_subscription("LETTERS", args.letters)
        letters = SubscriptionLetters(args.letters)
    else:
        _check_file(args.letters)
        source = ""
        letters = FileLetters(args.letters)
    # Before letters are removed that nobody would hear of again.
    check_topic("--topic", args.topic, source)
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

    from pipeline.print_list import print_list

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
    print_list("Could not be read", report.problems)
    print_list("Is gone, so there is nothing to announce", report.gone)
    print_list("Not announced by a bucket", report.only_backfill)
    if report.only_backfill:
        print("`piccl backfill PATH --user U` looks at them again.")
