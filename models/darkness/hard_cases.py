"""Hard cases made from photos, to judge what has learned from other photos.

Uint8, (H, W, 3), RGB, in and out. They are made otherwise than the variants of
training (`variants.py`): on the photo instead of its 64 × 64 points, with sRGB's own
curve, a sensor's noise and JPEG, so that knowing how those are made helps little.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Floats = NDArray[np.floating]
Maker = Callable[[Photo, np.random.Generator], Photo]

# Large enough that a network's point is the mean of many, small enough to make
# thousands of them.
_LONG_SIDE_PX: Final = 256
# What the pixel of a small phone sensor holds, and its read noise, in electrons.
_FULL_WELL: Final = 5000
_READ_NOISE: Final = 3
_JPEG_QUALITY: Final = 85


def shrink(rgb: Photo) -> Photo:
    """Scale to 256 pixels at the longest side, never up."""
    scale = _LONG_SIDE_PX / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    resized = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def recompress(rgb: Photo, quality: int = _JPEG_QUALITY) -> Photo:
    """Store as JPEG and read again."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, stored = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR_RGB)
    return np.asarray(decoded, np.uint8)


def under_exposed(stops: float) -> Maker:
    """Make a photo of so many stops too little light."""
    return lambda rgb, rng: _develop(_light(rgb) * 2**-stops, rng)


def one_lamp(rgb: Photo, rng: np.random.Generator) -> Photo:
    """Six stops under, and one lamp with its halo: it lifts every high percentile."""
    y, x = _from_centre(rgb, rng.uniform(0.1, 0.9, 2))
    distance = np.hypot(y, x) / rng.uniform(0.01, 0.05)
    # A disc that is clipped, and a halo that falls as the square of the distance.
    lamp = np.where(distance < 1, 1.0, 0.05 / np.maximum(distance, 1) ** 2)
    colour = rng.uniform((0.9, 0.7, 0.4), 1.0)
    return _develop(_light(rgb) * 2**-6 + lamp[..., np.newaxis] * colour, rng)


def dark_snow(rgb: Photo, rng: np.random.Generator) -> Photo:
    """Snow six stops under: nearly all of it is one gray, nothing of it black."""
    gray = _light(rgb).mean(axis=2, keepdims=True)
    return _develop((0.55 + 0.4 * gray) * 2**-6, rng)


def lit_subject(rgb: Photo, rng: np.random.Generator) -> Photo:
    """A subject in a spot's light before black: stage, portrait, window at night."""
    y, x = _from_centre(rgb, rng.uniform(0.3, 0.7, 2))
    ry, rx = rng.uniform(0.08, 0.35, 2)
    outside = np.clip((np.hypot(y / ry, x / rx) - 0.8) / 0.6, 0, 1)
    stops = rng.uniform(0, 2) + 8 * outside[..., np.newaxis]
    return _develop(_light(rgb) * 2**-stops, rng)


def night_lights(rgb: Photo, rng: np.random.Generator) -> Photo:
    """A town seven stops down, and its lights: too few points to lift a percentile."""
    light = _light(rgb) * 2**-7
    for _ in range(rng.integers(12, 40)):
        y, x = _from_centre(rgb, rng.uniform((0.3, 0), (0.9, 1)))
        lamp = np.hypot(y, x) < rng.uniform(0.004, 0.012)
        colour = rng.uniform((0.9, 0.6, 0.2), 1.0) * rng.uniform(0.2, 1)
        light = np.maximum(light, lamp[..., np.newaxis] * colour)
    return _develop(light, rng)


def silhouette(rgb: Photo, rng: np.random.Generator) -> Photo:
    """The upper part as it is, below a skyline seven stops less."""
    below = _below_skyline(rgb, rng)
    return _develop(_light(rgb) * np.where(below, 2**-7, 1.0), rng)


def sunset(rgb: Photo, rng: np.random.Generator) -> Photo:
    """The photo as black land before an evening's sky."""
    y, _ = _from_centre(rgb, np.zeros(2))
    high, low = np.array([0.03, 0.03, 0.12]), np.array([0.9, 0.35, 0.08])
    height = np.clip(y / 0.7, 0, 1)[..., np.newaxis] ** rng.uniform(1, 2)
    sky = (high + (low - high) * height) * rng.uniform(0.1, 1)
    land = _light(rgb) * 2**-7
    return _develop(np.where(_below_skyline(rgb, rng), land, sky), rng)


def cropped(rgb: Photo, rng: np.random.Generator) -> Photo:
    """Four fifths of each side, from anywhere."""
    height, width = (max(1, side * 4 // 5) for side in rgb.shape[:2])
    top = int(rng.integers(0, rgb.shape[0] - height + 1))
    left = int(rng.integers(0, rgb.shape[1] - width + 1))
    return rgb[top : top + height, left : left + width]


def _photographed(maker: Maker) -> Maker:
    return lambda rgb, rng: recompress(maker(shrink(rgb), rng))


# From bright photos: what shall be found, and what must not be.
TOO_DARK: Final[dict[str, Maker]] = {
    "5 stops under-exposed": _photographed(under_exposed(5)),
    "7 stops under-exposed": _photographed(under_exposed(7)),
    "one lamp": _photographed(one_lamp),
    "under-exposed snow": _photographed(dark_snow),
}
MEANT: Final[dict[str, Maker]] = {
    "lit subject before black": _photographed(lit_subject),
    "lights at night": _photographed(night_lights),
    "silhouette": _photographed(silhouette),
    "sunset": _photographed(sunset),
}
# From any photo: copies that keep its verdict.
COPIES: Final[dict[str, Maker]] = {
    "at 256 px": lambda rgb, rng: shrink(rgb),
    "as JPEG of quality 50": lambda rgb, rng: recompress(rgb, 50),
    "cropped to 80 %": cropped,
}


def _light(rgb: Photo) -> Floats:
    """Linear light, 0 to 1. Source: IEC 61966-2-1 (sRGB)."""
    stored = np.arange(256) / 255
    linear = np.where(
        stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4
    )
    return np.asarray(linear[rgb])


def _develop(light: Floats, rng: np.random.Generator) -> Photo:
    """What a camera stores of this light: shot and read noise, sRGB, eight bits."""
    deviation = np.sqrt(light / _FULL_WELL + (_READ_NOISE / _FULL_WELL) ** 2)
    seen = np.clip(light + rng.standard_normal(light.shape) * deviation, 0, 1)
    stored = np.where(
        seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055
    )
    return np.asarray((stored * 255).round(), np.uint8)


def _from_centre(rgb: Photo, centre: Floats) -> tuple[Floats, Floats]:
    """Each pixel's way from a point, in shares of height and of width."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[:height, :width]
    return y / height - centre[0], x / width - centre[1]


def _below_skyline(rgb: Photo, rng: np.random.Generator) -> NDArray[np.bool_]:
    y, x = _from_centre(rgb, np.zeros(2))
    edge = np.interp(x[0], np.linspace(0, 1, 8), rng.uniform(0.35, 0.75, 8))
    return np.asarray((y > edge)[..., np.newaxis])
