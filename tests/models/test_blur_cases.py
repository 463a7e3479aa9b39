"""Hard cases for the judge of sharpness: what was made, and what it makes of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models import blur_cases
from models.blur import DEFAULT_THRESHOLD, sharpness
from models.images import decode

Rgb = NDArray[np.uint8]


def is_shaken(rgb: Rgb) -> bool:
    score = sharpness(rgb)
    return score is not None and score < DEFAULT_THRESHOLD


@pytest.fixture(scope="module")
def shelf() -> Rgb:
    """A detailed scene, (384, 512, 3): boxes of many sizes, angles and colours."""
    rng = np.random.default_rng(7)
    scene = np.full((384, 512, 3), 128, np.uint8)
    for _ in range(1200):
        centre, size = rng.uniform(0, 512, 2), rng.uniform(6, 40, 2)
        corners = cv2.boxPoints((centre, size, rng.uniform(0, 180)))
        colour = rng.integers(0, 256, 3).tolist()
        cv2.fillConvexPoly(scene, corners.astype(np.int32), colour, cv2.LINE_AA)
    return scene


@pytest.fixture(scope="module")
def lamp() -> Rgb:
    """One bright pixel in the dark, (201, 201, 3)."""
    scene = np.zeros((201, 201, 3), np.uint8)
    scene[100, 100] = 255
    return scene


def extent(rgb: Rgb) -> tuple[int, int]:
    """Width and height of what is lit, in pixels."""
    rows, columns = np.nonzero(rgb[:, :, 0])
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize(
    ("angle_deg", "width", "height"), [(0, 21, 1), (90, 1, 21), (45, 15, 15)]
)
def test_shake_smears_along_its_angle(
    lamp: Rgb, angle_deg: float, width: int, height: int
) -> None:
    smeared = blur_cases.shaken(lamp, 0.1, angle_deg)
    # A tenth of 201 pixels, and half a pixel at both ends.
    assert extent(smeared) == pytest.approx((width, height), abs=2)
    assert int(smeared[:, :, 0].sum()) == pytest.approx(255, rel=0.1)


def test_no_shake_is_the_photo(shelf: Rgb) -> None:
    before = shelf.copy()
    for same in (blur_cases.shaken(shelf, 0, 33), blur_cases.defocused(shelf, 0)):
        np.testing.assert_array_equal(same, before)
    for case in blur_cases.CASES.values():
        case.make(shelf, np.random.default_rng(0))
    np.testing.assert_array_equal(shelf, before)


def test_a_hand_s_path_is_as_long_as_it_was_asked_to_be(lamp: Rgb) -> None:
    paths = [
        blur_cases.shaken_by_hand(lamp, 0.1, np.random.default_rng(seed))
        for seed in range(8)
    ]
    # A path has width too, unless it is level or upright; dim ends round to nothing.
    assert all(12 <= np.hypot(*extent(path)) <= 32 for path in paths)
    again = blur_cases.shaken_by_hand(lamp, 0.1, np.random.default_rng(0))
    np.testing.assert_array_equal(paths[0], again)
    assert not np.array_equal(paths[0], paths[1])


def test_defocus_is_a_disc(lamp: Rgb) -> None:
    disc = blur_cases.defocused(lamp, 0.05)
    assert extent(disc) == (11, 11)
    area = np.count_nonzero(disc[:, :, 0])
    assert area == pytest.approx(np.pi * 5.5**2, rel=0.15)


def test_a_portrait_keeps_its_subject() -> None:
    scene = np.random.default_rng(2).integers(0, 256, (384, 512, 3), np.uint8)
    made = blur_cases.portrait(scene, 0.2, np.random.default_rng(3))
    kept = (made == scene).all(axis=2)
    assert kept.mean() == pytest.approx(0.2, abs=0.01)
    assert kept[192, 256]
    assert not kept[:20].any()


def test_grain_pallor_and_size(shelf: Rgb) -> None:
    rng = np.random.default_rng(4)
    gray = np.full((1024, 768, 3), 128, np.uint8)
    grain = blur_cases.grainy(gray, 15, rng)
    assert grain.shape == (512, 384, 3)
    assert grain.std() == pytest.approx(15, rel=0.02)
    assert blur_cases.pale(shelf).std() == pytest.approx(shelf.std() / 4, rel=0.1)
    assert blur_cases.half_size(shelf).shape == (192, 256, 3)
    assert (blur_cases.compressed(shelf, 40) != shelf).any()
    wall = blur_cases.mostly_plain(shelf, rng)
    assert wall.shape == shelf.shape
    assert np.abs(np.diff(wall[:120, :, 0].astype(int), axis=1)).mean() < 4


def test_detail_is_told_whatever_the_size(shelf: Rgb) -> None:
    assert blur_cases.is_detailed(shelf)
    assert not blur_cases.is_detailed(cv2.GaussianBlur(shelf, (0, 0), 12))
    large = cv2.resize(shelf, (1024, 768), interpolation=cv2.INTER_CUBIC)
    dense = blur_cases.edge_density(shelf)
    assert blur_cases.edge_density(np.asarray(large, np.uint8)) == pytest.approx(
        dense, rel=0.1
    )


@pytest.mark.parametrize("kind", blur_cases.CASES)
def test_a_shelf_is_told_whatever_is_made_of_it(shelf: Rgb, kind: str) -> None:
    case = blur_cases.CASES[kind]
    for seed in range(3):
        made = case.make(shelf, np.random.default_rng(seed))
        assert made.dtype == np.uint8
        assert is_shaken(made) is case.shaken


def test_made_of_real_photos(shared_photos: Path) -> None:
    """Measured by `piccl evaluate`, of more photos."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    for n, path in enumerate(sorted((shared_photos / "detect").glob("*.jpg"))[5::21]):
        rgb, rng = decode(path.read_bytes()).rgb, np.random.default_rng(n)
        if is_shaken(rgb):
            continue
        detailed = blur_cases.is_detailed(rgb)
        for case in blur_cases.CASES.values():
            if detailed or not case.detailed:
                is_right = is_shaken(case.make(rgb, rng)) is case.shaken
                right[case.shaken].append(is_right)
    assert len(right[True]) >= 30
    assert len(right[False]) >= 130
    assert np.mean(right[True]) >= 0.9
    assert np.mean(right[False]) >= 0.96
