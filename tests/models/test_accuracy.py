"""Figures and their intervals, against known answers and plain definitions."""

import numpy as np
import pytest

from models.accuracy import auc, auc_interval, wilson_interval


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([3.0, 2.0], [1.0, 0.0], 1.0),
        ([0.0], [1.0], 0.0),
        ([1.0, 1.0], [1.0], 0.5),
        # Of six pairs four are right and one ties.
        ([3.0, 1.0], [2.0, 1.0, 0.0], 4.5 / 6),
        # What can not be judged stands last.
        ([-np.inf, 2.0], [1.0, -np.inf], 2.5 / 4),
    ],
)
def test_auc_is_the_share_of_pairs_in_order(positive, negative, expected) -> None:
    assert auc(np.array(positive), np.array(negative)) == expected


def test_interval_is_that_of_groups_drawn_whole() -> None:
    random = np.random.default_rng(0)
    # Few values, so that many tie.
    positive = random.normal(1, 1, 30).round(1)
    negative = random.normal(0, 1, 50).round(1)
    names_p = np.array([f"g{i % 7}" for i in range(30)])
    names_n = np.array([f"g{i % 11}" for i in range(50)])
    names = sorted({*names_p, *names_n})
    again = np.random.default_rng(5)
    chance = np.full(len(names), 1 / len(names))
    drawn = []
    for times in again.multinomial(len(names), chance, 200):
        p = np.repeat(positive, [times[names.index(g)] for g in names_p])
        n = np.repeat(negative, [times[names.index(g)] for g in names_n])
        if len(p) and len(n):
            drawn.append(auc(p, n))
    expected = np.quantile(drawn, (0.025, 0.975))
    found = auc_interval(positive, negative, names_p, names_n, seed=5, draws=200)
    assert found == pytest.approx(expected, abs=1e-12)


def test_interval_of_many_photos_needs_no_table_of_pairs() -> None:
    """50,000 by 50,000 pairs would be 20 GB."""
    values = np.random.default_rng(0).random(100_000)
    groups = [str(n) for n in range(50_000)]
    low, high = auc_interval(values[:50_000], values[50_000:], groups, groups, draws=10)
    assert 0.49 < low <= high < 0.51


def test_groups_make_intervals_wider() -> None:
    random = np.random.default_rng(1)
    # Photos of a source share most of their score.
    source = np.repeat(random.normal(0, 1, 8), 25)
    positive, negative = source + 0.5, source + random.normal(0, 0.1, 200)
    each = [str(n) for n in range(200)]
    sources = [str(n // 25) for n in range(200)]
    low, high = auc_interval(positive, negative, sources, sources)
    alone_low, alone_high = auc_interval(positive, negative, each, each)
    assert high - low > 1.5 * (alone_high - alone_low)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17, 1998, table I, and the ends.
    [
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
        (29, 29, 0.8830, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval(hits: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(hits, n) == pytest.approx((low, high), abs=5e-5)
