"""Thresholds that spare what was meant, and the plain statistics to beat."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Scores = NDArray[np.float64]

# Wrong recommendations cost far more than missed ones: on our photos 3 % instead
# of 5 % halves them and misses five of sixty too dark photos more.
MAX_MEANT_SHARE: Final = 0.03
# A share of which nobody should take the fourth digit for real, and a step that
# leaves room for the last bits of another processor.
_STEP: Final = 0.01
# Of red, green and blue: luma as JPEG has it (ITU-R BT.601).
_LUMA: Final = np.array([0.299, 0.587, 0.114])


def choose_threshold(scores: Scores, meant: Bools, never: Bools) -> float:
    """Find the lowest score from which photos may be called dark.

    Args:
        scores: float64, (N,), high means dark.
        meant: bool, (N,), dark on purpose: at most `MAX_MEANT_SHARE` of them
            may reach the threshold.
        never: bool, (N,): none of them may.

    Returns:
        One of `scores`, or infinity where none will do.
    """
    for threshold in np.unique(scores):
        called = scores >= threshold
        if called[meant].mean() <= MAX_MEANT_SHARE and not called[never].any():
            return float(threshold)
    return float("inf")


def choose_probability(scores: Scores, meant: Bools, never: Bools) -> float:
    """`choose_threshold` of probabilities, in steps of 0.01, at most 1.

    Rounded up only, so that it still calls nothing that must not be called.
    """
    lowest = choose_threshold(scores, meant, never)
    steps = np.ceil(round(lowest / _STEP, 6)) if lowest < 1 else round(1 / _STEP)
    return float(round(steps * _STEP, 2))


def choose_by_fold(
    scores: Scores,
    fold_of: NDArray[np.intp],
    meant: Bools,
    never: Bools,
    choose: Callable[[Scores, Bools, Bools], float] = choose_threshold,
) -> Scores:
    """For each photo the threshold that the other folds choose; float64, (N,)."""
    thresholds = np.zeros(len(scores))
    for fold in np.unique(fold_of):
        rest = fold_of != fold
        thresholds[~rest] = choose(scores[rest], meant[rest], never[rest])
    return thresholds


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
