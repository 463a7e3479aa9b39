"""`piccl restore`: bring back what is in the trash."""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from pipeline.arguments import add_json
from pipeline.errors import UsageError
from pipeline.trashing import (
    amount,
    command_line,
    opened,
    print_refused,
    recover,
    refused_as_json,
    similar_options,
    trashed_as_json,
    with_progress,
)

if TYPE_CHECKING:
    from store.records import Trashed
    from trash.outcome import Outcome

DESCRIPTION: Final = """\
Moves photos from the trash back to where they were, with their names, times and all
that was known of them. Without --run, --last or --all it lists what is there.

  piccl restore --user me                                  what is in the trash
  piccl restore --user me --run 20260714-093000-123-1a2b
  piccl restore --user me --last                           the latest run
  piccl restore --user me --all

Nothing is overwritten: where another file has the name by now, the photo stays in
the trash. Whatever is interrupted goes on with the same command."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipeline.launch import add_job_options
    from pipeline.options import SimilarityOptions, StoreOptions

    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="RUN", help="what this run moved to the trash")
    which.add_argument("--last", action="store_true", help="what the latest run moved")
    which.add_argument("--all", action="store_true", help="all that is in the trash")
    add_json(parser, "what is in the trash, or what came back of it")
    add_job_options(parser, (StoreOptions, SimilarityOptions))


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    with opened(args, beam_args) as (store, trash_bin):
        from transforms.settle_days import settle_days

        similar = similar_options(args)
        recovered = recover(trash_bin)
        settle_days(store, args.user, similar)
        records = list(store.trashed(args.user, run=args.run))
        if not (args.run or args.last or args.all):
            return _list(args, records, recovered)
        if args.last:
            records = _of_latest_run(records, recovered.photos)
        if args.run and not (records or recovered.photos):
            raise UsageError(
                f"--run {args.run}: nothing of it is in the trash; "
                f"`{command_line('restore', args)}` lists what is"
            )
        outcome = with_progress(
            "Moving photos back",
            len(records),
            lambda done: trash_bin.restore(records, done),
        )
        settle_days(store, args.user, similar)
    # What recovering could not do is among the records again.
    tried = {one.id for one in outcome.refused}
    refused = [
        *(one for one in recovered.refused if one.id not in tried),
        *outcome.refused,
    ]
    if args.json:
        found = {
            "restored": trashed_as_json(outcome.photos),
            "bytes": outcome.bytes,
            "recovered": trashed_as_json(recovered.photos),
            "refused": refused_as_json(refused),
        }
        print(json.dumps(found, indent=2))
    else:
        print(f"Back in place: {amount(len(outcome.photos), outcome.bytes)}")
        print_refused("Not moved", refused)
    return 1 if refused else 0


def _list(
    args: argparse.Namespace, records: Sequence["Trashed"], recovered: "Outcome"
) -> int:
    if args.json:
        found = {
            "trash": trashed_as_json(records),
            "recovered": trashed_as_json(recovered.photos),
            "refused": refused_as_json(recovered.refused),
        }
        print(json.dumps(found, indent=2))
    else:
        _print_runs(args, records)
        print_refused("Not finished", recovered.refused)
    return 1 if recovered.refused else 0


def _of_latest_run(
    records: Sequence["Trashed"], recovered: Sequence["Trashed"]
) -> list["Trashed"]:
    # What was interrupted may have been the end of the latest: not of one before it.
    back = [record for record in recovered if record.state == "restoring"]
    times = [(record.trashed_at, record.run) for record in (*records, *back)]
    _, latest = max(times, default=("", ""))
    return [record for record in records if record.run == latest]


def _print_runs(args: argparse.Namespace, records: Iterable["Trashed"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trash.outcome import size_of

    runs: dict[str, list[Trashed]] = defaultdict(list)
    for record in records:
        runs[record.run].append(record)
    if not runs:
        print("The trash is empty.")
        return
    table = Table(title="In the trash", title_justify="left")
    table.add_column("run", no_wrap=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("photos", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("reasons", overflow="fold")
    for name, photos in runs.items():
        reasons = Counter(record.reason for record in photos)
        table.add_row(
            Text(name),
            photos[0].trashed_at[:10],
            f"{len(photos):,}",
            f"{size_of(photos) / 1e6:,.1f}",
            ", ".join(f"{reason} {n:,}" for reason, n in sorted(reasons.items())),
        )
    Console().print(table)
    latest = max(runs, key=lambda name: (runs[name][0].trashed_at, name))
    print("To bring the latest back:")
    print(f"  {command_line('restore', args, '--run', latest)}")
