"""Figures that judge a detector, each with its 95 % interval."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def auc(positive: Scores, negative: Scores) -> float:
    """Share of pairs in which the positive scores higher; a tie counts half.

    Source: Hanley and McNeil, Radiology 143, 1982.
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    upto = np.searchsorted(ordered, positive, "right")
    return float((below + upto).sum() / (2 * len(positive) * len(negative)))


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

    Where no pair is in the wrong order, it is (1, 1) and says nothing more. Time and
    memory grow with the number of scores, not with that of pairs.
    """
    groups_p, groups_n = list(positive_groups), list(negative_groups)
    names = sorted({*groups_p, *groups_n})
    row_of = {name: row for row, name in enumerate(names)}
    p = np.array([row_of[name] for name in groups_p])
    n = np.array([row_of[name] for name in groups_n])
    values, places = np.unique(
        np.concatenate([positive, negative]), return_inverse=True
    )
    place_p, place_n = places[: len(p)], places[len(p) :]
    random = np.random.default_rng(seed)
    chance = np.full(len(names), 1 / len(names))
    shares = []
    for _ in range(draws):
        times = random.multinomial(len(names), chance)
        held = np.bincount(place_n, times[n], len(values))
        pairs = times[p].sum() * times[n].sum()
        if pairs:
            # Those below, and half of those that tie.
            won = times[p] @ (np.cumsum(held) - held / 2)[place_p]
            shares.append(won / pairs)
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


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
