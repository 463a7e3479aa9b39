"""Hard cases for `models.blur`, made of sharp photos: what shakes one, what does not.

Detail survives a shake as contrast, so a shaken shelf is easily taken for sharp;
grain, a blurred background, fog and compression are easily taken for shake. Lengths
are shares of the longer side, so that a photo of any size comes out equally shaken.
"""

import io
from collections.abc import Callable
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.images import WORKING_SIDE_PX
from models.screenshot_copies import jpeg

Rgb = NDArray[np.uint8]
Rng = np.random.Generator

# In grey levels a pixel.
_EDGE_SLOPE: Final = 8.0
_DETAILED: Final = 0.25
_STEPS_A_PX: Final = 8
# Of a hand during an exposure.
_PATH_POINTS: Final = 200
# What is left of its speed from one to the next.
_INERTIA: Final = 0.97


def edge_density(rgb: Rgb) -> float:
    """Share of the pixels of a photo, uint8, (H, W, 3), that are edges; 0 to 1.

    High for shelves, foliage and crowds. At the working size, whatever its own.
    """
    gray = cv2.cvtColor(_at_most(rgb, WORKING_SIDE_PX), cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(gray, (0, 0), 1).astype(np.float32)
    down, across = np.gradient(smooth)
    return float((np.hypot(down, across) > _EDGE_SLOPE).mean())


def is_detailed(rgb: Rgb) -> bool:
    """Whether shake would show everywhere; two in five photos are."""
    return edge_density(rgb) >= _DETAILED


def shaken(rgb: Rgb, length: float, angle_deg: float) -> Rgb:
    """Smeared along a straight line.

    Args:
        rgb: uint8, (H, W, 3).
        length: Share of the longer side.
        angle_deg: 0 is level.
    """
    length_px = length * max(rgb.shape[:2])
    angle = np.deg2rad(angle_deg)
    along = np.linspace(-0.5, 0.5, 2 * _STEPS_A_PX * int(np.ceil(length_px)) + 1)
    line = along[:, np.newaxis] * length_px * np.array([np.cos(angle), np.sin(angle)])
    return _exposed_along(rgb, line)


def shaken_by_hand(rgb: Rgb, reach: float, rng: Rng) -> Rgb:
    """Smeared along a path with turns, as a hand makes it.

    Args:
        rgb: uint8, (H, W, 3).
        reach: How far apart its farthest points are, share of the longer side.
        rng: Draws the path: a walk of which each step goes on much as the last did.
    """
    pushes = rng.normal(0, 1, (_PATH_POINTS, 2))
    speed = np.zeros(2)
    steps = np.empty_like(pushes)
    for n, push in enumerate(pushes):
        speed = _INERTIA * speed + push
        steps[n] = speed
    path = np.cumsum(steps, axis=0)
    apart = path[:, np.newaxis] - path
    path *= reach * max(rgb.shape[:2]) / np.hypot(*apart.transpose(2, 0, 1)).max()
    between = np.linspace(0, _PATH_POINTS - 1, 8 * _PATH_POINTS)
    fine = [np.interp(between, np.arange(_PATH_POINTS), part) for part in path.T]
    return _exposed_along(rgb, np.stack(fine, axis=1))


def _exposed_along(rgb: Rgb, path_px: NDArray[np.float64]) -> Rgb:
    """Mean of the photo at each place of a path, float64, (N, 2), of x and y."""
    path_px = path_px - (path_px.min(axis=0) + path_px.max(axis=0)) / 2
    half = int(np.ceil(np.abs(path_px).max())) + 1
    corner = np.floor(path_px).astype(int)
    x, y = (path_px - corner).T
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    for right, below, weight in (
        *((0, 0, (1 - x) * (1 - y)), (1, 0, x * (1 - y))),
        *((0, 1, (1 - x) * y), (1, 1, x * y)),
    ):
        at = corner[:, 1] + below + half, corner[:, 0] + right + half
        np.add.at(kernel, at, weight)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def defocused(rgb: Rgb, diameter: float) -> Rgb:
    """Each point a disc, whose diameter is a share of the longer side."""
    radius_px = diameter * max(rgb.shape[:2]) / 2
    half = int(np.ceil(radius_px))
    reach = np.arange(-half, half + 1)
    disc = np.clip(radius_px + 0.5 - np.hypot(reach[:, np.newaxis], reach), 0, 1)
    return np.asarray(cv2.filter2D(rgb, -1, disc / disc.sum()), np.uint8)


def grainy(rgb: Rgb, sigma: float, rng: Rng) -> Rgb:
    """As taken at high ISO: noise of so many grey levels at the working size."""
    small = _at_most(rgb, WORKING_SIDE_PX)
    return _levels(small + rng.normal(0, sigma, small.shape))


def portrait(rgb: Rgb, share: float, rng: Rng) -> Rgb:
    """Sharp in an ellipse of so much of the frame, far out of focus around it."""
    height, width = rgb.shape[:2]
    # Upright, a third higher than wide.
    wide = np.sqrt(share * height * width / np.pi / 4 * 3)
    sides = min(wide, 0.49 * width), min(wide * 4 / 3, 0.49 * height)
    x, y = (rng.uniform(0.4, 0.6, 2) * (width, height)).astype(int)
    mask = np.zeros((height, width), np.uint8)
    axes = int(sides[0]), int(sides[1])
    cv2.ellipse(mask, (int(x), int(y)), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    sharp = mask[:, :, np.newaxis] / 255
    return _levels(sharp * rgb + (1 - sharp) * defocused(rgb, 0.03))


def pale(rgb: Rgb) -> Rgb:
    """A quarter of the contrast, as in fog."""
    return _levels(160 + (rgb.astype(np.float64) - rgb.mean(axis=(0, 1))) / 4)


def mostly_plain(rgb: Rgb, rng: Rng) -> Rgb:
    """A ninth of the frame, the rest a wall, lit from one side, with some grain."""
    height, width = rgb.shape[:2]
    light = np.linspace(200, 150, width)[np.newaxis, :, np.newaxis]
    wall = np.broadcast_to(light, rgb.shape) + rng.normal(0, 2, rgb.shape)
    picture = cv2.resize(
        rgb, (width // 3, height // 3), interpolation=cv2.INTER_AREA
    ).astype(np.float64)
    wall[height // 3 : height // 3 * 2, width // 3 : width // 3 * 2] = picture
    return _levels(wall)


def compressed(rgb: Rgb, quality: int) -> Rgb:
    """As JPEG gives it back."""
    data = jpeg(Image.fromarray(rgb), quality)
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"), np.uint8)


def half_size(rgb: Rgb) -> Rgb:
    return _at_most(rgb, max(rgb.shape[:2]) // 2)


class Case(NamedTuple):
    """What is made of a sharp photo.

    Attributes:
        make: Of a photo, uint8, (H, W, 3), at most some 1000 pixels wide or high.
        shaken: Whether it should then be called that.
        detailed: Only of photos that `is_detailed`: shake shows in no sky, and
            nobody takes a portrait of it.
    """

    make: Callable[[Rgb, Rng], Rgb]
    shaken: bool = False
    detailed: bool = False


CASES: Final = {
    "shaken by 1.5 %": Case(
        lambda rgb, rng: shaken(rgb, 0.015, rng.uniform(0, 180)), True, True
    ),
    "shaken by 2.5 %": Case(
        lambda rgb, rng: shaken(rgb, 0.025, rng.uniform(0, 180)), True, True
    ),
    "shaken by hand": Case(lambda rgb, rng: shaken_by_hand(rgb, 0.02, rng), True, True),
    "out of focus": Case(lambda rgb, rng: defocused(rgb, 0.02), True, True),
    "sharp, high ISO": Case(
        lambda rgb, rng: compressed(grainy(rgb, rng.uniform(15, 20), rng), 75)
    ),
    "sharp portrait": Case(
        lambda rgb, rng: portrait(rgb, rng.uniform(0.15, 0.3), rng), detailed=True
    ),
    "sharp, pale": Case(lambda rgb, rng: pale(rgb)),
    "sharp, mostly plain": Case(mostly_plain),
    "sharp, JPEG 40": Case(lambda rgb, rng: compressed(rgb, 40)),
    "sharp, half size": Case(lambda rgb, rng: half_size(rgb)),
}


def _at_most(rgb: Rgb, side_px: int) -> Rgb:
    height, width = rgb.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _levels(values: NDArray[np.float64]) -> Rgb:
    return np.clip(values, 0, 255).round().astype(np.uint8)
