"""Figures that judge a detector, each with its 95 % interval."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def auc(positive: Scores, negative: Scores) -> float:
    """Share of pairs in which the positive scores higher; a tie counts half.

    Source: Hanley and McNeil, Radiology 143, 1982.
    """
    return float(_wins(positive, negative).mean())


def auc_interval(
    positive: Scores,
    negative: Scores,
    positive_groups: Iterable[str],
    negative_groups: Iterable[str],
    *,
    seed: int = 0,
    draws: int = 2000,
) -> tuple[float, float]:
    """95 % bootstrap interval of `auc`, whole groups drawn, since their photos agree.

    Where no pair is in the wrong order, it is (1, 1) and says nothing more.
    """
    names = sorted({*positive_groups, *negative_groups})
    row_of = {name: row for row, name in enumerate(names)}
    p = np.array([row_of[name] for name in positive_groups])
    n = np.array([row_of[name] for name in negative_groups])
    wins = np.zeros((len(names), len(names)))
    np.add.at(wins, (p[:, np.newaxis], n), _wins(positive, negative))
    chance = np.full(len(names), 1 / len(names))
    times = np.random.default_rng(seed).multinomial(len(names), chance, draws)
    pairs = times[:, p].sum(axis=1) * times[:, n].sum(axis=1)
    won = np.einsum("di,ij,dj->d", times, wins, times, optimize=True)
    low, high = np.quantile(won[pairs > 0] / pairs[pairs > 0], (0.025, 0.975))
    return float(low), float(high)


def _wins(positive: Scores, negative: Scores) -> Scores:
    above = positive[:, np.newaxis] > negative
    return np.asarray(above + 0.5 * (positive[:, np.newaxis] == negative))


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of `n` photos; (0, 1) of none.

    Source: Wilson, J. Am. Stat. Assoc. 22, 1927.
    """
    if n == 0:
        return 0.0, 1.0
    z = 1.96
    middle = (hits + z * z / 2) / (n + z * z)
    half = z * np.sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
