"""`piccl weights`: fetch the networks that see what is in a photo."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipeline.errors import UsageError
from pipeline.known_weights import (
    DEFAULT_MODEL,
    KNOWN_MODELS,
    KnownModel,
    PublishedFile,
    installed,
    weights_folder,
)

if TYPE_CHECKING:
    from rich.console import Console

DESCRIPTION: Final = f"""\
Fetches a network that sees what is in a photo: MODEL.cfg and MODEL.weights, from
where their authors publish them. Without MODEL it lists the models.

  piccl weights                        which there are, and which are here
  piccl weights {DEFAULT_MODEL}    the one to begin with
  piccl weights yolov3 --to models     into a folder of your choice

Sizes and SHA-256 are checked; an interrupted download goes on where it stopped.
Where there is no network, copy the two files into the folder by hand, or use a
mirror: a web server that has the files, by their names, under --url-base."""

_LOG_EVERY_S: Final = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", choices=KNOWN_MODELS, help="which to fetch"
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="where the files are kept (default: ~/.cache/piccl, where `piccl "
        "backfill` finds them)",
    )
    parser.add_argument(
        "--url-base", type=_address, metavar="URL", help="fetch from this mirror"
    )
    parser.add_argument(
        "--tries",
        type=_number_of_tries,
        default=4,
        metavar="N",
        help="how often in a row a server may fail (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=15.0,
        metavar="SECONDS",
        help="how long a server may stay silent (default: %(default)g)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print what there is as JSON on stdout"
    )


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from rich.console import Console

    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    folder = weights_folder() if args.to is None else args.to.expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--to {folder}: this is a file, not a folder")
    if args.model is None:
        if args.json:
            print(json.dumps(_listed(KNOWN_MODELS, folder), indent=2))
        else:
            _print_table(folder)
        return 0
    model = KNOWN_MODELS[args.model]
    # Progress is not what a pipe wants.
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    problem = _fetch_model(model, folder, args, console)
    if problem:
        print(f"piccl: {problem}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(_listed({args.model: model}, folder), indent=2))
    else:
        print(*(folder / file.name for file in model.files), sep="\n")
    return 0


def _fetch_model(
    model: KnownModel, folder: Path, args: argparse.Namespace, console: "Console"
) -> str | None:
    """Fetch both files; returns why it failed, in a line."""
    # It imports an HTTP library, which the list need not spend.
    from pipeline.downloads import DownloadError, Patience, fetch

    patience = Patience(tries=args.tries, timeout_s=args.timeout)

    def tell(line: str) -> None:
        console.print(line, markup=False)

    for file in model.files:
        if args.url_base:
            urls = (f"{args.url_base.rstrip('/')}/{file.name}",)
            file = dataclasses.replace(file, urls=urls)
        try:
            with _progress(console, file) as show:
                fetched = fetch(
                    file, folder, tell=tell, on_bytes=show, patience=patience
                )
        except DownloadError as err:
            names = " and ".join(file.name for file in model.files)
            return (
                f"{err}. Without this server, copy {names} into {folder} by hand, or "
                "name a mirror with --url-base"
            )
        except FileExistsError as err:
            return f"{err.filename}: {err.strerror}"
        except OSError as err:
            return f"can not write {err.filename or folder}: {err.strerror}"
        tell(f"{file.name}: {'fetched' if fetched else 'is here already'}")
    return None


@contextmanager
def _progress(
    console: "Console", file: PublishedFile
) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, else a line now and then; it starts with the first byte."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    shown_s = time.monotonic()

    def log(there: int) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s >= _LOG_EVERY_S:
            shown_s = time.monotonic()
            console.print(f"{file.name}: {there / file.size_bytes:.0%}")

    if not console.is_terminal:
        yield log
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(file.name, total=file.size_bytes)
        yield lambda there: progress.update(task, completed=there)


def _print_table(folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "for")
    for heading in ("MB", "input", "mAP50", "here"):
        table.add_column(heading, justify="right")
    for name, model in KNOWN_MODELS.items():
        table.add_row(
            name,
            model.purpose,
            f"{model.size_bytes / 1e6:,.1f}",
            f"{model.side_px}",
            f"{model.map50:.1f}",
            _presence(name, model, folder),
        )
    Console().print(table)
    print(
        f"here: in {folder}\n"
        "mAP50: on COCO, in percent, as published, at an input of so many pixels\n"
        f"Fetch one with `piccl weights MODEL`, to begin with {DEFAULT_MODEL}."
    )


def _presence(name: str, model: KnownModel, folder: Path) -> str:
    """What a look at the names and sizes tells."""
    files = installed(name, folder)
    if files is not None:
        sizes = [path.stat().st_size for path in files]
        return "yes" if sizes == [f.size_bytes for f in model.files] else "altered"
    names = [f"{file.name}{end}" for file in model.files for end in ("", ".part")]
    parts = [folder / name for name in names]
    there = sum(path.stat().st_size for path in parts if path.is_file())
    return f"{there / model.size_bytes:.0%}" if there else "no"


def _listed(models: dict[str, KnownModel], folder: Path) -> list[dict[str, Any]]:
    return [
        {
            "model": name,
            "purpose": model.purpose,
            "bytes": model.size_bytes,
            "input_px": model.side_px,
            "map50": model.map50,
            "here": _presence(name, model, folder),
            "cfg": str(folder / model.cfg.name),
            "weights": str(folder / model.weights.name),
        }
        for name, model in models.items()
    ]


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text} is not an http(s) address")
    return text


def _number_of_tries(text: str) -> int:
    tries = int(text)
    if tries < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than one try")
    return tries


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a time")
    return seconds
