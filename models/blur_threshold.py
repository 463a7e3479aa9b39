"""The threshold of `models.blur`, chosen by scores; `piccl calibrate-blur` asks."""

from collections.abc import Sequence
from typing import Final

import numpy as np

# Of photos that nobody labelled shaken, so many may be called so.
_CALLED: Final = 0.01


def choose_threshold(scores: Sequence[float]) -> float:
    """The highest whole number that at most a hundredth of the scores are below.

    Args:
        scores: Of ordinary photos; infinite where a photo can not be judged.
    """
    return float(np.floor(np.quantile(scores, _CALLED, method="lower")))


def choose_by_source(
    scores: Sequence[float], sources: Sequence[str]
) -> dict[str, float]:
    """By source, the threshold that the photos of all others choose."""
    return {
        held_out: choose_threshold(
            [
                score
                for score, source in zip(scores, sources, strict=True)
                if source != held_out
            ]
        )
        for held_out in sorted(set(sources))
    }
