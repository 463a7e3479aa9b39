"""Choose the threshold of shaken photos, and say how good it is."""

import argparse
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models import held_out
from pipeline.check_out import check_out
from pipeline.errors import UsageError

DESCRIPTION: Final = """\
Chooses the sharpness below which a photo is called shaken: that which all but a
hundredth of ordinary photos reach. DATA holds the folders bright, detect and bursts,
each with its photos and a manifest.csv of the columns file, label and source. Nobody
picked those photos for being sharp or shaken; photos labelled blurred have no part.

  piccl calibrate-blur data/photos
  piccl calibrate-blur my-photos --held-out my-scores.csv

Sources are left out in turn: how many photos are called is told by thresholds chosen
without their source, and those thresholds are written with the scores, for `piccl
evaluate`. The threshold of all, which is printed last, goes by hand into
models/blur.py. Of 1,000 photos it takes ten seconds."""

_FOLDERS: Final = ("bright", "detect", "bursts")
_FEWEST_SOURCES: Final = 2


@dataclass(frozen=True)
class Ordinary:
    """A photo nobody labelled blurred.

    Attributes:
        source: What is left out together.
        score: Its sharpness; infinite where it can not be judged.
    """

    folder: str
    source: str
    sha256: str
    score: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        type=Path,
        help="folder that holds bright/, detect/ and bursts/",
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FILE",
        default=held_out.PATHS["shaken"],
        help="where the held-out scores go (default: those that ship)",
    )


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Choose, print the figures, write the held-out scores.

    Raises:
        UsageError: An unknown option, or data that cannot be used.
    """
    if beam_args:
        raise UsageError(f"unknown option: {beam_args[0]}")
    check_out(args.held_out, ".csv", option="--held-out")

    from models import blur_threshold

    photos = read_photos(args.data)
    scores, sources = [p.score for p in photos], [p.source for p in photos]
    if len(set(sources)) < _FEWEST_SOURCES:
        raise UsageError(
            f"too few photos: they have {len(set(sources))} sources, and held-out "
            f"figures need {_FEWEST_SOURCES}"
        )
    without = blur_threshold.choose_by_source(scores, sources)
    _print_figures(photos, without)
    held_out.save(
        args.held_out,
        {
            photo.sha256: held_out.HeldOut(photo.score, without[photo.source])
            for photo in photos
            if math.isfinite(photo.score)
        },
    )
    print(f"scores in {args.held_out}")
    print(f"threshold={blur_threshold.choose_threshold(scores)}")
    return 0


def read_photos(data: Path) -> list[Ordinary]:
    """Score the photos of the three folders.

    Raises:
        UsageError: Something is missing or can not be read.
    """
    from models.blur import sharpness
    from models.images import BadPhotoError, decode
    from pipeline.evaluation.labels import data_set, read_labels

    photos = []
    for label in read_labels([str(data / folder) for folder in _FOLDERS]).photos:
        path = Path(label.path)
        encoded = path.read_bytes()
        try:
            score = sharpness(decode(encoded).rgb)
        except BadPhotoError as err:
            raise UsageError(f"cannot read {path}: {err}") from err
        photos.append(
            Ordinary(
                folder=path.parent.name,
                source=data_set(label),
                sha256=hashlib.sha256(encoded).hexdigest(),
                score=math.inf if score is None else score,
            )
        )
    return photos


def _print_figures(photos: Sequence[Ordinary], without: dict[str, float]) -> None:
    from models.accuracy import wilson_interval

    for source, value in without.items():
        print(f"without {source}: {value:g}")
    for folder in _FOLDERS:
        own = [photo for photo in photos if photo.folder == folder]
        called = sum(photo.score < without[photo.source] for photo in own)
        low, high = wilson_interval(called, len(own))
        print(
            f"{folder}: {called} of {len(own)} called shaken, held out "
            f"({called / max(len(own), 1):.3f}, {low:.3f} to {high:.3f})"
        )
