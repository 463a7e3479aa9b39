"""Screenshots told from photos, by their pixels and a little metadata.

A screen is drawn: areas of exactly one colour, edges that stand between two
such areas, and long straight lines along the axes. A camera adds noise and
shading to all three. Four shares of the picture measure this, and a logistic
regression joins them.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Part of the fingerprint of what decided: raise it with any change of a score.
VERSION: Final = 1

# Screenshots from this probability on. A wrong call on a photo is far worse than
# a missed screenshot. Out of fold (see `_WEIGHTS`) 0.5, 0.6 and 0.7 all find 66
# of 67; of the altered photos 1.0, 0.6 and 0.3 % are called screenshots, of the
# altered screenshots 96, 95 and 93 % are found.
DEFAULT_THRESHOLD: Final = 0.7

# Logos, icons and thumbnails are flat too; no screen has been so small since
# the phones of 2007 (iPhone: 320 x 480).
_SMALLEST_SIDE_PX: Final = 200
# What is left inside a plain margin must hold a few lines and letters.
_SMALLEST_CONTENT_PX: Final = 24

# Levels within which a row or column is all margin: JPEG ripples that much.
_MARGIN_RANGE: Final = 8
# A 3 x 3 neighbourhood is flat within this range. JPEG at quality 60 and the
# averaging to the working image leave a drawn area within it.
_FLAT_RANGE: Final = 2
# Where colours are counted it is one colour or its next neighbour.
_ONE_COLOUR_RANGE: Final = 1
# A 3 x 3 neighbourhood with this range holds an edge: text and outlines have
# it after shrinking, shading and noise do not.
_EDGE_RANGE: Final = 48
# An edge is drawn if something flat lies within this distance.
_EDGE_REACH_PX: Final = 4
# Pictures with hardly an edge (night) must not be judged by these few.
_FEW_EDGES_SHARE: Final = 0.02
# Black and white as sensors clip them: flat in photos too.
_BLACK_LEVEL: Final = 6
_WHITE_LEVEL: Final = 252
# Themes use about so many area colours; a gradient uses hundreds.
_PALETTE_COLOURS: Final = 8
# Enough colour in flat areas to be no clipped sky, no night and no white page.
_ENOUGH_TINT_SHARE: Final = 0.1
# A step between two neighbours, and the run of steps that makes a line.
_LINE_STEP: Final = 12
_LINE_LENGTH_PX: Final = 16
# Lists and dialogs have about this many; tiles and facades have more, and must
# not make up with it for colours that no screen would have.
_ENOUGH_LINES_SHARE: Final = 0.2

# Logistic regression (scikit-learn 1.9, L2 with C = 1 on standardised features,
# the coefficients then brought back to the features' own scale), fitted on
# 67 screenshots of 21 projects, each also as JPEG 60 and 80, resized to 0.5 to
# 0.7, cropped by 5 to 15 % and both with JPEG; and on 1,401 photos, a quarter
# of them also small, framed, captioned, letterboxed, blurred, enlarged,
# over-exposed, darkened and as JPEG 25, and on 80 drawn pages. Altered copies
# weigh 0.4, all screenshots together 0.3 of all others. Every figure quoted
# was taken leaving out all pictures of the same source.
_WEIGHTS: Final = (6.81, 15.0, 4.02, 4.44)
_INTERCEPT: Final = -15.6

_NEIGHBOURS: Final = np.ones((3, 3), np.uint8)
_EDGE_REACH: Final = np.ones((2 * _EDGE_REACH_PX + 1,) * 2, np.uint8)
_UPRIGHT_LINE: Final = np.ones((_LINE_LENGTH_PX, 1), np.uint8)
_LEVEL_LINE: Final = np.ones((1, _LINE_LENGTH_PX), np.uint8)


def screenshot_probability(
    rgb: NDArray[np.uint8],
    *,
    width: int,
    height: int,
    image_format: str,
    by_camera: bool,
) -> float:
    """Judge whether a picture was taken of a screen's content by its device.

    The four shares see no picture's shape or size, so that crops and copies
    sent by messengers are found as well.

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
    if by_camera or image_format == "TIFF" or min(width, height) < _SMALLEST_SIDE_PX:
        return 0.0
    content = _without_margins(rgb)
    if min(content.shape[:2]) < _SMALLEST_CONTENT_PX:
        return 0.0
    features = screen_features(content)
    logit = _INTERCEPT + math.fsum(
        weight * feature for weight, feature in zip(_WEIGHTS, features, strict=True)
    )
    return 1 / (1 + math.exp(-logit))


def screen_features(rgb: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Measure how drawn a picture looks.

    Args:
        rgb: uint8, (H, W, 3), RGB, at least 24 px on each side.

    Returns:
        Four shares from 0 to 1: edges beside something flat; pixels in the
        eight commonest colours of flat areas; the same without black and white,
        as a share of what is enough; edges that belong to upright or level
        lines, likewise.
    """
    ranges = _colour_range(rgb)
    palette, tinted = _palette_shares(rgb, ranges)
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    return (
        _drawn_edges_share(ranges),
        palette,
        min(1.0, tinted / _ENOUGH_TINT_SHARE),
        min(1.0, _lines_share(gray) / _ENOUGH_LINES_SHARE),
    )


def _without_margins(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut off plain rows and columns at the rim, all of it if nothing remains.

    Frames and letterbox bars are drawn, whatever they surround: a photo with a
    white frame is judged by what the frame holds.
    """
    for axis in (1, 0):
        highest = cv2.reduce(rgb, axis, cv2.REDUCE_MAX)
        lowest = cv2.reduce(rgb, axis, cv2.REDUCE_MIN)
        ranges = cv2.subtract(highest, lowest).reshape(-1, 3).max(axis=1)
        busy = np.flatnonzero(ranges > _MARGIN_RANGE)
        if not busy.size:
            return rgb[:0, :0]
        kept = slice(int(busy[0]), int(busy[-1]) + 1)
        rgb = np.ascontiguousarray(rgb[kept] if axis == 1 else rgb[:, kept])
    return rgb


def _colour_range(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Largest channel range in each 3 x 3 neighbourhood: uint8, (H, W)."""
    red, green, blue = cv2.split(cv2.morphologyEx(rgb, cv2.MORPH_GRADIENT, _NEIGHBOURS))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _drawn_edges_share(ranges: NDArray[np.uint8]) -> float:
    flat = (ranges <= _FLAT_RANGE).view(np.uint8)
    edges = (ranges > _EDGE_RANGE).view(np.uint8)
    drawn = cv2.countNonZero(cv2.bitwise_and(cv2.dilate(flat, _EDGE_REACH), edges))
    return drawn / (cv2.countNonZero(edges) + _FEW_EDGES_SHARE * ranges.size)


def _palette_shares(
    rgb: NDArray[np.uint8], ranges: NDArray[np.uint8]
) -> tuple[float, float]:
    """Share of pixels in the commonest flat colours: all, and the tinted ones."""
    # Channel by channel: numpy is slow along an axis of three.
    red, green, blue = cv2.split(rgb)
    brightest = cv2.max(cv2.max(red, green), blue)
    darkest = cv2.min(cv2.min(red, green), blue)
    flat = ranges <= _ONE_COLOUR_RANGE
    unclipped = (brightest > _BLACK_LEVEL) & (darkest < _WHITE_LEVEL)
    # 24 bits fold into 16 by wrapping: a table of all colours would cost more
    # than everything else. Two of a screen's colours seldom share a place, and
    # then count as one. The factors are prime, so that greys spread as well.
    folded = red + np.uint16(137) * green + np.uint16(9973) * blue
    # One table for pixels not flat, flat and clipped, flat and tinted: a masked
    # count for each takes three times as long.
    kind = flat.astype(np.uint32) + (flat & unclipped)
    table = np.bincount((folded + (kind << 16)).ravel(), minlength=3 << 16)
    _, clipped, tinted = table.reshape(3, -1)
    return (
        _commonest_sum(clipped + tinted) / ranges.size,
        _commonest_sum(tinted) / ranges.size,
    )


def _commonest_sum(counts: NDArray[np.int64]) -> int:
    # Sorted, not partitioned: many equal counts make that thirty times slower
    # (numpy 2.4).
    return int(np.sort(counts[counts > 0])[-_PALETTE_COLOURS:].sum())


def _lines_share(gray: NDArray[np.uint8]) -> float:
    beside = (cv2.absdiff(gray[:, 1:], gray[:, :-1]) > _LINE_STEP).view(np.uint8)
    below = (cv2.absdiff(gray[1:], gray[:-1]) > _LINE_STEP).view(np.uint8)
    upright = cv2.morphologyEx(beside, cv2.MORPH_OPEN, _UPRIGHT_LINE)
    level = cv2.morphologyEx(below, cv2.MORPH_OPEN, _LEVEL_LINE)
    steps = cv2.countNonZero(beside) + cv2.countNonZero(below)
    return (cv2.countNonZero(upright) + cv2.countNonZero(level)) / max(1, steps)
