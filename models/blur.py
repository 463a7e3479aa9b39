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
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION: Final = 2
PAPER_THRESHOLD: Final = 400.0
# `models.blur_threshold` chose it: a hundredth of 988 photos nobody labelled
# blurred score less. The photos labelled blurred had no part in it, though the
# constants below were compared on them and on synthetic shake of other photos.
DEFAULT_THRESHOLD: Final = 73.0

# The working image of a thumbnail is the thumbnail; its edges are as narrow as
# somebody's resampling made them. Those in EXIF have 160 pixels (CIPA DC-009).
_SMALLEST_SIDE_PX: Final = 200
_COARSE_SIGMA_PX: Final = 1.0
# In grey levels a pixel after the smoothing, which leaves about 0.4 of noise of
# deviation 2.
_EDGE_SLOPE: Final = 4.0
# About 190 tiles in a 4:3 working image: a face fills several, and each has room
# for edges of several directions. Six tiles are a face, or one thing in a sky.
_TILE_PX: Final = 32
# Every second row ranks photos as well, in two thirds of the time.
_ROW_STEP: Final = 2
# A power of two, as a remainder costs six times as much.
_DIRECTIONS: Final = 8
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
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    edges = _edges(gray)
    ratios, weights, share = _tile_ratios(edges)
    slope = _steepest(edges)
    if len(ratios) < _MIN_TILES or slope is None:
        return None
    median, best = _reached(ratios, weights, (0.5, _BEST_TILES))
    ratio = best * np.sqrt(best / max(median, _LEAST_RATIO))
    # A few narrow edges prove a photo sharp; a few wide ones prove little.
    benefit = np.exp(max(0.0, _FEW_TILES - share))
    return round(float(100 * ratio * slope * benefit), 2)


class _Edges(NamedTuple):
    """The pixels of edges; arrays are (N,).

    Attributes:
        direction: Of the gradient, in parts of a half turn, 0 to `_DIRECTIONS` - 1.
        tile: Which tile the pixel is in, of `tiles`.
        fine: Squared gradient without that of noise, (grey levels a pixel)².
        coarse: The same of the smoothed image.
        contrast: Range of grey levels around, 0 where noise may be all of it.
    """

    direction: NDArray[np.int32]
    tile: NDArray[np.int32]
    tiles: int
    fine: NDArray[np.float32]
    coarse: NDArray[np.float32]
    contrast: NDArray[np.float32]


def _edges(gray: NDArray[np.uint8]) -> _Edges:
    smooth = np.asarray(cv2.GaussianBlur(gray, (0, 0), _COARSE_SIGMA_PX), np.uint8)
    fine, _, _ = _gradient(gray)
    coarse, x, y = _gradient(smooth)
    height, width = fine.shape
    size = (max(1, width // 16), max(1, height * _ROW_STEP // 16))
    # Where a photo is flattest, its gradient is noise.
    noise = np.percentile(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), 10)
    edge = np.flatnonzero(coarse > _EDGE_SLOPE**2).astype(np.int32)
    turn = np.arctan2(y.ravel()[edge], x.ravel()[edge], dtype=np.float32)
    # In half turns from 0 to 2, whose opposites are one direction.
    turn = turn * np.float32(1 / np.pi) + np.float32(1 + 0.5 / _DIRECTIONS)
    row, column = np.divmod(edge, np.int32(width))
    rows, columns = (-(-side // _TILE_PX) for side in gray.shape)
    square = np.ones((_AROUND_PX, _AROUND_PX), np.uint8)
    around = cv2.subtract(cv2.dilate(gray, square), cv2.erode(gray, square))[
        ::_ROW_STEP
    ]
    contrast = around.ravel()[edge].astype(np.float32)
    # Noise alone spans about five of its deviations in a square.
    contrast[contrast < _MIN_CONTRAST + 5 * np.sqrt(noise / _NOISE_GAIN)] = 0
    return _Edges(
        direction=(turn * _DIRECTIONS).astype(np.int32) & (_DIRECTIONS - 1),
        tile=row * _ROW_STEP // _TILE_PX * columns + column // _TILE_PX,
        tiles=rows * columns,
        fine=np.maximum(fine.ravel()[edge] - np.float32(noise), 0),
        coarse=coarse.ravel()[edge],
        contrast=contrast,
    )


# Squared length of the gradient where the image is noise of variance 1: the norm
# of both masks of `_gradient`.
_NOISE_GAIN: Final = 2 * 12 / 64


def _gradient(
    gray: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.int16], NDArray[np.int16]]:
    """Squared length, in grey levels a pixel, and eight times both components."""
    x, y = (part[::_ROW_STEP] for part in cv2.spatialGradient(gray))
    squares = x.astype(np.float32) ** 2
    squares += y.astype(np.float32) ** 2
    squares *= np.float32(1 / 64)
    return squares, np.asarray(x, np.int16), np.asarray(y, np.int16)


def _tile_ratios(
    edges: _Edges,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Fine over coarse energy of each tile, in the direction where it is least.

    Returns:
        Ratios and coarse energies of the tiles that can be judged, float64, (T,),
        and their share of all tiles.
    """
    cell = edges.tile * _DIRECTIONS + edges.direction

    def summed(values: NDArray[np.float32] | None) -> NDArray[np.float64]:
        sums = np.bincount(cell, values, edges.tiles * _DIRECTIONS)
        return _with_neighbours(sums.reshape(-1, _DIRECTIONS).astype(np.float64))

    count, coarse = summed(None), summed(edges.coarse)
    judged = count >= _MIN_EDGE_PX
    ratio = np.full(count.shape, np.inf)
    np.divide(summed(edges.fine), coarse, out=ratio, where=judged)
    tiles = judged.sum(axis=1) >= _MIN_DIRECTIONS
    return ratio.min(axis=1)[tiles], coarse.sum(axis=1)[tiles], float(tiles.mean())


def _with_neighbours(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions, the last axis, with those beside: three eighths of a half turn."""
    return sums + np.roll(sums, 1, axis=-1) + np.roll(sums, -1, axis=-1)


def _reached(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.float64]:
    """The values that the best of the weight reach, for each share of it."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    at = np.searchsorted(below, (1 - np.asarray(shares)) * below[-1])
    return np.asarray(values[order][at])


def _steepest(edges: _Edges) -> float | None:
    """Slope over contrast that the best hundredth of pixels reaches, a pixel.

    In the direction where it is least; 0.5 at most, and None where no direction
    has enough pixels.
    """
    clear = edges.contrast > 0
    slope = np.sqrt(edges.fine[clear]) / edges.contrast[clear]
    # Of half bins: a step between two pixels has slope 0.5 in the mean of both.
    level = np.minimum((slope * (2 * _SLOPE_BINS)).astype(np.int32), _SLOPE_BINS - 1)
    cell = edges.direction[clear] + _DIRECTIONS * level
    counts = np.bincount(cell, minlength=_DIRECTIONS * _SLOPE_BINS).astype(np.float64)
    counts = _with_neighbours(counts.reshape(_SLOPE_BINS, _DIRECTIONS))
    total = counts.sum(axis=0)
    counts = counts[:, total >= _MIN_DIRECTION_PX]
    if not counts.size:
        return None
    below = np.cumsum(counts, axis=0)
    reached = (below < (1 - _BEST_PX) * below[-1]).sum(axis=0)
    return float(reached.min() + 0.5) / (2 * _SLOPE_BINS)
