"""Train the network that tells photos taken too dark, and say how good it is."""

import argparse
import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models import held_out
from models.darkness import network
from pipeline.check_out import check_out
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from models.darkness.train import Examples
    from pipeline.evaluation.dark_figures import Photo

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
threshold and fill the tables, beside plain statistics, on the photos as they
are, on hard cases made from them, and on copies. With --out a network is then
trained the same way on everything and written, for `piccl backfill
--dark-model`, and beside it held_out.csv: each photo's score by the network
that had not seen it. It takes a quarter of an hour on two cores. The same
numbers come from the same processor and number of threads only (set
TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS to 1).
"""

_FOLDERS = ("dark", "bright", "borderline")


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
        check_out(args.out, ".keras")
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
    from pipeline.evaluation import dark_figures

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

        folds = train.train_folds(
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
    scores = folds.score(examples.pixels, np.arange(len(photos)))
    judged = dark_figures.Judged(
        photos,
        np.array(examples.groups),
        scores,
        folds.fold_of,
        # The paper names no threshold; a sigmoid's own is the half.
        threshold=0.5 if paper else dark_figures.threshold_of(scores, photos),
        fixed=paper,
    )
    console.print(dark_figures.real_photos(judged))
    console.print(*dark_figures.made_cases(judged, folds))
    console.print(dark_figures.copies(judged, folds))
    console.print(f"threshold {judged.threshold:.2f}", highlight=False)
    if args.out is not None:
        scores_out = args.out.with_name(held_out.PATHS["dark"].name)
        held_out.save(
            scores_out,
            {
                photo.sha256: held_out.HeldOut(float(score), float(threshold))
                for photo, score, threshold in zip(
                    judged.photos, scores, judged.thresholds, strict=True
                )
            },
            # As the pipeline stores them.
            score_format=".4f",
        )
        console.print(f"model in {args.out}", highlight=False, soft_wrap=True)
        console.print(f"scores in {scores_out}", highlight=False, soft_wrap=True)
    return 0


def read_photos(data: Path) -> list["Photo"]:
    """Read every labelled photo of the three folders, in the manifests' order.

    Raises:
        UsageError: A folder, manifest, column or photo is missing or broken.
    """
    return [photo for folder in _FOLDERS for photo in _read_folder(data, folder)]


def _read_folder(data: Path, folder: str) -> list["Photo"]:
    from models import images
    from pipeline.evaluation.dark_figures import Photo

    manifest = data / folder / "manifest.csv"
    if not manifest.is_file():
        raise UsageError(f"no such manifest: {manifest}")
    photos = []
    with manifest.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            try:
                path, label = data / folder / row["file"], row["label"]
                note = row["note"] or ""
            except KeyError as err:
                raise UsageError(f"{manifest} has no column {err}") from err
            try:
                stored = path.read_bytes()
                pixels = network.prepare(images.decode(stored).rgb)
            except (OSError, images.BadPhotoError) as err:
                raise UsageError(f"cannot read {path}: {err}") from err
            judgement = label
            if folder == "borderline":
                # Without a judgement nobody has decided, so nothing is learned.
                judgement = note.rpartition("|")[2].strip() if "|" in note else "unsure"
            sha256 = hashlib.sha256(stored).hexdigest()
            photos.append(Photo(path, label, judgement, sha256, pixels))
    return photos


def to_examples(photos: Sequence["Photo"], *, paper: bool) -> "Examples":
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
        groups=[source_group(photo.path.name) for photo in photos],
    )


def _check_enough(photos: Sequence["Photo"], examples: "Examples", folds: int) -> None:
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
