"""What `piccl cleanup`, `restore` and `purge` have in common."""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.check_addresses import check_user
from pipeline.errors import UsageError
from pipeline.photo_bytes import storage_client
from pipeline.print_list import print_list
from store.urls import DEFAULT_URL

if TYPE_CHECKING:
    from models.similarity import SimilarOptions
    from store.interface import Store
    from store.records import Trashed
    from trash.bin import TrashBin
    from trash.outcome import Outcome, Refusal

_Result = TypeVar("_Result")


@contextlib.contextmanager
def opened(
    args: argparse.Namespace, beam_args: Sequence[str]
) -> Iterator[tuple["Store", "TrashBin"]]:
    """The store and the trash of a user.

    Raises:
        UsageError: It can not be opened, or there are options that nobody knows.
    """
    from store.records import StoreError
    from store.urls import open_store
    from trash.bin import TrashBin
    from trash.places import Places

    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    check_user(args.user)
    try:
        store = open_store(args.store, must_exist=True)
        store.prepare()
    except StoreError as err:
        raise UsageError(str(err)) from err
    try:
        yield store, TrashBin(store, args.user, Places(storage_client))
    finally:
        store.close()


def similar_options(args: argparse.Namespace) -> "SimilarOptions":
    """What similar means, by the flags of `SimilarityOptions`."""
    from pipeline.launch import pipeline_options
    from pipeline.options import SimilarityOptions, StoreOptions

    options = pipeline_options([], args, (StoreOptions, SimilarityOptions))
    return options.view_as(SimilarityOptions).similar()


def recover(trash_bin: "TrashBin") -> "Outcome":
    """Finish what an interrupted command left, and say so."""
    from pipeline.progress import say, stderr_console

    outcome = trash_bin.recover()
    if outcome.photos:
        number = len(outcome.photos)
        say(stderr_console(), f"Finished {number:,} photos of an interrupted run")
    with contextlib.redirect_stdout(sys.stderr):
        print_refused("Not deleted by an interrupted run", outcome.stays)
    return outcome


def confirm(question: str, *, yes: bool) -> bool:
    """Whether to go on.

    Raises:
        UsageError: Nobody is there to be asked.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nothing was done: there is no terminal to ask on; --yes does it without "
            "asking, --dry-run only shows the plan"
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def with_progress(
    what: str, total: int, work: Callable[[Callable[[int], None]], _Result]
) -> _Result:
    """Do something with a bar that shows how far it is."""
    from pipeline.progress import show_progress, stderr_console

    tried = 0

    def done(photos: int) -> None:
        nonlocal tried
        tried += photos

    with show_progress(stderr_console(), lambda: (total, tried, what)):
        return work(done)


def print_companions(paths: Sequence[str]) -> None:
    """Files that are no photos of the store, and go with some."""
    print_list("Other files that go with them", paths)


def print_refused(title: str, refused: Sequence["Refusal"]) -> None:
    print_list(title, [f"{one.path}: {one.why}" for one in refused])


def refused_as_json(refused: Sequence["Refusal"]) -> list[dict[str, str]]:
    return [{"id": one.id, "path": one.path, "why": one.why} for one in refused]


def trashed_as_json(records: Sequence["Trashed"]) -> list[dict[str, Any]]:
    return [
        {
            "id": record.id,
            "reason": record.reason,
            "run": record.run,
            "files": [file.path for file in record.files],
        }
        for record in records
    ]


def amount(photos: int, size_bytes: int) -> str:
    return f"{photos:,} photo{'' if photos == 1 else 's'}, {size_bytes / 1e6:,.1f} MB"


def command_line(name: str, args: argparse.Namespace, *flags: str) -> str:
    """A command to type, for the same user and store."""
    words = ["piccl", name, "--user", args.user, *flags]
    if args.store != DEFAULT_URL:
        words += ["--store", args.store]
    return shlex.join(words)


def whole_days(text: str) -> int:
    if not text.isdecimal() or int(text) > 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of days")
    return int(text)
