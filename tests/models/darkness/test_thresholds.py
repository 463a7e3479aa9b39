"""Thresholds that spare what was meant, chosen without what they judge."""

import numpy as np
import pytest

from models.darkness import thresholds


def test_threshold_is_the_lowest_that_spares_what_was_meant() -> None:
    # Forty meant photos: one may be called dark, the second may not.
    meant = np.array([0.9, 0.7, *np.linspace(0, 0.3, 38)])
    too_dark, bright = np.array([0.95, 0.8, 0.75, 0.6]), np.array([0.1, 0.2])
    scores = np.concatenate([meant, too_dark, bright])
    is_meant = np.arange(46) < 40
    is_bright = np.arange(46) >= 44
    assert thresholds.choose_threshold(scores, is_meant, is_bright) == 0.75
    scores[-1] = 0.92
    assert thresholds.choose_threshold(scores, is_meant, is_bright) == 0.95
    scores[-1] = 0.99
    assert thresholds.choose_threshold(scores, is_meant, is_bright) == float("inf")


def test_a_probability_is_rounded_up_only() -> None:
    scores = np.array([0.2, 0.8312, 0.9])
    meant, never = np.array([True, False, False]), np.zeros(3, bool)
    assert thresholds.choose_probability(scores, meant, never) == 0.84
    scores[1] = 0.83
    assert thresholds.choose_probability(scores, meant, never) == 0.83
    # No score will do: only what has no light at all is dark.
    assert thresholds.choose_probability(scores, ~never, never) == 1


def test_a_fold_has_no_say_in_its_own_threshold() -> None:
    rng = np.random.default_rng(0)
    scores, fold_of = rng.uniform(size=90), np.arange(90) % 3
    meant, never = np.arange(90) < 60, np.zeros(90, bool)
    chosen = thresholds.choose_by_fold(scores, fold_of, meant, never)
    assert len(set(chosen.tolist())) > 1
    for fold in range(3):
        inside = fold_of == fold
        others = scores[~inside], meant[~inside], never[~inside]
        assert set(chosen[inside]) == {thresholds.choose_threshold(*others)}
        moved = np.where(inside, rng.uniform(size=90), scores)
        again = thresholds.choose_by_fold(moved, fold_of, meant, never)
        np.testing.assert_array_equal(again[inside], chosen[inside])


def test_plain_statistics_are_high_for_dark() -> None:
    pixels = np.zeros((2, 64, 64, 3), np.float32)
    pixels[1] = (1, 0.5, 0)
    pixels[1, 0, 0] = 1
    values = thresholds.plain_statistics(pixels)
    assert values["median"].tolist() == pytest.approx([0, -(0.299 + 0.2935) * 255])
    assert values["maximum"].tolist() == pytest.approx([0, -255])
    assert all(dark > light for dark, light in values.values())
