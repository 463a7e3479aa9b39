"""`piccl cleanup`: move what is recommended for deletion into the trash."""

import argparse
import contextlib
import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pipeline.arguments import add_plan
from pipeline.printable import printable
from pipeline.trashing import (
    amount,
    command_line,
    confirm,
    opened,
    print_companions,
    print_refused,
    recover,
    refused_as_json,
    similar_options,
    trashed_as_json,
    whole_days,
    with_progress,
)
from store.search import REASONS

if TYPE_CHECKING:
    from store.interface import Store
    from trash.bin import TrashBin
    from trash.outcome import Outcome
    from trash.pairs import Row
    from trash.plan import Plan

DESCRIPTION: Final = """\
Moves photos that are recommended for deletion into the trash, for the reasons that
you name and no others. First it shows what would go, and which photo of each group
stays; then it asks. Nothing is deleted: `piccl restore` brings all of it back, and
only `piccl purge` deletes.

  piccl cleanup --user me --reason similar --dry-run         only show it
  piccl cleanup --user me --reason similar shaken
  piccl cleanup --user me --reason screenshot --older-than 365 --yes
  piccl cleanup --user me --reason decided      what you decided to trash in an app

The trash is a folder .piccl-trash beside the photos. Of a group of similar shots
one always stays. A RAW and its JPEG, or a live photo and its film, go together or
not at all. A photo that changed since it was analysed stays."""

_DECIDED: Final = "decided"
_SHOWN_GROUPS: Final = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipeline.launch import add_job_options
    from pipeline.options import SimilarityOptions, StoreOptions

    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    parser.add_argument(
        "--reason",
        required=True,
        nargs="+",
        action="extend",
        choices=[*REASONS, _DECIDED],
        metavar="R",
        help="why photos may go, one or several of: similar, shaken, dark, screenshot; "
        "decided: those that you decided to trash in an app",
    )
    parser.add_argument(
        "--older-than",
        type=whole_days,
        default=30,
        metavar="DAYS",
        help="only photos taken at least so many days ago (default: %(default)s)",
    )
    add_plan(parser)
    add_job_options(parser, (StoreOptions, SimilarityOptions))


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    with opened(args, beam_args) as (store, trash_bin):
        return _clean_up(args, store, trash_bin)


def _clean_up(args: argparse.Namespace, store: "Store", trash_bin: "TrashBin") -> int:
    from pipeline.progress import say, stderr_console
    from transforms.settle_days import settle_days
    from trash.bin import new_run
    from trash.outcome import Outcome
    from trash.plan import make_plan

    reasons = sorted(set(args.reason))
    similar = similar_options(args)
    recovered = Outcome()
    if not args.dry_run:
        recovered = recover(trash_bin)
        # What waits to be grouped is not recommended meanwhile.
        settle_days(store, args.user, similar)
    elif waiting := len(store.pending_days(args.user)):
        text = f"Days still to be grouped, which may change the plan: {waiting:,}"
        say(stderr_console(), text)
    plan = make_plan(trash_bin.units(_wanted(args, store, reasons)), reasons)
    # For a program only JSON goes to stdout; a person still has to see it.
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        _print_plan(plan, args.older_than)

    run_id, outcome = new_run(), Outcome()
    goes_on = not args.dry_run and plan.units
    if goes_on and confirm(
        f"Move {amount(len(plan.photos), plan.bytes)} to the trash?", yes=args.yes
    ):
        outcome = with_progress(
            "Moving photos to the trash",
            len(plan.photos),
            lambda done: trash_bin.trash(
                plan.units, run=run_id, reasons=reasons, done=done
            ),
        )
        settle_days(store, args.user, similar)
    refused = [*recovered.refused, *outcome.refused]
    if args.json:
        print(json.dumps(_as_json(plan, run_id, outcome, recovered), indent=2))
    else:
        _print_outcome(args, run_id, outcome)
        print_refused("Not moved", refused)
    return 1 if refused else 0


def _wanted(
    args: argparse.Namespace, store: "Store", reasons: Sequence[str]
) -> list[dict[str, Any]]:
    from store.search import PhotoQuery
    from trash.plan import is_wanted

    last = datetime.date.today() - datetime.timedelta(days=args.older_than)
    query = PhotoQuery(args.user, last_date=last.isoformat())
    queries = [replace(query, reasons=("any",))]
    if _DECIDED in reasons:
        # What is decided is no longer recommended.
        queries.append(replace(query, decision="trash"))
    found = {row["id"]: row for one in queries for row in store.search(one)}
    return [row for row in found.values() if is_wanted(row, reasons)]


def _print_plan(plan: "Plan", older_than: int) -> None:
    from rich.console import Console
    from rich.table import Table

    if plan.units:
        table = Table(title="To the trash", title_justify="left")
        table.add_column("reason")
        table.add_column("photos", justify="right")
        table.add_column("other files", justify="right")
        table.add_column("MB", justify="right")
        for reason, units in plan.reasons.items():
            _add_row(table, reason, units)
        if len(plan.reasons) > 1:
            _add_row(table, "in all", plan.units, style="bold")
        Console().print(table)
        print(
            "What changed on the disk since it was analysed, or has lost the photo "
            "that stays for it, is seen when it is moved, and not moved."
        )
    else:
        print(
            "There is nothing to move for these reasons that was taken at least "
            f"{older_than:,} days ago."
        )
    _print_groups(plan.groups)
    print_companions([one.path for unit in plan.units for one in unit.companions])
    print_refused("These stay for what goes with them", plan.left)


def _print_groups(groups: Mapping[str, Sequence["Row"]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not groups:
        return
    table = Table(title="What stays of similar shots", title_justify="left")
    table.add_column("stays", overflow="fold")
    table.add_column("goes", overflow="fold")
    for path, rows in list(groups.items())[:_SHOWN_GROUPS]:
        goes = ", ".join(row["title"] for row in rows)
        table.add_row(Text(printable(path)), Text(printable(goes)))
    Console().print(table)
    if len(groups) > _SHOWN_GROUPS:
        more = len(groups) - _SHOWN_GROUPS
        print(f"and {more:,} groups more, which --json lists")


def _add_row(table: Any, name: str, units: Sequence[Any], style: str = "") -> None:
    photos = sum(len(unit.photos) for unit in units)
    others = sum(len(unit.companions) for unit in units)
    megabytes = sum(unit.bytes for unit in units) / 1e6
    table.add_row(
        name, f"{photos:,}", f"{others:,}", f"{megabytes:,.1f}", style=style or None
    )


def _print_outcome(args: argparse.Namespace, run_id: str, outcome: "Outcome") -> None:
    if outcome.photos:
        print(f"In the trash: {amount(len(outcome.photos), outcome.bytes)}")
        print(f"Run {run_id}. To bring all of it back:")
        print(f"  {command_line('restore', args, '--run', run_id)}")
    else:
        print("Nothing was moved.")


def _as_json(
    plan: "Plan", run_id: str, outcome: "Outcome", recovered: "Outcome"
) -> dict[str, Any]:
    return {
        "plan": {
            "reasons": {
                reason: {
                    "photos": sum(len(unit.photos) for unit in units),
                    "bytes": sum(unit.bytes for unit in units),
                }
                for reason, units in plan.reasons.items()
            },
            "units": [
                {
                    "reason": reason,
                    "photos": [row["path"] for row in unit.photos],
                    "other_files": [entry.path for entry in unit.companions],
                    "bytes": unit.bytes,
                }
                for reason, units in plan.reasons.items()
                for unit in units
            ],
            "groups": [
                {"stays": path, "goes": [row["path"] for row in rows]}
                for path, rows in plan.groups.items()
            ],
            "left": refused_as_json(plan.left),
        },
        "run": run_id if outcome.photos else None,
        "trashed": trashed_as_json(outcome.photos),
        "bytes": outcome.bytes,
        "recovered": trashed_as_json(recovered.photos),
        "refused": refused_as_json([*recovered.refused, *outcome.refused]),
    }
