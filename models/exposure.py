"""How well a photo is exposed, to choose among shots of one scene."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

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

# Immerkaer's response has six times the deviation of the pixels; the deviation is
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
    rgb = np.ascontiguousarray(rgb)
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    # At half size, as noise and compression would hide what is lost.
    lost, brightest = _lost(_halved(rgb))
    light = min(brightest / _ENOUGH_LIGHT, 1.0)
    noise = min(max(_noise(gray) - _USUAL_NOISE, 0.0) / _NOISE_UNIT, 1.0)
    told = (1 - lost) ** _LOST_POWER * (1 - _MOST_FLAT * _flat(gray)) ** _FLAT_POWER
    return round(float(told * light * 2**-noise), 4)


@compiled
def _lost(rgb: NDArray[np.uint8]) -> tuple[float, float]:
    """Share of pixels at the photo's brightest level or near it, and that level.

    Both are 0 to 1. The level is the photo's own, as darkening an overexposed photo
    brings nothing back.
    """
    # How many pixels have which level in their brightest channel.
    counts = np.zeros(256, np.int64)
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            counts[max(rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2])] += 1
    pixels = rgb.shape[0] * rgb.shape[1]
    top, reached = 0, counts[0]
    while reached / pixels < 1 - _LAMPS:
        top += 1
        reached += counts[top]
    top = max(top, 1)
    lost = 0.0
    for level in range(256):
        nearness = (level / top - _LOST_FROM) / (1 - _LOST_FROM)
        lost += counts[level] * min(max(nearness, 0.0), 1.0)
    return lost / pixels, top / 255


@compiled
def _flat(gray: NDArray[np.uint8]) -> float:
    """Share of pixels that equal all their neighbours, 0 to 1."""
    height, width = gray.shape
    low, high = np.empty(width + 2, np.uint8), np.empty(width + 2, np.uint8)
    flat = np.empty(width, np.uint8)
    pixels = 0
    for y in range(height):
        above, here, below = gray[max(y - 1, 0)], gray[y], gray[min(y + 1, height - 1)]
        for x in range(width):
            low[x + 1] = min(above[x], here[x], below[x])
        for x in range(width):
            high[x + 1] = max(above[x], here[x], below[x])
        low[0], high[0], low[-1], high[-1] = low[1], high[1], low[-2], high[-2]
        for x in range(width):
            least = min(low[x], low[x + 1], low[x + 2])
            flat[x] = least == max(high[x], high[x + 1], high[x + 2])
        pixels += flat.sum()
    return pixels / gray.size


def _noise(gray: NDArray[np.uint8]) -> float:
    """Deviation of the noise of single pixels, in grey levels.

    Halving a photo halves such noise, and leaves texture as it is: leaves and
    gravel are no noise.
    """
    fine, coarse = _roughness(gray), _roughness(_halved(gray))
    # Of noise, the coarse one has a quarter of the variance.
    return float(np.sqrt(max(fine**2 - coarse**2, 0.0) * 4 / 3))


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average pixels, (H, W) or (H, W, 3), C-contiguous, to half of the size."""
    height, width = pixels.shape[:2]
    if min(height, width) > 1 and (height % 2 or width % 2):
        # As OpenCV does, which takes four times as long at such sizes.
        half = _halved_odd(pixels.reshape(height, -1), pixels.size // (height * width))
        return half.reshape(height // 2, width // 2, *pixels.shape[2:])
    size = max(1, width // 2), max(1, height // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@compiled
def _halved_odd(lines: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Halve a photo of an odd side: (H, W * C) -> (H // 2, W // 2 * C).

    Of two pixels and one more a row or a column, the outer ones count in part.

    Args:
        lines: uint8, (H, W * C), C-contiguous, of at least two by two pixels.
        channels: C, 1 or 3.
    """
    height, width = lines.shape[0], lines.shape[1] // channels
    rows, columns = height // 2, width // 2
    half = np.empty((rows, columns * channels), np.uint8)
    # Averages from each pixel on: every second one is wanted, but all of a line
    # take a fraction of the time.
    line = np.zeros(lines.shape[1] + 2 * channels)
    following, last = line[channels:], line[2 * channels :]
    first_weight = np.full(lines.shape[1], float(columns))
    last_weight = np.zeros(lines.shape[1])
    if width % 2:
        for i in range(lines.shape[1]):
            first_weight[i] = columns - i // channels // 2
            last_weight[i] = i // channels // 2 + 1
    average = np.empty(lines.shape[1], np.uint8)
    pixels = np.float64(height * width)
    for row in range(rows):
        a, b = lines[2 * row], lines[2 * row + 1]
        c = lines[min(2 * row + 2, height - 1)]
        top, bottom = (rows - row, row + 1) if height % 2 else (rows, 0)
        for i in range(lines.shape[1]):
            line[i] = np.int32(top * a[i] + rows * b[i] + bottom * c[i])
        for i in range(lines.shape[1]):
            outer = first_weight[i] * line[i] + last_weight[i] * last[i]
            total = outer + columns * following[i]
            average[i] = np.int32(np.rint(total / pixels))
        # Steps known to the compiler take a third of the time.
        if channels == 1:
            for x in range(columns):
                half[row, x] = average[2 * x]
        else:
            for x in range(columns):
                half[row, 3 * x] = average[6 * x]
                half[row, 3 * x + 1] = average[6 * x + 1]
                half[row, 3 * x + 2] = average[6 * x + 2]
    return half


def _roughness(gray: NDArray[np.uint8]) -> float:
    """Deviation of noise and texture in the flattest parts, in grey levels.

    Source: Immerkaer, Computer Vision and Image Understanding 64, 1996.
    """
    if min(gray.shape) < _TILE_PX + 2:
        return 0.0
    return float(_flattest(_tile_sums(gray)) * _TO_DEVIATION)


@compiled
def _flattest(sums: NDArray[np.int64]) -> float:
    """Response a pixel that a tenth of the tiles, `_tile_sums`, does not exceed."""
    responses, levels = sums[0] / _TILE_PX**2, sums[1] / _TILE_PX**2
    told = (levels > _BLACK) & (levels < _WHITE)
    if told.sum() >= _FEWEST_TILES:
        responses = responses[told]
    responses = np.sort(responses)
    rank = _FLATTEST_PERCENT / 100 * (responses.size - 1)
    below = int(rank)
    above = min(below + 1, responses.size - 1)
    step = responses[above] - responses[below]
    return float(responses[below] + (rank - below) * step)


@compiled
def _tile_sums(gray: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums over each tile of Immerkaer's response, without sign, and levels, (2, T).

    The response is second differences across of second differences down, which see
    noise and little else.
    """
    # Without the edge, where there are no neighbours.
    rows, columns = (gray.shape[0] - 2) // _TILE_PX, (gray.shape[1] - 2) // _TILE_PX
    sums = np.zeros((2, rows * columns), np.int64)
    down = np.empty(gray.shape[1], np.int16)
    response = np.empty(columns * _TILE_PX, np.uint32)
    level = np.empty(columns * _TILE_PX, np.uint32)
    for row in range(rows):
        response[:], level[:] = 0, 0
        for y in range(row * _TILE_PX, (row + 1) * _TILE_PX):
            above, here, below = gray[y], gray[y + 1], gray[y + 2]
            for x in range(down.size):
                down[x] = above[x] - 2 * here[x] + below[x]
            for x in range(response.size):
                # In 16 bits, which hold it, twice as many fit a register.
                response[x] += abs(np.int16(down[x] - 2 * down[x + 1] + down[x + 2]))
                level[x] += here[x + 1]
        for x in range(response.size):
            tile = row * columns + x // _TILE_PX
            sums[0, tile] += response[x]
            sums[1, tile] += level[x]
    return sums
