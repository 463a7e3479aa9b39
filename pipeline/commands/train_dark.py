"""Train the network that tells photos taken too dark, and say how good it is."""

import argparse
import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.accuracy import auc, auc_interval, wilson_interval
from models.darkness import network
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from models.darkness.train import Examples

DESCRIPTION = """\
Trains the dark-photo network on labelled photos and says how good it is on
photos that it has not seen. DATA holds the folders dark/, bright/ and
borderline/, each with its photos and a manifest.csv of the columns file, label
and note. "too dark" is what shall be found; "dark on purpose" is what must not
be; "unsure" is left out; in borderline/ the judgement ends the note, after a "|".

  piccl train-dark data/photos                       only how good it is
  piccl train-dark data/photos --out dark.keras

The photos are dealt to folds, a series or a webcam whole to one of them. Each
fold is scored by a network trained without it: those scores choose the
threshold and fill the table. With --out a network is then trained the same way
on everything and written; `piccl backfill --dark-model` uses it. It takes a
quarter of an hour on two cores.
"""

Bools = NDArray[np.bool_]
Scores = NDArray[np.float64]

_FOLDERS = ("dark", "bright", "borderline")
# Labels of borderline photos that must never be called dark: in one a whole
# street is lit, in the other the subject is.
_NEVER = ("night, well lit", "low key on purpose")
# A share of which nobody should take the fourth digit for real, and a step that
# leaves room for the last bits of another processor.
_THRESHOLD_STEP = 0.01
# Of red, green and blue: luma as JPEG has it (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Photo:
    """One labelled photo, prepared.

    Attributes:
        folder: One of dark, bright, borderline.
        name: Its file.
        label: The manifest's.
        judgement: too dark, dark on purpose, not dark, unsure or bright.
        pixels: float32, (64, 64, 3), RGB, 0 to 1.
    """

    folder: str
    name: str
    label: str
    judgement: str
    pixels: NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        type=Path,
        help="folder that holds dark/, bright/ and borderline/",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the model goes (.keras); without it there are only figures",
    )
    parser.add_argument(
        "--method",
        choices=("default", "paper"),
        default="default",
        help="paper: all of dark/ against bright/, as they are",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of splits and weights (default: 1)"
    )
    parser.add_argument(
        "--epochs", type=int, default=100, help="at most, for each (default: 100)"
    )
    parser.add_argument(
        "--folds", type=int, default=5, help="for the figures (default: 5)"
    )


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Train, write the model, print the figures.

    Raises:
        UsageError: An unknown option, or data that cannot be trained on.
    """
    if beam_args:
        raise UsageError(f"unknown option: {beam_args[0]}")
    if args.folds < 2 or args.epochs < 1:
        raise UsageError("--folds must be at least 2 and --epochs at least 1")
    if args.out is not None:
        _check_out(args.out)
    paper = args.method == "paper"
    photos = [
        photo
        for photo in read_photos(args.data)
        if (photo.folder != "borderline" if paper else photo.judgement != "unsure")
    ]
    examples = to_examples(photos, paper=paper)
    _check_enough(photos, examples, args.folds)

    from rich.console import Console
    from rich.progress import Progress

    from models.darkness import train

    console = Console()
    with Progress(console=console) as progress:
        # Early stopping skips the rest of a training's share.
        task = progress.add_task("training", total=(args.folds + 1) * args.epochs)

        def show(fold: int, epoch: int) -> None:
            done = fold * args.epochs + epoch + 1
            what = f"fold {fold + 1} of {args.folds}"
            if fold == args.folds:
                what = "the model"
            progress.update(task, completed=done, description=f"training {what}")

        scores, fold_of = train.out_of_fold(
            examples,
            folds=args.folds,
            seed=args.seed,
            epochs=args.epochs,
            augment=not paper,
            on_epoch=show,
        )
        if args.out is not None:
            model = train.train(
                examples,
                seed=args.seed,
                epochs=args.epochs,
                augment=not paper,
                on_epoch=lambda epoch: show(args.folds, epoch),
            )
            # Without its optimizer the file is a third as large.
            model.compile(optimizer=None)
            model.save(args.out, include_optimizer=False)
        progress.update(task, completed=(args.folds + 1) * args.epochs)
    # The paper names no threshold; a sigmoid's own is the half.
    threshold = 0.5 if paper else _threshold(scores, photos)
    console.print(_figures(photos, examples.groups, scores, fold_of, threshold))
    console.print(f"threshold {threshold:.2f}", highlight=False)
    if args.out is not None:
        console.print(f"model in {args.out}", highlight=False, soft_wrap=True)
    return 0


def _check_out(out: Path) -> None:
    """Refuse a file that can not be written, before the training."""
    if out.suffix != ".keras":
        raise UsageError(f"--out must end in .keras: {out}")
    if not out.parent.is_dir():
        raise UsageError(f"no such folder: {out.parent}")
    target = out if out.exists() else out.parent
    if out.is_dir() or not os.access(target, os.W_OK, effective_ids=True):
        raise UsageError(f"can not write {out}")


def read_photos(data: Path) -> list[Photo]:
    """Read every labelled photo of the three folders, in the manifests' order.

    Raises:
        UsageError: A folder, manifest, column or photo is missing or broken.
    """
    return [photo for folder in _FOLDERS for photo in _read_folder(data, folder)]


def _read_folder(data: Path, folder: str) -> list[Photo]:
    from models import images

    manifest = data / folder / "manifest.csv"
    if not manifest.is_file():
        raise UsageError(f"no such manifest: {manifest}")
    photos = []
    with manifest.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            try:
                name, label, note = row["file"], row["label"], row["note"] or ""
            except KeyError as err:
                raise UsageError(f"{manifest} has no column {err}") from err
            try:
                rgb = images.decode((manifest.parent / name).read_bytes()).rgb
            except (OSError, images.BadPhotoError) as err:
                raise UsageError(
                    f"cannot read {manifest.parent / name}: {err}"
                ) from err
            judgement = label
            if folder == "borderline":
                # Without a judgement nobody has decided, so nothing is learned.
                judgement = note.rpartition("|")[2].strip() if "|" in note else "unsure"
            pixels = network.prepare(rgb)
            photos.append(Photo(folder, name, label, judgement, pixels))
    return photos


def to_examples(photos: Sequence[Photo], *, paper: bool) -> "Examples":
    """Turn photos to arrays; the paper takes its answers from the folders."""
    from models.darkness.train import Examples, source_group

    too_dark = [
        photo.folder == "dark" if paper else photo.judgement == "too dark"
        for photo in photos
    ]
    return Examples(
        pixels=np.array([photo.pixels for photo in photos], np.float32),
        too_dark=np.array(too_dark, np.bool_),
        bright=np.array([photo.folder == "bright" for photo in photos], np.bool_),
        groups=[source_group(photo.name) for photo in photos],
    )


def _check_enough(photos: Sequence[Photo], examples: "Examples", folds: int) -> None:
    for kind in ("too dark", "dark on purpose", "bright"):
        groups = {
            group
            for photo, group in zip(photos, examples.groups, strict=True)
            if photo.judgement == kind
        }
        # One fold is scored, and of the rest a part validates and a part teaches.
        if len(groups) < folds + 1:
            raise UsageError(
                f'too few photos: "{kind}" has {len(groups)} series or single photos, '
                f"{folds} folds need {folds + 1}"
            )


def _marks(photos: Sequence[Photo]) -> tuple[Bools, Bools, Bools]:
    """Which are too dark, which of dark/ are on purpose, which never dark."""
    too_dark = [photo.judgement == "too dark" for photo in photos]
    meant = [photo.label == "dark on purpose" for photo in photos]
    never = [photo.folder == "bright" or photo.label in _NEVER for photo in photos]
    return np.array(too_dark), np.array(meant), np.array(never)


def _threshold(scores: Scores, photos: Sequence[Photo]) -> float:
    from models.darkness.train import choose_threshold

    _, meant, never = _marks(photos)
    lowest = choose_threshold(scores, meant, never)
    # Rounded up only, so that it still calls nothing that must not be called.
    steps = np.ceil(round(lowest / _THRESHOLD_STEP, 6)) if lowest < 1 else 100
    return float(round(steps * _THRESHOLD_STEP, 2))


def plain_statistics(pixels: NDArray[np.float32]) -> dict[str, Scores]:
    """Score photos by one number of their luma each, high for dark.

    Args:
        pixels: float32, (N, 64, 64, 3), RGB, 0 to 1.

    Returns:
        By the number's name: float64, (N,), the number's negative, 0 to -255.
    """
    luma = (pixels @ _LUMA).reshape(len(pixels), -1) * 255
    return {
        "mean": -luma.mean(axis=1),
        "median": -np.median(luma, axis=1),
        "99th percentile": -np.percentile(luma, 99, axis=1),
        "maximum": -luma.max(axis=1),
        "spread": -luma.std(axis=1),
    }


def _figures(
    photos: Sequence[Photo],
    groups: Sequence[str],
    scores: Scores,
    fold_of: NDArray[np.intp],
    threshold: float,
) -> "Table":
    from rich.table import Table

    from models.darkness.train import choose_threshold

    too_dark, meant, never = _marks(photos)
    bright = np.array([photo.folder == "bright" for photo in photos])
    group_of = np.array(groups)

    def order(values: Scores, others: Bools) -> str:
        low, high = auc_interval(
            values[too_dark], values[others], group_of[too_dark], group_of[others]
        )
        return f"{auc(values[too_dark], values[others]):.3f} ({low:.3f} to {high:.3f})"

    statistics = plain_statistics(np.array([photo.pixels for photo in photos]))
    best = max(
        statistics,
        key=lambda name: auc(statistics[name][too_dark], statistics[name][meant]),
    )
    plain = statistics[best]
    calls = scores >= threshold, plain >= choose_threshold(plain, meant, never)
    # The figures at a threshold that the same photos chose are a little too
    # good; a fold's photos had no say in the threshold of the others.
    blind = np.zeros((2, len(photos)), np.bool_)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        for row, values in enumerate((scores, plain)):
            rest = choose_threshold(values[~inside], meant[~inside], never[~inside])
            blind[row, inside] = values[inside] >= rest
    table = Table("out of fold", "the network", f"{best} of luma", title="Too dark")
    table.add_row("AUC against bright", order(scores, bright), order(plain, bright))
    table.add_row("AUC against on purpose", order(scores, meant), order(plain, meant))
    table.add_section()
    kinds = {"too dark, found": too_dark, "on purpose, called dark": meant}
    kinds["bright, called dark"] = bright
    for label in sorted({p.label for p in photos if p.folder == "borderline"}):
        kinds[f"{label}, called dark"] = np.array([p.label == label for p in photos])
    for name, rows in kinds.items():
        table.add_row(name, *(_share(called[rows]) for called in calls))
    table.add_section()
    for name in list(kinds)[:3]:
        cells = (_share(called[kinds[name]]) for called in blind)
        table.add_row(f"{name}*", *cells)
    table.caption = "* at thresholds that the other folds chose. 95 % intervals."
    return table


def _share(called: Bools) -> str:
    hits, n = int(called.sum()), len(called)
    low, high = wilson_interval(hits, n)
    return f"{hits} of {n}: {hits / max(n, 1):.1%} ({low:.1%} to {high:.1%})"
