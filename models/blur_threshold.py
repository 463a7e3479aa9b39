"""Choose the threshold of `models.blur`: `python -m models.blur_threshold DATA`.

DATA holds the folders `bright`, `detect` and `bursts`, photos that nobody picked
for being sharp or shaken, each with a `manifest.csv` (file, source). Shaken are
those that score lower than all but a hundredth of them. Photos labelled blurred
have no part in it.

Whole data sets are left out in turn, and what was chosen without a photo's own is
written to `held_out_scores/blur.csv`. The threshold of all, which is printed last,
goes by hand into `models/blur.py`.
"""

import csv
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from models.accuracy import wilson_interval
from models.blur import sharpness
from models.images import decode

HELD_OUT: Final = Path(__file__).parent / "held_out_scores" / "blur.csv"
_FOLDERS: Final = ("bright", "detect", "bursts")
_CALLED: Final = 0.01


@dataclass(frozen=True)
class Ordinary:
    """A photo nobody labelled blurred.

    Attributes:
        data_set: What is left out together.
        score: Its sharpness; infinite where it can not be judged.
    """

    folder: str
    data_set: str
    sha256: str
    score: float


def main(data: Path) -> None:
    photos = [photo for folder in _FOLDERS for photo in _read(data / folder)]
    without = {
        name: threshold([photo.score for photo in photos if photo.data_set != name])
        for name in sorted({photo.data_set for photo in photos})
    }
    for name, value in without.items():
        print(f"without {name}: {value:g}")
    for folder in _FOLDERS:
        own = [photo for photo in photos if photo.folder == folder]
        called = sum(photo.score < without[photo.data_set] for photo in own)
        low, high = wilson_interval(called, len(own))
        print(
            f"{folder}: {called} of {len(own)} called shaken, held out "
            f"({called / len(own):.3f}, {low:.3f} to {high:.3f})"
        )
    HELD_OUT.parent.mkdir(exist_ok=True)
    with HELD_OUT.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(("sha256", "score", "threshold"))
        # The same photo may be in two folders; its score is the same.
        rows.writerows(
            sorted(
                {
                    (photo.sha256, photo.score, without[photo.data_set])
                    for photo in photos
                    if np.isfinite(photo.score)
                }
            )
        )
    print(f"threshold of all: {threshold([photo.score for photo in photos]):g}")


def threshold(scores: Sequence[float]) -> float:
    """The highest whole number that at most a hundredth of the scores are below."""
    return float(np.floor(np.quantile(scores, _CALLED, method="lower")))


def _read(folder: Path) -> list[Ordinary]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    photos = []
    for row in rows:
        data = (folder / row["file"]).read_bytes()
        score = sharpness(decode(data).rgb)
        photos.append(
            Ordinary(
                folder=folder.name,
                # In brackets, if several repositories hold parts of it.
                data_set=row["source"].rpartition("(")[2].rstrip(")"),
                sha256=hashlib.sha256(data).hexdigest(),
                score=np.inf if score is None else score,
            )
        )
    return photos


if __name__ == "__main__":
    main(Path(sys.argv[1]))
