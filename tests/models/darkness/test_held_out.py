"""The goals for dark photos, on scores of networks that saw nothing of the photo."""

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import accuracy, held_out
from models.darkness import network, thresholds

SCORES = held_out.PATHS["dark"]
NEVER = ("bright", "night, well lit", "low key on purpose")


@dataclass(frozen=True)
class Labelled:
    labels: NDArray[np.str_]
    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def of(self, label: str) -> NDArray[np.float64]:
        return self.scores[self.labels == label]


@pytest.fixture(scope="module")
def labelled(shared_photos: Path) -> Labelled:
    """The labelled photos, each with its held-out score; `unsure` ones have none."""
    scores = held_out.load(SCORES)
    rows = []
    for folder in ("dark", "bright", "borderline"):
        manifest = shared_photos / folder / "manifest.csv"
        with manifest.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["label"] != "unsure":
                    stored = (shared_photos / folder / row["file"]).read_bytes()
                    photo = scores[hashlib.sha256(stored).hexdigest()]
                    rows.append((row["label"], photo.score, photo.threshold))
    labels, values, limits = zip(*rows, strict=True)
    return Labelled(np.array(labels), np.array(values), np.array(limits))


def _shipped(photos: Labelled) -> NDArray[np.bool_]:
    return photos.scores >= network.DEFAULT_THRESHOLD


def _by_other_folds(photos: Labelled) -> NDArray[np.bool_]:
    return photos.scores >= photos.thresholds


def test_there_is_one_score_for_each_photo_it_learned_from() -> None:
    scores = held_out.load(SCORES)
    assert len(scores) == 501
    assert all(0 <= photo.score <= 1 for photo in scores.values())
    # One threshold of each fold, all near the shipped one.
    limits = {photo.threshold for photo in scores.values()}
    assert 1 <= len(limits) <= 5
    assert max(abs(limit - network.DEFAULT_THRESHOLD) for limit in limits) <= 0.1


def test_order(labelled: Labelled) -> None:
    too_dark = labelled.of("too dark")
    assert len(too_dark) == 60
    assert accuracy.auc(too_dark, labelled.of("bright")) >= 0.999
    assert accuracy.auc(too_dark, labelled.of("dark on purpose")) >= 0.90


@pytest.mark.parametrize("call", [_shipped, _by_other_folds], ids=lambda f: f.__name__)
def test_verdicts(
    call: Callable[[Labelled], NDArray[np.bool_]], labelled: Labelled
) -> None:
    called = call(labelled)
    assert called[labelled.labels == "too dark"].mean() >= 0.60
    assert called[labelled.labels == "dark on purpose"].mean() <= 0.05
    for label in NEVER:
        assert (labelled.labels == label).any()
        assert not called[labelled.labels == label].any()


def test_the_shipped_threshold_is_what_the_scores_choose(labelled: Labelled) -> None:
    chosen = thresholds.choose_probability(
        labelled.scores,
        labelled.labels == "dark on purpose",
        np.isin(labelled.labels, NEVER),
    )
    # Written scores are rounded, which may move it by a step.
    assert chosen == pytest.approx(network.DEFAULT_THRESHOLD, abs=0.0101)
