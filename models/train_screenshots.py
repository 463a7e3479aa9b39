"""How the weights of `models.screenshots` are learned; `piccl train-screenshots` does.

Whole sources are left out in turn: what the figures tell was scored by weights that
saw nothing of a picture's source.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.held_out import HeldOut
from models.screenshots import logistic

_FOLDS: Final = 5
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


def choose_threshold(
    examples: Sequence[Example], scores: Sequence[float] | Floats
) -> float:
    """The lowest at which hardly a photo is called a screenshot, altered or not."""
    others = np.asarray(scores)[[not example.is_screenshot for example in examples]]
    few = [n for n in _THRESHOLDS if np.mean(others >= n) <= _MOST_CALLED]
    return min(few, default=_THRESHOLDS[-1])


def hold_out(examples: Sequence[Example]) -> list[HeldOut]:
    """Score each example, and choose a threshold, without its fold."""
    folds = folds_of(examples)
    scores = held_out_scores(examples, folds)
    thresholds = [
        choose_threshold(
            [e for e, own in zip(examples, folds, strict=True) if own != fold],
            scores[np.array(folds) != fold],
        )
        for fold in range(_FOLDS)
    ]
    return [
        HeldOut(float(score), thresholds[fold])
        for score, fold in zip(scores, folds, strict=True)
    ]
