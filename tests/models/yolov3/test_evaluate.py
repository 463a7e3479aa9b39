import math

import numpy as np
import pytest

from models.yolov3.boxes import Detections
from models.yolov3.evaluate import GroundTruth, map50

Box = tuple[float, float, float, float]
LEFT, RIGHT, FAR = (0.0, 0.0, 0.4, 0.4), (0.5, 0.0, 0.9, 0.4), (0.0, 0.6, 0.1, 0.7)


def truth(*objects: tuple[Box, int], crowd: tuple[Box, int] | None = None):
    rows = [*objects, *([crowd] if crowd else [])]
    return GroundTruth(
        np.array([box for box, _ in rows]).reshape(-1, 4),
        np.array([of_class for _, of_class in rows], int),
        np.array([row is crowd for row in rows], bool),
    )


def found(*objects: tuple[Box, float, int]) -> Detections:
    rows = sorted(objects, key=lambda row: -row[1])
    return Detections(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([confidence for _, confidence, _ in rows], np.float32),
        np.array([of_class for _, _, of_class in rows], np.int64),
    )


def test_all_found_is_one_and_none_is_nil() -> None:
    truths = [truth((LEFT, 0), (RIGHT, 3)), truth((FAR, 0))]
    right = [found((LEFT, 0.9, 0), (RIGHT, 0.2, 3)), found((FAR, 0.1, 0))]
    assert map50(truths, right) == pytest.approx(1)
    assert map50(truths, right[::-1]) == 0
    assert map50(truths, [found(), found()]) == 0


def test_a_false_find_costs_what_coco_says() -> None:
    """Precision is 1 up to half of the recall, and 2/3 beyond: 101 points."""
    truths = [truth((LEFT, 0), (RIGHT, 0))]
    guesses = [found((LEFT, 0.9, 0), (FAR, 0.8, 0), (RIGHT, 0.7, 0))]
    assert map50(truths, guesses) == pytest.approx((51 + 50 * 2 / 3) / 101)
    # A second box on the same object is false too.
    guesses = [found((LEFT, 0.9, 0), (LEFT, 0.8, 0), (RIGHT, 0.7, 0))]
    assert map50(truths, guesses) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_classes_count_alike_and_only_those_there_are() -> None:
    truths = [truth((LEFT, 0), (RIGHT, 0), (FAR, 7))]
    guesses = [found((LEFT, 0.9, 0), (RIGHT, 0.9, 0), (LEFT, 0.9, 5))]
    assert map50(truths, guesses) == pytest.approx(0.5)


@pytest.mark.parametrize(("width", "score"), [(0.21, 1), (0.19, 0)])
def test_half_an_overlap_is_enough(width: float, score: float) -> None:
    assert map50(
        [truth((LEFT, 0))], [found(((0.0, 0.0, width, 0.4), 0.9, 0))]
    ) == pytest.approx(score)


def test_finding_a_crowd_is_neither_right_nor_wrong() -> None:
    truths = [truth((FAR, 0), crowd=(LEFT, 0))]
    parts = [((0.1, 0.1, 0.2, 0.2), 0.9, 0), ((0.0, 0.0, 0.1, 0.3), 0.8, 0)]
    assert map50(truths, [found((FAR, 0.3, 0), *parts)]) == pytest.approx(1)
    assert map50(truths, [found(*parts)]) == 0


def test_nothing_to_find_has_no_mean() -> None:
    assert math.isnan(map50([truth()], [found((LEFT, 0.9, 0))]))
    assert math.isnan(map50([truth(crowd=(LEFT, 0))], [found((LEFT, 0.9, 0))]))
    assert math.isnan(map50([], []))


def test_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    map50([truth((LEFT, 0))], [found((LEFT, 0.9, 0))])
    assert capfd.readouterr() == ("", "")
