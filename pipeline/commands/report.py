"""`piccl report`: one page of what was found, to look at in a browser."""

import argparse
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.arguments import add_date, add_store
from pipeline.check_out import check_out
from pipeline.errors import UsageError
from store.search import PhotoQuery

DESCRIPTION: Final = """\
Writes one HTML page of photos that were analysed before: what may be deleted, by
reason, each with the sentence that explains it, similar shots beside the one that
stays; and all photos by subject and by day. It tells how much space each reason
would free. It changes no photo.

  piccl report --user me
  piccl report --user me --date 2024-07-01..2024-07-31 --out july.html

The page needs no server and no network: open it from the disk. Its thumbnails are
in it, about 5 kB each; the photos themselves are opened where they are. Only you can
read the file until you share it. Space counts the photo files alone, not a RAW or a
film beside them. To keep and trash photos while you look, use `piccl review`."""

_MOST: Final = 5000
_PAGE: Final = "piccl-report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    parser.add_argument(
        "--out",
        default=_PAGE,
        metavar="FILE",
        help="where the page goes; what is there is replaced (default: %(default)s)",
    )
    add_date(parser)
    parser.add_argument(
        "--most",
        type=_count,
        default=_MOST,
        metavar="N",
        help="show at most so many photos, what may go first, then the latest; the "
        "figures count all of them (default: %(default)s)",
    )
    add_store(parser)


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from store.records import StoreError
    from store.urls import open_store

    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    out = Path(args.out)
    check_out(out, ".html", ".htm")
    try:
        store = open_store(args.store, must_exist=True)
    except StoreError as err:
        raise UsageError(str(err)) from err

    from console.report import write_report
    from pipeline.photo_bytes import read_bytes
    from pipeline.progress import show_progress, stderr_console

    count = _Count()
    with show_progress(stderr_console(), count.state):
        shown = write_report(
            store.search(
                PhotoQuery(args.user, first_date=args.date[0], last_date=args.date[1])
            ),
            out,
            user=args.user,
            store=args.store,
            most=args.most,
            written=f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M}",
            read=read_bytes,
            started=count.start,
            made=count.one_more,
        )
    photos = "1 photo" if shown == 1 else f"{shown:,} photos"
    print(f"The page, with {photos}: {out.resolve().as_uri()}")
    return 0


class _Count:
    """How many thumbnails are made; threads add to it."""

    def __init__(self) -> None:
        self._total = 0
        self._made: list[None] = []

    def start(self, total: int) -> None:
        self._total = total

    def one_more(self) -> None:
        self._made.append(None)  # which threads may do at once, unlike `+= 1`

    def state(self) -> tuple[int, int, str]:
        return self._total, len(self._made), "Making thumbnails"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)
