"""New variants of labelled photos, for training.

Float32, (64, 64, 3), RGB, 0 to 1, in and out. Their ranges are set by eye,
against the labelled photos.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.darkness import network

Floats = NDArray[np.float32]

# Light to stored values and back; sRGB's exact curve differs by less than what
# cameras do to it.
_GAMMA: Final = 2.2
_SIDE_PX: Final = network.INPUT_PX
# Rows and columns of a photo, in pixels.
_Y, _X = np.mgrid[:_SIDE_PX, :_SIDE_PX]


def vary(pixels: Floats, rng: np.random.Generator) -> Floats:
    """Mirror, crop and brighten a little, too little to change the judgement."""
    side = int(rng.integers(50, _SIDE_PX + 1))
    top, left = rng.integers(0, _SIDE_PX - side + 1, 2)
    part = pixels[top : top + side, left : left + side, :]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    full = cv2.resize(part, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR)
    return _stored(np.asarray(full) * rng.uniform(0.88, 1.14))


def make_too_dark(bright: Floats, rng: np.random.Generator) -> Floats:
    """Under-expose until the subject is hard to make out.

    Some keep one lamp, which lifts every high percentile, some are of snow, which
    stays gray where other subjects turn black, and some are of a pocket's inside.
    """
    kind = rng.random()
    if kind < 0.2:
        dark = _expose(bright, rng.uniform(-8, -4.5), rng)
        return _stored(np.maximum(dark, _lamp(rng, rng.uniform(0.6, 3))))
    if kind < 0.4:
        return _expose(_snowy(bright, rng), rng.uniform(-8, -5), rng)
    if kind < 0.55:
        return _expose(bright, rng.uniform(-16, -9), rng)
    return _expose(bright, rng.uniform(-7, -3.5), rng)


def make_meant(bright: Floats, rng: np.random.Generator) -> Floats:
    """Darken as somebody may mean it, or so little that it does not matter."""
    kind = rng.random()
    if kind < 0.3:  # a lit subject before black: stage, portrait, night window
        y, x = rng.uniform(8, _SIDE_PX - 8, 2)
        ry, rx = rng.uniform(4, 22, 2)
        distance = np.hypot((_Y - y) / ry, (_X - x) / rx)
        fall = rng.uniform(4, 8) * np.clip(distance - 0.7, 0, 1)
        return _expose(bright, -rng.uniform(0, 1.5) - fall, rng)
    if kind < 0.45:  # a town's lights at night
        lights = _expose(bright, rng.uniform(-9, -5), rng)
        for _ in range(rng.integers(12, 40)):
            light = _lamp(rng, rng.uniform(0.4, 1)) * rng.uniform(0.3, 1)
            lights = np.maximum(lights, light)
        return _stored(lights)
    if kind < 0.75:  # a silhouette under a bright sky, or under an evening's
        ends = np.linspace(0, _SIDE_PX, 6)
        skyline = np.interp(_X[0], ends, rng.uniform(14, 50, 6))
        lit, black = rng.uniform(-2, -0.5), rng.uniform(-7, -4)
        stops = np.where(skyline < _Y, black, lit)
        return _expose(bright if kind < 0.6 else _evening(rng), stops, rng)
    if kind < 0.88:  # snow as meters see it
        return _expose(_snowy(bright, rng), rng.uniform(-2.5, -0.5), rng)
    return _expose(bright, rng.uniform(-2, -0.5), rng)


def _lamp(rng: np.random.Generator, radius_px: float) -> NDArray[np.float64]:
    """One light anywhere, of a lamp's colour, with some of a lens's halo."""
    y, x = rng.uniform(0, _SIDE_PX, 2)
    squared = ((_Y - y) ** 2 + (_X - x) ** 2) / radius_px**2
    glow = np.exp(-squared / 2) + rng.uniform(0, 0.2) / (1 + squared / 2)
    return np.asarray(glow[..., np.newaxis] * rng.uniform((0.7, 0.6, 0.3), 1.0))


def _expose(
    pixels: Floats, stops: float | NDArray[np.float64], rng: np.random.Generator
) -> Floats:
    light = pixels**_GAMMA * np.exp2(np.asarray(stops)[..., np.newaxis])
    # Shot noise grows with the root of the light, read noise does not. Both
    # are small: each of these pixels is the mean of many.
    deviation = np.sqrt(2e-5 * light + rng.uniform(0, 0.002) ** 2)
    light = light + rng.normal(size=light.shape) * deviation
    return _stored(np.clip(light, 0, 1) ** (1 / rng.uniform(1.8, 2.6)))


def _evening(rng: np.random.Generator) -> Floats:
    """A sky from dark blue to the glow at its foot, of any brightness."""
    high = rng.uniform((0.05, 0.05, 0.15), (0.4, 0.4, 0.7))
    low = rng.uniform((0.6, 0.2, 0.05), (1.0, 0.7, 0.5))
    height = (_Y / _SIDE_PX)[..., np.newaxis]
    return np.asarray((high + (low - high) * height) * rng.uniform(0.7, 1), np.float32)


def _snowy(pixels: Floats, rng: np.random.Generator) -> Floats:
    gray = pixels.mean(axis=2, keepdims=True)
    faded = gray + 0.3 * (pixels - gray)
    return np.asarray(1 - rng.uniform(0.2, 0.5) * (1 - faded), np.float32)


def _stored(pixels: NDArray[np.floating]) -> Floats:
    # Eight bits keep little of a dark photo, so variants lose the same.
    return np.asarray((np.clip(pixels, 0, 1) * 255).round() / 255, np.float32)
