"""How well a photo is exposed, to choose among shots of one scene."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# A pile of lost levels is this wide, of 255: compression spreads it.
_PILE: Final = 6

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
# The flattest tenth of the tiles: other ones hold leaves and gravel. In 19 of 20
# photos their deviation is below 2.7 grey levels, which is what phones leave.
_FLATTEST_PERCENT: Final = 10
_USUAL_NOISE: Final = 4.0
# Grey levels more take a twentieth each, and a fifth at most: a photo that is all
# leaves and gravel may pass for a noisy one.
_NOISE_UNIT: Final = 20.0
_MOST_FOR_NOISE: Final = 0.2


def exposure(rgb: NDArray[np.uint8]) -> float:
    """How well a photo is exposed.

    Args:
        rgb: uint8, (H, W, 3), RGB.

    Returns:
        0 to 1, 4 digits: how much the grey levels tell (their entropy), less the
        share of pixels that are lost in the light, less the noise that a lack of
        light leaves.
    """
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    shares = np.bincount(gray.ravel(), minlength=256) / gray.size
    seen = shares[shares > 0]
    entropy = -float(seen @ np.log2(seen)) / 8
    noise = max(_noise(gray) - _USUAL_NOISE, 0) / _NOISE_UNIT
    noise = min(noise, _MOST_FOR_NOISE)
    # A frame of one level has an entropy of minus nought.
    return round(max(entropy * (1 - _lost(rgb)) - noise, 0.0), 4)


def _lost(rgb: NDArray[np.uint8]) -> float:
    """Share of pixels that pile up at the photo's own brightest level, 0 to 1.

    Wherever that is: darkening an overexposed photo brings nothing back.
    """
    # At half size, as noise and compression would hide the pile.
    size = [max(1, side // 2) for side in rgb.shape[1::-1]]
    half = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    levels = half.max(axis=2)
    brightest = np.bincount(levels.ravel(), minlength=256) / levels.size
    # The level is found without the brightest thousandth, which may be a lamp.
    top = int(np.searchsorted(brightest.cumsum(), 0.999))
    width = max(2, round(top * _PILE / 255))
    return min(float(brightest[max(0, top - width) :].sum()), 1.0)


def _noise(gray: NDArray[np.uint8]) -> float:
    """Deviation of the noise in the flattest parts, in grey levels.

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
