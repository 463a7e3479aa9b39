"""`piccl purge`: delete for good what has been in the trash for long."""

import argparse
import contextlib
import datetime
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pipeline.arguments import add_plan, add_store
from pipeline.trashing import (
    amount,
    confirm,
    opened,
    print_companions,
    print_refused,
    recover,
    refused_as_json,
    trashed_as_json,
    whole_days,
    with_progress,
)

if TYPE_CHECKING:
    from trash.bin import TrashBin
    from trash.outcome import Outcome

DESCRIPTION: Final = """\
Deletes photos for good that were moved to the trash at least so many days ago. This
can not be undone. First it shows how many there are; then it asks.

  piccl purge --user me --trashed-before 60 --dry-run       only show it
  piccl purge --user me --trashed-before 60

A photo of a group is deleted only while the one that was to stay of it is there,
in the store and in its place; otherwise it stays in the trash, and you are told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    parser.add_argument(
        "--trashed-before",
        required=True,
        type=whole_days,
        metavar="DAYS",
        help="only what was moved to the trash at least so many days ago; 0: all of it",
    )
    add_plan(parser)
    add_store(parser)


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from trash.outcome import Outcome

    with opened(args, beam_args) as (store, trash_bin):
        recovered = Outcome() if args.dry_run else recover(trash_bin)
        # Times are stored to the second, and `before` leaves out its own.
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
        before = now - datetime.timedelta(days=args.trashed_before)
        plan = trash_bin.purgeable(
            store.trashed(args.user, before=before.isoformat(timespec="seconds"))
        )
        # For a program only JSON goes to stdout; a person still has to see it.
        with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
            _print_plan(plan)
        return _purge(args, trash_bin, plan, recovered)


def _purge(
    args: argparse.Namespace,
    trash_bin: "TrashBin",
    plan: "Outcome",
    recovered: "Outcome",
) -> int:
    from trash.outcome import Outcome

    outcome = Outcome()
    goes_on = not args.dry_run and plan.photos
    question = f"Delete {amount(len(plan.photos), plan.bytes)} for good?"
    if goes_on and confirm(question, yes=args.yes):
        outcome = with_progress(
            "Deleting photos",
            len(plan.photos),
            lambda done: trash_bin.purge(plan.photos, done),
        )
    refused = [*recovered.refused, *outcome.refused]
    stays = [] if args.dry_run else plan.refused
    if args.json:
        print(json.dumps(_as_json(plan, outcome, recovered), indent=2))
    else:
        if not args.dry_run:
            print(f"Deleted: {amount(len(outcome.photos), outcome.bytes)}")
        print_refused("Not deleted", refused)
    return 1 if refused or stays else 0


def _print_plan(plan: "Outcome") -> None:
    if plan.photos:
        first = min(record.trashed_at for record in plan.photos)
        print(
            f"To be deleted for good: {amount(len(plan.photos), plan.bytes)}, in the "
            f"trash since {first[:10]}"
        )
        print_companions(
            [file.path for record in plan.photos for file in record.files[1:]]
        )
    else:
        print("There is nothing to delete.")
    print_refused("These stay in the trash", plan.refused)


def _as_json(
    plan: "Outcome", outcome: "Outcome", recovered: "Outcome"
) -> dict[str, Any]:
    return {
        "plan": {
            "photos": trashed_as_json(plan.photos),
            "bytes": plan.bytes,
            "stay": refused_as_json(plan.refused),
        },
        "purged": trashed_as_json(outcome.photos),
        "bytes": outcome.bytes,
        "recovered": trashed_as_json(recovered.photos),
        "refused": refused_as_json([*recovered.refused, *outcome.refused]),
    }
