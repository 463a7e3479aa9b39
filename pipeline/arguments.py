"""Arguments that several commands have."""

import argparse

from pipeline.dates import days


def add_store(parser: argparse.ArgumentParser) -> None:
    """Where the results are, for commands that are no job."""
    from store.urls import DEFAULT_URL, URL_FORMS

    parser.add_argument(
        "--store",
        default=DEFAULT_URL,
        metavar="URL",
        help=f"where the results are: {URL_FORMS} (default: %(default)s)",
    )


def add_date(parser: argparse.ArgumentParser) -> None:
    """Which days' photos."""
    parser.add_argument(
        "--date",
        type=days,
        default=(None, None),
        metavar="D[..D]",
        help="taken on this day, YYYY-MM-DD, or in these days, both included; either "
        "end may be left out",
    )


def add_plan(parser: argparse.ArgumentParser) -> None:
    """What to do about the plan that is shown first."""
    parser.add_argument(
        "--dry-run", action="store_true", help="show the plan and change nothing"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser, "the whole plan, and what became of it")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """To be read by a program."""
    parser.add_argument(
        "--json", action="store_true", help=f"print {what}, as JSON on stdout"
    )
