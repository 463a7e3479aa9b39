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

_NEIGHBOURS: Final = np.ones((3, 3), np.uint8)
_UPRIGHT_LINE: Final = np.ones((_LINE_LENGTH_PX, 1), np.uint8)
_LEVEL_LINE: Final = np.ones((1, _LINE_LENGTH_PX), np.uint8)
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
    # Channel by channel: numpy is slow along an axis of three.
    red, green, blue = cv2.split(cv2.morphologyEx(rgb, cv2.MORPH_GRADIENT, _NEIGHBOURS))
    ranges = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    # Every second row and column tells as much of large areas.
    palette, tint, other_tints = _palette_shares(
        rgb[::2, ::2], ranges[::2, ::2] <= _ONE_COLOUR_RANGE
    )
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


def _is_plain(line: NDArray[np.uint8]) -> bool:
    return bool((line.max(axis=0) - line.min(axis=0)).max() <= _MARGIN_RANGE)


def _palette_shares(
    rgb: NDArray[np.uint8], flat: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Share of pixels in the commonest flat colours.

    Returns:
        Of all colours, with no more black than counts; of all but black and white;
        and of these without the commonest.
    """
    red, green, blue = cv2.split(rgb)
    brightest = cv2.max(cv2.max(red, green), blue)
    darkest = cv2.min(cv2.min(red, green), blue)
    folded = red + np.uint16(_GREEN_STEP) * green + np.uint16(_BLUE_STEP) * blue
    # One table for pixels not flat, tinted, white and black: a masked count for
    # each takes three times as long.
    kind = flat * np.where(
        brightest <= _BLACK_LEVEL, 3, np.where(darkest >= _WHITE_LEVEL, 2, 1)
    )
    table = np.bincount((folded + (kind << 16)).ravel(), minlength=4 << 16)
    tints, white, black = (_peaks(counts) for counts in table.reshape(4, -1)[1:])
    tinted = float(tints.sum() / flat.size)
    clipped = float(white.sum() / flat.size) + min(
        float(black.sum() / flat.size), _MOST_BLACK * tinted
    )
    return tinted + clipped, tinted, float(tints[:-1].sum() / flat.size)


def _peaks(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How far the commonest colours exceed the next lighter and the next darker.

    A screen uses one level; paper, sky and walls use several beside each other.
    """
    lighter, darker = np.roll(counts, -_LIGHTER_STEP), np.roll(counts, _LIGHTER_STEP)
    excess = counts - np.maximum(lighter, darker)
    # Sorted, not partitioned: many equal counts make that thirty times slower
    # (numpy 2.4).
    return np.sort(excess[excess > 0])[-_PALETTE_COLOURS:]


def _lines_share(gray: NDArray[np.uint8]) -> float:
    beside = (cv2.absdiff(gray[:, 1:], gray[:, :-1]) > _LINE_STEP).view(np.uint8)
    below = (cv2.absdiff(gray[1:], gray[:-1]) > _LINE_STEP).view(np.uint8)
    upright = cv2.morphologyEx(beside, cv2.MORPH_OPEN, _UPRIGHT_LINE)
    level = cv2.morphologyEx(below, cv2.MORPH_OPEN, _LEVEL_LINE)
    steps = cv2.countNonZero(beside) + cv2.countNonZero(below)
    return (cv2.countNonZero(upright) + cv2.countNonZero(level)) / max(1, steps)


def _textured_tiles_share(ranges: NDArray[np.uint8]) -> float:
    height, width = ranges.shape
    textured = (ranges >= _TEXTURE_RANGE).astype(np.float32)
    tiles = cv2.resize(
        textured,
        (max(1, width // _TILE_PX), max(1, height // _TILE_PX)),
        interpolation=cv2.INTER_AREA,
    )
    return float(np.mean(tiles > _FULL_TILE_SHARE))
