"""Shaken photos: a score that is low when the edges of a photo are wide.

The paper takes the variance of the Laplacian (Fig. 3). That measures how much
there is to see as well as how sharp it is: a shaken shelf of books scores above
a sharp wall. `sharpness` divides the first out, in two ways, and multiplies what
it gets:

* How much of the energy of the gradient is lost in a smoothing: much where edges
  are narrow, hardly any where they are wide, whatever their contrast and number.
  In tiles: a portrait is as sharp as its best tenth, and more so the less sharp
  the rest is, which tells a blurred background from a shaken photo.
* How much of the contrast around a pixel is crossed within one pixel. In the
  whole photo, so that a few narrow edges prove it sharp.

A hand moves along one line, and edges along that line stay narrow. So both tell
edges apart by direction and take the least. Noise is all fine scale. So what it
adds is estimated and taken off.

Source: judging an edge by its gradients before and after a known blur is Zhuo
and Sim, "Defocus map estimation from a single image", Pattern Recognition
44(9), 2011, section 3; blurring again to judge blur is Crete et al., "The blur
effect", SPIE 6492, 2007. Directions, tiles, the product and constants are ours.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

VERSION: Final = 2
PAPER_THRESHOLD: Final = 400.0
# `models.blur_threshold` chose it: a hundredth of 988 photos nobody labelled
# blurred score less. The photos labelled blurred had no part in it, though the
# constants below were compared on them and on synthetic shake of other photos.
DEFAULT_THRESHOLD: Final = 73.0

# The working image of a thumbnail is the thumbnail; its edges are as narrow as
# somebody's resampling made them. Those in EXIF have 160 pixels (CIPA DC-009).
_SMALLEST_SIDE_PX: Final = 200
# A Gaussian of deviation 1 pixel, from its middle outwards, in parts of 256.
_GAUSSIAN: Final = (102, 62, 14, 1)
# In grey levels a pixel after the smoothing, which leaves about 0.4 of noise of
# deviation 2.
_EDGE_SLOPE: Final = 4.0
# About 190 tiles in a 4:3 working image: a face fills several, and each has room
# for edges of several directions. Six tiles are a face, or one thing in a sky.
_TILE_PX: Final = 32
# Every second row ranks photos as well, in two thirds of the time.
_ROW_STEP: Final = 2
_DIRECTIONS: Final = 8
# As y over x, where one direction of gradients ends and the next begins.
_BORDERS: Final = tuple(
    np.float32(np.tan((n + 0.5) * np.pi / _DIRECTIONS)) for n in range(_DIRECTIONS // 2)
)
_MIN_EDGE_PX: Final = 4
# Half of all directions: less than that is a straight edge, which says nothing
# of a motion along it.
_MIN_DIRECTIONS: Final = 4
_MIN_TILES: Final = 6
# Smaller shares spare more portraits and miss more shake.
_BEST_TILES: Final = 0.1
# Where noise is all there is, nothing is left of the fine energy.
_LEAST_RATIO: Final = 0.05
# More tells mild blur less well; less believes the rim of a blurred lamp.
_BEST_PX: Final = 0.01
# Contrast is the range of grey levels in a square of this side.
_AROUND_PX: Final = 7
_MIN_CONTRAST: Final = 24.0
_MIN_DIRECTION_PX: Final = 50
_SLOPE_BINS: Final = 128
# Where fewer tiles have edges, those are often clouds, glare or a dim outline,
# wide by nature.
_FEW_TILES: Final = 0.4


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
        Fine over coarse gradient energy, times the slope of the edges in percent
        of their contrast a pixel, rounded to 2 decimals: 20 to 70 for shaken
        photos, 80 to 200 for sharp ones. None where there is too little to
        judge: below `_SMALLEST_SIDE_PX`, or flat (sky, wall, snow, night sky).

    Raises:
        ValueError: `rgb` is not (H, W, 3).
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3), got {rgb.shape}")
    if max(rgb.shape[:2]) < _SMALLEST_SIDE_PX:
        return None
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    sides = (_MARGIN_PX,) * 4
    mirrored = cv2.copyMakeBorder(gray, *sides, cv2.BORDER_REFLECT_101)
    pixels = np.asarray(mirrored, np.uint8)
    fine, _ = _gradient(pixels, _MARGIN_PX)
    coarse, directions = _gradient(_smoothed(pixels), _MARGIN_PX - 3)
    tiles, slopes = _edges(fine, coarse, directions, _around(pixels), _noise(fine))
    ratios, weights = _tile_ratios(tiles)
    slope = _steepest(slopes)
    if len(ratios) < _MIN_TILES or slope is None:
        return None
    median, best = _reached(ratios, weights, (0.5, _BEST_TILES))
    ratio = best * np.sqrt(best / max(median, _LEAST_RATIO))
    # A few narrow edges prove a photo sharp; a few wide ones prove little.
    benefit = np.exp(max(0.0, _FEW_TILES - len(ratios) / len(tiles)))
    return round(float(100 * ratio * slope * benefit), 2)


# Mirrored pixels around the photo: three for the square around a pixel or for
# `_smoothed`, and one more for the gradient of what that leaves.
_MARGIN_PX: Final = 4


@compiled
def _smoothed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) -> (H - 6, W - 6): what `cv2.GaussianBlur` gives, in half the time."""
    k0, k1, k2, k3 = _GAUSSIAN
    smooth = np.empty((pixels.shape[0] - 6, pixels.shape[1] - 6), np.uint8)
    line = np.empty(pixels.shape[1], np.uint16)
    for row in range(smooth.shape[0]):
        a, b, c, d = pixels[row], pixels[row + 1], pixels[row + 2], pixels[row + 3]
        e, f, g = pixels[row + 4], pixels[row + 5], pixels[row + 6]
        for i in range(line.size):
            outer = k3 * (a[i] + g[i]) + k2 * (b[i] + f[i])
            line[i] = outer + k1 * (c[i] + e[i]) + k0 * d[i]
        for i in range(smooth.shape[1]):
            outer = k3 * (line[i] + line[i + 6]) + k2 * (line[i + 1] + line[i + 5])
            inner = k1 * (line[i + 2] + line[i + 4]) + k0 * line[i + 3]
            smooth[row, i] = (outer + inner + 2**15) >> 16
    return smooth


@compiled
def _gradient(
    pixels: NDArray[np.uint8], margin_px: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The gradient in every second row, by Sobel's masks.

    Args:
        pixels: uint8, (H, W), with a margin on each side.
        margin_px: 1 at least.

    Returns:
        Its squared length, (grey levels a pixel)², and its direction, in parts of a
        half turn, 0 to `_DIRECTIONS` - 1.
    """
    height, width = pixels.shape[0] - 2 * margin_px, pixels.shape[1] - 2 * margin_px
    squares = np.empty(((height + _ROW_STEP - 1) // _ROW_STEP, width), np.float32)
    directions = np.empty(squares.shape, np.uint8)
    mean = np.empty(width + 2, np.int16)
    rise = np.empty(width + 2, np.int16)
    for row in range(squares.shape[0]):
        at = margin_px + row * _ROW_STEP
        above = pixels[at - 1][margin_px - 1 :]
        here = pixels[at][margin_px - 1 :]
        below = pixels[at + 1][margin_px - 1 :]
        for i in range(width + 2):
            mean[i] = above[i] + 2 * here[i] + below[i]
            rise[i] = below[i] - np.int16(above[i])
        for i in range(width):
            x = np.int32(mean[i + 2] - mean[i])
            y = np.int32(rise[i] + 2 * rise[i + 1] + rise[i + 2])
            squares[row, i] = np.float32(np.int32(x * x + y * y)) / np.float32(64)
            across, along = np.float32(abs(x)), np.float32(abs(y))
            turn = np.int32(along > across * _BORDERS[0])
            turn += np.int32(along > across * _BORDERS[1])
            turn += np.int32(along > across * _BORDERS[2])
            turn += np.int32(along > across * _BORDERS[3])
            directions[row, i] = (turn if (x ^ y) >= 0 else -turn) & (_DIRECTIONS - 1)
    return squares, directions


def _noise(fine: NDArray[np.float32]) -> np.float32:
    """What noise adds to the squared gradient: all of it where a photo is flattest."""
    height, width = fine.shape
    size = (max(1, width // 16), max(1, height * _ROW_STEP // 16))
    means = np.sort(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), axis=None)
    # The tenth percentile, in a fifth of the time of `np.percentile`.
    return np.float32(np.interp(0.1 * (means.size - 1), np.arange(means.size), means))


@compiled
def _around(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Range of grey levels in the square around each pixel of every second row."""
    height, width = pixels.shape[0] - 2 * _MARGIN_PX, pixels.shape[1] - 2 * _MARGIN_PX
    ranges = np.empty(((height + _ROW_STEP - 1) // _ROW_STEP, width), np.uint8)
    low = np.empty(width + 6, np.uint8)
    high = np.empty(width + 6, np.uint8)
    for row in range(ranges.shape[0]):
        # The square is the seven rows from here on.
        top = pixels[_MARGIN_PX - 3 + row * _ROW_STEP :, _MARGIN_PX - 3 :]
        a, b, c, d, e, f, g = top[0], top[1], top[2], top[3], top[4], top[5], top[6]
        for i in range(width + 6):
            low[i] = min(a[i], b[i], c[i], d[i], e[i], f[i], g[i])
        for i in range(width + 6):
            high[i] = max(a[i], b[i], c[i], d[i], e[i], f[i], g[i])
        for i in range(width):
            least = min(low[i], low[i + 1], low[i + 2], low[i + 3])
            most = max(high[i], high[i + 1], high[i + 2], high[i + 3])
            least = min(least, low[i + 4], low[i + 5], low[i + 6])
            most = max(most, high[i + 4], high[i + 5], high[i + 6])
            ranges[row, i] = most - least
    return ranges


# Squared length of the gradient where the image is noise of variance 1: the norm
# of both masks of `_gradient`.
_NOISE_GAIN: Final = 2 * 12 / 64


@compiled
def _edges(
    fine: NDArray[np.float32],
    coarse: NDArray[np.float32],
    directions: NDArray[np.uint8],
    ranges: NDArray[np.uint8],
    noise: np.float32,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum up the pixels of edges; arrays are (H, W), of every second row.

    Args:
        fine: Squared gradient, (grey levels a pixel)².
        coarse: The same of the smoothed image.
        directions: Of the gradient of the smoothed image.
        ranges: Of grey levels around.
        noise: What it adds to `fine`.

    Returns:
        By tile and direction how many pixels, `fine` without noise and `coarse`,
        (T, D, 3); and how many pixels by bin of slope over contrast and direction,
        (`_SLOPE_BINS` + 1, D), in the last one those whose contrast may be noise.
    """
    rows, width = coarse.shape
    tile_rows, columns = _TILE_PX // _ROW_STEP, (width + _TILE_PX - 1) // _TILE_PX
    tiles = np.zeros(((rows + tile_rows - 1) // tile_rows * columns, _DIRECTIONS, 3))
    slopes = np.zeros((_SLOPE_BINS + 1, _DIRECTIONS), np.int64)
    # Noise alone spans about five of its deviations in a square.
    least = np.float32(_MIN_CONTRAST + 5 * np.sqrt(noise / _NOISE_GAIN))
    clean = np.empty(width, np.float32)
    level = np.empty(width, np.uint8)
    edge = np.empty(width, np.uint32)
    for row in range(rows):
        for i in range(width):
            clean[i] = max(fine[row, i] - noise, np.float32(0))
            contrast = np.float32(ranges[row, i])
            # Of half bins: a step between two pixels has slope 0.5 in the mean of both.
            slope = np.sqrt(clean[i]) / contrast * np.float32(2 * _SLOPE_BINS)
            steep = np.uint8(min(slope, np.float32(_SLOPE_BINS - 1)))
            level[i] = steep if contrast >= least else _SLOPE_BINS
        # Without a branch, which the processor would often guess wrong.
        edges = np.uint64(0)
        for i in range(width):
            edge[edges] = i
            edges += np.uint64(coarse[row, i] > np.float32(_EDGE_SLOPE**2))
        for i in edge[:edges]:
            direction = directions[row, i]
            tile = tiles[row // tile_rows * columns + i // _TILE_PX, direction]
            tile[0] += 1
            tile[1] += clean[i]
            tile[2] += coarse[row, i]
            slopes[level[i], direction] += 1
    return tiles, slopes


@compiled
def _tile_ratios(
    tiles: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fine over coarse energy of each tile, in the direction where it is least.

    Returns:
        Ratios and coarse energies of the tiles that can be judged, float64, (T,).
    """
    ratios, weights = np.empty(len(tiles)), np.empty(len(tiles))
    judged = 0
    for tile in tiles:
        least, directions, weight = np.inf, 0, 0.0
        for i in range(_DIRECTIONS):
            count = fine = coarse = 0.0
            # With those beside: three eighths of a half turn.
            for j in (i - 1, i, i + 1):
                part = tile[j % _DIRECTIONS]
                count += part[0]
                fine += part[1]
                coarse += part[2]
            weight += coarse
            if count >= _MIN_EDGE_PX:
                directions += 1
                least = min(least, fine / coarse)
        if directions >= _MIN_DIRECTIONS:
            ratios[judged], weights[judged] = least, weight
            judged += 1
    return ratios[:judged], weights[:judged]


def _reached(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.float64]:
    """The values that the best of the weight reach, for each share of it."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    at = np.searchsorted(below, (1 - np.asarray(shares)) * below[-1])
    return np.asarray(values[order][at])


@compiled
def _steepest(slopes: NDArray[np.int64]) -> float | None:
    """Slope over contrast that the best hundredth of pixels reaches, a pixel.

    In the direction where it is least; 0.5 at most, and None where no direction
    has enough pixels.
    """
    least = np.inf
    for i in range(_DIRECTIONS):
        counts = slopes[:, i - 1] + slopes[:, i] + slopes[:, (i + 1) % _DIRECTIONS]
        total = counts[:_SLOPE_BINS].sum()
        if total < _MIN_DIRECTION_PX:
            continue
        level, below = 0, counts[0]
        while below < (1 - _BEST_PX) * total:
            level += 1
            below += counts[level]
        least = min(least, (level + 0.5) / (2 * _SLOPE_BINS))
    return least if least < np.inf else None
