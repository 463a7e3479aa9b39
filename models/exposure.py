"""How well a photo is exposed, to choose among shots of one scene."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Levels from this share of the brightest one on are lost in part, more the nearer:
# a hard limit would tell much between copies of a photo with a pale sky.
_LOST_FROM: Final = 0.85
# The brightest level leaves out this share, which may be lamps.
_LAMPS: Final = 0.01
# A photo that reaches this share of the highest level has light enough.
_ENOUGH_LIGHT: Final = 0.75
# A frame without any difference keeps a fifth of its pixels.
_MOST_FLAT: Final = 0.8
# `models.blur` scores by contrast, so copies with more light are sharper there, by
# a fifth and more: what they lost in the light counts twice.
_LOST_POWER: Final = 2.0
_FLAT_POWER: Final = 0.5

# Differences of second derivatives, which see noise and little else.
_IMMERKAER: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# Each of its sums has six times the deviation of the pixels; the deviation is
# that times the mean of what is without sign.
_TO_DEVIATION: Final = np.sqrt(np.pi / 2) / 6
_TILE_PX: Final = 16
# A photo without so many tiles in between is black or white.
_FEWEST_TILES: Final = 8
_BLACK: Final = 16
_WHITE: Final = 240
# The flattest tenth of the tiles: other ones hold leaves and gravel.
_FLATTEST_PERCENT: Final = 10
# In grey levels; phones leave less.
_USUAL_NOISE: Final = 4.0
# So many grey levels more take a half, and a half at most.
_NOISE_UNIT: Final = 10.0


def exposure(rgb: NDArray[np.uint8]) -> float:
    """How well a photo is exposed, as a factor of what its sharpness is worth.

    Args:
        rgb: uint8, (H, W, 3), RGB.

    Returns:
        0 to 1, 4 digits: less for what is lost in the light, for too little light,
        for places where compression or clipping left no difference, and for the
        noise that a lack of light leaves.
    """
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    lost, brightest = _lost(rgb)
    light = min(brightest / _ENOUGH_LIGHT, 1.0)
    noise = min(max(_noise(gray) - _USUAL_NOISE, 0.0) / _NOISE_UNIT, 1.0)
    told = (1 - lost) ** _LOST_POWER * (1 - _MOST_FLAT * _flat(gray)) ** _FLAT_POWER
    return round(float(told * light * 2**-noise), 4)


def _lost(rgb: NDArray[np.uint8]) -> tuple[float, float]:
    """Share of pixels at the photo's brightest level or near it, and that level.

    Both are 0 to 1. The level is the photo's own, as darkening an overexposed photo
    brings nothing back.
    """
    # At half size, as noise and compression would hide them.
    levels = _halved(rgb).max(axis=2)
    shares = np.bincount(levels.ravel(), minlength=256) / levels.size
    top = max(int(np.searchsorted(shares.cumsum(), 1 - _LAMPS)), 1)
    nearness = (np.arange(256) / top - _LOST_FROM) / (1 - _LOST_FROM)
    return min(float(shares @ np.clip(nearness, 0, 1)), 1.0), top / 255


def _flat(gray: NDArray[np.uint8]) -> float:
    """Share of pixels that equal all their neighbours, 0 to 1."""
    square = np.ones((3, 3), np.uint8)
    return float(np.mean(cv2.dilate(gray, square) == cv2.erode(gray, square)))


def _noise(gray: NDArray[np.uint8]) -> float:
    """Deviation of the noise of single pixels, in grey levels.

    Halving a photo halves such noise, and leaves texture as it is: leaves and
    gravel are no noise.
    """
    fine, coarse = _roughness(gray), _roughness(_halved(gray))
    # Of noise, the coarse one has a quarter of the variance.
    return float(np.sqrt(max(fine**2 - coarse**2, 0.0) * 4 / 3))


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = [max(1, side // 2) for side in pixels.shape[1::-1]]
    half = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


def _roughness(gray: NDArray[np.uint8]) -> float:
    """Deviation of noise and texture in the flattest parts, in grey levels.

    Source: Immerkaer, Computer Vision and Image Understanding 64, 1996.
    """
    rows, columns = ((side - 2) // _TILE_PX for side in gray.shape)
    if rows < 1 or columns < 1:
        return 0.0
    response = np.abs(cv2.filter2D(gray.astype(np.float32), -1, _IMMERKAER))

    def means(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
        # Without the edge, where the filter has no neighbours.
        inside = pixels[1 : 1 + rows * _TILE_PX, 1 : 1 + columns * _TILE_PX]
        tiles = inside.reshape(rows, _TILE_PX, columns, _TILE_PX)
        return np.asarray(tiles.mean((1, 3), np.float64).ravel())

    deviations, levels = means(response) * _TO_DEVIATION, means(gray)
    told = (levels > _BLACK) & (levels < _WHITE)
    if told.sum() >= _FEWEST_TILES:
        deviations = deviations[told]
    return float(np.percentile(deviations, _FLATTEST_PERCENT))
