"""Learn the weights of `models.screenshots`: `python -m models.train_screenshots DATA`.

DATA holds folders of labelled photos, each with a `manifest.csv` (file, label,
source); those labelled "screenshot" are. Whole sources are left out in turn: what
is printed was scored by weights that saw nothing of a picture's source, and so was
what is written to `held_out_scores/screenshots.csv`. The weights of all, which are
printed last, go by hand into `models/screenshots.py`.
"""

import csv
import hashlib
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models import screenshot_copies as copies
from models.accuracy import wilson_interval
from models.images import decode
from models.screenshots import is_cleared, logistic, screen_features

HELD_OUT: Final = Path(__file__).parent / "held_out_scores" / "screenshots.csv"
# Awkward files, some of them drawn: neither one nor the other.
_LEFT_OUT: Final = "odd"
_FOLDS: Final = 5
# Every n-th photo is altered too, in each way; and every n-th lent to a page.
_ALTERED_STRIDE: Final = 8
_PAGES_STRIDE: Final = 24
# All screenshots together weigh as much as this share of all others.
_SCREENSHOTS_WEIGHT: Final = 0.3
_RIDGE: Final = 1.0
# The threshold is the lowest that calls no more of the photos, altered or not.
_MOST_CALLED: Final = 0.005
_THRESHOLDS: Final = tuple(n / 20 for n in range(10, 20))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A picture to learn from.

    Attributes:
        kind: Its folder, or how it was altered.
        group: Its source.
        sha256: Of the file; "" of altered ones.
        features: None where a picture is not judged.
        cleared: Its metadata alone say that it is no screenshot.
    """

    kind: str
    is_screenshot: bool
    group: str
    sha256: str
    features: tuple[float, ...] | None
    cleared: bool


def read_examples(data: Path) -> Iterator[Example]:
    """All labelled pictures; all screenshots and some photos altered in each way."""
    shots, photos = list[tuple[Path, str]](), list[tuple[Path, str]]()
    for path, group, is_screenshot in _files(data):
        (shots if is_screenshot else photos).append((path, group))
        encoded = path.read_bytes()
        sha256 = hashlib.sha256(encoded).hexdigest()
        yield _example(encoded, path.parent.name, is_screenshot, group, sha256)
    for ways, files, is_screenshot in (
        (copies.SCREENSHOTS, shots, True),
        (copies.PHOTOS_OF_SCREENS, shots, False),
        (copies.PHOTOS, photos[::_ALTERED_STRIDE], False),
        (copies.PAGES, photos[::_PAGES_STRIDE], False),
    ):
        for kind, copy in ways.items():
            for path, group in files:
                rng = np.random.default_rng(zlib.crc32(f"{kind}/{path.name}".encode()))
                image = copies.flattened(Image.open(path))
                yield _example(copy(image, rng), kind, is_screenshot, group)


def _files(data: Path) -> Iterator[tuple[Path, str, bool]]:
    for manifest in sorted(data.glob("*/manifest.csv")):
        if manifest.parent.name == _LEFT_OUT:
            continue
        with manifest.open(newline="") as rows:
            for row in csv.DictReader(rows):
                # Several repositories hand on photos of COCO, some of them the same.
                group = "COCO" if "COCO" in row["source"] else row["source"]
                path = manifest.parent / row["file"]
                yield path, group, row["label"] == "screenshot"


def _example(
    encoded: bytes, kind: str, is_screenshot: bool, group: str, sha256: str = ""
) -> Example:
    picture = decode(encoded)
    cleared = is_cleared(
        picture.width, picture.height, picture.format, picture.capture.by_camera
    )
    features = screen_features(picture.rgb)
    return Example(kind, is_screenshot, group, sha256, features, cleared)


def folds_of(examples: Sequence[Example]) -> list[int]:
    """The fold of each example; a source is whole in one fold, the largest first."""
    folds: dict[str, int] = {}
    for shots in (True, False):
        counts = Counter(e.group for e in examples if e.is_screenshot == shots)
        sizes = [0] * _FOLDS
        for group, count in sorted(counts.items(), key=lambda item: (-item[1], item)):
            # Photos of screens are in the fold of the screenshots.
            fold = folds.setdefault(group, sizes.index(min(sizes)))
            sizes[fold] += count
    return [folds[example.group] for example in examples]


def fit(examples: Sequence[Example]) -> tuple[tuple[float, ...], float]:
    """Logistic regression with an L2 penalty on standardised features.

    What the metadata clear is learned from as well: copies lose them.

    Returns:
        Weights of the features, and the intercept; three significant digits, as
        they are shipped.

    Source: Newton's method, as in Hastie et al., The Elements of Statistical
    Learning, 2nd ed., section 4.4.1.
    """
    seen = [example for example in examples if example.features is not None]
    x = np.array([example.features for example in seen], np.float64)
    y = np.array([example.is_screenshot for example in seen], np.float64)
    shots = y == 1
    weight = np.where(shots, _SCREENSHOTS_WEIGHT * np.sum(~shots) / np.sum(shots), 1.0)
    mean, deviation = np.average(x, 0, weight), x.std(axis=0)
    z = np.column_stack([(x - mean) / deviation, np.ones(len(x))])
    penalty = np.append(np.full(x.shape[1], _RIDGE), 0.0)
    theta = np.zeros(z.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-z @ theta))
        slope = z.T @ (weight * (p - y)) + penalty * theta
        bend = (z.T * (weight * p * (1 - p))) @ z + np.diag(penalty)
        theta -= np.linalg.solve(bend, slope)
    weights = theta[:-1] / deviation
    intercept = theta[-1] - weights @ mean
    return tuple(float(f"{value:.3g}") for value in weights), float(f"{intercept:.3g}")


def held_out_scores(examples: Sequence[Example], folds: Sequence[int]) -> Floats:
    """The score of each example, of weights that saw nothing of its fold.

    By pixels alone: as if nothing were cleared.
    """
    scores = np.zeros(len(examples))
    for fold in range(_FOLDS):
        weights, intercept = fit(
            [e for e, own in zip(examples, folds, strict=True) if own != fold]
        )
        for n, (example, own) in enumerate(zip(examples, folds, strict=True)):
            if own == fold and example.features is not None:
                scores[n] = round(logistic(example.features, weights, intercept), 4)
    return scores


def choose_threshold(examples: Sequence[Example], scores: Floats) -> float:
    """The lowest at which hardly a photo is called a screenshot, altered or not."""
    others = scores[[not example.is_screenshot for example in examples]]
    few = [n for n in _THRESHOLDS if np.mean(others >= n) <= _MOST_CALLED]
    return min(few, default=_THRESHOLDS[-1])


def train(examples: Sequence[Example]) -> None:
    """Print the figures and what to ship, and write the held-out scores."""
    folds = folds_of(examples)
    scores = held_out_scores(examples, folds)
    thresholds = [
        choose_threshold(
            [e for e, own in zip(examples, folds, strict=True) if own != fold],
            scores[np.array(folds) != fold],
        )
        for fold in range(_FOLDS)
    ]
    rows = {}
    counts: dict[tuple[bool, str], list[bool]] = {}
    for example, score, fold in zip(examples, scores, folds, strict=True):
        found = bool(score >= thresholds[fold])
        counts.setdefault((example.is_screenshot, example.kind), []).append(found)
        if example.sha256:
            shown = 0.0 if example.cleared else score
            rows[example.sha256] = (example.sha256, f"{shown:g}", thresholds[fold])
    for (is_screenshot, kind), those in sorted(counts.items()):
        low, high = wilson_interval(sum(those), len(those))
        label = "found" if is_screenshot else "called a screenshot"
        print(
            f"{kind}: {sum(those)} of {len(those)} {label}, "
            f"{sum(those) / len(those):.1%} ({low:.1%} to {high:.1%})"
        )
    HELD_OUT.parent.mkdir(exist_ok=True)
    with HELD_OUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sha256", "score", "threshold"])
        writer.writerows(sorted(rows.values()))
    weights, intercept = fit(examples)
    threshold = choose_threshold(examples, scores)
    print(f"thresholds of the folds: {thresholds}")
    print(f"{weights=}, {intercept=}, {threshold=}")


if __name__ == "__main__":
    train(list(read_examples(Path(sys.argv[1]))))
