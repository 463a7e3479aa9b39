"""What is done to the pixels of a photo: changes that leave it alike, and damage."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
_Floats = NDArray[np.float64]
_Rng = np.random.Generator

# What too much light costs: so many pixels become white.
CLIPPED_SHARE: Final = 0.1
# And too little: a photo that is darker than a quarter of the range on average.
DIM_LUMA: Final = 64
# Luma of a part of a photo in which nothing can be seen.
_BLACK: Final = 10
_WHITE: Final = 245
# More light than that changes nothing any more.
_MOST_STOPS: Final = 16.0
_STOP: Final = 0.25


def plainest_part(rgb: Rgb) -> Rgb:
    """The smoothest third of a photo's height and width, enlarged: a sky, a wall.

    What is white or black all over is left out if there is anything else.
    """
    left, top, _ = _plainest(rgb)
    height, width = (max(1, side // 3) for side in rgb.shape[:2])
    part = rgb[top : top + height, left : left + width]
    size = (2 * width, 2 * height)
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def unevenness(rgb: Rgb) -> float:
    """Deviation of the luma within the plainest part of a photo, grey levels."""
    return _plainest(rgb)[2]


def _plainest(rgb: Rgb) -> tuple[int, int, float]:
    """Left and top of the plainest part, and the deviation of its luma."""
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float64)
    sums, squares = cv2.integral2(gray, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    height, width = (max(1, side // 3) for side in gray.shape)

    def means(table: _Floats) -> _Floats:
        inside = table[height:, width:] - table[:-height, width:]
        inside = inside - table[height:, :-width] + table[:-height, :-width]
        return np.asarray(inside / (height * width))

    mean = means(np.asarray(sums))
    variance = np.maximum(means(np.asarray(squares)) - mean**2, 0)
    seen = (mean > _BLACK) & (mean < _WHITE)
    if seen.any():
        variance[~seen] = np.inf
    top, left = np.unravel_index(int(variance.argmin()), variance.shape)
    return int(left), int(top), float(np.sqrt(variance[top, left]))


def _unchanged(rgb: Rgb, rng: _Rng) -> Rgb:
    return rgb


def _scaled(rgb: Rgb, scale: float) -> Rgb:
    # Nothing shrinks to nothing.
    size = [max(8, round(side * scale)) for side in rgb.shape[1::-1]]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _resized(rgb: Rgb, rng: _Rng) -> Rgb:
    return _scaled(rgb, rng.uniform(0.4, 0.8))


def _cropped(rgb: Rgb, rng: _Rng) -> Rgb:
    """Up to 8 % less at each side."""
    height, width = rgb.shape[:2]
    top, bottom = (rng.uniform(0, 0.08, 2) * height).astype(int)
    left, right = (rng.uniform(0, 0.08, 2) * width).astype(int)
    return rgb[top : height - bottom, left : width - right]


def _turned(rgb: Rgb, angle_deg: float, scale: float, move: _Floats, edge: int) -> Rgb:
    height, width = rgb.shape[:2]
    middle = width / 2, height / 2
    turn = np.asarray(cv2.getRotationMatrix2D(middle, angle_deg, scale), np.float64)
    turn[:, 2] += move * (width, height)
    size = (width, height)
    turned = cv2.warpAffine(rgb, turn, size, flags=cv2.INTER_CUBIC, borderMode=edge)
    return np.asarray(turned, np.uint8)


def _angle(rng: _Rng) -> float:
    return float(rng.uniform(1, 5) * rng.choice([-1, 1]))


def _rotated(rgb: Rgb, rng: _Rng) -> Rgb:
    """Straightened: turned, and enlarged until no corner is empty."""
    angle = _angle(rng)
    height, width = rgb.shape[:2]
    sine, cosine = np.sin(np.radians(abs(angle))), np.cos(np.radians(angle))
    scale = cosine + sine * max(width / height, height / width)
    return _turned(rgb, angle, float(scale), np.zeros(2), cv2.BORDER_REFLECT)


def _rotated_black(rgb: Rgb, rng: _Rng) -> Rgb:
    return _turned(rgb, _angle(rng), 1.0, np.zeros(2), cv2.BORDER_CONSTANT)


def _lit(rgb: Rgb, factor: float) -> Rgb:
    return np.clip(rgb * factor, 0, 255).astype(np.uint8)


def _brighter(rgb: Rgb, rng: _Rng) -> Rgb:
    return _lit(rgb, rng.uniform(1.15, 1.5))


def _darker(rgb: Rgb, rng: _Rng) -> Rgb:
    return _lit(rgb, rng.uniform(0.5, 0.85))


def _reshot(rgb: Rgb, rng: _Rng) -> Rgb:
    """As a hand takes it a moment later: turned, nearer, aside, lighter, noisier."""
    move = rng.normal(0, 0.03, 2)
    scale = float(1.08 * np.exp(rng.normal(0, 0.04)))
    again = _turned(rgb, float(rng.normal(0, 2)), scale, move, cv2.BORDER_REFLECT)
    noise = rng.normal(0, 4, rgb.shape)
    return np.clip(again * np.exp(rng.normal(0, 0.15)) + noise, 0, 255).astype(np.uint8)


def _blurred(rgb: Rgb, rng: _Rng) -> Rgb:
    sigma_px = rng.uniform(0.003, 0.008) * max(rgb.shape)
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma_px), np.uint8)


def _shaken(rgb: Rgb, rng: _Rng) -> Rgb:
    """A straight smear of 1 to 4 % of the longer side."""
    length_px = max(3, round(rng.uniform(0.01, 0.04) * max(rgb.shape)))
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[length_px // 2] = 1
    centre = (length_px - 1) / 2
    turn = cv2.getRotationMatrix2D((centre, centre), rng.uniform(0, 180), 1.0)
    line = cv2.warpAffine(kernel, turn, (length_px, length_px))
    return np.asarray(cv2.filter2D(rgb, -1, line / line.sum()), np.uint8)


def _exposed(rgb: Rgb, stops: float) -> Rgb:
    """With that much more light; what is stored is about its 2.2nd root."""
    return _lit(rgb, 2 ** (stops / 2.2))


def _under_exposed(rgb: Rgb, rng: _Rng) -> Rgb:
    """1.5 to 3.5 stops less light, and less until it is worse than the original.

    A bright photo can take that: its copy is darker than `DIM_LUMA` on average, and
    at least as far below the middle as the original is above.
    """
    most = min(DIM_LUMA, 255 - _luma(rgb))
    return _until(rgb, -rng.uniform(1.5, 3.5), lambda seen, copy: _luma(copy) <= most)


def _over_exposed(rgb: Rgb, rng: _Rng) -> Rgb:
    """1 to 2.5 stops more light, and more until it is worse than the original.

    A dim photo may only gain by more light: `CLIPPED_SHARE` of all pixels, or all
    that were not, turn white, and the copy is at least as far above the middle on
    average as the original is below.
    """
    least = 255 - _luma(rgb)

    def worse(seen: Rgb, copy: Rgb) -> bool:
        white = _white(copy)
        lost = white == 1 or white - _white(seen) >= CLIPPED_SHARE
        return lost and _luma(copy) >= least

    return _until(rgb, rng.uniform(1, 2.5), worse)


def _until(rgb: Rgb, stops: float, worse: Callable[[Rgb, Rgb], bool]) -> Rgb:
    """Expose by so many stops, and on until the copy is worse; black stays black."""
    # A part of the pixels tells as much.
    seen = rgb[::4, ::4]
    step = float(np.copysign(_STOP, stops))
    while abs(stops) < _MOST_STOPS and not worse(seen, _exposed(seen, stops)):
        stops += step
    return _exposed(rgb, stops)


def _luma(rgb: Rgb) -> float:
    return float(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).mean())


def _white(rgb: Rgb) -> float:
    """Share of pixels that are clipped in all three channels."""
    return float((rgb.min(axis=2) == 255).mean())


def _noisy(rgb: Rgb, rng: _Rng) -> Rgb:
    noise = rng.normal(0, rng.uniform(12, 30), rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def _half_size(rgb: Rgb, rng: _Rng) -> Rgb:
    return _scaled(rgb, 0.5)


Make = Callable[[Rgb, _Rng], Rgb]

ALIKE: Final[dict[str, Make]] = {
    "recompressed": _unchanged,
    "resized": _resized,
    "cropped": _cropped,
    "rotated": _rotated,
    "rotated, black corners": _rotated_black,
    "brighter": _brighter,
    "darker": _darker,
    "reshot": _reshot,
}
DEGRADED: Final[dict[str, Make]] = {
    "blurred": _blurred,
    "shaken": _shaken,
    "under-exposed": _under_exposed,
    "over-exposed": _over_exposed,
    "noisy": _noisy,
    "quality 20": _unchanged,
    "half size": _half_size,
}
