"""Sums over a grid, against their definition and against OpenCV's averages."""

import cv2
import numpy as np
import pytest

from models.areas import area_sums


def weights(count: int, size: int) -> np.ndarray:
    """How much of each of `size` pixels lies in each area, in parts of `count`."""
    edges = np.arange(count + 1) * size
    pixels = np.arange(size + 1) * count
    inside = np.minimum(edges[1:, np.newaxis], pixels[1:]) - np.maximum(
        edges[:-1, np.newaxis], pixels[:-1]
    )
    return np.maximum(inside, 0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((1, 1), (1, 1)),
        ((7, 5), (7, 5)),
        ((7, 5), (3, 4)),
        ((12, 16), (4, 4)),
        ((341, 512), (64, 64)),
        ((512, 100), (16, 3)),
    ],
    ids=str,
)
def test_each_pixel_counts_by_its_part(
    shape: tuple[int, int], grid: tuple[int, int], channels: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    down, across = weights(grid[0], shape[0]), weights(grid[1], shape[1])
    expected = np.einsum("ry,yxc,qx->rqc", down, pixels.astype(np.int64), across)
    assert np.array_equal(area_sums(pixels, *grid), expected)


def test_many_bright_pixels_do_not_overflow() -> None:
    pixels = np.full((3000, 4000, 1), 255, np.uint8)
    assert area_sums(pixels, 1, 1).tolist() == [[[255 * 3000 * 4000]]]


def test_averages_are_those_of_opencv() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (340, 512, 3), np.uint8)
    averages = area_sums(pixels, 64, 64) / (340 * 512)
    expected = cv2.resize(
        pixels.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA
    )
    np.testing.assert_allclose(averages, expected, rtol=1e-5)
