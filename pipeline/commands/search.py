"""`piccl search`: find analysed photos."""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pipeline.arguments import add_date, add_store
from pipeline.errors import UsageError
from pipeline.printable import printable
from store.search import REASONS, TAGS, PhotoQuery

DESCRIPTION: Final = """\
Finds photos that were analysed before. All conditions that are given have to
hold; without any, it lists all photos of the user, the first taken first.

  piccl search --user me --reason any                what may be deleted, and why
  piccl search --user me --tag animal --tag person   both in one photo
  piccl search --user me --date 2024-07-01..2024-07-31 --reason shaken
  piccl search --user me --near 48.8584,2.2945 --within 2 --subject food
  piccl search --user me --similar-to ~/Pictures/cat.jpg --limit 10
  piccl search --user me --reason screenshot --paths0 | xargs -0 ls -l"""
# Rows that are laid out together; of a million, the first are shown at once.
_PAGE: Final = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    add_date(parser)
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=[*REASONS, "any"],
        help="why it may be deleted; any: whatever is recommended for deletion; given "
        "several times, all have to hold",
    )
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        choices=TAGS,
        help="what it shows; given several times, all of it; photos analysed without "
        "a detector have no tags",
    )
    parser.add_argument(
        "--subject",
        choices=[*TAGS, "none"],
        help="what dominates it; none: a detector looked and saw nothing that it knows",
    )
    parser.add_argument(
        "--near", type=_place, metavar="LAT,LON", help="taken near here, in degrees"
    )
    parser.add_argument(
        "--within",
        type=_distance,
        metavar="KM",
        help="how near, in kilometres (default: 1)",
    )
    parser.add_argument(
        "--similar-to",
        metavar="PHOTO",
        help="similar shots of the same day, the most alike first (Fig. 4)",
    )
    parser.add_argument(
        "--limit",
        type=_number,
        metavar="N",
        help="only the first N: the first taken, or with --similar-to the most alike",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON object a line")
    shown.add_argument("--paths", action="store_true", help="paths only, for the shell")
    shown.add_argument(
        "--paths0",
        action="store_true",
        help="the same for xargs -0: a name may contain a line break",
    )
    add_store(parser)


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from store.records import StoreError
    from store.urls import open_store

    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    if args.within is not None and args.near is None:
        raise UsageError("--within needs --near, the place to measure from")
    try:
        store = open_store(args.store, must_exist=True)
    except StoreError as err:
        raise UsageError(str(err)) from err
    alike = None
    if args.similar_to is not None:
        alike = _alike(store, args.user, args.similar_to)
    photos: Iterator[dict[str, Any]] = store.search(
        PhotoQuery(
            user_id=args.user,
            first_date=args.date[0],
            last_date=args.date[1],
            near=args.near,
            within_km=1.0 if args.within is None else args.within,
            reasons=tuple(args.reason),
            tags=tuple(args.tag),
            subject="" if args.subject == "none" else args.subject,
            ids=alike,
        )
    )
    if alike is not None:
        found = {photo["id"]: photo for photo in photos}
        photos = (
            found[id_] | {"likeness": likeness}
            for id_, likeness in alike.items()
            if id_ in found
        )
    photos = itertools.islice(photos, args.limit)
    if args.json:
        for photo in photos:
            print(json.dumps(_spelled_out(photo), ensure_ascii=False))
    elif args.paths or args.paths0:
        for photo in photos:
            print(photo["path"], end="\0" if args.paths0 else "\n")
    else:
        number = _print_table(photos)
        print(f"{number:,} photo{'' if number == 1 else 's'}", file=sys.stderr)
        if not number:
            _say_why_none(store.counts(args.user), args)
    return 0


def _say_why_none(counts: Mapping[str, int], args: argparse.Namespace) -> None:
    if not counts["photos"]:
        print(
            f"Nothing of {args.user} is in {args.store}: another --user or --store?",
            file=sys.stderr,
        )
    elif (args.tag or args.subject) and not counts["with_tags"]:
        print(
            "No photo was searched for objects yet: `piccl weights MODEL` fetches "
            "what it takes, then `piccl backfill` fills in the tags.",
            file=sys.stderr,
        )


def _alike(store: Any, user_id: str, path: str) -> dict[str, float]:
    """Ids of the similar shots of the photo's day, the most alike first."""
    from models.similarity import SimilarOptions, similar_to
    from transforms.day_outcomes import to_shot

    is_local = not path.startswith("gs://")
    address = os.path.realpath(os.path.expanduser(path)) if is_local else path
    known = store.find_path(user_id, address)
    if known is None:
        raise UsageError(
            f"{path} is not among the analysed photos of {user_id}; run "
            "`piccl backfill` on it first"
        )
    photo_id, date = known
    shots = [to_shot(photo) for photo in store.day(user_id, date)]
    (one,) = (shot for shot in shots if shot.id == photo_id)
    return dict(similar_to(one, shots, SimilarOptions()))


def _print_table(photos: Iterator[Mapping[str, Any]]) -> int:
    """Print a page after the other, and return how many photos it were."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    number = 0
    folder = ""
    while page := list(itertools.islice(photos, _PAGE)):
        if not number:
            folder = _common_folder([photo["path"] for photo in page])
        # Of one width, so that the pages look like one table.
        table = Table(
            title=None if number else Text(printable(folder)),
            title_justify="left",
            show_header=not number,
            box=None,
            padding=(0, 1, 0, 0),
            expand=True,
        )
        table.add_column("taken", width=16)
        table.add_column("photo", overflow="fold", ratio=2)
        table.add_column("in it", width=9)
        table.add_column("delete", width=6)
        table.add_column("why", overflow="fold", ratio=4)
        for photo in page:
            table.add_row(
                photo["taken_at"][:16].replace("T", " "),
                # Text: a file name may look like markup.
                Text(printable(photo["path"].removeprefix(folder))),
                "\n".join(_tags(photo)),
                "yes" if photo["delete"] else "",
                Text(_why(photo)),
            )
        console.print(table)
        number += len(page)
    return number


def _common_folder(paths: Sequence[str]) -> str:
    folders = {path.rpartition("/")[0] for path in paths}
    if not folders or any(folder.startswith("gs://") for folder in folders):
        return ""
    return os.path.join(os.path.commonpath(folders), "")


def _spelled_out(photo: Mapping[str, Any]) -> dict[str, Any]:
    """With an explanation, and what a detector saw with the names of its values."""
    from store.explanations import explain
    from transforms.verdicts import objects_from_json

    objects = photo["objects"]
    if objects is not None:
        objects = [asdict(found) for found in objects_from_json(objects)]
    explanation = [asdict(reason) for reason in explain(photo)]
    return {**photo, "objects": objects, "explanation": explanation}


def _tags(photo: Mapping[str, Any]) -> list[str]:
    """The photo's tags, the one that dominates first."""
    tags = [tag for tag in TAGS if photo[tag]]
    return sorted(tags, key=lambda tag: tag != photo["subject"])


def _why(photo: Mapping[str, Any]) -> str:
    """A line for each reason, and for what else is known of its group."""
    from store.explanations import explain

    lines = [reason.sentence for reason in explain(photo)]
    if photo["similar_group"] and not photo["similar"]:
        lines.insert(0, "the one to keep of its group")
    if number := photo["kept_for"]:
        others = "1 similar photo is" if number == 1 else f"{number} similar photos are"
        lines.insert(0, f"kept: {others} in the trash or deleted")
    if "likeness" in photo:
        lines.insert(0, f"likeness {photo['likeness']:.2f}")
    return "\n".join(map(printable, lines))


def _distance(text: str) -> float:
    try:
        km = float(text)
    except ValueError:
        km = 0.0
    if not 0 < km < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a distance in kilometres")
    return km


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


def _place(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text} is not LAT,LON") from err
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise argparse.ArgumentTypeError(f"{text} is not on earth")
    return latitude, longitude
