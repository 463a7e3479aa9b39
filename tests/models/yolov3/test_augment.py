"""What becomes of boxes and pixels when a photo is cut, mirrored and coloured."""

import cv2
import numpy as np
import pytest

from models.yolov3.augment import crop, vary
from models.yolov3.evaluate import GroundTruth


def truth(*boxes: tuple[float, float, float, float]) -> GroundTruth:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return GroundTruth(corners, np.arange(len(boxes)), np.zeros(len(boxes), bool))


def scene() -> tuple[np.ndarray, GroundTruth]:
    """A red and a blue rectangle on black, which have to stay in their boxes."""
    rgb = np.zeros((200, 300, 3), np.uint8)
    rgb[40:100, 60:150] = (255, 0, 0)
    rgb[120:180, 210:270] = (0, 0, 255)
    return rgb, truth((0.2, 0.2, 0.5, 0.5), (0.7, 0.6, 0.9, 0.9))


def pixels(rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    left, top, right, bottom = np.round(box * (width, height, width, height)).astype(
        int
    )
    return rgb[top:bottom, left:right]


@pytest.mark.parametrize("seed", range(8))
def test_boxes_stay_with_what_they_show(seed: int) -> None:
    rgb, seen = scene()
    varied, boxes = vary(rgb, seen, np.random.default_rng(seed))
    assert varied.dtype == np.uint8
    # The colours changed, but the two are still the most saturated.
    saturated = cv2.cvtColor(varied, cv2.COLOR_RGB2HSV)[..., 1] > 200
    # Cut to the photo, a rectangle is still full, to a pixel at its edges.
    covered = np.zeros_like(saturated)
    for box in boxes.boxes:
        pixels(covered, box)[:] = True
        inner = pixels(saturated, box)[2:-2, 2:-2]
        assert inner.mean() > 0.99
    assert (
        saturated & ~cv2.dilate(covered.astype(np.uint8), np.ones((5, 5))).astype(bool)
    ).sum() == 0


def test_mirroring_happens_to_every_other_photo() -> None:
    rgb, seen = scene()
    left = [
        vary(rgb, seen, np.random.default_rng(seed))[1].boxes[0, 0]
        for seed in range(40)
    ]
    # The red rectangle begins at 0.2, mirrored at 0.5; the jitter is smaller.
    assert 10 < sum(x > 0.35 for x in left) < 30


def test_same_seed_same_variant() -> None:
    rgb, seen = scene()
    (first, boxes), (second, same), (other, _) = (
        vary(rgb, seen, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, second)
    assert np.array_equal(boxes.boxes, same.boxes)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_original_is_left_alone() -> None:
    rgb, seen = scene()
    before = rgb.copy(), seen.boxes.copy()
    vary(rgb, seen, np.random.default_rng(2))
    assert np.array_equal(rgb, before[0])
    assert np.array_equal(seen.boxes, before[1])


def test_crop_beyond_the_photo_is_grey() -> None:
    rgb, seen = scene()
    part, boxes = crop(rgb, seen, (-0.5, 0, 1, 1))
    assert part.shape == (200, 450, 3)
    assert (part[:, :150] == 127).all()
    assert np.array_equal(part[:, 150:], rgb)
    assert boxes.boxes[0] == pytest.approx([0.7 / 1.5, 0.2, 1 / 1.5, 0.5])


@pytest.mark.parametrize(
    ("edges", "left", "crowd"),
    [
        ((0.3, 0, 1, 1), 2, [False, False]),  # two thirds of the red one
        ((0.45, 0, 1, 1), 2, [True, False]),  # a sixth
        ((0.6, 0, 1, 1), 1, [False]),  # nothing
        ((0, 0, 0.1, 0.1), 0, []),
    ],
    ids=["most is left", "little is left", "one is gone", "all are gone"],
)
def test_what_is_cut_off_is_not_asked_for(edges, left: int, crowd: list[bool]) -> None:
    _, boxes = crop(*scene(), edges)
    assert len(boxes.boxes) == len(boxes.classes) == left
    assert boxes.crowd.tolist() == crowd
    assert ((boxes.boxes >= 0) & (boxes.boxes <= 1)).all()


def test_photo_without_objects_has_variants_too() -> None:
    _, boxes = vary(scene()[0], truth(), np.random.default_rng(0))
    assert boxes.boxes.shape == (0, 4)


def test_a_colour_cast_has_its_limits() -> None:
    grey = np.full((50, 50, 3), 128, np.uint8)
    levels = []
    for seed in range(60):
        varied, _ = vary(grey, truth(), np.random.default_rng(seed))
        height, width = varied.shape[:2]
        levels.append(int(varied[height // 2, width // 2, 0]))
        # Grey has no hue to turn.
        assert np.ptp(varied[height // 2, width // 2]) == 0
    assert min(levels) >= 128 / 1.5 - 1
    assert max(levels) <= 128 * 1.5 + 1
    assert np.ptp(levels) > 60


def test_hue_turns_by_a_tenth_of_the_circle_at_most() -> None:
    for hue in (1, 90, 178):
        hsv = np.full((50, 50, 3), (hue, 200, 150), np.uint8)
        rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        turns = []
        for seed in range(40):
            varied, _ = vary(rgb, truth(), np.random.default_rng(seed))
            height, width = varied.shape[:2]
            middle = varied[height // 2 :, width // 2 :][:1, :1]
            seen = int(cv2.cvtColor(middle, cv2.COLOR_RGB2HSV)[0, 0, 0])
            # OpenCV counts to 180, around the circle.
            turns.append((seen - hue + 90) % 180 - 90)
        assert max(np.abs(turns)) <= 18 + 2
        assert min(turns) < -9
        assert max(turns) > 9
