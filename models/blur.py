"""Shaken photos: a score that is low when the edges of a photo are wide.

The paper takes the variance of the Laplacian (Fig. 3). That measures how much
there is to see as well as how sharp it is: a shaken shelf of books scores above
a sharp wall. `sharpness` divides the first out. Where a photo has edges, it
compares the energy of the gradient at a fine scale with that at a coarse one.
A narrow edge loses much of its energy in the coarse smoothing, a wide one
hardly any, whatever the contrast of the edges and their number.

* A hand moves along one line, and edges along that line stay narrow. So edges
  are told apart by direction, and a tile is as sharp as its widest direction.
* A portrait is sharp where the face is. So a photo is as sharp as the best
  tenth of its tiles, weighted by what there is to see in them.
* Noise is all fine scale. So what it adds is estimated and taken off.

Source: judging an edge by its gradients before and after a known blur is Zhuo
and Sim, "Defocus map estimation from a single image", Pattern Recognition
44(9), 2011, section 3; blurring again to judge blur is Crete et al., "The blur
effect", SPIE 6492, 2007. Directions, tiles and constants are ours.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1
PAPER_THRESHOLD: Final = 400.0
# Calibrated on photos nobody labelled blurred: the score below which one in a
# hundred of 988 photos falls (exposure series, webcams, COCO, UKBench, a walk).
# The labelled blurred photos had no part in it, though the constants below were
# compared on them. Their scores reach from 128 to 299 and those of the labelled
# sharp ones begin at 304, so a higher threshold would find more mild blur, at the
# price of wrong recommendations.
DEFAULT_THRESHOLD: Final = 205.0

# The working image of a thumbnail is the thumbnail; its edges are as narrow as
# somebody's resampling made them.
_SMALLEST_SIDE_PX: Final = 100
# On either side of the width at which blur is seen at 512 px. Scales from 0 to
# 0.8 against 1.5 to 2 rank photos alike; finer ones let more noise through, and
# coarser ones miss short motion.
_FINE_SIGMA_PX: Final = 0.6
_COARSE_SIGMA_PX: Final = 1.5
# In grey levels a pixel after the coarse smoothing, which leaves about 0.2 of
# noise of deviation 2; 3 to 6 rank photos alike.
_EDGE_SLOPE: Final = 4.0
# About 190 tiles in a 4:3 working image: a face fills several, and each has room
# for edges of several directions. Six tiles are a face, or one thing in a sky.
_TILE_PX: Final = 32
_DIRECTIONS: Final = 8
_MIN_EDGE_PX: Final = 8
# Half of all directions: less than that is a straight edge, which says nothing
# of a motion along it.
_MIN_DIRECTIONS: Final = 4
_MIN_TILES: Final = 6
# Where fewer tiles have edges, those are often clouds, glare or a dim outline,
# wide by nature: most photos of `dark` and `bright` that scored low were such,
# and of the labelled blurred ones only one was.
_MIN_TILE_SHARE: Final = 0.3
# Smaller shares spare more portraits (a sharp 15 % of the frame passes in four
# of five) and miss more shake.
_BEST_SHARE: Final = 0.1


def laplacian_variance(gray: NDArray[np.uint8]) -> float:
    """Score sharpness; low means blurred.

    Args:
        gray: uint8, (H, W), one luminance channel, 0 to 255.

    Returns:
        Variance of the Laplacian, in grey levels squared.

    Raises:
        ValueError: `gray` is not (H, W).

    Source: paper, Fig. 3; Pech-Pacheco et al., ICPR 2000.
    """
    if gray.ndim != 2:
        raise ValueError(f"expected (H, W), got {gray.shape}")
    # int16 holds the whole response of a uint8 image; a uint8 one would clip
    # its negative half, and float64 costs seven times as much.
    _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)


def sharpness(rgb: NDArray[np.uint8]) -> float | None:
    """Score how narrow the edges of a photo are; low means shaken.

    Args:
        rgb: uint8, (H, W, 3), RGB: the working image, so that one photo stored
            at two sizes gets one score.

    Returns:
        Fine over coarse gradient energy in percent, rounded to 2 decimals:
        110 to 200 for shaken photos, 250 to 500 for sharp ones; shaken below
        `DEFAULT_THRESHOLD`, which is also the least that a photo with few edges
        gets. None where there is too little to judge: below
        `_SMALLEST_SIDE_PX`, or flat (sky, wall, snow, night sky).

    Raises:
        ValueError: `rgb` is not (H, W, 3).
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3), got {rgb.shape}")
    if max(rgb.shape[:2]) < _SMALLEST_SIDE_PX:
        return None
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse, count = _edge_energies(gray)
    judged = count >= _MIN_EDGE_PX
    ratio = np.full(count.shape, np.inf)
    np.divide(fine, coarse, out=ratio, where=judged)
    tiles = judged.sum(axis=1) >= _MIN_DIRECTIONS
    if tiles.sum() < _MIN_TILES:
        return None
    score = 100 * _best(ratio.min(axis=1)[tiles], coarse.sum(axis=1)[tiles])
    # A few narrow edges prove a photo sharp; a few wide ones prove nothing.
    if tiles.mean() < _MIN_TILE_SHARE:
        score = max(score, DEFAULT_THRESHOLD)
    return round(score, 2)


def _edge_energies(
    gray: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum squared gradients over the edges of each tile, by direction.

    Args:
        gray: float32, (H, W), 0 to 255.

    Returns:
        Fine energy without that of noise, coarse energy, number of pixels; each
        float64, (tiles, `_DIRECTIONS`). A direction takes in its neighbours, so
        it spans three eighths of a half turn.
    """
    fine, _ = _gradient(gray, _FINE_SIGMA_PX)
    coarse, turn = _gradient(gray, _COARSE_SIGMA_PX)
    rows, columns = (-(-side // _TILE_PX) for side in gray.shape)
    tile = np.add.outer(
        np.arange(gray.shape[0]) // _TILE_PX * columns,
        np.arange(gray.shape[1]) // _TILE_PX,
    )
    edge = np.flatnonzero(coarse > _EDGE_SLOPE**2)
    direction = np.rint(turn.ravel()[edge] * (_DIRECTIONS / np.pi)).astype(np.intp)
    cell = tile.ravel()[edge] * _DIRECTIONS + direction % _DIRECTIONS
    cells = rows * columns * _DIRECTIONS

    def summed(values: NDArray[np.float32] | None) -> NDArray[np.float64]:
        sums = np.bincount(cell, values, cells).reshape(-1, _DIRECTIONS)
        around = sums + np.roll(sums, 1, axis=1) + np.roll(sums, -1, axis=1)
        return around.astype(np.float64)

    count = summed(None)
    noise = 2 * _NOISE_GAIN * _noise_variance(gray)
    return (
        np.maximum(summed(fine.ravel()[edge]) - noise * count, 0),
        summed(coarse.ravel()[edge]),
        count,
    )


def _gradient(
    gray: NDArray[np.float32], sigma_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Squared length and angle (radians) of the gradient of the smoothed image."""
    smooth = cv2.GaussianBlur(gray, (0, 0), sigma_px)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return np.asarray(x * x + y * y), np.asarray(cv2.phase(x, y), np.float32)


def _noise_gain(sigma_px: float) -> float:
    """Variance of one component of the gradient where the image has variance 1."""
    smooth = cv2.getGaussianKernel(15, sigma_px)[:, 0]
    slope = np.convolve(smooth, [0.5, 0, -0.5])
    return float((smooth @ smooth) * (slope @ slope))


_NOISE_GAIN: Final = _noise_gain(_FINE_SIGMA_PX)


def _noise_variance(gray: NDArray[np.float32]) -> float:
    """Estimate the noise, in grey levels squared, from the flattest tenth.

    Source: Immerkaer, "Fast noise variance estimation", CVIU 64(2), 1996, whose
    mask is blind to edges; a tenth of the image instead of all of it, because
    texture is not noise.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(gray, cv2.CV_32F, mask))
    height, width = gray.shape
    size = (max(1, width // 16), max(1, height // 16))
    flat = np.percentile(cv2.resize(response, size, interpolation=cv2.INTER_AREA), 10)
    # The mask's norm is 6, and a normal deviate is sqrt(2 / pi) large on average.
    return float(flat / 6) ** 2 * np.pi / 2


def _best(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The value that the best tenth of the weight reaches."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, (1 - _BEST_SHARE) * below[-1])])
