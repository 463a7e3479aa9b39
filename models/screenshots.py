"""Screenshots told from photos, by their pixels and a little metadata.

A screen is drawn: areas of exactly one colour, several of them, and long
straight lines along the axes. A camera adds noise and shading to all three. A
page that was scanned is drawn too, but on one sheet of one colour. Five shares of
the picture measure this, and a logistic regression joins them.
"""

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.areas import area_sums
from models.compiled import compiled

# Part of the fingerprint of what decided: raise it with any change of a score.
VERSION: Final = 2

# Logos, icons and thumbnails are flat too; no screen has been so small since
# the phones of 2007 (iPhone: 320 x 480).
_SMALLEST_SIDE_PX: Final = 200
# What is left inside a plain margin must hold a few lines and letters.
_SMALLEST_CONTENT_PX: Final = 24

# Levels within which a row or column is all margin: JPEG ripples that much.
_MARGIN_RANGE: Final = 8
# A 3 x 3 neighbourhood is of one colour within this range: JPEG at quality 60 and
# the averaging to the working image leave a drawn area within it.
_ONE_COLOUR_RANGE: Final = 1
# And from this range on it has texture.
_TEXTURE_RANGE: Final = 4
# Black and white as sensors clip them: flat in photos too.
_BLACK_LEVEL: Final = 6
_WHITE_LEVEL: Final = 252
# Black counts up to so many times the tints: a dark theme has some, a night none.
_MOST_BLACK: Final = 2.0
# Themes use about so many area colours; a gradient uses hundreds.
_PALETTE_COLOURS: Final = 8
# Enough colour in flat areas to be no clipped sky, no night and no white page.
_ENOUGH_TINT_SHARE: Final = 0.1
# The same of all but the commonest: a grey or yellow page has none.
_ENOUGH_OTHER_TINTS_SHARE: Final = 0.04
# A step between two neighbours, and the run of steps that makes a line.
_LINE_STEP: Final = 12
_LINE_LENGTH_PX: Final = 16
# Lists and dialogs have about this many; tiles and facades have more, and must
# not make up with it for colours that no screen would have.
_ENOUGH_LINES_SHARE: Final = 0.2
# Letters do not fill tiles of this side; photos do, and so does small print.
_TILE_PX: Final = 32
_FULL_TILE_SHARE: Final = 0.8

# Logistic regression of `models.train_screenshots`; `piccl train-screenshots`
# prints these three.
WEIGHTS: Final = (7.3, 1.81, 1.04, 1.64, -6.35)
INTERCEPT: Final = -4.39
DEFAULT_THRESHOLD: Final = 0.75

# 24 bits fold into 16 by wrapping: a table of all colours would cost more than
# everything else. Two of a screen's colours seldom share a place, and then count
# as one. The factors are prime, so that greys spread as well.
_GREEN_STEP: Final = 137
_BLUE_STEP: Final = 9973
_LIGHTER_STEP: Final = 1 + _GREEN_STEP + _BLUE_STEP


def screenshot_probability(
    rgb: NDArray[np.uint8],
    *,
    width: int,
    height: int,
    image_format: str,
    by_camera: bool,
) -> float:
    """Judge whether a picture was taken of a screen's content by its device.

    The shares see no picture's shape or size, so that crops and copies sent by
    messengers are found as well.

    Args:
        rgb: uint8, (H, W, 3), RGB, 0 to 255: the working image, its longer side
            at most 512 px, averaged and never enlarged.
        width: Of the upright picture at full size, in pixels.
        height: The same.
        image_format: As in `models.images.FORMATS`.
        by_camera: The EXIF names a camera or an exposure.

    Returns:
        Probability from 0 to 1; to be compared with `DEFAULT_THRESHOLD`. 0.0
        for what a camera made, for TIFF, which scanners write and screens do
        not, and for pictures too small or too empty to be judged.

    Raises:
        ValueError: `rgb` is not (H, W, 3).
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3), got {rgb.shape}")
    if is_cleared(width, height, image_format, by_camera):
        return 0.0
    features = screen_features(rgb)
    return 0.0 if features is None else logistic(features, WEIGHTS, INTERCEPT)


def is_cleared(width: int, height: int, image_format: str, by_camera: bool) -> bool:
    """Whether a picture can be no screenshot, whatever it shows; see there."""
    return by_camera or image_format == "TIFF" or min(width, height) < _SMALLEST_SIDE_PX


def logistic(
    features: Sequence[float], weights: Sequence[float], intercept: float
) -> float:
    """The probability that a weighted sum of features stands for."""
    logit = intercept + math.fsum(
        weight * feature for weight, feature in zip(weights, features, strict=True)
    )
    return 1 / (1 + math.exp(-logit))


def screen_features(
    rgb: NDArray[np.uint8],
) -> tuple[float, float, float, float, float] | None:
    """Measure how drawn a picture looks, without its margins.

    Args:
        rgb: uint8, (H, W, 3), RGB.

    Returns:
        Five shares from 0 to 1: pixels in the eight commonest colours of flat
        areas; the same without black and white, as a share of what is enough; the
        same without the commonest of these; edges that belong to upright or level
        lines, likewise; tiles that are textured all over. None if hardly anything
        is left inside the margins.
    """
    rgb = _without_margins(rgb)
    if min(rgb.shape[:2]) < _SMALLEST_CONTENT_PX:
        return None
    ranges = _ranges(rgb)
    palette, tint, other_tints = _palette_shares(rgb, ranges)
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    return (
        palette,
        min(1.0, tint / _ENOUGH_TINT_SHARE),
        min(1.0, other_tints / _ENOUGH_OTHER_TINTS_SHARE),
        min(1.0, _lines_share(gray) / _ENOUGH_LINES_SHARE),
        _textured_tiles_share(ranges),
    )


def _without_margins(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut off plain rows and columns at the rim, all of it if nothing remains.

    Frames and letterbox bars are drawn, whatever they surround: a photo with a
    white frame is judged by what the frame holds.
    """
    # Along the rows first. Most pictures have no margin, and then four lines are
    # looked at; a maximum of them all takes longer than all other measures.
    for _ in range(2):
        first, last = 0, len(rgb)
        while first < last and _is_plain(rgb[first]):
            first += 1
        while first < last and _is_plain(rgb[last - 1]):
            last -= 1
        if first == last:
            return rgb[:0, :0]
        rgb = rgb[first:last].transpose(1, 0, 2)
    return np.ascontiguousarray(rgb)


@compiled
def _is_plain(line: NDArray[np.uint8]) -> bool:
    for channel in range(3):
        darkest = brightest = line[0, channel]
        for n in range(1, len(line)):
            darkest = min(darkest, line[n, channel])
            brightest = max(brightest, line[n, channel])
            if brightest - darkest > _MARGIN_RANGE:
                return False
    return True


@compiled
def _ranges(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest range of a channel in each 3 x 3 neighbourhood, (H, W)."""
    height, width = rgb.shape[:2]
    ranges = np.empty((height, width), np.uint8)
    lines = rgb.reshape(height, 3 * width)
    # Of three lines below each other; a pixel more at both ends repeats the rim.
    darkest = np.empty(3 * width + 6, np.uint8)
    brightest = np.empty(3 * width + 6, np.uint8)
    each = np.empty(3 * width, np.uint8)
    for y in range(height):
        above, line, below = (
            lines[max(y - 1, 0)],
            lines[y],
            lines[min(y + 1, height - 1)],
        )
        dark, bright = darkest[3:-3], brightest[3:-3]
        for i in range(3 * width):
            dark[i] = min(min(above[i], line[i]), below[i])
            bright[i] = max(max(above[i], line[i]), below[i])
        darkest[:3], darkest[-3:] = dark[:3], dark[-3:]
        brightest[:3], brightest[-3:] = bright[:3], bright[-3:]
        dark_right, bright_right = darkest[6:], brightest[6:]
        for i in range(3 * width):
            low = min(min(darkest[i], dark[i]), dark_right[i])
            high = max(max(brightest[i], bright[i]), bright_right[i])
            each[i] = high - low
        for x in range(width):
            ranges[y, x] = max(max(each[3 * x], each[3 * x + 1]), each[3 * x + 2])
    return ranges


def _palette_shares(
    rgb: NDArray[np.uint8], ranges: NDArray[np.uint8]
) -> tuple[float, float, float]:
    """Share of pixels in the commonest flat colours.

    Returns:
        Of all colours, with no more black than counts; of all but black and white;
        and of these without the commonest.
    """
    peaks, pixels = _peaks(rgb, ranges)
    tints, white, black = (float(counts.sum() / pixels) for counts in peaks)
    clipped = white + min(black, _MOST_BLACK * tints)
    return tints + clipped, tints, float(peaks[0, 1:].sum() / pixels)


@compiled
def _peaks(
    rgb: NDArray[np.uint8], ranges: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], int]:
    """How far the commonest colours exceed the next lighter and the next darker.

    A screen uses one level; paper, sky and walls use several beside each other.

    Returns:
        int64, (3, _PALETTE_COLOURS): of tints, of white and of black, each the
        commonest first, in pixels; and the number of pixels that were looked at.
    """
    height, width = ranges.shape
    counts = np.zeros((3, 1 << 16), np.int32)
    seen = np.empty(((height + 1) // 2 * ((width + 1) // 2), 2), np.int32)
    found = 0
    # Every second row and column tells as much of large areas.
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            if ranges[y, x] > _ONE_COLOUR_RANGE:
                continue
            red, green, blue = rgb[y, x]
            kind = 0
            if max(red, green, blue) <= _BLACK_LEVEL:
                kind = 2
            elif min(red, green, blue) >= _WHITE_LEVEL:
                kind = 1
            folded = (red + _GREEN_STEP * green + _BLUE_STEP * blue) & 0xFFFF
            if counts[kind, folded] == 0:
                seen[found] = kind, folded
                found += 1
            counts[kind, folded] += 1
    peaks = np.zeros((3, _PALETTE_COLOURS), np.int64)
    for kind, folded in seen[:found]:
        lighter = counts[kind, (folded + _LIGHTER_STEP) & 0xFFFF]
        darker = counts[kind, (folded - _LIGHTER_STEP) & 0xFFFF]
        excess = counts[kind, folded] - max(lighter, darker)
        for place in range(_PALETTE_COLOURS):
            if excess > peaks[kind, place]:
                excess, peaks[kind, place] = peaks[kind, place], excess
    return peaks, len(seen)


def _lines_share(gray: NDArray[np.uint8]) -> float:
    upright, beside = _in_lines(gray)
    level, below = _in_lines(np.asarray(cv2.transpose(gray), np.uint8))
    return (upright + level) / max(1, beside + below)


@compiled
def _in_lines(gray: NDArray[np.uint8]) -> tuple[int, int]:
    """Count the steps between neighbours in a row that make upright lines, and all.

    Lines are what a morphological opening leaves. OpenCV takes what is beyond the
    rim for steps, so half a line is enough there, and moves lines down by a pixel.
    """
    height, width = gray.shape[0], gray.shape[1] - 1
    half = _LINE_LENGTH_PX // 2
    step = np.empty(width, np.uint8)
    steps = np.zeros(width, np.uint16)
    run = np.full(width, half, np.uint16)
    lines = np.zeros(width, np.uint16)
    for y in range(height + half - 1):
        if y < height:
            left, right = gray[y, :-1], gray[y, 1:]
            for x in range(width):
                apart = max(left[x], right[x]) - min(left[x], right[x])
                step[x] = apart > _LINE_STEP
            for x in range(width):
                steps[x] += step[x]
        else:
            step[:] = 1
        for x in range(width):
            run[x] = run[x] + 1 if step[x] else 0
            lines[x] += (run[x] >= _LINE_LENGTH_PX) + (_LINE_LENGTH_PX - 1) * (
                run[x] == _LINE_LENGTH_PX
            )
        # What was counted of a line beyond the rim, as of here and as of the end.
        if y == half - 1:
            for x in range(width):
                lines[x] -= (half - 1) * (run[x] == _LINE_LENGTH_PX)
    for x in range(width):
        lines[x] -= half * (run[x] >= _LINE_LENGTH_PX)
    return int(lines.sum()), int(steps.sum())


def _textured_tiles_share(ranges: NDArray[np.uint8]) -> float:
    height, width = ranges.shape
    textured = (ranges >= _TEXTURE_RANGE).view(np.uint8)[:, :, np.newaxis]
    rows, columns = max(1, height // _TILE_PX), max(1, width // _TILE_PX)
    sums = area_sums(textured, rows, columns)
    return float(np.mean(sums > _FULL_TILE_SHARE * ranges.size))
